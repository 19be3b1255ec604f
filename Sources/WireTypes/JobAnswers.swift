// Answers of the calls that make jobs: the ticket of a job still to run, a chat's reply, a report's ticket and state.
// Plain values; any thread.

import Foundation
import TextFormats

/// 202: the job stands on disk and will run.
public struct JobTicket: Sendable, Hashable {
    public var jobID: String
    /// queued, running, completed, failed or cancelled.
    public var status: String
    /// What the service accepts in the job and does nothing with; left out of the answer when there is nothing to say.
    public var notices: [String]

    public init(jobID: String, status: String, notices: [String] = []) {
        self.jobID = jobID
        self.status = status
        self.notices = notices
    }

    public var statusURL: String { "/jobs/\(jobID)" }

    public var json: JSON {
        JSON.object(["job_id": .string(jobID), "status": .string(status), "status_url": .string(statusURL)])
            .with(notices: notices)
    }
}

/// 200 of POST /chat: the assistant's reply.
public struct ChatReply: Sendable, Hashable {
    public var response: String
    public var sessionID: String
    public var userID: String
    public var jobID: String
    /// From the job's admission to its final state, in milliseconds.
    public var processingTimeMs: Int
    /// {prompt_tokens, completion_tokens, total_tokens, cached_tokens, cost_usd}
    public var usage: JSON
    /// As in `JobTicket`.
    public var notices: [String]

    public init(
        response: String, sessionID: String, userID: String, jobID: String, processingTimeMs: Int, usage: JSON,
        notices: [String] = []
    ) {
        self.response = response
        self.sessionID = sessionID
        self.userID = userID
        self.jobID = jobID
        self.processingTimeMs = processingTimeMs
        self.usage = usage
        self.notices = notices
    }

    public var json: JSON {
        JSON.object([
            "response": .string(response), "session_id": .string(sessionID), "user_id": .string(userID),
            "job_id": .string(jobID), "processing_time_ms": JSON(processingTimeMs), "usage": usage,
        ]).with(notices: notices)
    }
}

/// 202 of POST /reports.
public struct ReportTicket: Sendable, Hashable {
    /// The job's id: one id for the job, its status, the report's file and this API.
    public var reportID: String
    public var userID: String
    public var status: String
    /// As in `JobTicket`.
    public var notices: [String]

    public init(reportID: String, userID: String, status: String, notices: [String] = []) {
        self.reportID = reportID
        self.userID = userID
        self.status = status
        self.notices = notices
    }

    public var statusURL: String { "/reports/\(reportID)" }

    public var json: JSON {
        JSON.object([
            "report_id": .string(reportID), "user_id": .string(userID), "status": .string(status),
            "message": "The report is in the queue; ask status_url for its progress.",
            "estimated_completion_time": "1-2 minutes", "status_url": .string(statusURL),
        ]).with(notices: notices)
    }
}

/// GET /reports/{id}.
public struct ReportView: Sendable, Hashable {
    public var reportID: String
    public var userID: String
    public var status: String
    /// Percent, 0…100.
    public var progress: Int
    /// The whole text, once completed.
    public var content: String?
    /// markdown, html, json or text.
    public var format: String?
    public var errorMessage: String?
    public var createdAt: Date
    public var completedAt: Date?

    public init(
        reportID: String, userID: String, status: String, progress: Int, content: String?, format: String?,
        errorMessage: String?, createdAt: Date, completedAt: Date?
    ) {
        self.reportID = reportID
        self.userID = userID
        self.status = status
        self.progress = progress
        self.content = content
        self.format = format
        self.errorMessage = errorMessage
        self.createdAt = createdAt
        self.completedAt = completedAt
    }

    public var json: JSON {
        [
            "report_id": .string(reportID), "user_id": .string(userID), "status": .string(status),
            "progress": JSON(progress), "content": JSON(content), "format": JSON(format),
            "error_message": JSON(errorMessage), "created_at": .string(RFC3339.string(createdAt)),
            "completed_at": JSON(completedAt.map(RFC3339.string)),
        ]
    }
}

extension JSON {
    /// The object with `notices`, or as it is when there are none.
    func with(notices: [String]) -> JSON {
        guard !notices.isEmpty, var members = object else { return self }
        members["notices"] = JSON(notices)
        return .object(members)
    }
}
