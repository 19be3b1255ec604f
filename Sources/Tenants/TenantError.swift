// What can go wrong with a user, a workspace or a config. Thrown by everything public in this room, on the
// caller's thread; `detail` names the remedy. The system's error behind a `.storage` failure is kept in `file`.
import DurableFiles
import TextFormats

public struct TenantError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Code: String, Sendable, CaseIterable {
        case invalidUserID = "invalid_user_id"
        case invalidSessionID = "invalid_session_id"
        case userNotFound = "user_not_found"
        case userExists = "user_exists"
        case versionConflict = "version_conflict"
        /// config.json (or account.json) cannot be used until an operator has repaired it. It was left in place or set
        /// aside, see `quarantinePath`; it is never replaced. Every way in answers with this code, and jobs wait.
        case configCorrupt = "config_corrupt"
        case invalidField = "invalid_field"
        case reportNotFound = "report_not_found"
        case storage = "storage"
        /// Something else holds a lock of the workspace and does not let go; nothing was changed.
        case lockTimeout = "lock_timeout"
        /// The disk failed at a moment that leaves open whether the change was made: look before repeating it.
        case outcomeUnknown = "outcome_unknown"
    }

    public var code: Code
    /// One sentence or two for people: what is wrong and what to do.
    public var detail: String
    /// The dotted path of the offending field ("preferences.report_time"), for `.invalidField`.
    public var field: String?
    /// Where the unreadable config.json was moved, for `.configCorrupt`; nil when it was left where it is.
    public var quarantinePath: String?
    /// The system call that failed, for `.storage` and `.lockTimeout`.
    public var file: FileError?

    public init(
        _ code: Code, _ detail: String, field: String? = nil, quarantinePath: String? = nil, file: FileError? = nil
    ) {
        self.code = code
        self.detail = detail
        self.field = field
        self.quarantinePath = quarantinePath
        self.file = file
    }

    /// A field of the caller's input that breaks a rule.
    public init(_ error: FieldError) {
        self.init(.invalidField, error.detail, field: error.field)
    }

    /// A failed file operation; `doing` completes the sentence "Could not …".
    public init(_ error: FileError, doing: String) {
        guard error.mayHaveHappened else {
            self.init(
                error.code == .busy ? .lockTimeout : .storage, "Could not \(doing): \(error.description)", file: error)
            return
        }
        self.init(
            .outcomeUnknown, "The disk failed while this was to \(doing), which may have been done: \(error.description)",
            file: error)
    }

    /// True where the same call can succeed later without anybody changing it.
    public var isPassing: Bool { code == .storage || code == .lockTimeout }
    /// Seconds after which asking again may find a damaged file repaired.
    public static let repairRetrySeconds = 60

    public var description: String {
        let place = field.map { " (\($0))" } ?? ""
        return "\(code.rawValue)\(place): \(detail)"
    }
}

extension TenantError {
    static func notFound(_ user: UserID) -> TenantError {
        TenantError(.userNotFound, "There is no user \"\(user)\". Create it first.")
    }

    static func exists(_ user: UserID) -> TenantError {
        TenantError(.userExists, "The user \"\(user)\" exists already. Choose another id or delete that user first.")
    }
}
