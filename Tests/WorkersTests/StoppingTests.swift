import DurableFiles
import Foundation
import Spool
import TestSupport
import Testing
import TextFormats

@testable import Workers

/// Cancel, timeout, drain.
@Suite struct StoppingTests {
    @Test("cancelling a running job reaches it within the call, or from another process at once; it ends as cancelled", arguments: [true, false])
    func cancels(isHere: Bool) throws {
        let house = try PoolHouse()
        let flags = Happenings<CancellationFlag>()
        let pool = try house.start(
            ScriptedHandler { _, _, flag in
                flags.note(flag)
                #expect(flag.wait() == .cancelled)
                return .done
            })
        let id = try house.submit()
        #expect(flags.wait(count: 1))
        let other = isHere ? house.spool : try house.another()
        _ = try other.cancel(id)
        if isHere { #expect(flags.all.first?.reason == .cancelled) }
        #expect(house.ended.wait(seconds: 5, for: id))
        #expect(try house.finalStates(id) == [.cancelled])
        #expect(!house.spool.isCancelRequested(id, run: 1))
        #expect(house.stop(pool) == 0)
    }

    @Test("a cancel that arrives when the handler has returned and the job goes back to wait still ends it")
    func cancelsLate() throws {
        let house = try PoolHouse()
        let other = try house.another()
        let ids = Happenings<JobID>()
        let pool = try house.start(
            ScriptedHandler { job, _, _ in
                ids.note(job.id)
                return .failed(JobFailure(code: "connection", detail: "", isRetryable: true), usage: nil)
            }
        ) { options in
            options.random = {
                // Asked between the last look at the mark and the way back to queued/.
                if let id = ids.all.last { #expect(throws: Never.self) { try other.cancel(id) } }
                return 0.9
            }
        }
        let id = try house.submit()
        #expect(house.ended.wait(seconds: 10, for: id))
        #expect(try house.finalStates(id) == [.cancelled])
        #expect(ids.all.count == 1)
        #expect(house.stop(pool) == 0)
    }

    @Test("a cancel mark of an earlier run means nothing to the next")
    func oldMarks() throws {
        let house = try PoolHouse()
        let flags = Happenings<(id: JobID, flag: CancellationFlag)>()
        let gate = Gate()
        let pool = try house.start(
            ScriptedHandler { job, _, flag in
                if job.text == "twice", job.run == 1 {
                    return .failed(JobFailure(code: "quota", detail: "", isRetryable: false), usage: nil)
                }
                flags.note((job.id, flag))
                gate.pass()
                return .done
            })
        let twice = try house.submit("twice")
        #expect(house.ended.wait(for: twice))
        _ = try house.spool.retry(twice)
        #expect(flags.wait(count: 1))
        let other = try house.submit("once")
        #expect(flags.wait(count: 2))
        // inotify keeps the order, so when the second mark is heard the first one was.
        let folder = house.spool.cancelMarkFolder
        try house.files.createFile("\(folder)/\(twice).1", [])
        try house.files.createFile("\(folder)/\(other).1", [])
        #expect(flags.all.first { $0.id == other }?.flag.wait() == .cancelled)
        #expect(flags.all.first { $0.id == twice }?.flag.isSet == false)
        gate.open()
        #expect(house.ended.wait(count: 3))
        #expect(try house.finalStates(twice) == [.failed, .completed])
        #expect(house.stop(pool) == 0)
    }

    @Test("a job past its time is told to stop and counts an attempt; a cancel during its grace still cancels", arguments: [false, true])
    func timesOut(isCancelled: Bool) throws {
        let house = try PoolHouse()
        let told = Happenings<JobID>()
        let gate = Gate()
        let pool = try house.start(
            ScriptedHandler(policy: { _ in JobPolicy(timeout: 0.02, maxAttempts: 1) }) { job, _, flag in
                #expect(flag.wait() == .timeout)
                told.note(job.id)
                gate.pass()
                return .cancelled(usage: ["total_tokens": 5])
            })
        let id = try house.submit()
        #expect(told.wait(count: 1))
        if isCancelled { _ = try house.spool.cancel(id) }
        gate.open()
        #expect(house.ended.wait(for: id))
        let record = try #require(try house.spool.record(id))
        #expect(record.state == (isCancelled ? .cancelled : .failed))
        #expect(record.error?.code == (isCancelled ? "cancelled" : "timeout"))
        #expect(record.usage?["total_tokens"] == 5)
        #expect(house.stop(pool) == 0)
    }

    @Test("a worker that does not return after its grace is reported as wedged, once, and counted until it returns")
    func wedges() throws {
        let house = try PoolHouse()
        let wedged = Happenings<JobID>()
        let gate = Gate()
        let pool = try house.start(
            ScriptedHandler(policy: { job in JobPolicy(timeout: job.text == "stuck" ? 0.02 : 60) }) { job, _, _ in
                if job.text == "stuck" { gate.pass() }
                return .done
            }
        ) {
            $0.grace = 0.02
            $0.onWedged = { wedged.note($0) }
        }
        let id = try house.submit("stuck")
        #expect(wedged.wait(for: id))
        #expect(pool.snapshot.wedged == 1)
        // The other workers go on, and looking again does not report again.
        for _ in 0..<5 { #expect(house.ended.wait(for: try house.submit("fine"))) }
        #expect(wedged.all == [id])
        gate.open()
        #expect(house.ended.wait(for: id))
        #expect(house.stop(pool) == 0)
        #expect(pool.snapshot.wedged == 0)
    }

    @Test("draining gives running jobs back with nothing counted, and the next pool resumes them from their journals")
    func drains() throws {
        let house = try PoolHouse()
        let started = Happenings<JobID>()
        let first = try house.start(
            ScriptedHandler { job, record, flag in
                #expect(throws: Never.self) { try record.journal(.model, ["text": "paid for"]) }
                started.note(job.id)
                #expect(flag.wait() == .drain)
                return .released(reason: "drain")
            }
        ) { $0.count = 2 }
        let ids = try (0..<4).map { try house.submit("\($0)") }
        #expect(started.wait(count: 2))
        #expect(house.stop(first) == 0)
        #expect(started.all.count == 2)
        let names = try house.spool.names(in: .queued)
        #expect(Set(names.map(\.id)) == Set(ids))
        #expect(names.allSatisfy { $0.attempt == 0 && $0.crashes == 0 })

        let replays = Happenings<Int>()
        let second = try house.start(
            ScriptedHandler { job, record, _ in
                #expect(job.attempt == 0)
                replays.note(record.replay.count)
                return .done
            })
        #expect(house.ended.wait(count: 4))
        #expect(replays.all.sorted() == [0, 0, 1, 1])
        #expect(house.stop(second) == 0)
    }

    @Test("a drain that runs out of time says how many jobs are left, and can be repeated")
    func drainsInVain() throws {
        let house = try PoolHouse()
        let gate = Gate()
        let started = Happenings<JobID>()
        let pool = try house.start(
            ScriptedHandler { job, _, _ in
                started.note(job.id)
                gate.pass()
                return .done
            })
        let id = try house.submit()
        #expect(started.wait(count: 1))
        #expect(pool.drain(deadline: house.clock.now) == 1)
        gate.open()
        #expect(house.stop(pool) == 0)
        #expect(try house.finalStates(id) == [.completed])
    }
}
