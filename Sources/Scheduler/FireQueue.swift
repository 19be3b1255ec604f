// What the scheduler needs of the queue, so that its tests can refuse jobs at will. Implemented by `JobClient`.
// Called from the scheduler's thread and from callers of `runNow`; blocking.

import Foundation
import Jobs
import Spool

protocol FireQueue: Sendable {
    /// Durable when it returns. The same id and content again: the job that is there.
    func submit(fire request: JobRequest) throws(JobError)
    /// nil: no such job, or it is so old that it was removed.
    func state(of id: JobID) throws(JobError) -> JobState?
}

struct ClientQueue: FireQueue {
    let client: JobClient

    func submit(fire request: JobRequest) throws(JobError) {
        _ = try client.submit(request, source: .schedule)
    }

    func state(of id: JobID) throws(JobError) -> JobState? {
        try client.view(id)?.state
    }
}
