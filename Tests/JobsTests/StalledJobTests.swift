// Running jobs that do not get on.

import DurableFiles
import Foundation
import Spool
import TestSupport
import Testing
import TextFormats

@testable import Jobs

@Suite struct StalledJobTests {
    @Test(
        "a running job without a line for longer than it may run is named, with whether a process holds it",
        arguments: [(60, 94.0, false), (60, 96, true), (3_600, 96, false), (3_600, 3_636, true)], [true, false])
    func stalled(_ row: (limit: Int, silence: TimeInterval, isStalled: Bool), isHeld: Bool) throws {
        let house = try JobHouse()
        let job = try house.submit(["timeout_s": JSON(row.limit)])
        let files = FaultyFileSystem()
        let other = try JobSpool(root: house.spool.layout.root, files: files, now: house.clock.read)
        let name = try #require(try other.names(in: .queued).first)
        guard case .claimed(let claim) = try other.claim(name) else {
            Issue.record("not claimed")
            return
        }
        files.set(.stop(call: 1))
        if !isHeld { files.crash() }
        // Times of files are those of the machine.
        let written = try LinuxFileSystem().status(house.spool.statusPath(job.id)).modified
        house.clock.set(written.addingTimeInterval(row.silence))
        let stalled = try house.client.queue().stalled
        #expect(stalled.map(\.id) == (row.isStalled ? [job.id] : []))
        if let first = stalled.first { #expect(first.isHeld == isHeld && first.user == "demo") }
        _ = claim.job
        files.crash()
    }

    @Test("a job that writes lines is not stalled, and one that waits is not either")
    func alive() throws {
        let house = try JobHouse()
        _ = try house.submit(["session_id": "waits"])
        house.clock.set(Date(timeIntervalSinceNow: 86_400))
        #expect(try house.client.queue().stalled.isEmpty)
    }

    @Test("an idempotency key is taken although keys/ was removed, or its shard is something else", arguments: [true, false])
    func keys(isRemoved: Bool) throws {
        let house = try JobHouse()
        let layout = house.spool.layout
        func send(_ key: String) throws -> JobID {
            try house.client.submit(try house.request(["idempotency_key": .string(key)]), source: .api).id
        }
        let first = try send("one")
        #expect(try send("one") == first)
        let shard = try #require(try LinuxFileSystem().list(layout.path(.keys)).first { $0.kind == .directory }).name
        try LinuxFileSystem().removeTree(isRemoved ? layout.path(.keys) : layout.path(.keys, shard))
        if !isRemoved { try LinuxFileSystem().create(layout.path(.keys, shard), [1], mode: 0o640, sync: false) }
        let again = try send("one")
        #expect(try send("one") == again)
        try house.client.pruneKeys()
    }
}
