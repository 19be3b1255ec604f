// Finds the sessions of questions that come with their conversation (decision 0013). Called on blocking threads, several at once; keeps
// nothing but the gates of sessions that a question is put into.
//
// A history is in one of these states:
// - the session has it in the same words, and nothing behind it: the job goes on there, and nothing is stored;
// - the session was named, and has other words, or a job that has not ended: the history is stored there, and the job's turn
//   bases the session on it;
// - no session has it, or its session goes on behind it (the client edited or repeated a question): a new session on the history.
// Failure before the job is admitted: the stored history changes nothing; a new session without messages is removed, after a crash
// with the oldest sessions.

import API
import Agent
import Foundation
import Jobs
import Logging
import Providers
import Tenants
import TextFormats
import WireTypes

struct ClientConversationShelf: ClientConversations {
    /// Sessions that are compared with a history at the most. More of them begin with the same words only where a program asks the
    /// same again and again; the history then gets a session of its own.
    private static let mostCandidates = 50

    /// Bytes of a history that is stored without a look at the user's disk quota. All sessions together hold some MiB of them.
    private static let uncountedBytes = 16 << 10

    let workspaces: WorkspaceManager
    let jobs: JobClient
    /// Bytes a user's workspace may have; 0: no bound.
    let diskBytes: @Sendable (UserID) -> Int
    /// Sessions of a user that clients did not name: more are removed, the oldest first.
    let sessionsKept: Int
    /// Seconds such a session is kept that nobody goes on with.
    let sessionAge: TimeInterval
    let logger: Logger
    let now: @Sendable () -> Date
    private let gates = SessionGates()

    init(
        workspaces: WorkspaceManager, jobs: JobClient, diskBytes: @escaping @Sendable (UserID) -> Int, sessionsKept: Int,
        sessionAge: TimeInterval, logger: Logger, now: @escaping @Sendable () -> Date
    ) {
        self.diskBytes = diskBytes
        self.workspaces = workspaces
        self.jobs = jobs
        self.sessionsKept = sessionsKept
        self.sessionAge = sessionAge
        self.logger = logger
        self.now = now
    }

    typealias Submitted = (job: JobRequest, submitted: SubmittedJob)

    /// One request on its way.
    private struct Call {
        var store: SessionStore
        var conversation: ClientConversation
        var submit: (ConversationPlace) throws -> Submitted
    }

    func submit(
        _ conversation: ClientConversation, route: String, job: @escaping (ConversationPlace) throws -> JobRequest
    ) throws -> Submitted {
        let given = try history(conversation.history)
        let call = Call(
            store: SessionStore(workspace: try workspaces.open(conversation.user)), conversation: conversation
        ) { place in
            var place = place
            place.history.request = Self.request(conversation, given)
            let job = try job(place)
            return (job, try jobs.submit(job, source: .api, route: route))
        }
        if let place = try placeOfRepeat(conversation, given, route: route) { return try call.submit(place) }
        return try self.submit(call, given)
    }

    private func submit(_ call: Call, _ given: ClientHistory?) throws -> Submitted {
        if let previous = call.conversation.previous { return try follow(previous, given, call) }
        guard let given else {
            guard let named = call.conversation.session else { return try begin(nil, call) }
            return try call.submit(ConversationPlace(session: named))
        }
        guard let named = call.conversation.session else {
            for session in try agent({ () throws(AgentError) in try call.store.candidates(for: given, limit: Self.mostCandidates) }) {
                if let submitted = try goOn(session, given, call) { return submitted }
            }
            return try begin(given, call)
        }
        return try goOn(named, given, call) ?? base(named, on: given, call)
    }

    /// Goes on in a session that has the history already.
    /// - Returns: nil: it has not, or has a job that has not ended.
    private func goOn(_ session: SessionID, _ given: ClientHistory, _ call: Call) throws -> Submitted? {
        let isNamed = call.conversation.session != nil
        func follows() throws -> String? {
            let match = try agent { () throws(AgentError) in try call.store.match(given, with: session, endIsEnough: isNamed) }
            guard case .whole(let last) = match, try !jobs.isBusy(session, of: call.conversation.user) else { return nil }
            return last
        }
        guard try follows() != nil else { return nil }
        // Two requests with the same history: one goes on, the other finds the session busy.
        return try gates.pass(session: session, of: call.conversation.user) {
            guard let last = try follows() else { return nil }
            let reference = ClientHistoryReference(digest: given.digest, follows: last)
            return try call.submit(ConversationPlace(session: session, history: reference))
        }
    }

    /// Goes on in the named session from another history than its own.
    private func base(_ session: SessionID, on given: ClientHistory, _ call: Call) throws -> Submitted {
        let question = call.conversation.question
        try requireSpace(given, call)
        try agent { () throws(AgentError) in try call.store.keep(given, in: session, question: question, at: now()) }
        do {
            return try call.submit(ConversationPlace(session: session, history: ClientHistoryReference(digest: given.digest)))
        } catch {
            removeIfUnused(session, call)
            throw error
        }
    }

    /// A large history takes no more of the disk than its user may have.
    private func requireSpace(_ given: ClientHistory, _ call: Call) throws {
        let size = given.messages.reduce(0) { $0 + $1.content.utf8.count }
        guard size > Self.uncountedBytes else { return }
        let user = call.conversation.user
        try WorkspaceFiles(try workspaces.open(user), allowedBytes: diskBytes(user)).requireSpace(for: size)
    }

    /// A session of its own.
    private func begin(_ given: ClientHistory?, _ call: Call) throws -> Submitted {
        let conversation = call.conversation
        let name = ClientHistory.sessionName(
            given?.messages ?? [], question: conversation.question, own: conversation.idempotencyKey ?? UUID().uuidString)
        let session = try SessionID(name)
        guard let given else {
            let submitted = try call.submit(ConversationPlace(session: session))
            removeOld(call)
            return submitted
        }
        let submitted = try base(session, on: given, call)
        removeOld(call)
        return submitted
    }

    /// The conversation of an answer goes on: in its session where the answer is the last there, else in a session of its own.
    private func follow(_ previous: PreviousAnswer, _ given: ClientHistory?, _ call: Call) throws -> Submitted {
        let (store, user) = (call.store, call.conversation.user)
        if !previous.isOver || !previous.isInSession {
            // A job that has not ended is in front of the new one, in the order of its session.
            guard let given else { return try call.submit(ConversationPlace(session: previous.session)) }
            guard previous.isOver else { throw Self.notOver(previous) }
            return try begin(given, call)
        }
        let isLast = try agent { () throws(AgentError) in try store.isLast(previous.job, in: previous.session) }
        if isLast, given == nil {
            let submitted = try gates.pass(session: previous.session, of: user) { () throws -> Submitted? in
                guard try !jobs.isBusy(previous.session, of: user) else { return nil }
                let reference = ClientHistoryReference(follows: previous.job)
                return try call.submit(ConversationPlace(session: previous.session, history: reference))
            }
            if let submitted { return submitted }
        }
        let before = try agent { () throws(AgentError) in try store.conversation(previous.session, through: previous.job) }
        guard let before else { throw Self.lost(previous) }
        let whole = ClientHistory(before + (given?.messages ?? []))
        return try begin(whole, call)
    }

    /// The place of the job that the request's idempotency key stands for.
    private func placeOfRepeat(
        _ conversation: ClientConversation, _ given: ClientHistory?, route: String
    ) throws -> ConversationPlace? {
        guard let key = conversation.idempotencyKey,
            let former = try jobs.request(key: key, route: route, of: conversation.user), let session = former.sessionID
        else { return nil }
        var reference = ClientHistoryReference(former.metadata)
        // Other messages are another request, which the key's fingerprint refuses.
        if conversation.previous == nil { reference.digest = given?.digest }
        return ConversationPlace(session: conversation.session ?? session, history: reference)
    }

    private static func request(_ conversation: ClientConversation, _ given: ClientHistory?) -> String? {
        conversation.previous.map { Fingerprint.sha256Hex(Array("\($0.job)\n\(given?.digest ?? "")".utf8)) }
    }

    func input(of job: JobRequest) throws -> [JSON]? {
        guard let session = job.sessionID, let question = job.message else { return nil }
        let store = SessionStore(workspace: try workspaces.open(job.userID))
        let reference = ClientHistoryReference(job.metadata)
        var before: [ChatMessage]? = []
        if let digest = reference.stored {
            before = try agent { () throws(AgentError) in try store.history(digest, in: session)?.messages }
        } else if let follows = reference.follows {
            before = try agent { () throws(AgentError) in try store.conversation(session, through: follows) }
        }
        return before.map { $0.map(\.json) + [ChatMessage.user(question).json] }
    }

    // MARK: - Bounds

    private func removeOld(_ call: Call) {
        do {
            let removed = try call.store.removeClientSessions(
                keeping: sessionsKept, changedBefore: now().addingTimeInterval(-sessionAge)
            ) { try jobs.isBusy($0, of: call.conversation.user) }
            guard removed > 0 else { return }
            logger.info(
                "sessions of clients removed", metadata: ["user.id": "\(call.conversation.user)", "count": "\(removed)"])
        } catch {
            logger.warning(
                "old sessions of clients are not removed",
                metadata: ["user.id": "\(call.conversation.user)", "error": "\(error)"])
        }
    }

    /// A new session whose job was refused. After `outcome_unknown` the job may be there: its session stays.
    private func removeIfUnused(_ session: SessionID, _ call: Call) {
        do {
            guard try !jobs.isBusy(session, of: call.conversation.user) else { return }
            try call.store.removeUnused(session)
        } catch {
            logger.warning("a session without messages is left", metadata: ["error": "\(error)"])
        }
    }

    // MARK: - Errors

    private func history(_ messages: [JSON]) throws -> ClientHistory? {
        let read = messages.compactMap(ChatMessage.init(json:))
        guard read.count == messages.count else {
            throw FieldError(field: "messages", detail: "cannot be read as a conversation")
        }
        return ClientHistory(read)
    }

    private static func notOver(_ previous: PreviousAnswer) -> ProblemDetails {
        ProblemDetails(
            status: 409, code: "invalid_state",
            detail: "the response has no answer yet that messages could follow: wait for it, or send the question alone",
            field: "previous_response_id", jobID: previous.job)
    }

    private static func lost(_ previous: PreviousAnswer) -> ProblemDetails {
        ProblemDetails(
            status: 404, code: "response_not_found",
            detail: "the conversation of this response is no longer kept; send its messages again", field: "previous_response_id")
    }

    private func agent<Value>(_ body: () throws(AgentError) -> Value) throws -> Value {
        do throws(AgentError) {
            return try body()
        } catch {
            if error.code == "session_full" { throw ProblemDetails.sessionFull(error.detail) }
            throw TenantError(error.code == TenantError.Code.lockTimeout.rawValue ? .lockTimeout : .storage, error.detail)
        }
    }
}
