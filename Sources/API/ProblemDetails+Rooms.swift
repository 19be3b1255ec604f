// From the errors of the rooms below to the one shape the API answers with. Pure; the only place that maps them.

import Foundation
import Hummingbird
import Identity
import Jobs
import NIOCore
import NIOHTTP1
import Scheduler
import Spool
import Tenants
import TextFormats
import WireTypes

extension ProblemDetails {
    /// Any error a handler can throw. What is not known here is a fault of this program: 500 without its inner text,
    /// which the log has.
    init(converting error: any Error) {
        self.init(mapping: error)
        nameField()
    }

    /// The detail of a 422 begins with the field it is about, whichever room said what is wrong with it.
    mutating func nameField() {
        guard status == 422, let field, !detail.hasPrefix("\(field):"), !detail.hasPrefix("\(field) ") else { return }
        detail = "\(field): \(detail)"
    }

    private init(mapping error: any Error) {
        switch error {
        case let error as ProblemDetails: self = error
        case let error as FieldError: self.init(error)
        case let error as JSONError:
            self.init(status: 400, code: "invalid_json", detail: "the body is not valid JSON: \(error.description)")
        case let error as TenantError: self.init(error)
        case let error as WorkspaceFileError: self.init(error)
        case let error as JobError: self.init(error)
        case let error as ScheduleError: self.init(error)
        case let error as IdentityError: self.init(error)
        case let error as SpoolError:
            self.init(
                status: 503, code: error.isLockTimeout ? "lock_timeout" : "storage", detail: error.detail,
                retryAfter: Self.storageRetry)
        case let error as HTTPError: self.init(error)
        case is HTTPParserError, is ChannelError, is IOError:
            // Broken framing, or a client that went away in the middle of its body: nothing of ours.
            self.init(
                status: 400, code: "malformed_request", detail: "the request ended early or is not valid HTTP")
        case is NIOTooManyBytesError: self.init(status: 413, code: "too_large", detail: "the body is too large")
        case is CancellationError:
            self.init(status: 503, code: "cancelled", detail: "the request was cancelled", retryAfter: 1)
        default: self.init(status: 500, code: "internal", detail: "an internal error; the log has it by X-Request-Id")
        }
    }

    /// Seconds until a full or failing disk may have recovered.
    private static let storageRetry = 5

    init(_ error: FieldError) {
        self.init(
            status: 422, code: "invalid_field", detail: error.description,
            field: error.field.isEmpty ? "body" : error.field)
    }

    init(_ error: TenantError) {
        let status: Int
        var retryAfter: Int?
        switch error.code {
        case .userNotFound, .reportNotFound: status = 404
        case .userExists: status = 409
        case .versionConflict: status = 412
        case .invalidUserID, .invalidSessionID, .invalidField: status = 422
        case .configCorrupt: (status, retryAfter) = (503, TenantError.repairRetrySeconds)
        case .storage, .lockTimeout, .outcomeUnknown: (status, retryAfter) = (503, Self.storageRetry)
        }
        var field = error.field
        if error.code == .invalidUserID { field = field ?? "user_id" }
        if error.code == .invalidSessionID { field = field ?? "session_id" }
        self.init(
            status: status, code: error.code.rawValue, detail: error.detail, field: field, retryAfter: retryAfter)
    }

    init(_ error: JobError) {
        let status: Int
        switch error.kind {
        case .invalidJSON: status = 400
        case .invalidJob, .idempotencyConflict, .modelUnpriced, .contextLengthExceeded: status = 422
        case .tooLarge: status = 413
        case .userNotFound, .notFound: status = 404
        case .sessionBusy, .conflict, .invalidState: status = 409
        case .userQueueFull, .rateLimited, .budgetTokens, .budgetCost: status = 429
        case .userSuspended, .modelNotAllowed: status = 403
        case .queueFull, .storage, .lockTimeout, .outcomeUnknown, .configCorrupt: status = 503
        case .corrupt: status = 500
        }
        let isPassing = status == 429 || status == 503
        self.init(
            status: status, code: error.kind == .notFound ? "job_not_found" : error.code, detail: error.detail,
            field: error.kind == .invalidJob ? error.field ?? "body" : error.field, jobID: error.jobID.map { "\($0)" },
            retryAfter: error.retryAfter ?? (isPassing ? Self.storageRetry : nil))
    }

    init(_ error: IdentityError) {
        let status: Int
        switch error.code {
        case .invalidToken, .ticketInvalid, .ticketExpired: status = 401
        case .tokenNotFound: status = 404
        case .tooManyTokens, .tokenRotated, .ticketInUse: status = 409
        case .tooManyTickets: status = 429
        case .invalidField: status = 422
        case .keysUnavailable, .storage, .outcomeUnknown, .configCorrupt: status = 503
        }
        let retryAfter = error.code == .configCorrupt ? TenantError.repairRetrySeconds : Self.storageRetry
        self.init(
            status: status, code: error.code.rawValue, detail: error.detail, field: error.field,
            retryAfter: status == 503 || status == 429 ? retryAfter : nil,
            challenge: status == 401 ? AccessPolicy.realm : nil)
    }

    init(_ error: ScheduleError) {
        let status: Int
        var code = error.code.rawValue
        switch error.code {
        case .invalidExpression, .invalidTimeZone, .invalidField: status = 422
        case .userNotFound, .notFound: status = 404
        case .conflict, .derived, .tooMany: status = 409
        case .job:
            (status, code) = (Self.status(ofRefusal: error.jobCode), error.jobCode ?? code)
        case .storage, .lockTimeout, .outcomeUnknown, .configCorrupt: status = 503
        }
        self.init(
            status: status, code: code, detail: error.detail, field: error.field,
            retryAfter: error.retryAfter ?? (status == 503 || status == 429 ? Self.storageRetry : nil))
    }

    private static func status(ofRefusal code: String?) -> Int {
        guard let kind = code.flatMap(JobError.Kind.init(rawValue:)) else { return 503 }
        return ProblemDetails(JobError(kind, "")).status
    }

    /// Errors the HTTP library itself throws.
    private init(_ error: HTTPError) {
        let code: String
        switch error.status.code {
        case 400: code = "bad_request"
        case 404: code = "not_found"
        case 413: code = "too_large"
        case 415: code = "unsupported_media_type"
        default: code = "http_error"
        }
        self.init(status: error.status.code, code: code, detail: error.body ?? error.status.reasonPhrase)
    }
}
