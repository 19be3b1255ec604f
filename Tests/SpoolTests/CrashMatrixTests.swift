// Stops the program model at every single system call of an operation, reopens the spool as another process would, and
// checks: nothing acknowledged is lost, nothing ends twice, no job stands in two places.

import DurableFiles
import Foundation
import Spool
import TestSupport
import Testing
import TextFormats

@Suite struct CrashMatrixTests {
    @Test("stopped after any system call, nothing is lost and nothing ends twice", arguments: JobOperation.ways)
    func stops(_ operation: JobOperation, _ way: Way) throws {
        let count = try operation.callCount(way)
        #expect(count > 2)
        for call in 1...count {
            let fixture = try SpoolFixture(way)
            let submission = operation.submission(fixture)
            try operation.prepare(fixture, submission)
            let acknowledged = operation.perform(fixture, submission, stoppingAt: call)
            try operation.checkAfterwards(fixture, submission, acknowledged: acknowledged, at: call)
        }
    }

    @Test(
        "any system call failing once loses nothing, and what was acknowledged is there",
        arguments: JobOperation.allCases, [5, 28, 30, 4, -5])
    func failures(_ operation: JobOperation, errno signed: Int32) throws {
        // Below zero: with the shared log.
        let (errno, way) = (abs(signed), signed < 0 ? Way.eagerLog : .files)
        let count = try operation.callCount(way)
        for call in 1...count {
            let fixture = try SpoolFixture(way)
            let submission = operation.submission(fixture)
            try operation.prepare(fixture, submission)
            fixture.files.set(.fail(call: call, errno: errno))
            var acknowledged = true
            do { try operation.perform(fixture.spool, submission) } catch { acknowledged = false }
            try operation.checkAfterwards(fixture, submission, acknowledged: acknowledged, at: call)
        }
    }

    @Test("a disk that fills up in the middle of a write leaves whole lines only", arguments: JobOperation.ways)
    func shortWrites(_ operation: JobOperation, _ way: Way) throws {
        let count = try operation.callCount(way)
        for call in 1...count {
            let fixture = try SpoolFixture(way)
            let submission = operation.submission(fixture)
            try operation.prepare(fixture, submission)
            fixture.files.set(.shortWrite(call: call))
            var acknowledged = true
            do { try operation.perform(fixture.spool, submission) } catch { acknowledged = false }
            try operation.checkAfterwards(fixture, submission, acknowledged: acknowledged, at: call)
        }
    }

    @Test("a job whose process keeps dying before any step is buried; one that makes steps never is")
    func crashCounts() throws {
        let fixture = try SpoolFixture()
        let poison = try fixture.spool.submit(fixture.submission("poison")).record.id
        var deaths = 0
        while try fixture.places(poison) == ["queued"], deaths < 20 {
            try dieWhileRunning(fixture, afterStep: false)
            deaths += 1
        }
        #expect(deaths == 1 + JobSpool.countedCrashesToBury)
        #expect(try fixture.spool.record(poison)?.error?.code == "crash_loop")

        let long = try fixture.spool.submit(fixture.submission("long")).record.id
        for _ in 0..<10 { try dieWhileRunning(fixture, afterStep: true) }
        #expect(try fixture.places(long) == ["queued"])
        #expect(try fixture.spool.names(in: .queued).first?.crashes == 0)
    }

    private func dieWhileRunning(_ fixture: SpoolFixture, afterStep: Bool) throws {
        try fixture.claimAndDie { record in
            if afterStep { try record.journal(.result, ["text": "done"]) }
        }
        _ = try fixture.spool.recoverOrphans()
    }
}
