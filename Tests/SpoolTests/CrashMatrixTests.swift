// Stops the program model at every single system call of an operation, reopens the spool as another process would, and
// checks: nothing acknowledged is lost, nothing ends twice, no job stands in two places.

import DurableFiles
import Foundation
import Spool
import TestSupport
import Testing
import TextFormats

@Suite struct CrashMatrixTests {
    /// One life of a job, all of it through `spool`.
    enum Operation: String, CaseIterable {
        case submit, submitOrdered, complete, retry, bury, cancelWaiting, retryDead, recover

        /// Brings the spool to where the operation begins.
        func prepare(_ fixture: SpoolFixture, _ submission: Submission) throws {
            let spool = try fixture.another()
            switch self {
            case .submit, .submitOrdered: break
            case .complete, .retry, .bury, .cancelWaiting: _ = try spool.submit(submission)
            case .retryDead:
                _ = try spool.submit(submission)
                _ = try claimFirst(spool) { try $0.bury(JobFailure(code: "x", detail: "", isRetryable: false)) }
            case .recover:
                _ = try spool.submit(submission)
                let files = FaultyFileSystem()
                let dying = try JobSpool(root: spool.layout.root, files: files, now: fixture.clock.read)
                _ = try claimFirst(dying) { claim in
                    files.set(.stop(call: 1))
                    _ = claim.job
                }
                files.crash()
            }
        }

        func perform(_ spool: JobSpool, _ submission: Submission) throws {
            let failure = JobFailure(code: "x", detail: "", isRetryable: true)
            switch self {
            case .submit, .submitOrdered: _ = try spool.submit(submission)
            case .complete:
                _ = try claimFirst(spool) { claim in
                    try claim.record.journal(.model, ["text": "paid for"])
                    try claim.complete(result: ["n": 1], usage: nil)
                }
            case .retry: _ = try claimFirst(spool) { try $0.retry(failure, due: submission.due) }
            case .bury: _ = try claimFirst(spool) { try $0.bury(failure) }
            case .cancelWaiting: _ = try spool.cancel(submission.id)
            case .retryDead: _ = try spool.retry(submission.id)
            case .recover:
                let pass = try spool.recoverOrphans()
                if let failure = pass.failures.first { throw failure }
            }
        }
    }

    private func submission(_ fixture: SpoolFixture, _ operation: Operation) -> Submission {
        fixture.submission("payload", key: operation == .submitOrdered ? SpoolFixture.key : nil)
    }

    /// How many calls the operation makes when nothing goes wrong.
    private func callCount(_ operation: Operation) throws -> Int {
        let fixture = try SpoolFixture()
        let submission = submission(fixture, operation)
        try operation.prepare(fixture, submission)
        fixture.files.set(.none)
        try operation.perform(fixture.spool, submission)
        return fixture.files.calls
    }

    /// Everything a fresh process does until the job has ended; then the facts are checked.
    private func checkAfterwards(
        _ fixture: SpoolFixture, _ submission: Submission, _ operation: Operation, acknowledged: Bool, at call: Int
    ) throws {
        let context: Comment = "\(operation) stopped or failed at call \(call)"
        let id = submission.id
        let spool = try fixture.another()
        let isAdmission = operation == .submit || operation == .submitOrdered
        // The client asks again with the same id, as it must after an answer it did not get.
        if isAdmission, !acknowledged { _ = try spool.submit(submission) }
        var rounds = 0
        while rounds < 10 {
            rounds += 1
            fixture.clock.advance(by: 600)
            #expect(try spool.recoverOrphans().failures.isEmpty, context)
            #expect(try fixture.places(id, in: spool).count == 1, context)
            let outcome = try claimFirst(spool) { claim in
                if operation == .complete { #expect(claim.record.replay.count <= 1, context) }
                try claim.complete(result: ["n": 2], usage: nil)
            }
            if outcome == "nothing" { break }
        }
        let finals = try fixture.finalLines(id, in: spool)
        let runs = finals.map(\.run)
        #expect(Set(runs).count == runs.count, "a run ended twice: \(context)")
        let place = try fixture.places(id, in: spool)
        #expect(place.count == 1, context)
        let last = try #require(finals.last, context)
        #expect(place == [last.state == .failed ? "dead" : "done"], context)
        #expect(try spool.names(in: .running).isEmpty, context)
        if operation == .cancelWaiting, acknowledged { #expect(last.state == .cancelled, context) }
        if operation == .complete, acknowledged { #expect(last.result == ["n": 1], context) }
    }

    @Test("stopped after any system call, nothing is lost and nothing ends twice", arguments: Operation.allCases)
    func stops(_ operation: Operation) throws {
        let count = try callCount(operation)
        #expect(count > 2)
        for call in 1...count {
            let fixture = try SpoolFixture()
            let submission = submission(fixture, operation)
            try operation.prepare(fixture, submission)
            fixture.files.set(.stop(call: call))
            var acknowledged = false
            do {
                try operation.perform(fixture.spool, submission)
                acknowledged = fixture.files.calls < call
            } catch {
                acknowledged = false
            }
            fixture.files.crash()
            try checkAfterwards(fixture, submission, operation, acknowledged: acknowledged, at: call)
        }
    }

    @Test(
        "any system call failing once loses nothing, and what was acknowledged is there",
        arguments: Operation.allCases, [5, 28, 24, 30])
    func failures(_ operation: Operation, errno: Int32) throws {
        let count = try callCount(operation)
        for call in 1...count {
            let fixture = try SpoolFixture()
            let submission = submission(fixture, operation)
            try operation.prepare(fixture, submission)
            fixture.files.set(.fail(call: call, errno: errno))
            var acknowledged = true
            do { try operation.perform(fixture.spool, submission) } catch { acknowledged = false }
            try checkAfterwards(fixture, submission, operation, acknowledged: acknowledged, at: call)
        }
    }

    @Test("a disk that fills up in the middle of a write leaves whole lines only", arguments: Operation.allCases)
    func shortWrites(_ operation: Operation) throws {
        let count = try callCount(operation)
        for call in 1...count {
            let fixture = try SpoolFixture()
            let submission = submission(fixture, operation)
            try operation.prepare(fixture, submission)
            fixture.files.set(.shortWrite(call: call))
            var acknowledged = true
            do { try operation.perform(fixture.spool, submission) } catch { acknowledged = false }
            try checkAfterwards(fixture, submission, operation, acknowledged: acknowledged, at: call)
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
        let files = FaultyFileSystem()
        let dying = try JobSpool(root: fixture.spool.layout.root, files: files, now: fixture.clock.read)
        _ = try claimFirst(dying) { claim in
            if afterStep { try claim.record.journal(.result, ["text": "done"]) }
            files.set(.stop(call: 1))
            _ = claim.job
        }
        files.crash()
        _ = try fixture.spool.recoverOrphans()
    }
}
