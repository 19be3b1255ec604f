// Restart loops: jobs with a counted crash wait where the last two processes died soon after their start.

import DurableFiles
import Foundation
import Spool
import Synchronization
import TestSupport
import Testing
import TextFormats

@testable import Workers

@Suite struct SuspectWaitTests {
    /// A job that was running when its process died before any step.
    private func makeSuspect(_ house: PoolHouse) throws -> JobID {
        let files = FaultyFileSystem()
        let dying = try house.another(files)
        let id = try house.submit(user: "suspect")
        let name = try #require(try dying.names(in: .queued).first { $0.id == id })
        guard case .claimed(let claim) = try dying.claim(name) else {
            Issue.record("not claimed")
            return id
        }
        files.set(.stop(call: 1))
        _ = claim.job
        files.crash()
        _ = try house.spool.recoverOrphans()
        return id
    }

    private func dieYoung(_ house: PoolHouse) throws {
        let files = FaultyFileSystem()
        _ = try house.another(files).recordStart()
        files.crash()
    }

    @Test("after two early deaths a suspect starts when the process has lived for 10 s, and other jobs at once")
    func waits() throws {
        let house = try PoolHouse(realClock: true)
        let uptime = Mutex<TimeInterval>(1_000)
        let suspect = try makeSuspect(house)
        for _ in 0..<2 { try dieYoung(house) }
        let runs = Happenings<JobID>()
        let pool = try house.start(
            ScriptedHandler { job, _, _ in
                runs.note(job.id)
                return .done
            }
        ) { $0.uptime = { uptime.withLock { $0 } } }
        #expect(house.messages.wait { $0.contains { $0.contains("died soon after their start") } })
        let plain = try house.submit(user: "bob")
        #expect(house.ended.wait(for: plain))
        uptime.withLock { $0 += ProcessStart.youth - 0.5 }
        let another = try house.submit(user: "carol")
        #expect(house.ended.wait(for: another))
        #expect(!runs.all.contains(suspect))
        uptime.withLock { $0 += 1 }
        pool.clockChanged()
        #expect(house.ended.wait(for: suspect))
        #expect(house.stop(pool) == 0)
    }

    @Test("without early deaths a suspect starts at once", arguments: [0, 1])
    func startsAtOnce(deaths: Int) throws {
        let house = try PoolHouse(realClock: true)
        let suspect = try makeSuspect(house)
        for _ in 0..<deaths { try dieYoung(house) }
        // A clock that does not move: no life would ever be long enough.
        let pool = try house.start(ScriptedHandler { _, _, _ in .done }) { $0.uptime = { 1_000 } }
        #expect(house.ended.wait(for: suspect))
        #expect(house.stop(pool) == 0)
    }

    @Test("forty processes that die at once bury nothing")
    func restartLoop() throws {
        let house = try PoolHouse(realClock: true)
        let jobs = try (0..<10).map { try house.submit(user: "user\($0)") }
        for _ in 0..<40 {
            let files = FaultyFileSystem()
            let dying = try house.another(files)
            let process = try dying.recordStart()
            _ = try dying.recoverOrphans()
            // As a pool does it: everything that may start is claimed, and then the process is killed.
            try claimAll(dying, files, suspectsToo: !process.followsEarlyDeaths)
            files.crash()
        }
        _ = try house.spool.recoverOrphans()
        #expect(try house.spool.names(in: .dead).isEmpty)
        #expect(try Set(house.spool.names(in: .queued).map(\.id)) == Set(jobs))
    }

    /// Holds each claim until the process has stopped: dropping one would give the job back.
    private func claimAll(_ spool: JobSpool, _ files: FaultyFileSystem, suspectsToo: Bool) throws {
        func hold(_ names: ArraySlice<JobFileName>) throws {
            guard let name = names.first else { return files.set(.stop(call: 1)) }
            switch try spool.claim(name) {
            case .claimed(let claim):
                try hold(names.dropFirst())
                _ = claim.job
            default: try hold(names.dropFirst())
            }
        }
        try hold(try spool.names(in: .queued).filter { suspectsToo || !$0.isSuspect }[...])
    }
}
