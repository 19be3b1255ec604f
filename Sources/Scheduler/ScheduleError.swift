// What can go wrong with a schedule, in one type. Thrown by every call of this room, on the caller's
// thread; `code` is stable and fit for the API, `detail` names the remedy.

public struct ScheduleError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Code: String, Sendable, CaseIterable {
        /// The expression, duration or time cannot be read.
        case invalidExpression = "invalid_expression"
        /// No such IANA time zone on this machine, or its file cannot be read as one.
        case invalidTimeZone = "invalid_timezone"
        /// Another field of a schedule is wrong; `field` names it.
        case invalidField = "invalid_field"
        case userNotFound = "user_not_found"
        case notFound = "schedule_not_found"
        /// The id is taken by a schedule with other content.
        case conflict = "schedule_conflict"
        /// The user has as many schedules as allowed.
        case tooMany = "too_many_schedules"
        /// The schedule follows from the preferences and changes with them only.
        case derived = "schedule_derived"
        /// The job of a schedule was refused by the queue; `jobCode` says why.
        case job = "job_refused"
        /// The user's config.json is damaged: nothing is scheduled until an operator has repaired it.
        case configCorrupt = "config_corrupt"
        /// The disk said no; nothing was changed.
        case storage = "storage"
        /// Another change of the schedules does not come to its end; nothing was changed.
        case lockTimeout = "lock_timeout"
        /// The disk failed at a moment that leaves open whether the change was made: look before repeating it.
        case outcomeUnknown = "outcome_unknown"
    }

    public var code: Code
    /// A sentence for the caller, with the remedy.
    public var detail: String
    /// Dotted path of the field at fault, where there is one: "timezone", "job.message".
    public var field: String?
    /// With `.job`: the code of the queue's own error.
    public var jobCode: String?
    /// With `.job`: seconds after which it may work.
    public var retryAfter: Int?

    public init(
        _ code: Code, _ detail: String, field: String? = nil, jobCode: String? = nil, retryAfter: Int? = nil
    ) {
        self.code = code
        self.detail = detail
        self.field = field
        self.jobCode = jobCode
        self.retryAfter = retryAfter
    }

    public var description: String { "\(code.rawValue): \(detail)" }
}
