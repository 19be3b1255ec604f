// What goes wrong at the door to the queue, in the words its callers (API, CLI, drop box, scheduler) pass on.
// Pure values; any thread.

import DurableFiles
import Spool
import Tenants
import TextFormats

/// Why a job was not taken in, or a question about a job could not be answered.
public struct JobError: Error, Sendable, CustomStringConvertible {
    public enum Kind: String, Sendable, CaseIterable {
        /// The text is no JSON.
        case invalidJSON = "invalid_json"
        /// JSON, but no acceptable job: `field` names the key.
        case invalidJob = "invalid_job"
        /// More than `JobRequest.maxBytes`.
        case tooLarge = "too_large"
        case userNotFound = "user_not_found"
        /// `on_busy` is `reject` and the session has a live job.
        case sessionBusy = "session_busy"
        /// The id is taken by a job of other content.
        case conflict
        /// The idempotency key was used with other content.
        case idempotencyConflict = "idempotency_conflict"
        /// The user has as many waiting jobs as one user may have.
        case userQueueFull = "user_queue_full"
        /// The queue has as many waiting jobs as it may have.
        case queueFull = "queue_full"
        /// The user has sent more requests within a minute than one user may.
        case rateLimited = "rate_limited"
        /// The user's tokens of the day, or money of the month, are used up.
        case budgetTokens = "budget_tokens"
        case budgetCost = "budget_cost"
        /// The operator has suspended the user.
        case userSuspended = "user_suspended"
        /// The user's plan does not have the model.
        case modelNotAllowed = "model_not_allowed"
        /// A limit in money holds, and the model has no price.
        case modelUnpriced = "model_unpriced"
        /// The message has no room in the window of the job's model.
        case contextLengthExceeded = "context_length_exceeded"
        /// No such job.
        case notFound = "not_found"
        /// The job is not in a state that allows this.
        case invalidState = "invalid_state"
        /// The disk refused: nothing was acknowledged.
        case storage
        /// Something else holds a lock and does not let go: nothing was acknowledged.
        case lockTimeout = "lock_timeout"
        /// The disk failed at a moment that leaves open whether the job exists: ask for `jobID`, or send it again.
        case outcomeUnknown = "outcome_unknown"
        /// The user's config.json or account.json is damaged: the user's jobs wait until an operator has repaired it.
        case configCorrupt = "config_corrupt"
        /// A file of the queue is damaged.
        case corrupt
    }

    public var kind: Kind
    /// One sentence for whoever sent the job, with what to do about it.
    public var detail: String
    /// The dotted path of the key at fault.
    public var field: String?
    public var jobID: JobID?
    /// Seconds after which trying again makes sense.
    public var retryAfter: Int?

    public init(_ kind: Kind, _ detail: String, field: String? = nil, jobID: JobID? = nil, retryAfter: Int? = nil) {
        self.kind = kind
        self.detail = detail
        self.field = field
        self.jobID = jobID
        self.retryAfter = retryAfter
    }

    /// The one answer for an id that a caller may not choose: made too long ago or too far ahead, or taken by a job of a user
    /// the caller does not reach.
    public static let unusableID = JobError(
        .invalidJob,
        "cannot be used: an id is made within the last 7 days, by a clock that is not ahead, and is free; "
            + "make a new one or leave it out", field: "id")

    /// Stable, snake_case; part of every outside interface.
    public var code: String { kind.rawValue }

    public var description: String {
        let place = field.map { "\($0): " } ?? ""
        return "\(code): \(place)\(detail)"
    }

    /// True where the same job can be taken in later without anybody changing it.
    public var isPassing: Bool {
        switch kind {
        case .userQueueFull, .queueFull, .storage, .lockTimeout, .outcomeUnknown, .rateLimited, .budgetTokens, .budgetCost,
            .configCorrupt:
            return true
        case .invalidJSON, .invalidJob, .tooLarge, .userNotFound, .sessionBusy, .conflict, .idempotencyConflict,
            .notFound, .invalidState, .corrupt, .userSuspended, .modelNotAllowed, .modelUnpriced,
            .contextLengthExceeded:
            return false
        }
    }
}

extension JobError {
    /// Other users' jobs are taken in all the same.
    var isOfOneUser: Bool {
        switch kind {
        case .userQueueFull, .rateLimited, .budgetTokens, .budgetCost, .userSuspended, .modelNotAllowed, .modelUnpriced,
            .configCorrupt, .contextLengthExceeded:
            return true
        default: return false
        }
    }
}

// MARK: - From the errors of the rooms below

extension JobError {
    /// How long a sender should wait for a full or failing disk, in seconds.
    private static let storageRetrySeconds = 5

    init(_ error: FieldError) {
        self.init(.invalidJob, error.detail, field: error.field.isEmpty ? nil : error.field)
    }

    init(_ error: FileError, jobID: JobID? = nil) {
        let isBusy = error.code == .busy
        self.init(
            isBusy ? .lockTimeout : .storage, isBusy ? error.description : "the disk refused: \(error)", jobID: jobID,
            retryAfter: Self.storageRetrySeconds)
    }

    public init(_ error: TenantError) {
        switch error.code {
        case .userNotFound: self.init(.userNotFound, error.detail, field: "user_id")
        case .configCorrupt:
            self.init(.configCorrupt, error.detail, retryAfter: TenantError.repairRetrySeconds)
        case .storage: self.init(.storage, error.detail, retryAfter: Self.storageRetrySeconds)
        case .lockTimeout: self.init(.lockTimeout, error.detail, retryAfter: Self.storageRetrySeconds)
        case .outcomeUnknown: self.init(.outcomeUnknown, error.detail, retryAfter: Self.storageRetrySeconds)
        case .invalidUserID, .invalidSessionID, .userExists, .versionConflict, .invalidField, .reportNotFound:
            self.init(.invalidJob, error.detail, field: error.field)
        }
    }

    init(_ error: SpoolError, _ id: JobID?) {
        let id = error.id ?? id
        switch error.code {
        case .conflict: self.init(.conflict, error.detail, field: "id", jobID: id)
        case .storage, .unusable:
            let kind: Kind = error.isLockTimeout ? .lockTimeout : .storage
            self.init(kind, error.detail, jobID: id, retryAfter: Self.storageRetrySeconds)
        case .outcomeUnknown:
            self.init(
                .outcomeUnknown, "\(error.detail); ask for the job by its id, or send it again with that id", jobID: id,
                retryAfter: Self.storageRetrySeconds)
        case .notFound: self.init(.notFound, error.detail, jobID: id)
        case .state, .takenOver, .recordFull: self.init(.invalidState, error.detail, jobID: id)
        case .corrupt: self.init(.corrupt, error.detail, jobID: id)
        case .invalid: self.init(.invalidJob, error.detail, jobID: id)
        }
    }
}
