// Where the API finds the session of a question that comes with its conversation, as in OpenAI's and Anthropic's interfaces
// (decision 0013). Implemented in Runtime over the agent's session files.

import Foundation
import Jobs
import Tenants
import TextFormats
import WireTypes

/// A question, and the conversation its client brought along.
public struct ClientConversation: Sendable {
    public var user: UserID
    /// The messages in front of the question, the oldest first, in the form sessions are stored in: {role, content, tool_calls?,
    /// tool_call_id?, name?}.
    public var history: [JSON]
    public var question: String
    /// The session that the request names.
    public var session: SessionID?
    /// The answer that the question follows: the history then goes on behind it.
    public var previous: PreviousAnswer?
    /// Of the request: a repeated request is the same job in the same session.
    public var idempotencyKey: String?

    public init(
        user: UserID, history: [JSON], question: String, session: SessionID? = nil, previous: PreviousAnswer? = nil,
        idempotencyKey: String? = nil
    ) {
        self.user = user
        self.history = history
        self.question = question
        self.session = session
        self.previous = previous
        self.idempotencyKey = idempotencyKey
    }
}

/// An answer that was given earlier.
public struct PreviousAnswer: Sendable, Hashable {
    public var job: String
    public var session: SessionID
    /// The job has ended.
    public var isOver: Bool
    /// It has left a question and an answer in its session; a failed job and a command have not.
    public var isInSession: Bool

    public init(job: String, session: SessionID, isOver: Bool, isInSession: Bool) {
        self.job = job
        self.session = session
        self.isOver = isOver
        self.isInSession = isInSession
    }
}

/// The session of a question, and which messages its job goes on from.
public struct ConversationPlace: Sendable, Hashable {
    public var session: SessionID
    public var history: ClientHistoryReference

    public init(session: SessionID, history: ClientHistoryReference = ClientHistoryReference()) {
        self.session = session
        self.history = history
    }
}

/// Called on BlockingBridge's threads, several at once; blocks on files.
public protocol ClientConversations: Sendable {
    /// Finds or makes the session, stores the history where the session does not have it, durably, and submits the job.
    ///
    /// - Parameter job: makes the job for the place.
    /// - Throws: JobError as `JobClient.submit`, TenantError, ProblemDetails, and the errors of `job`.
    func submit(
        _ conversation: ClientConversation, route: String, job: @escaping (ConversationPlace) throws -> JobRequest
    ) throws -> (job: JobRequest, submitted: SubmittedJob)

    /// The messages a chat's job goes on from, in the form of `ClientConversation.history`, and the job's own question at the end.
    /// nil: they are no longer kept.
    func input(of job: JobRequest) throws -> [JSON]?
}

extension ProblemDetails {
    /// The named session has no room for another history or turn.
    public static func sessionFull(_ detail: String) -> ProblemDetails {
        ProblemDetails(status: 409, code: "session_full", detail: detail)
    }
}
