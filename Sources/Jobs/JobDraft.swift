// A request on its way into the spool, and a job file on its way out of it: what admission adds to what was asked for.
// Pure values; any thread.

import Foundation
import Spool
import Tenants
import TextFormats

struct JobDraft {
    private(set) var request: JobRequest
    let incarnation: String
    let source: JobSource
    /// Of the user's errors.
    let language: String
    /// Set while the request's idempotency key stands for no job yet.
    var keyName: String?
    /// The id to be given where nobody has named one.
    var proposedID: JobID?

    /// - Parameter language: as the user's preferences say.
    init(_ request: JobRequest, incarnation: String, source: JobSource, language: String) {
        self.language = request.errorLanguage(preferred: language)
        self.request = request
        self.incarnation = incarnation
        self.source = source
    }

    /// Jobs with the same key run one at a time. nil: beside each other, as reports do.
    var orderKey: OrderKey? {
        request.sessionID.flatMap { OrderKey($0.orderKey(user: request.userID, incarnation: incarnation)) }
    }

    /// The idempotency key stands for a job: this is that job, or a mistake.
    mutating func adopt(_ entry: IdempotencyKeys.Entry) throws(JobError) {
        guard entry.fingerprint == request.fingerprint, request.id == nil || request.id == entry.id else {
            throw JobError(
                .idempotencyConflict, "the idempotency key was used for another job; use a new key for new content",
                field: "idempotency_key", jobID: entry.id)
        }
        request = request.with(id: entry.id)
        keyName = nil
    }

    /// - Parameter isFresh: the id was drawn just now, and only here.
    func submission(id: JobID, isFresh: Bool = false, now: Date, holdKey: String) -> Submission {
        // A time long past must not jump the queue of the same user.
        let due = max(request.runAt ?? now, now)
        return Submission(
            id: id, user: request.userID.rawValue, lane: request.kind.lane, priority: request.priority, due: due,
            orderKey: orderKey, holdKey: holdKey, payload: payload(id: id), fingerprint: request.fingerprint,
            facts: facts(now), isFresh: isFresh)
    }

    /// The job file: the request in its canonical form, and who admitted it for whom.
    private func payload(id: JobID) -> [UInt8] {
        var members = request.with(id: id).json.object ?? [:]
        var admitted: JSONObject = ["incarnation": .string(incarnation), "source": .string(source.rawValue)]
        admitted["request_id"] = request.requestID.map { .string($0) }
        members["admitted"] = .object(admitted)
        return JSON.object(members).bytes() + [0x0A]
    }

    private func facts(_ now: Date) -> JSONObject {
        var facts = request.facts
        facts["created_at"] = .string(RFC3339.string(now))
        facts["source"] = .string(source.rawValue)
        facts["incarnation"] = .string(incarnation)
        facts["language"] = .string(language)
        return facts
    }
}

extension JobRequest {
    func errorLanguage(preferred: String) -> String {
        UserErrorTexts.language(message: kind == .chat ? message : nil, preferred: language ?? preferred)
    }

    /// What lists and polls show without opening the job file.
    var facts: JSONObject {
        var facts: JSONObject = ["kind": .string(kind.rawValue), "user_id": .string(userID.rawValue)]
        facts["session_id"] = sessionID.map { .string($0.rawValue) }
        facts["report_type"] = reportType.map { .string($0.rawValue) }
        facts["format"] = format.map { .string($0.rawValue) }
        facts["expires_at"] = expiresAt.map { .string(RFC3339.string($0)) }
        facts["request_id"] = requestID.map { .string($0) }
        return facts
    }
}

/// A job file read back from the spool, for whoever runs the job.
public struct AdmittedJob: Sendable, Hashable {
    public let request: JobRequest
    /// The user's incarnation when the job was admitted: another one now means another person, and the job must not
    /// run. Empty for a file that was put into the spool by hand.
    public let incarnation: String
    public let source: JobSource?

    /// - Parameter payload: the bytes of a job file, as a claim or `JobSpool.payload` gives them.
    /// - Throws: `invalid_job`, `invalid_json`, `too_large`.
    public init(payload: [UInt8], now: Date) throws(JobError) {
        let json = try JobRequest.json(payload)
        request = try JobRequest.parse(json, now: now, allowAnyID: true)
            .with(requestID: json["admitted"]?["request_id"]?.string)
        incarnation = json["admitted"]?["incarnation"]?.string ?? ""
        source = json["admitted"]?["source"]?.string.flatMap(JobSource.init(rawValue:))
    }
}
