// What GET /reports/{id} has said of finished reports, kept as long as the job's record and the report's files are the same
// ones: the next poll costs three stats and no reading (decision 0017). Bounded; any thread. Never fails: what is not kept
// is read.

import Jobs
import Spool
import Synchronization
import Tenants

final class ReportAnswers: Sendable {
    struct Answer: Sendable {
        var body: [UInt8]
        /// With its quotes.
        var tag: String
        var user: UserID
        fileprivate var jobTag: String
        fileprivate var format: ReportFormat
        fileprivate var stamp: ReportStamp
    }

    /// Bytes of one answer that are kept at most, and answers: all of them go when it holds so many.
    static let largest = 64 << 10
    private static let maximum = 512

    private let jobs: JobClient
    private let reports: any ReportLibrary
    private let answers = Mutex<[JobID: Answer]>([:])

    init(jobs: JobClient, reports: any ReportLibrary) {
        self.jobs = jobs
        self.reports = reports
    }

    func find(_ id: JobID) -> Answer? {
        guard let answer = answers.withLock({ $0[id] }) else { return nil }
        guard jobs.known(id)?.tag == answer.jobTag,
            reports.stamp(of: "\(id)", user: answer.user, format: answer.format) == answer.stamp
        else {
            answers.withLock { $0[id] = nil }
            return nil
        }
        return answer
    }

    /// - Parameter stamp: as the report's files were before they were read.
    func keep(_ body: [UInt8], _ tag: String, of view: JobView, format: ReportFormat, stamp: ReportStamp?) {
        guard let stamp, body.count <= Self.largest, let job = jobs.known(view.id),
            reports.stamp(of: "\(view.id)", user: view.userID, format: format) == stamp
        else { return }
        let answer = Answer(body: body, tag: tag, user: view.userID, jobTag: job.tag, format: format, stamp: stamp)
        answers.withLock { answers in
            if answers.count >= Self.maximum { answers.removeAll() }
            answers[view.id] = answer
        }
    }
}
