// Asking about jobs. Reads only, never makes anything; any thread, blocking.

import Foundation
import Spool
import Tenants
import TextFormats

extension JobClient {
    /// - Returns: nil when there is no such job (or it is so old that it was removed).
    /// - Throws: `storage`.
    public func view(_ id: JobID) throws(JobError) -> JobView? {
        let before = known.status(id)
        guard let record = try spoolCall(id, { () throws(SpoolError) in try spool.record(id) }) else { return nil }
        if let expiry = Self.expiry(of: record) {
            // Nothing in the file changes when its time comes: it is not kept.
            // Where that cannot be written now the claim ends it; looking must go on.
            guard (try? expire(id, expiry)) == true,
                let after = try spoolCall(id, { () throws(SpoolError) in try spool.record(id) })
            else { return try view(record) }
            return try view(after)
        }
        let view = try view(record)
        if let view { known.keep(view, before) }
        return view
    }

    /// The request that an idempotency key stands for; nil: the key is free, or its job has been removed.
    /// - Throws: `user_not_found`, `storage`.
    public func request(key: String, route: String, of user: UserID) throws(JobError) -> JobRequest? {
        let name = IdempotencyKeys.name(
            user: user, incarnation: try config(of: user).incarnation, route: route, key: key)
        guard let entry = try keys.entry(name) else { return nil }
        return try request(entry.id)
    }

    /// The request of a job, from its job file; nil: it has been removed, or cannot be read any more.
    /// - Throws: `storage`.
    public func request(_ id: JobID) throws(JobError) -> JobRequest? {
        guard let payload = try spoolCall(id, { () throws(SpoolError) in try spool.payload(id) }) else { return nil }
        // An unreadable file: `check` names it, and the job's record still tells its state.
        return try? AdmittedJob(payload: payload, now: now()).request
    }

    /// Whether the session has a job that has not ended.
    /// - Throws: `user_not_found`, `storage`.
    public func isBusy(_ session: SessionID, of user: UserID) throws(JobError) -> Bool {
        let incarnation = try config(of: user).incarnation
        guard let key = OrderKey(session.orderKey(user: user, incarnation: incarnation)) else { return false }
        return try !spoolCall(nil) { () throws(SpoolError) in try spool.liveJobs(orderKey: key) }.isEmpty
    }

    /// The time until which a waiting job must have been begun.
    private static func expiry(of record: JobRecord) -> Date? {
        guard record.state == .queued, record.run == 1 else { return nil }
        return record.facts["expires_at"]?.string.flatMap(RFC3339.date)
    }

    /// A job that was looked at before and has not changed since: one stat, so that an event loop may ask.
    /// - Returns: nil: ask `view`.
    public func known(_ id: JobID) -> KnownJob? { known.find(id) }

    /// A record whose first line was lost in a crash and written anew by a claim has no facts: the job file has them.
    func view(_ record: JobRecord) throws(JobError) -> JobView? {
        if let view = Self.view(record, facts: record.facts) { return view }
        let payload = try spoolCall(record.id) { () throws(SpoolError) in try spool.payload(record.id) }
        // An unreadable job file cannot say more than its name does.
        if let payload, let job = try? AdmittedJob(payload: payload, now: now()) {
            var facts = job.request.facts
            facts["incarnation"] = .string(job.incarnation)
            facts["language"] = .string(job.request.errorLanguage(preferred: "en"))
            if let view = Self.view(record, facts: facts) { return view }
        }
        guard let name = record.file.flatMap({ JobFileName($0) }), let user = try? UserID(name.user) else { return nil }
        return JobView(record, facts: [:], kind: JobKind(lane: name.lane), userID: user)
    }

    private static func view(_ record: JobRecord, facts: JSONObject) -> JobView? {
        guard let kind = facts["kind"]?.string.flatMap(JobKind.init(rawValue:)), let text = facts["user_id"]?.string,
            let user = try? UserID(text)  // no user id: not written by us
        else { return nil }
        return JobView(record, facts: facts, kind: kind, userID: user)
    }

    /// Jobs, newest first.
    ///
    /// Folders are listed by name, and only the records of jobs whose names fit are read, until `limit` are found.
    /// A filter by a final state may have to read past many others: done/ does not tell them apart.
    /// - Parameters:
    ///   - limit: how many at most.
    ///   - after: the last job of the page before: only older ones are given.
    public func list(_ filter: JobFilter, limit: Int, after: JobID? = nil) throws(JobError) -> [JobView] {
        guard limit > 0 else { return [] }
        var found: [JobView] = []
        var listing = JobListing(spool: spool, filter: filter, after: after)
        while found.count < limit, let id = try listing.next() {
            if let view = try listed(id), matches(view, filter) { found.append(view) }
        }
        return found
    }

    /// One record that cannot be read must not hide all the others: `check` names it.
    private func listed(_ id: JobID) throws(JobError) -> JobView? {
        let record: JobRecord?
        do throws(SpoolError) {
            record = try spool.record(id)
        } catch {
            guard !error.isPassing else { throw JobError(error, id) }
            return nil
        }
        return try record.flatMap { (record) throws(JobError) in try view(record) }
    }

    private func matches(_ view: JobView, _ filter: JobFilter) -> Bool {
        if let state = filter.state, view.state != state { return false }
        if let user = filter.user, view.userID != user { return false }
        if let kind = filter.kind, view.kind != kind { return false }
        return true
    }

    /// The queue in numbers. For a very long queue those of the waiting may be some seconds old.
    public func queue() throws(JobError) -> QueueSummary {
        let waiting = try census.count()
        let running = try names(in: .running)
        let dead = try names(in: .dead)
        var lanes: [Lane: QueueSummary.LaneCount] = [:]
        for (lane, count) in waiting.lanes { lanes[lane, default: .init()].queued = count }
        for name in running { lanes[name.lane, default: .init()].running += 1 }
        for name in dead { lanes[name.lane, default: .init()].dead += 1 }
        let time = now()
        // Also what the workers of other processes have met.
        let marked = try spoolCall(nil) { () throws(SpoolError) in try spool.holds() }
        let holds = options.holds().merging(marked) { max($0, $1) }.filter { $0.value > time }
        return QueueSummary(
            queued: waiting.total, running: running.count, dead: dead.count, lanes: lanes,
            oldestQueuedSeconds: max(0, waiting.oldestDue.values.min().map { time.timeIntervalSince($0) } ?? 0),
            isPaused: spool.isPaused, holds: holds, stalled: try stalled(running), oldestDue: waiting.oldestDue)
    }

    func names(in folder: Folder) throws(JobError) -> [JobFileName] {
        try spoolCall(nil) { () throws(SpoolError) in try spool.names(in: folder) }
    }

    /// The lines of a job's status file, for event streams; see `JobSpool.lines`.
    public func lines(_ id: JobID, from offset: Int, epoch: String?) throws(JobError) -> StatusChunk? {
        try spoolCall(id) { () throws(SpoolError) in try spool.lines(id, from: offset, epoch: epoch) }
    }
}
