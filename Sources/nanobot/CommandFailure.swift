// Why a command failed, in one line for people and one object for programs, and the exit status that goes with it.
// Every error of the rooms below becomes one here, and only here. Values; any thread.

import DurableFiles
import Foundation
import Identity
import Jobs
import NanobotClient
import Runtime
import Scheduler
import Spool
import Tenants
import TextFormats

/// What the process ends with.
enum ExitStatus: Int32, Sendable {
    case success = 0
    /// It was understood and could not be done.
    case failed = 1
    /// What was typed, or what the configuration says, cannot be meant so.
    case usage = 2
    /// The same command may work later or elsewhere (EX_UNAVAILABLE of sysexits.h).
    case unavailable = 69
}

struct CommandFailure: Error, Sendable {
    /// Stable, in snake case.
    var code: String
    /// What is wrong and what to do.
    var detail: String
    /// The input at fault, where one is.
    var field: String?
    var status: ExitStatus

    init(_ code: String, _ detail: String, field: String? = nil, _ status: ExitStatus = .failed) {
        self.code = code
        self.detail = detail
        self.field = field
        self.status = status
    }

    static func usage(_ detail: String, field: String? = nil) -> CommandFailure {
        CommandFailure("usage", detail, field: field, .usage)
    }

    /// The line on standard error.
    var line: String {
        var text = detail
        if let field, !field.isEmpty, !detail.hasPrefix(field) { text = "\(field): \(detail)" }
        return "nanobot: " + text.replacingOccurrences(of: "\n", with: " ")
    }

    var json: JSON {
        var error: JSONObject = ["code": .string(code), "detail": .string(detail)]
        error["field"] = field.map { .string($0) }
        return ["error": .object(error)]
    }
}

extension CommandFailure {
    init(_ error: any Error) {
        switch error {
        case let error as CommandFailure: self = error
        case let error as JobError: self.init(error)
        case let error as TenantError: self.init(error)
        case let error as ScheduleError: self.init(error)
        case let error as SpoolError: self.init(error)
        case let error as IdentityError: self.init(error)
        case let error as ClientFailure: self.init(error)
        case let error as SettingsError: self.init("invalid_settings", error.description, .usage)
        case let error as FieldError: self.init("invalid_field", error.detail, field: error.field, .usage)
        case let error as FileError:
            self.init(error.code == .busy ? "lock_timeout" : "storage", error.description, .unavailable)
        case let error as OutputError:
            self.init("output", "the output cannot be written: \(String(cString: strerror(error.errno)))")
        default: self.init("failed", "\(error)")
        }
    }

    private init(_ error: JobError) {
        let status: ExitStatus
        switch error.kind {
        case .invalidJSON, .invalidJob, .tooLarge: status = .usage
        case .storage, .lockTimeout, .outcomeUnknown, .queueFull, .userQueueFull, .rateLimited, .budgetTokens, .budgetCost,
            .configCorrupt:
            status = .unavailable
        case .userNotFound, .sessionBusy, .conflict, .idempotencyConflict, .notFound, .invalidState, .corrupt,
            .userSuspended, .modelNotAllowed, .modelUnpriced, .contextLengthExceeded:
            status = .failed
        }
        // For the shell the field of an unknown user is noise.
        self.init(error.code, error.detail, field: error.kind == .userNotFound ? nil : error.field, status)
    }

    /// The same code and status as the command would end with on the files themselves.
    private init(_ error: ClientFailure) {
        let status: ExitStatus
        switch error.status {
        case nil where error.code == "invalid_request": status = .usage
        case nil, 429, .some(500...): status = .unavailable
        case 400, 413, 415, 422: status = .usage
        default: status = .failed
        }
        self.init(error.code, error.detail, field: error.code == "user_not_found" ? nil : error.field, status)
    }

    private init(_ error: IdentityError) {
        let status: ExitStatus
        switch error.code {
        case .invalidField: status = .usage
        case .keysUnavailable, .storage, .outcomeUnknown, .configCorrupt: status = .unavailable
        case .invalidToken, .tokenNotFound, .tooManyTokens, .tokenRotated, .ticketInvalid, .ticketExpired, .ticketInUse,
            .tooManyTickets:
            status = .failed
        }
        self.init(error.code.rawValue, error.detail, field: error.field, status)
    }

    private init(_ error: TenantError) {
        let status: ExitStatus
        switch error.code {
        case .invalidUserID, .invalidSessionID, .invalidField: status = .usage
        case .storage, .lockTimeout, .outcomeUnknown, .configCorrupt: status = .unavailable
        case .userNotFound, .userExists, .versionConflict, .reportNotFound: status = .failed
        }
        let field = error.code == .invalidField ? error.field : nil
        self.init(error.code.rawValue, error.detail, field: field, status)
    }

    private init(_ error: ScheduleError) {
        let status: ExitStatus
        switch error.code {
        case .invalidExpression, .invalidTimeZone, .invalidField: status = .usage
        case .storage, .lockTimeout, .outcomeUnknown, .configCorrupt: status = .unavailable
        case .userNotFound, .notFound, .conflict, .tooMany, .derived, .job: status = .failed
        }
        self.init(error.jobCode ?? error.code.rawValue, error.detail, field: error.field, status)
    }

    private init(_ error: SpoolError) {
        let status: ExitStatus
        switch error.code {
        case .storage, .outcomeUnknown, .unusable: status = .unavailable
        case .invalid: status = .usage
        case .conflict, .notFound, .state, .corrupt, .takenOver, .recordFull: status = .failed
        }
        self.init(error.isLockTimeout ? "lock_timeout" : error.code.rawValue, error.detail, status)
    }
}
