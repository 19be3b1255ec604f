// Steering jobs: cancel, retry, pause, and the end of a user. Any thread, blocking. Failure: JobError.

import DurableFiles
import Foundation
import Spool
import Tenants

extension JobClient {
    /// Cancels a job. One that waits is cancelled when this returns; one that runs ends within about a second.
    ///
    /// - Returns: the job as it stands then; cancelling twice gives the same answer.
    /// - Throws: `not_found`; `invalid_state` when it has completed or failed.
    @discardableResult
    public func cancel(_ id: JobID) throws(JobError) -> JobView {
        let record: JobRecord
        do throws(SpoolError) {
            record = try spool.cancel(id)
        } catch {
            if error.code == .state, let view = try view(id), view.state == .cancelled { return view }
            throw JobError(error, id)
        }
        return try known(record)
    }

    /// Begins the next run of a dead letter.
    /// - Throws: `not_found`; `invalid_state` when the job is none.
    @discardableResult
    public func retry(_ id: JobID) throws(JobError) -> JobView {
        try known(try spoolCall(id) { () throws(SpoolError) in try spool.retry(id) })
    }

    /// Removes a job that has ended, with its record. An idempotency key that stands for it is free again.
    /// - Throws: `conflict` when it has not ended; `lock_timeout` while another call holds it; `storage`.
    public func remove(_ id: JobID) throws(JobError) {
        guard let view = try view(id) else { return }
        guard view.state.isFinal else { throw JobError(.conflict, "the job has not ended", jobID: id) }
        // The worker that ended the job may still hold its record: it puts the job file away.
        let isErased = try LockWait.current.take("record of \(id)") { () throws(JobError) in
            try spoolCall(id) { () throws(SpoolError) in try spool.erase(id) }
        }
        guard isErased else {
            throw JobError(.lockTimeout, "the job's record is in use; try again", jobID: id)
        }
    }

    /// Whether every submission is refused because too many jobs wait.
    /// - Throws: `storage`.
    public func isQueueFull() throws(JobError) -> Bool { try census.isFull(totalLimit: options.totalWaitingLimit) }

    /// Ends a waiting job whose time to begin is over. - Returns: whether it has ended by this.
    func expire(_ id: JobID, _ expiry: Date) throws(JobError) -> Bool {
        guard now() >= expiry else { return false }
        let failure = JobFailure(expiredAt: expiry)
        return try spoolCall(id) { () throws(SpoolError) in try spool.endWaiting(id, failure) }
    }

    /// See `JobSpool.takeBack`.
    func takeBack(_ path: String, as id: JobID) throws(JobError) -> Bool {
        try spoolCall(id) { () throws(SpoolError) in try spool.takeBack(path, as: id) }
    }

    private func known(_ record: JobRecord) throws(JobError) -> JobView {
        guard let view = try view(record) else {
            throw JobError(.corrupt, "the job's record names neither kind nor user", jobID: record.id)
        }
        return view
    }

    /// Nothing new is started until `resume`, by any process, also after restarts. What runs goes on.
    public func pause() throws(JobError) {
        try spoolCall(nil) { () throws(SpoolError) in try spool.pause() }
    }

    public func resume() throws(JobError) {
        try spoolCall(nil) { () throws(SpoolError) in try spool.resume() }
    }

    // MARK: - The end of a user

    /// Cancels all jobs of a user that have not ended.
    /// - Returns: how many still run: they end within about a second, and `cancelAll` may be asked again.
    @discardableResult
    public func cancelAll(user: UserID) throws(JobError) -> Int {
        var running = 0
        // queued/ again at the end: a job may go back there while running/ is read.
        var seen: Set<JobID> = []
        for folder in [Folder.queued, .running, .queued] {
            for name in try names(in: folder) where name.user == user.rawValue && seen.insert(name.id).inserted {
                do throws(SpoolError) {
                    if try !spool.cancel(name.id).state.isFinal { running += 1 }
                } catch {
                    // It ended meanwhile, or was never wholly admitted.
                    guard error.code == .state || error.code == .notFound else { throw JobError(error, name.id) }
                }
            }
        }
        return running
    }

    /// Removes every trace of a user's jobs: job files, status files, order files. Cancel them first.
    /// - Returns: how many are held by a worker still and were left: call again until it is 0.
    @discardableResult
    public func erase(user: UserID) throws(JobError) -> Int {
        try spoolCall(nil) { () throws(SpoolError) in try spool.erase(user: user.rawValue) }
    }
}
