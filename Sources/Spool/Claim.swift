// A claimed job. The lock on its status file is the claim: it dies with the process.
// Stays on the thread that took it; its consuming methods are the only way out, and dropping it gives the job back.

import DurableFiles
import Foundation
import TextFormats

/// A claimed job as plain facts, for handlers on any thread.
public struct ClaimedJob: Sendable {
    public var id: JobID
    public var user: String
    public var lane: Lane
    public var run: Int
    public var attempt: Int
    public var crashes: Int
    public var epoch: Int
    public var name: JobFileName
    public var payload: [UInt8]
    /// What the submitter said of the job when it was admitted; empty when that record was lost.
    public var facts: JSONObject
    public var createdAt: Date
    /// True for the second and later runs: expiry no longer counts.
    public var isOperatorRetry: Bool { run > 1 }
}

public enum ClaimResult: ~Copyable {
    case claimed(Claim)
    /// Somebody holds its lock just now: try again in 10 ms.
    case busy
    /// An earlier job of its order key must end first.
    case blocked(by: JobID)
    /// A suspect, and another one is running: try again in a second.
    case isolated
    /// It is not in queued/ any more.
    case gone
    /// It had ended already, or was cancelled; its file has been moved.
    case finished
}

public struct Claim: ~Copyable {
    private let open: OpenRun

    init(_ open: OpenRun) { self.open = open }

    deinit { open.abandon() }

    public var job: ClaimedJob { open.job }
    public var record: RunRecord { open.record }

    /// Ends the run as completed. Commit point: the fsync of the final line.
    /// - Throws: `.takenOver` when the job was moved away meanwhile; `.storage`: the job stays in running/ and is
    ///   recovered, its journal with it.
    public consuming func complete(result: JSON, usage: JSON? = nil) throws(SpoolError) {
        try open.finish(.completed, result: result, failure: nil, usage: usage)
    }

    /// Ends the run as cancelled.
    public consuming func cancel(result: JSON? = nil, usage: JSON? = nil) throws(SpoolError) {
        let failure = JobFailure(code: "cancelled", detail: "The job was cancelled.", isRetryable: false)
        try open.finish(.cancelled, result: result, failure: failure, usage: usage)
    }

    /// Ends the run as failed and puts the job file into dead/.
    public consuming func bury(_ failure: JobFailure, usage: JSON? = nil) throws(SpoolError) {
        try open.finish(.failed, result: nil, failure: failure, usage: usage)
    }

    /// Gives the job back to be tried again from `due` on; counts an attempt.
    public consuming func retry(_ failure: JobFailure, due: Date, usage: JSON? = nil) throws(SpoolError) {
        try open.requeue(open.name.retried(due: due), failure: failure, note: "retry")
    }

    /// Gives the job back at once, without counting anything: drain.
    public consuming func release(_ reason: String) throws(SpoolError) {
        try open.requeue(open.name.settled, failure: nil, note: reason)
    }

    /// Gives the job back to be tried from `until` on, without counting anything: its account is held.
    public consuming func hold(until: Date, _ failure: JobFailure) throws(SpoolError) {
        try open.requeue(open.name.postponed(until: until), failure: failure, note: "hold")
    }
}

/// The locks a claim holds besides that of its record.
struct Held {
    var order: OrderFile?
    var suspect: SuspectLock?
}

/// What a claim holds open. Confined to the claiming thread.
final class OpenRun {
    let spool: JobSpool
    let file: StatusFile
    let held: Held
    let name: JobFileName
    let job: ClaimedJob
    let record: RunRecord
    private var isOver = false

    init(
        spool: JobSpool, file: StatusFile, held: Held, name: JobFileName, job: ClaimedJob, status: StatusRecord,
        replay: [JournalLine]
    ) {
        self.spool = spool
        self.file = file
        self.held = held
        self.name = name
        self.job = job
        record = RunRecord(file: file, status: status, replay: replay, now: spool.now)
    }

    func finish(_ state: JobState, result: JSON?, failure: JobFailure?, usage: JSON?) throws(SpoolError) {
        defer { close() }
        try record.flush()
        var final = record.status
        final.note = nil
        final.state = state
        final.at = spool.now()
        final.result = result
        final.error = failure
        final.usage = usage
        final.progress = state == .completed ? 100 : final.progress
        try spool.finish(file, name: name, in: .running, final: final, order: held.order)
    }

    func requeue(_ next: JobFileName, failure: JobFailure?, note: String) throws(SpoolError) {
        defer { close() }
        try record.flush()
        try spool.requeue(file, from: name, to: next, status: record.status, failure: failure, note: note)
    }

    /// The claim was dropped without a word: give the job back as released.
    func abandon() {
        guard !isOver else { return }
        // What fails here is left to recovery: the lock is gone either way.
        try? requeue(name.settled, failure: nil, note: "abandoned")
    }

    private func close() {
        isOver = true
        held.order?.close()
        held.suspect?.close()
        file.close()
    }
}
