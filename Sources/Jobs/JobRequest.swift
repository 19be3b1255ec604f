// The job file, version 1, as a value: what somebody asks for, checked. spool/job.schema.json says the same in JSON
// Schema; a test keeps the two together. Callers: everything that submits (API, CLI, drop box, scheduler) and the
// handlers that run a job. Pure; any thread. Failure: JobError that names the key.

import Foundation
import Spool
import Tenants
import TextFormats

public enum JobKind: String, Sendable, CaseIterable {
    case chat, report, heartbeat

    /// Chats wait for somebody who looks at a screen, reports for a time of day, heartbeats for nobody.
    public var lane: Lane {
        switch self {
        case .chat: return .interactive
        case .report: return .scheduled
        case .heartbeat: return .background
        }
    }

    init(lane: Lane) {
        switch lane {
        case .interactive: self = .chat
        case .scheduled: self = .report
        case .background: self = .heartbeat
        }
    }
}

public enum ReportType: String, Sendable, CaseIterable {
    case daily, weekly, monthly, custom
}

/// What to do when the session already has a live job.
public enum OnBusy: String, Sendable, CaseIterable {
    case enqueue, reject, interrupt
}

/// A checked job. It comes from `parse` alone, so every value keeps the bounds below.
public struct JobRequest: Sendable, Hashable {
    /// Bytes of a `requestID`.
    public static let maxRequestID = 128
    /// A job file's size at most, in bytes.
    public static let maxBytes = 1 << 20
    public static let defaultPriority = 5
    public static let defaultTimeout = 300
    public static let defaultMaxAttempts = 4
    /// An id that comes with the job was made at most this long ago, in seconds: older ones may already be forgotten.
    public static let idMaxAge: TimeInterval = 7 * 86_400
    /// Clocks may differ by this much, in seconds.
    public static let idMaxFuture: TimeInterval = 300

    /// The id the sender chose; nil: admission makes one.
    public internal(set) var id: JobID?
    public internal(set) var kind: JobKind
    public internal(set) var userID: UserID
    /// The conversation; chats always have one.
    public internal(set) var sessionID: SessionID?
    /// 1–262,144 characters, and no more bytes than `JobClientOptions.messageBytes` when it is submitted; chats always have one.
    public internal(set) var message: String?
    /// Reports always have one.
    public internal(set) var reportType: ReportType?
    public internal(set) var customPrompt: String?
    public internal(set) var focusAreas: [String] = []
    /// nil: as the user's preferences say when it runs.
    public internal(set) var format: ReportFormat?
    /// nil: as the user's preferences say when it runs.
    public internal(set) var language: String?
    /// 0–9, 0 first, among the same user's jobs.
    public internal(set) var priority = JobRequest.defaultPriority
    public internal(set) var runAt: Date?
    public internal(set) var expiresAt: Date?
    /// Seconds, 1–3,600.
    public internal(set) var timeout = JobRequest.defaultTimeout
    public internal(set) var maxAttempts = JobRequest.defaultMaxAttempts
    public internal(set) var idempotencyKey: String?
    public internal(set) var callbackURL: String?
    public internal(set) var onBusy = OnBusy.enqueue
    public internal(set) var model: String?
    public internal(set) var metadata: [String: String] = [:]
    /// The id of the HTTP request that brought the job, for logs. No content: it is in neither `json` nor `fingerprint`, so a
    /// repeated request with another id asks for the same job.
    public internal(set) var requestID: String?

    init(kind: JobKind, userID: UserID) {
        self.kind = kind
        self.userID = userID
    }

    /// - Parameter allowAnyID: take an `id` of any age, for jobs the service itself derived or stored.
    public static func parse(_ bytes: [UInt8], now: Date, allowAnyID: Bool = false) throws(JobError) -> JobRequest {
        guard bytes.count <= maxBytes else {
            throw JobError(.tooLarge, "a job file has at most \(maxBytes) bytes, this one \(bytes.count)")
        }
        return try parse(try json(bytes), now: now, allowAnyID: allowAnyID)
    }

    static func json(_ bytes: [UInt8]) throws(JobError) -> JSON {
        do {
            return try JSON.parse(bytes, limits: .init(maxBytes: maxBytes, maxDepth: 16, maxMembers: 1_024))
        } catch {
            throw JobError(.invalidJSON, "the text is not valid JSON: \(error.description)")
        }
    }

    public static func parse(_ json: JSON, now: Date, allowAnyID: Bool = false) throws(JobError) -> JobRequest {
        do {
            return try JobRequestReader(now: now, allowAnyID: allowAnyID).read(json)
        } catch {
            throw JobError(error)
        }
    }

    /// Sentences for the sender: what this version accepts in the job and does nothing with. Part of every answer to a
    /// submission; they change nothing about the job.
    public var notices: [String] { callbackURL == nil ? [] : [Self.callbackNotice] }

    /// The same for a job file that waits in a schedule.
    public static func notices(of job: JSON) -> [String] { job["callback_url"]?.string == nil ? [] : [callbackNotice] }

    private static let callbackNotice = "callback_url is kept with the job, and this version sends nothing to it"

    /// The same job under an id chosen for it, as for schedule fires (derived from schedule and time).
    public func with(id: JobID) -> JobRequest {
        var copy = self
        copy.id = id
        return copy
    }

    /// The same job, on messages that its client brought along.
    public func with(_ history: ClientHistoryReference) -> JobRequest {
        var copy = self
        copy.metadata.merge(history.metadata) { $1 }
        return copy
    }

    /// The same job, brought by that HTTP request.
    public func with(requestID: String?) -> JobRequest {
        var copy = self
        copy.requestID = requestID.map { String($0.prefix(Self.maxRequestID)) }
        return copy
    }

    /// The same job under an idempotency key that came beside it, as in an HTTP header.
    public func with(idempotencyKey: String) throws(JobError) -> JobRequest {
        var copy = self
        do {
            copy.idempotencyKey = try JobRequestReader.checkedKey(idempotencyKey)
        } catch {
            throw JobError(error)
        }
        return copy
    }
}

// MARK: - Canonical form

extension JobRequest {
    /// Every member in a fixed order, values that equal their default left out: the same job gives the same bytes.
    public var json: JSON {
        var members: JSONObject = ["version": 1]
        members["id"] = id.map { .string($0.description) }
        members["kind"] = .string(kind.rawValue)
        members["user_id"] = .string(userID.rawValue)
        members["session_id"] = sessionID.map { .string($0.rawValue) }
        members["message"] = message.map { .string($0) }
        members["report_type"] = reportType.map { .string($0.rawValue) }
        members["custom_prompt"] = customPrompt.map { .string($0) }
        if !focusAreas.isEmpty { members["focus_areas"] = JSON(focusAreas) }
        members["format"] = format.map { .string($0.rawValue) }
        members["language"] = language.map { .string($0) }
        if priority != JobRequest.defaultPriority { members["priority"] = JSON(priority) }
        members["run_at"] = runAt.map { .string(RFC3339.string($0)) }
        members["expires_at"] = expiresAt.map { .string(RFC3339.string($0)) }
        if timeout != JobRequest.defaultTimeout { members["timeout_s"] = JSON(timeout) }
        if maxAttempts != JobRequest.defaultMaxAttempts { members["max_attempts"] = JSON(maxAttempts) }
        members["idempotency_key"] = idempotencyKey.map { .string($0) }
        members["callback_url"] = callbackURL.map { .string($0) }
        if onBusy != .enqueue { members["on_busy"] = .string(onBusy.rawValue) }
        members["model"] = model.map { .string($0) }
        if !metadata.isEmpty { members["metadata"] = JSON(metadata) }
        return .object(members)
    }

    /// SHA-256 of the canonical form without the id: equal for two requests exactly when they ask for the same.
    public var fingerprint: String {
        var members = json.object ?? [:]
        members["id"] = nil
        return Fingerprint.sha256Hex(JSON.object(members).bytes())
    }
}
