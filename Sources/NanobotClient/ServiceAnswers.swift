// What the service answers with, as values. `json` is the answer as it came: members that a newer service adds are there.

import Foundation
import TextFormats

/// A job as GET /jobs/{id} shows it.
public struct Job: Sendable {
    public enum Status: String, Sendable, CaseIterable {
        case queued, running, completed, failed, cancelled

        /// It changes no more, unless somebody retries the job.
        public var isFinal: Bool { self == .completed || self == .failed || self == .cancelled }
    }

    public var id: String
    /// chat, report, heartbeat, memory.
    public var kind: String
    public var userID: String
    public var sessionID: String?
    public var status: Status
    /// 0–100.
    public var progress: Int
    public var run: Int
    public var attempt: Int
    public var createdAt: Date
    /// Not before then.
    public var runAt: Date?
    public var startedAt: Date?
    public var completedAt: Date?
    /// A chat's answer.
    public var response: String?
    /// Why it failed, or was tried again, in a sentence for the job's user.
    public var error: (code: String, detail: String)?
    /// The same for operators; nil with a user's own token.
    public var operatorDetail: String?
    public var json: JSON

    init(_ json: JSON) throws(ClientFailure) {
        guard let id = json["job_id"]?.string, let kind = json["kind"]?.string, let user = json["user_id"]?.string,
            let status = json["status"]?.string.flatMap(Status.init(rawValue:)),
            let created = json["created_at"]?.string.flatMap(RFC3339.date)
        else { throw ClientFailure("invalid_answer", "the answer is no job: \(json.text().prefix(200))") }
        func date(_ name: String) -> Date? { json[name]?.string.flatMap(RFC3339.date) }
        self.id = id
        self.kind = kind
        self.status = status
        self.json = json
        userID = user
        sessionID = json["session_id"]?.string
        progress = json["progress"]?.int ?? 0
        run = json["run"]?.int ?? 1
        attempt = json["attempt"]?.int ?? 0
        createdAt = created
        runAt = date("run_at")
        startedAt = date("started_at")
        completedAt = date("completed_at")
        response = json["response"]?.string
        if let code = json["error"]?["code"]?.string { error = (code, json["error"]?["detail"]?.string ?? "") }
        operatorDetail = json["error"]?["operator_detail"]?.string
    }
}

/// A job that was taken in.
public struct Ticket: Sendable {
    public var jobID: String
    public var status: String

    init(_ json: JSON) throws(ClientFailure) {
        guard let id = json["job_id"]?.string ?? json["report_id"]?.string, let status = json["status"]?.string else {
            throw ClientFailure("invalid_answer", "the answer is no ticket: \(json.text().prefix(200))")
        }
        jobID = id
        self.status = status
    }
}

/// A report as GET /reports/{id} shows it.
public struct Report: Sendable {
    public var id: String
    public var userID: String
    public var status: String
    /// The text; nil until it is finished.
    public var content: String?
    /// markdown, html, json or text.
    public var format: String?
    public var json: JSON

    init(_ json: JSON) throws(ClientFailure) {
        guard let id = json["report_id"]?.string, let user = json["user_id"]?.string, let status = json["status"]?.string
        else { throw ClientFailure("invalid_answer", "the answer is no report: \(json.text().prefix(200))") }
        self.id = id
        self.status = status
        self.json = json
        userID = user
        content = json["content"]?.string
        format = json["format"]?.string
    }
}

/// A page of a list: what is on it, and whether another one follows.
public struct Page<Item: Sendable>: Sendable {
    public var items: [Item]
    public var hasMore: Bool
}
