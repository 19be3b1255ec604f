// What a caller sends to make or change a schedule, read strictly. Pure; any thread. Fails with `.invalidField`
// or `.invalidExpression`, naming the field.

import Foundation
import Tenants
import TextFormats

/// The members of POST and PATCH …/schedules; a member left out stays as it is, or has its default.
struct ScheduleRequest: Sendable {
    /// Set by the scheduler for each fire, so a schedule's job can't have them.
    private static let reserved = ["id", "run_at", "idempotency_key", "expires_at"]

    var kind: ScheduleKind?
    var expression: String?
    var timezone: String?
    var isEnabled: Bool?
    var misfire: Schedule.Misfire?
    var overlap: Schedule.Overlap?
    var job: JSON?

    init(_ json: JSON, user: UserID) throws(ScheduleError) {
        do {
            var reader = try ObjectReader(json)
            kind = try reader.choice("kind", of: ScheduleKind.self)
            expression = try reader.string("expression", min: 1)
            timezone = try reader.string("timezone", min: 1)
            isEnabled = try reader.bool("enabled")
            misfire = try reader.choice("misfire", of: Schedule.Misfire.self)
            overlap = try reader.choice("overlap", of: Schedule.Overlap.self)
            job = try reader.json("job").map { (json) throws(FieldError) in try Self.job(json, user: user) }
            try reader.finish()
        } catch {
            throw ScheduleError(.invalidField, error.detail, field: error.field)
        }
    }

    /// The job without `user_id`, which may name the schedule's own user and no other.
    private static func job(_ json: JSON, user: UserID) throws(FieldError) -> JSON {
        guard var members = json.object else { throw FieldError(field: "job", detail: "must be an object") }
        for key in reserved where members[key] != nil {
            throw FieldError(field: "job.\(key)", detail: "is set by the schedule itself; leave it out")
        }
        if let named = members["user_id"], named.string != user.rawValue {
            throw FieldError(field: "job.user_id", detail: "must be the schedule's own user or be left out")
        }
        // Each fire adds its own names to it.
        if let notes = members["metadata"], !notes.isNull, notes.object == nil {
            throw FieldError(field: "job.metadata", detail: "must be an object of strings, not \(notes.kindName)")
        }
        members["user_id"] = nil
        return .object(members)
    }

    /// The kind may be left out: the expression tells.
    func parsedExpression() throws(ScheduleError) -> ScheduleExpression? {
        guard let expression else {
            if kind == nil { return nil }
            throw ScheduleError(.invalidField, "is required with \"kind\"", field: "expression")
        }
        return try ScheduleExpression(kind: kind, expression)
    }
}
