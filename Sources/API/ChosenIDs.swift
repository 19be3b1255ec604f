// Submitting for a caller: an id that a job of another user has is refused like an id that nobody may choose. Without this the
// answer would name the job of somebody the caller does not reach. Blocking; called on a pool thread.

import Identity
import Jobs

extension JobClient {
    /// As `submit`, with the answer the caller may see; the job bears the id of the request.
    func submit(_ job: JobRequest, for context: APIContext, source: JobSource = .api, route: String) throws -> SubmittedJob {
        do throws(JobError) {
            return try submit(job.with(requestID: context.requestID), source: source, route: route)
        } catch {
            throw shown(error, to: context.caller)
        }
    }

    /// As `submitBatch`, with the answers the caller may see; each job bears the id of the request.
    func submitBatch(_ jobs: [JobRequest], for context: APIContext, route: String) -> [Result<SubmittedJob, JobError>] {
        submitBatch(jobs.map { $0.with(requestID: context.requestID) }, source: .api, route: route)
            .map { $0.mapError { shown($0, to: context.caller) } }
    }

    private func shown(_ error: JobError, to caller: Caller) -> JobError {
        guard error.kind == .conflict, caller.user != nil, let id = error.jobID else { return error }
        // The service tells no caller of a record that it cannot read now.
        if let view = try? view(id), caller.reaches(view.userID) { return error }
        return .unusableID
    }
}
