import DurableFiles
import Foundation
import Spool
import TestSupport
import Testing
import TextFormats

@testable import Workers

/// Deaths of other processes, and disks that refuse.
@Suite struct RecoveryTests {
    /// Claims the only waiting job as a process that then stops for good; its lock stays until `crash`.
    private func claimAndStop(_ house: PoolHouse, _ files: FaultyFileSystem, journal: Bool) throws {
        let dying = try house.another(files)
        let name = try #require(try dying.names(in: .queued).first)
        guard case .claimed(let claim) = try dying.claim(name) else {
            Issue.record("not claimed")
            return
        }
        if journal { try claim.record.journal(.model, ["text": "paid for"]) }
        files.set(.stop(call: 1))
    }

    @Test("the job of a dead process is run again as soon as its lock is free, its journal replayed", arguments: [true, false])
    func orphans(journal: Bool) throws {
        let house = try PoolHouse()
        let files = FaultyFileSystem()
        let runs = Happenings<String>()
        let handler = ScriptedHandler { job, record, _ in
            runs.note("crashes \(job.crashes), attempt \(job.attempt), replay \(record.replay.count)")
            return .done
        }
        let id = try house.submit()
        try claimAndStop(house, files, journal: journal)
        let pool = try house.start(handler)
        // The first scan is over when a job has run.
        #expect(house.ended.wait(for: try house.submit()))
        #expect(try house.spool.names(in: .running).map(\.id) == [id])
        files.crash()
        // 1 s is promised.
        #expect(house.ended.wait(seconds: 5, for: id))
        // Only a claim that completed no step counts as a crash.
        #expect(runs.all.last == (journal ? "crashes 0, attempt 0, replay 1" : "crashes 1, attempt 0, replay 0"))
        #expect(house.stop(pool) == 0)
    }

    @Test("a pool takes over from one that dies, also when both went for the job at the same time")
    func takesOver() throws {
        let house = try PoolHouse(realClock: true)
        let files = FaultyFileSystem()
        let theirs = try house.another(files)
        let (startedThere, startedHere, gate) = (Happenings<JobID>(), Happenings<JobID>(), Gate())

        struct Late: Admission {
            let others: Happenings<JobID>
            func mayStart(_ name: JobFileName) -> AdmissionAnswer {
                // Handed out here, but the other process claims first.
                _ = others.wait(count: 1)
                return .start
            }
        }
        let there = try house.start(
            on: theirs,
            ScriptedHandler { job, _, _ in
                startedThere.note(job.id)
                gate.pass()
                return .done
            })
        let here = try house.start(
            ScriptedHandler { job, _, _ in
                startedHere.note(job.id)
                return .done
            }
        ) { $0.admission = Late(others: startedThere) }
        let id = try house.submit()
        #expect(startedThere.wait(count: 1))
        files.set(.stop(call: 1))
        files.crash()
        #expect(startedHere.wait(seconds: 5, for: id))
        #expect(house.ended.wait(for: id))
        gate.open()
        #expect(house.stop(there) == 0)
        #expect(house.stop(here) == 0)
        #expect(try house.finalStates(id) == [.completed])
    }

    @Test(
        "when the end of a job cannot be written it is recovered later, without a counted crash",
        arguments: ["rename", "write", "fdatasync"])
    func endFails(operation: String) throws {
        let house = try PoolHouse(realClock: true)
        let crashes = Happenings<Int>()
        let root = house.spool.layout.root
        let pool = try house.start(
            ScriptedHandler { job, _, _ in
                crashes.note(job.crashes)
                let place = operation == "rename" ? "\(root)/running/" : house.spool.statusPath(job.id)
                if crashes.all.count == 1 { house.files.set(.refuseFrom("\(operation) \(place)")) }
                return .done
            })
        let id = try house.submit()
        #expect(house.messages.wait { $0.contains("the end of a job could not be written") })
        // Recovery is tried in vain until the disk works again.
        #expect(house.messages.wait { messages in
            messages.contains { $0 == "an orphaned job is not recovered yet" || $0 == "running jobs cannot be looked at" }
        })
        house.files.set(.none)
        #expect(house.ended.wait(seconds: 10, for: id))
        // With the final line in the file only the move was missing.
        #expect(crashes.all == (operation == "fdatasync" ? [0] : [0, 0]))
        #expect(try house.finalStates(id) == [.completed])
        #expect(house.stop(pool) == 0)
    }

    @Test("a job whose end failed for a moment only is recovered at once, not by the next scan")
    func endFailsForAMoment() throws {
        let house = try PoolHouse(realClock: true)
        let runs = Happenings<JobID>()
        // The disk works again before anybody looks.
        house.messages.onNote { [files = house.files] message in
            if message == "the end of a job could not be written" { files.set(.none) }
        }
        let pool = try house.start(
            ScriptedHandler { job, _, _ in
                let isFirst = !runs.all.contains(job.id)
                runs.note(job.id)
                let prefix = "rename \(house.spool.layout.path(.running, job.name))"
                if isFirst { house.files.set(.refuseFrom(prefix)) }
                return .done
            }
        ) { $0.count = 1 }
        for _ in 0..<3 {
            let id = try house.submit()
            guard house.ended.wait(seconds: 20, for: id) else {
                Issue.record("left in running/")
                break
            }
            #expect(runs.all.count { $0 == id } == 2)
        }
        #expect(house.stop(pool) == 0)
    }

    @Test("when claims fail the pool waits and goes on by itself; nothing is lost")
    func claimFails() throws {
        let house = try PoolHouse()
        let pool = try house.start(ScriptedHandler { _, _, _ in .done })
        #expect(house.ended.wait(for: try house.submit()))
        house.files.set(.refuseFrom("flock"))
        let id = try house.submit(to: try house.another())
        #expect(house.messages.wait { $0.contains("a job cannot be claimed") })
        house.files.set(.none)
        house.clock.advance(by: 10)
        #expect(house.ended.wait(for: id))
        #expect(house.stop(pool) == 0)
    }

    @Test("a job whose record is no file begins again, and stops no other")
    func unreadableRecord() throws {
        let house = try PoolHouse()
        try house.spool.pause()
        let bad = try house.submit()
        let path = house.spool.statusPath(bad)
        try house.files.remove(path)
        try house.files.makeDirectory(path, mode: 0o700)
        let pool = try house.start(ScriptedHandler { _, _, _ in .done })
        try house.spool.resume()
        #expect(house.ended.wait(seconds: 10, for: bad))
        // The manual clock stands still: a pool that waits for it would wait for ever.
        for _ in 0..<10 { #expect(house.ended.wait(seconds: 10, for: try house.submit())) }
        #expect(house.stop(pool) == 0)
        #expect(try house.spool.names(in: .queued).isEmpty)
    }

    @Test("a job that meets a full disk waits without using an attempt; its own trouble with files uses one")
    func fullDisk() throws {
        let house = try PoolHouse()
        let attempts = Happenings<Int>()
        let failure = JobFailure(code: "storage", detail: "no space", isRetryable: true)
        let tmp = house.spool.layout.path(.tmp)
        let pool = try house.start(
            ScriptedHandler(policy: { _ in JobPolicy(maxAttempts: 2) }) { job, _, _ in
                attempts.note(job.attempt)
                let tries = attempts.all.count
                house.files.set(tries < 4 ? .failAlways("write \(tmp)") : .none)
                return tries < 5 ? .failed(failure, usage: nil) : .done
            })
        let id = try house.submit()
        for tries in 1...4 {
            #expect(attempts.wait(count: tries))
            #expect(house.queued.wait(count: tries + 1))
            #expect(pool.holds.isEmpty)
            house.clock.advance(by: 20)
        }
        #expect(house.ended.wait(for: id))
        #expect(attempts.all == [0, 0, 0, 0, 1])
        #expect(try house.finalStates(id) == [.completed])
        #expect(house.stop(pool) == 0)
    }
}
