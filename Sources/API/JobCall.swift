// The body of a call that makes one job: the call's own fields taken out, the rest read as a job file. Pure.

import Foundation
import Hummingbird
import Identity
import Jobs
import TextFormats
import WireTypes

/// POST /chat and /reports take every field of a job file besides those the call itself fixes.
struct JobCall {
    private var members: JSONObject
    private let now: Date

    /// - Throws: FieldError: no object, another `kind`, or a header and a field that contradict each other.
    init(_ body: JSON, kind: JobKind, request: Request, caller: Caller, now: Date) throws(FieldError) {
        guard var members = try CallerWords.named(body, for: caller).object else {
            throw FieldError(field: "body", detail: "must be an object, not \(body.kindName)")
        }
        if let given = members["kind"], given != .string(kind.rawValue) {
            throw FieldError(field: "kind", detail: "must be \"\(kind.rawValue)\" here, or be left out")
        }
        members["kind"] = .string(kind.rawValue)
        if let key = try request.idempotencyKey() {
            if let other = members["idempotency_key"], other != .string(key), !other.isNull {
                throw FieldError(field: "idempotency_key", detail: "differs from the header Idempotency-Key")
            }
            members["idempotency_key"] = .string(key)
        }
        self.members = members
        self.now = now
    }

    /// Takes a field of the call itself out of the body.
    mutating func takeBool(_ key: String) throws(FieldError) -> Bool? {
        guard let value = members[key] else { return nil }
        members[key] = nil
        if value.isNull { return nil }
        guard let bool = value.bool else {
            throw FieldError(field: key, detail: "must be true or false, not \(value.kindName)")
        }
        return bool
    }

    /// `wait` may stand in the body too.
    mutating func takeWait(max: Double) throws(FieldError) -> Double? {
        guard let value = members["wait"] else { return nil }
        members["wait"] = nil
        if value.isNull { return nil }
        guard let seconds = value.double, (0...max).contains(seconds) else {
            throw FieldError(field: "wait", detail: "must be a number of seconds from 0 to \(Int(max))")
        }
        return seconds
    }

    /// - Throws: JobError `invalid_job` that names the field.
    func job() throws(JobError) -> JobRequest { try JobRequest.parse(.object(members), now: now) }
}
