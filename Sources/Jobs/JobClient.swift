// The one door to the queue: HTTP, command line, schedules and dropped files all submit, ask, cancel and retry here,
// whether a server runs or not. Every method blocks for the disk and may be called from any thread.
// Failure: JobError; after `storage` nothing was admitted, after `outcome_unknown` ask for the id it names.

import DurableFiles
import Foundation
import Spool
import Tenants
import TextFormats

/// Where a job came from.
public enum JobSource: String, Sendable, CaseIterable {
    case api, cli, drop, schedule, agent
}

public struct JobClientOptions: Sendable {
    /// Waiting jobs one user may have; 0: no limit.
    public var userWaitingLimit: @Sendable (UserID) -> Int
    /// Waiting jobs there may be in all; 0: no limit.
    public var totalWaitingLimit: Int
    /// Bytes of a message in UTF-8; a stored job may have more, from a time with another bound.
    public var messageBytes = 64 << 10
    /// The provider account a job will use, `[a-z0-9_-]{1,16}`: what a 429 of that provider holds back.
    public var holdKey: @Sendable (JobRequest) -> String
    /// Whether the user's account and budget allow one more job; nil: they do. Asked for jobs that are not there yet.
    public var refusal: @Sendable (JobRequest, JobSource) throws(JobError) -> JobError?
    /// The provider accounts on hold and until when, as the workers know them; called by `queue()`.
    public var holds: @Sendable () -> [String: Date]

    public init(
        userWaitingLimit: @escaping @Sendable (UserID) -> Int = { _ in 100 }, totalWaitingLimit: Int = 1_000_000,
        holdKey: @escaping @Sendable (JobRequest) -> String = { _ in "default" },
        refusal: @escaping @Sendable (JobRequest, JobSource) throws(JobError) -> JobError? = { _, _ in nil },
        holds: @escaping @Sendable () -> [String: Date] = { [:] }
    ) {
        self.userWaitingLimit = userWaitingLimit
        self.totalWaitingLimit = totalWaitingLimit
        self.holdKey = holdKey
        self.refusal = refusal
        self.holds = holds
    }
}

/// The answer to a submission: from here on the job survives a power cut.
public struct SubmittedJob: Sendable, Hashable {
    public var id: JobID
    /// False when the same job (same id or idempotency key, same content) had been admitted before.
    public var isNew: Bool
    public var state: JobState
    /// The status file, relative to the spool: "status/2026-11-24/ab/<id>.jsonl".
    public var statusFile: String
}

public final class JobClient: Sendable {
    public let spool: JobSpool
    let options: JobClientOptions
    let now: @Sendable () -> Date
    let census: QueueCensus
    private let configs: UserConfigManager
    let keys: IdempotencyKeys
    private let gates = SessionGates()
    private let keyGates = SessionGates()
    private let expiries = ExpiryBoard()
    let known: KnownJobs

    /// - Parameter workspaces: the same ones `configs` reads; users are looked up, never made.
    public init(
        spool: JobSpool, workspaces: WorkspaceManager, configs: UserConfigManager,
        options: JobClientOptions = JobClientOptions(), now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.spool = spool
        self.configs = configs
        self.options = options
        self.now = now
        census = QueueCensus(spool: spool)
        known = KnownJobs(spool: spool)
        keys = IdempotencyKeys(spool: spool, now: now)
    }

    // MARK: - Submitting

    /// Admits a job durably.
    ///
    /// - Parameters:
    ///   - route: the scope of the idempotency key, such as "POST /chat": one key may be used once per route. nil: the
    ///     job's kind.
    /// - Throws: `user_not_found`, `session_busy`, `conflict`, `idempotency_conflict`, `user_queue_full`, `queue_full`,
    ///   `rate_limited`, `budget_tokens`, `budget_cost`, `user_suspended`, `model_not_allowed`, `model_unpriced`,
    ///   `context_length_exceeded`, `storage`, `outcome_unknown`. Nothing is created then, except that after the last two a
    ///   key may stand for an id: sending the same again completes it.
    ///   - proposedID: the id of the job where neither the request nor its idempotency key names one; an earlier try with
    ///     it may have got as far as any step.
    public func submit(
        _ request: JobRequest, source: JobSource, route: String? = nil, proposedID: JobID? = nil
    ) throws(JobError) -> SubmittedJob {
        let job = try submit(request, source: source, route: route, proposedID: proposedID, in: nil)
        guard let job else { throw JobError(.outcomeUnknown, "the job was not answered; ask again with the same id or key") }
        return job
    }

    /// - Parameter batch: what becomes durable together with the job.
    /// - Returns: nil when the job waits for the batch's commit.
    func submit(
        _ request: JobRequest, source: JobSource, route: String?, proposedID: JobID? = nil, in batch: BatchRun?
    ) throws(JobError) -> SubmittedJob? {
        if let message = request.message, message.utf8.count > options.messageBytes {
            let detail = "must have at most \(options.messageBytes) bytes in UTF-8, has \(message.utf8.count)"
            throw JobError(FieldError(field: "message", detail: detail))
        }
        let config = try config(of: request.userID)
        let incarnation = config.incarnation
        var draft = JobDraft(
            request, incarnation: incarnation, source: source, language: config.preferences.language)
        if let key = request.idempotencyKey {
            let name = IdempotencyKeys.name(
                user: request.userID, incarnation: incarnation, route: route ?? request.kind.rawValue, key: key)
            if let standing = try keys.entry(name) {
                try draft.adopt(standing)
            } else {
                draft.keyName = name
            }
        }
        if draft.request.id == nil, let proposedID { draft.proposedID = proposedID }
        if let id = draft.request.id ?? draft.proposedID {
            if try isAdmitted(id) {
                // Its creator may hold it still, in a batch that waits for one of ours.
                batch?.commit()
                return try admit(draft, id, isFresh: false, nil)
            }
        }
        // A command asks no model; whoever has used up a budget may still stop what runs.
        if request.command == nil, let refusal = try options.refusal(request, source) { throw refusal }
        // Whoever waits for a key must hold nothing back.
        guard let name = draft.keyName, batch == nil else { return try submitNew(draft, batch) }
        return try keyGates.pass(name) { () throws(JobError) in
            // Somebody else may have used the key since it was looked up: a repeat takes no place in the queue.
            if let standing = try keys.entry(name) {
                try draft.adopt(standing)
                if try isAdmitted(standing.id) { return try admit(draft, standing.id, isFresh: false, nil) }
            }
            return try submitNew(draft, nil)
        }
    }

    private func submitNew(_ draft: JobDraft, _ batch: BatchRun?) throws(JobError) -> SubmittedJob? {
        let user = draft.request.userID.rawValue
        try reserve(draft.request.userID, batch)
        // Whoever is inside the gate may wait for one of the batch's jobs.
        if draft.request.onBusy == .reject { batch?.commit() }
        let job: SubmittedJob?
        do throws(JobError) {
            job = try gates.pass(draft.request.onBusy == .reject ? draft.orderKey : nil) { () throws(JobError) in
                try refuseIfBusy(draft)
                return try admitReserved(draft, batch)
            }
        } catch {
            census.settle(user, isAdmitted: false)
            throw error
        }
        // A pending one keeps its place until the commit.
        if let job { census.settle(user, isAdmitted: job.isNew) }
        return job
    }

    /// A place in the queue. What a batch holds back is counted twice by a count that lists its files: it is committed before
    /// anybody is refused.
    private func reserve(_ user: UserID, _ batch: BatchRun?) throws(JobError) {
        func reserve() throws(JobError) {
            try census.reserve(
                user.rawValue, userLimit: options.userWaitingLimit(user), totalLimit: options.totalWaitingLimit)
        }
        do throws(JobError) {
            try reserve()
        } catch {
            guard let batch, batch.isHolding else { throw error }
            batch.commit()
            try reserve()
        }
    }

    /// Fixes the id under the idempotency key, if there is one, then admits.
    private func admitReserved(_ draft: JobDraft, _ batch: BatchRun?) throws(JobError) -> SubmittedJob? {
        var draft = draft
        let known = draft.request.id ?? draft.proposedID
        let id = known ?? JobID.make(now: now())
        guard let name = draft.keyName else { return try admit(draft, id, isFresh: known == nil, batch) }
        let mine = IdempotencyKeys.Entry(id: id, fingerprint: draft.request.fingerprint, at: now())
        let standing = try keys.reserve(name, mine)
        // Somebody else used the key a moment ago: theirs is the job.
        if standing != mine { try draft.adopt(standing) }
        return try admit(draft, standing.id, isFresh: false, batch)
    }

    /// - Parameter isFresh: the id was drawn just now, and nobody has been told of it.
    private func admit(_ draft: JobDraft, _ id: JobID, isFresh: Bool, _ batch: BatchRun?) throws(JobError) -> SubmittedJob? {
        if let batch { return try batch.admit(draft, id) }
        let submission = submission(draft, id, isFresh: isFresh)
        return conclude(draft, id, try spoolCall(id) { () throws(SpoolError) in try spool.submit(submission) })
    }

    func submission(_ draft: JobDraft, _ id: JobID, isFresh: Bool = false) -> Submission {
        draft.submission(id: id, isFresh: isFresh, now: now(), holdKey: options.holdKey(draft.request))
    }

    /// What follows from an admission, once it is durable.
    func conclude(_ draft: JobDraft, _ id: JobID, _ outcome: Submitted) -> SubmittedJob {
        let record = outcome.record
        if !record.state.isFinal {
            if draft.request.command == .stop {
                cancel(before: id, draft.orderKey) { _ in true }
            } else if draft.request.onBusy == .interrupt {
                cancel(before: id, draft.orderKey) { $0 == .running }
            }
        }
        var isNew = false
        if case .created = outcome { isNew = true }
        if isNew, let expiry = draft.request.expiresAt { watch(id, until: expiry) }
        return SubmittedJob(
            id: id, isNew: isNew, state: record.state, statusFile: spool.relativeStatusPath(id))
    }

    /// Whoever waits for the job hears of its end when its time is over, also while the queue is paused or the job is for later.
    /// For jobs admitted by an earlier process the claim, or the next look, finds it.
    private func watch(_ id: JobID, until expiry: Date) {
        expiries.watch(id, until: expiry, now: now()) { [weak self] id, expiry in
            // What cannot be ended now, because somebody has it, is ended by the claim or the next look.
            _ = try? self?.expire(id, expiry)
        }
    }

    private func isAdmitted(_ id: JobID) throws(JobError) -> Bool {
        try spoolCall(id) { () throws(SpoolError) in try spool.record(id) } != nil
    }

    func config(of user: UserID) throws(JobError) -> UserConfig {
        do {
            return try configs.get(user)
        } catch {
            throw JobError(error)
        }
    }

    // MARK: - One job at a time per session

    private func refuseIfBusy(_ draft: JobDraft) throws(JobError) {
        guard draft.request.onBusy == .reject, draft.request.command != .stop, let key = draft.orderKey else { return }
        let live = try spoolCall(nil) { () throws(SpoolError) in try spool.liveJobs(orderKey: key) }
        guard let first = live.first(where: { $0.id != draft.request.id }) else { return }
        throw JobError(
            .sessionBusy, "the session has a job that has not ended; wait for it, or send on_busy \"enqueue\"",
            jobID: first.id, retryAfter: 1)
    }

    /// The new job is durable; cancelling what comes before it is second, so a failure in between loses nothing.
    private func cancel(before id: JobID, _ key: OrderKey?, where isMeant: (JobState) -> Bool) {
        guard let key else { return }
        // Where the order or a mark cannot be read or written, the new job simply waits its turn, as with `enqueue`.
        guard let live = try? spool.liveJobs(orderKey: key) else { return }
        for job in live.prefix(while: { $0.id != id }) where isMeant(job.state) {
            _ = try? spool.cancel(job.id)
        }
    }

    /// Runs a call of the spool and translates its error.
    func spoolCall<Value>(_ id: JobID?, _ body: () throws(SpoolError) -> Value) throws(JobError) -> Value {
        do {
            return try body()
        } catch {
            throw JobError(error, id)
        }
    }
}
