// A job as everybody outside sees it: API, CLI, lists. Made from the job's record. Pure values; any thread.

import Foundation
import Spool
import Tenants
import TextFormats

public struct JobView: Sendable, Hashable {
    public var id: JobID
    public var kind: JobKind
    public var userID: UserID
    public var sessionID: String?
    public var state: JobState
    /// 0–100.
    public var progress: Int
    public var run: Int
    public var attempt: Int
    /// When it was admitted.
    public var createdAt: Date
    /// Not before then: its `run_at`, or the end of a backoff.
    public var runAt: Date
    public var startedAt: Date?
    public var completedAt: Date?
    /// A chat's answer, once there is one.
    public var response: String?
    /// Why the response ends before its end: "length" or "content_filter"; nil: it is whole.
    public var finishReason: String?
    public var error: JobViewError?
    /// The language of the user's errors.
    public var language: String
    public var usage: JSON?
    /// What it is doing, in a few words.
    public var note: String?
    /// The user's incarnation it was admitted for.
    public var incarnation: String
    /// The HTTP request that brought it, as its X-Request-Id; nil: it came another way.
    public var requestID: String?
    /// A turn started it beside itself.
    public var isSpawned: Bool
    /// The whole final result, as the handler wrote it.
    public var result: JSON?

    /// The report's id is the job's.
    public var reportID: String? { kind == .report ? id.description : nil }

    /// - Parameter facts: what admission wrote down about the job.
    init(_ record: JobRecord, facts: JSONObject, kind: JobKind, userID: UserID) {
        id = record.id
        self.kind = kind
        self.userID = userID
        sessionID = facts["session_id"]?.string
        state = record.state
        progress = record.progress
        run = record.run
        attempt = record.attempt
        createdAt = facts["created_at"]?.string.flatMap { RFC3339.date($0) } ?? record.createdAt
        runAt = record.runAt ?? createdAt
        startedAt = record.startedAt
        completedAt = record.completedAt
        response = record.result?["response"]?.string
        finishReason = record.result?["finish_reason"]?.string
        let language = facts["language"]?.string ?? JobViewError.otherLanguage
        self.language = language
        error = record.error.map { JobViewError(code: $0.code, detail: $0.detail, language: language) }
        usage = record.usage
        note = record.note
        incarnation = facts["incarnation"]?.string ?? ""
        requestID = facts["request_id"]?.string
        isSpawned = kind == .chat && facts["source"]?.string == JobSource.agent.rawValue
        result = record.result
    }

    /// A job as another service shows it: what `json` writes.
    /// - Returns: nil when it is no job, or one of a kind this version does not know.
    public init?(json: JSON) {
        guard let id = json["job_id"]?.string.flatMap(JobID.init), let user = json["user_id"]?.string,
            let kind = json["kind"]?.string.flatMap(JobKind.init(rawValue:)), let userID = try? UserID(user),
            let state = json["status"]?.string.flatMap(JobState.init(rawValue:)),
            let createdAt = json["created_at"]?.string.flatMap(RFC3339.date)
        else { return nil }
        func date(_ name: String) -> Date? { json[name]?.string.flatMap(RFC3339.date) }
        self.id = id
        self.kind = kind
        self.userID = userID
        self.state = state
        self.createdAt = createdAt
        sessionID = json["session_id"]?.string
        progress = json["progress"]?.int ?? 0
        run = json["run"]?.int ?? 1
        attempt = json["attempt"]?.int ?? 0
        runAt = date("run_at") ?? createdAt
        startedAt = date("started_at")
        completedAt = date("completed_at")
        response = json["response"]?.string
        finishReason = json["finish_reason"]?.string
        error = json["error"].flatMap(JobViewError.init(json:))
        usage = json["usage"].flatMap { $0.isNull ? nil : $0 }
        note = nil
        language = JobViewError.otherLanguage
        incarnation = ""
        requestID = json["request_id"]?.string
        isSpawned = false
        result = nil
    }

    /// As the job's user is shown it.
    public var json: JSON { json(withOperatorDetail: false) }

    /// As an administrator is shown it.
    public var operatorJSON: JSON { json(withOperatorDetail: true) }

    private func json(withOperatorDetail isFull: Bool) -> JSON {
        var members: JSONObject = [
            "job_id": .string(id.description), "kind": .string(kind.rawValue), "user_id": .string(userID.rawValue),
            "session_id": JSON(sessionID), "status": .string(state.rawValue), "progress": JSON(progress),
            "run": JSON(run), "attempt": JSON(attempt), "created_at": .string(RFC3339.string(createdAt)),
            "run_at": .string(RFC3339.string(runAt)), "started_at": JSON(startedAt.map(RFC3339.string)),
            "completed_at": JSON(completedAt.map(RFC3339.string)),
        ]
        if let reportID { members["report_id"] = .string(reportID) } else { members["response"] = JSON(response) }
        if let finishReason { members["finish_reason"] = .string(finishReason) }
        members["error"] = error.map { isFull ? $0.operatorJSON : $0.json } ?? .null
        members["usage"] = usage ?? .null
        if let requestID { members["request_id"] = .string(requestID) }
        return .object(members)
    }
}

/// Why a job did not succeed.
public struct JobViewError: Sendable, Hashable {
    /// Of a job whose user's language is not in its record.
    static let otherLanguage = "en"

    /// Stable, snake_case.
    public var code: String
    /// What happened and what to do about it, for operators; where another service withheld it, the user's sentence.
    public var detail: String
    /// A plain sentence for the job's user.
    public var userDetail: String

    init(code: String, detail: String, language: String) {
        self.code = code
        self.detail = detail
        userDetail = UserErrorTexts.sentence(code: code, detail: detail, language: language)
    }

    /// nil where there is no error.
    init?(json: JSON) {
        guard let code = json["code"]?.string else { return nil }
        self.code = code
        userDetail = json["detail"]?.string ?? ""
        detail = json["operator_detail"]?.string ?? userDetail
    }

    var json: JSON { ["code": .string(code), "detail": .string(userDetail)] }

    var operatorJSON: JSON {
        ["code": .string(code), "detail": .string(userDetail), "operator_detail": .string(detail)]
    }
}

/// Which jobs a list shall show; nil: all.
public struct JobFilter: Sendable, Hashable {
    public var state: JobState?
    public var user: UserID?
    public var kind: JobKind?
    /// Made at this time or later, and before that time: as their ids say, to the millisecond.
    public var since: Date?
    public var until: Date?

    public init(
        state: JobState? = nil, user: UserID? = nil, kind: JobKind? = nil, since: Date? = nil, until: Date? = nil
    ) {
        self.state = state
        self.user = user
        self.kind = kind
        self.since = since
        self.until = until
    }
}
