// What happens to a job in its life, one operation at a time, for the tests that interrupt each of them everywhere.

import DurableFiles
import Foundation
import Spool
import TestSupport
import Testing
import TextFormats

/// One life of a job, all of it through `spool`.
enum JobOperation: String, CaseIterable {
    case submit, submitFresh, submitOrdered, submitBatch, complete, journal, retry, hold, release, bury, cancelWaiting, cancelRunning, retryDead
    case recover, prune, pruneOrdered, probe, beginProcess

    /// Each operation each way in which it differs.
    static let ways: [(JobOperation, Way)] = allCases.flatMap { operation in
        let isBesideTheLog = [.submit, .submitFresh, .submitOrdered, .complete, .bury, .cancelRunning].contains(operation)
        return Way.allCases.filter { $0 != .eagerLog || isBesideTheLog }.map { (operation, $0) }
    }

    /// Brings the spool to where the operation begins.
    func prepare(_ fixture: SpoolFixture, _ submission: Submission) throws {
        let spool = try fixture.another()
        switch self {
        case .submit, .submitFresh, .submitOrdered, .submitBatch: break
        case .probe, .beginProcess: _ = try spool.submit(submission)
        case .pruneOrdered:
            // The old job is of the same session: its order file may go only without the new one.
            let old = fixture.submission("old", key: SpoolFixture.key)
            _ = try spool.submit(old)
            _ = try claimFirst(spool) { try $0.complete(result: .null) }
            let other = fixture.submission("other", key: OrderKey("ffeeddccbbaa99887766554433221100"))
            _ = try spool.submit(other)
            _ = try claimFirst(spool) { try $0.complete(result: .null) }
            fixture.clock.advance(by: 20 * 86_400)
            _ = try spool.submit(submission)
        case .complete, .journal, .retry, .hold, .release, .bury, .cancelWaiting, .cancelRunning:
            _ = try spool.submit(submission)
        case .prune:
            // Something old to remove beside the job that must stay.
            let old = fixture.submission("old")
            _ = try spool.submit(old)
            _ = try claimFirst(spool) { try $0.complete(result: .null) }
            fixture.clock.advance(by: 20 * 86_400)
            _ = try spool.submit(submission)
        case .retryDead:
            _ = try spool.submit(submission)
            _ = try claimFirst(spool) { try $0.bury(JobFailure(code: "x", detail: "", isRetryable: false)) }
        case .recover:
            _ = try spool.submit(submission)
            try fixture.claimAndDie()
        }
    }

    func perform(_ spool: JobSpool, _ submission: Submission) throws {
        let failure = JobFailure(code: "x", detail: "", isRetryable: true)
        switch self {
        case .submit, .submitOrdered: _ = try spool.submit(submission)
        case .submitFresh:
            var fresh = submission
            fresh.isFresh = true
            _ = try spool.submit(fresh)
        case .submitBatch: try submitBatch(spool, submission)
        case .complete:
            _ = try claimFirst(spool) { claim in
                try claim.record.journal(.model, ["text": "paid for"])
                try claim.complete(result: ["n": 1], usage: nil)
            }
        case .journal:
            _ = try claimFirst(spool) { claim in
                try claim.record.journal(.intent, ["call": "1"])
                try claim.record.event(["event": "delta", "text": "streamed"])
                try claim.record.journal(.result, ["call": "1", "result": "done"])
                try claim.release("drain")
            }
        case .retry: _ = try claimFirst(spool) { try $0.retry(failure, due: submission.due) }
        case .hold: _ = try claimFirst(spool) { try $0.hold(until: submission.due, failure) }
        case .release: _ = try claimFirst(spool) { try $0.release("drain") }
        case .cancelRunning:
            _ = try claimFirst(spool) { claim in
                _ = try spool.cancel(submission.id)
                try claim.cancel()
            }
        case .prune: _ = try spool.prune(olderThanDays: 10)
        case .pruneOrdered:
            _ = try spool.prune(olderThanDays: 10)
            _ = try spool.pruneOrderFiles(olderThanDays: 10)
        case .probe: try SpoolProbe(spool).run()
        case .beginProcess:
            let process = try spool.recordStart()
            try process.settle(now: submission.due)
            process.end(isSettled: true)
        case .bury: _ = try claimFirst(spool) { try $0.bury(failure) }
        case .cancelWaiting: _ = try spool.cancel(submission.id)
        case .retryDead: _ = try spool.retry(submission.id)
        case .recover:
            let pass = try spool.recoverOrphans()
            if let failure = pass.failures.first { throw failure }
        }
    }

    /// The job between two others of its batch.
    private func submitBatch(_ spool: JobSpool, _ submission: Submission) throws {
        var answers: [JobID: SubmissionBatch.Answer] = [:]
        let batch = spool.batch()
        for neighbour in [false, true, false] {
            var one = submission
            if neighbour == false { one.id = JobID.make(now: submission.due) }
            // A neighbour that is refused must not keep the job itself from being admitted.
            do throws(SpoolError) {
                if let answer = try batch.add(one) { answers[one.id] = .success(answer) }
            } catch {
                answers[one.id] = .failure(error)
            }
        }
        answers.merge(batch.commit()) { $1 }
        _ = try #require(answers[submission.id]).get()
    }

    /// Stops the process model at the call with this number. - Returns: whether the operation had been acknowledged.
    func perform(_ fixture: SpoolFixture, _ submission: Submission, stoppingAt call: Int) -> Bool {
        defer { fixture.files.crash() }
        fixture.files.set(.stop(call: call))
        do {
            try perform(fixture.spool, submission)
            return fixture.files.calls < call
        } catch {
            return false
        }
    }

    func submission(_ fixture: SpoolFixture) -> Submission {
        fixture.submission("payload", key: self == .submitOrdered || self == .pruneOrdered ? SpoolFixture.key : nil)
    }

    /// How many calls the operation makes when nothing goes wrong.
    func callCount(_ way: Way) throws -> Int {
        let fixture = try SpoolFixture(way)
        let submission = submission(fixture)
        try prepare(fixture, submission)
        fixture.files.set(.none)
        try perform(fixture.spool, submission)
        return fixture.files.calls
    }

    /// Everything a fresh process does until the job has ended; then the facts are checked.
    func checkAfterwards(
        _ fixture: SpoolFixture, _ submission: Submission, acknowledged: Bool, at call: Int, in other: JobSpool? = nil,
        _ how: String = "stopped or failed"
    ) throws {
        let operation = self
        let context: Comment = "\(operation) \(how) at call \(call)"
        let id = submission.id
        let spool = try other ?? fixture.another()
        let isAdmission = [.submit, .submitFresh, .submitOrdered, .submitBatch].contains(operation)
        // The client asks again with the same id, as it must after an answer it did not get.
        if isAdmission, !acknowledged { _ = try spool.submit(submission) }
        var rounds = 0
        while rounds < 10 {
            rounds += 1
            fixture.clock.advance(by: 600)
            #expect(try spool.recoverOrphans().failures.isEmpty, context)
            // Where only one of two folders was synced a renamed file is in both; its next claim clears that up.
            let places = try fixture.places(id, in: spool)
            #expect(places.count == 1 || operation == .retryDead && places == ["queued", "dead"], context)
            let outcome = try claimFirst(spool) { claim in
                if operation == .complete { #expect(claim.record.replay.count <= 1, context) }
                // What was recorded before it was acted on is replayed.
                if operation == .journal, acknowledged { #expect(claim.record.replay.count == 2, context) }
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
        if operation == .cancelWaiting || operation == .cancelRunning, acknowledged { #expect(last.state == .cancelled, context) }
        if operation == .complete, acknowledged { #expect(last.result == ["n": 1], context) }
    }
}
