// What a job was about to hand over, where the job does not complete.

import Foundation
import Spool
import TestSupport
import Testing
import TextFormats

@testable import Workers

struct DiscardTests {
    enum End: CaseIterable { case completed, failed, cancelled, expired }

    @Test(
        "a job that fails, expires or is cancelled gives up its result before its final line, which then names none",
        arguments: End.allCases)
    func discards(end: End) throws {
        let house = try PoolHouse()
        let other = try house.another()
        let discarded = Happenings<[JobState]>()
        var handler = ScriptedHandler { job, _, _ in
            switch end {
            case .completed, .expired: return .done
            case .failed: return .failed(JobFailure(code: "x", detail: "", isRetryable: false), usage: nil)
            case .cancelled:
                // After the handler's own last look, before the final line.
                #expect(throws: Never.self) { try other.cancel(job.id) }
                return .done
            }
        }
        let past = house.clock.now
        if end == .expired { handler.policy = { _ in JobPolicy(expiresAt: past) } }
        handler.discard = { job in
            discarded.note((try? house.finalStates(job.id)) ?? [.completed])
            return true
        }
        let pool = try house.start(handler)
        let id = try house.submit()
        #expect(house.ended.wait(for: id))
        #expect(house.stop(pool) == 0)
        #expect(discarded.all == (end == .completed ? [] : [[]]))
        let record = try #require(try house.spool.record(id))
        #expect((record.result == nil) == (end != .completed))
    }
}
