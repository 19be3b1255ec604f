import DurableFiles
import Foundation
import Spool
import TestSupport
import Testing
import TextFormats

@testable import Jobs

@Suite("Jobs that were looked at before")
struct KnownJobsTests {
    private func finished(_ house: JobHouse) throws -> JobID {
        let request = try JobRequest.parse(["kind": "report", "user_id": "demo"], now: house.clock.now)
        let id = try house.client.submit(request, source: .api).id
        let name = try #require(try house.spool.names(in: .queued).first { $0.id == id })
        guard case .claimed(let claim) = try house.spool.claim(name) else { throw SpoolError(.state, "not claimed") }
        #expect(house.client.known(id) == nil)
        #expect(try house.client.view(id)?.state == .running)
        #expect(house.client.known(id)?.view.state == .running)
        try claim.record.event(["event": "delta", "text": "x"])
        try claim.record.flush()
        #expect(house.client.known(id) == nil)
        #expect(try house.client.view(id)?.state == .running)
        try claim.bury(JobFailure(code: "x", detail: "", isRetryable: false))
        return id
    }

    @Test("are told from memory as long as their record is the same, and anew after a retry or when they are gone")
    func cached() throws {
        let house = try JobHouse()
        let id = try finished(house)
        #expect(house.client.known(id) == nil)
        let view = try #require(try house.client.view(id))
        let kept = try #require(house.client.known(id))
        #expect(kept.view == view && kept.json == view.json.bytes() && kept.tag.count == 34)
        _ = try house.client.retry(id)
        #expect(house.client.known(id) == nil)
        #expect(try house.client.view(id)?.state == .queued)
        let other = try finished(house)
        _ = try house.client.view(other)
        #expect(house.client.known(other) != nil)
        _ = try house.client.erase(user: house.user)
        #expect(house.client.known(other) == nil)
    }
}
