// Many submissions that become durable together: each is admitted as by `submit`, up to its record in the shared log, and
// one frame of the log then makes all of them durable. All or nothing holds for each job by itself: a job that cannot be
// admitted is answered at once and keeps nobody else from it. Without a log each is submitted by itself.
//
//   added: its files stand, its record is locked, nobody can claim it   →  committed: durable, unlocked, its listeners told
//                                                                      →  withdrawn, or of unknown outcome: its own error
// A crash in between leaves what a crash in `submit` leaves. Stays on the thread that made it; dropping it commits.

public final class SubmissionBatch {
    public typealias Answer = Result<Submitted, SpoolError>

    /// Jobs, and bytes of job files, held back at once: each keeps a file open, or two.
    public static let limit = 100
    private static let byteLimit = 2 << 20

    private let spool: JobSpool
    private var prepared: [JobSpool.PlannedAdmission] = []
    private var bytes = 0
    private var answers: [JobID: Answer] = [:]

    init(spool: JobSpool) { self.spool = spool }

    deinit { flush() }

    /// It has been added and is not durable yet. Submitting its id by any other way would wait for this batch.
    public func isPending(_ id: JobID) -> Bool { prepared.contains { $0.submission.id == id } }

    /// There is room for one more job before `commit` must be called.
    public var hasRoom: Bool { prepared.count < Self.limit && bytes < Self.byteLimit }

    /// - Returns: the answer where there is one already, such as that the job exists; nil: `commit` will tell.
    /// - Throws: as `JobSpool.submit`.
    public func add(_ submission: Submission) throws(SpoolError) -> Submitted? {
        if isPending(submission.id) || !hasRoom { flush() }
        // Two batches that wait for each other's jobs would wait for ever: who waits holds nothing back.
        switch try spool.begin(submission, beforeWaiting: { self.flush() }) {
        case .answered(let answer): return answer
        case .planned(let plan):
            do throws(SpoolError) {
                try spool.writeFiles(plan)
            } catch {
                throw spool.takeBack(plan, error, isKnown: true)
            }
            prepared.append(plan)
            bytes += submission.payload.count
            return nil
        }
    }

    /// Makes all that was added durable. - Returns: the answers of all that was added since `commit` returned last.
    public func commit() -> [JobID: Answer] {
        flush()
        defer { answers = [:] }
        return answers
    }

    private func flush() {
        for (admission, answer) in spool.conclude(prepared) { answers[admission.submission.id] = answer }
        prepared = []
        bytes = 0
    }
}
