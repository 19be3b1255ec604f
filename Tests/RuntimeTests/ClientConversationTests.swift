// The session of a question that comes with its conversation: where the job goes, and which messages it goes on from.
import API
import Accounts
import Agent
import Foundation
import Jobs
import Providers
import Spool
import Tenants
import TestSupport
import Testing
import TextFormats
import WireTypes

@testable import Runtime

@Suite("Conversations of clients")
struct ClientConversationTests {
    let bench: RuntimeBench
    let user: UserID
    let shelf: ClientConversationShelf
    let store: SessionStore

    init() throws {
        bench = try RuntimeBench()
        user = try UserID("alice")
        try bench.services.accounts.create(user)
        shelf = bench.services.clientConversations
        store = SessionStore(workspace: try bench.services.workspaces.open(user))
    }

    private func messages(_ texts: [String]) -> [JSON] {
        texts.enumerated().map { ["role": $0.offset % 2 == 0 ? "user" : "assistant", "content": .string($0.element)] }
    }

    private func conversation(_ history: [String], _ question: String, session: String? = nil, key: String? = nil) throws
        -> ClientConversation
    {
        ClientConversation(
            user: user, history: messages(history), question: question, session: try session.map { try SessionID($0) },
            idempotencyKey: key)
    }

    @discardableResult
    private func ask(_ conversation: ClientConversation, more: JSONObject = [:]) throws -> JobRequest {
        try shelf.submit(conversation, route: "test") { place in
            var members: JSONObject = [
                "kind": "chat", "user_id": "alice", "message": .string(conversation.question),
                "session_id": .string(place.session.rawValue),
            ]
            members["idempotency_key"] = conversation.idempotencyKey.map { .string($0) }
            members.merge(more)
            return try JobRequest.parse(.object(members), now: Date()).with(place.history)
        }.job
    }

    /// Answers the job as its turn would, and ends it.
    private func answer(_ job: JobRequest, _ text: String) throws {
        let session = try #require(job.sessionID)
        let name = try #require(
            try bench.services.spool.names(in: .queued).first { try bench.services.client.request($0.id)?.message == job.message })
        guard case .claimed(let claim) = try bench.services.spool.claim(name) else { throw SpoolError(.state, "not claimed") }
        let id = claim.job.id.description
        if let digest = ClientHistoryReference(job.metadata).stored { try store.base(session, on: digest, by: id, at: Date()) }
        let turn: [ChatMessage] = [.user(try #require(job.message)), .assistant(text)]
        try store.append(
            session,
            turn.enumerated().map { SessionEntry(id: "\(id):\($0.offset)", jobID: id, message: $0.element, time: Date()) })
        try claim.complete(result: ["response": .string(text)], usage: nil)
    }

    @Test("two conversations that begin alike are two sessions, and each goes on in its own")
    func twins() throws {
        let first = try ask(try conversation([], "hello"))
        let second = try ask(try conversation([], "hello"))
        #expect(first.sessionID != second.sessionID && first.metadata.isEmpty)
        try answer(first, "Hi.")
        try answer(second, "Hi.")
        let one = try ask(try conversation(["hello", "Hi."], "more"))
        let two = try ask(try conversation(["hello", "Hi."], "more"))
        #expect(Set([one.sessionID, two.sessionID]) == Set([first.sessionID, second.sessionID]))
        #expect(ClientHistoryReference(one.metadata).stored == nil)
        // Both sessions have gone on by now: a third request with the same history begins a branch.
        let three = try ask(try conversation(["hello", "Hi."], "more"))
        #expect(three.sessionID != one.sessionID && three.sessionID != two.sessionID)
        #expect(ClientHistoryReference(three.metadata).stored != nil)
    }

    @Test("a named session that has a job which has not ended gets the history stored: the job's turn sees that job's answer or not, as its client did")
    func busy() throws {
        let first = try ask(try conversation([], "hello", session: "s"))
        try answer(first, "Hi.")
        try ask(try conversation(["hello", "Hi."], "running", session: "s"))
        let next = try ask(try conversation(["hello", "Hi."], "beside it", session: "s"))
        #expect(next.sessionID?.rawValue == "s")
        let digest = try #require(ClientHistoryReference(next.metadata).stored)
        #expect(try store.history(digest, in: try SessionID("s"))?.messages.map(\.content) == ["hello", "Hi."])
    }

    @Test("a repeated request is the same job, whatever its session has become; other messages under its key are refused")
    func repeats() throws {
        let begun = try ask(try conversation([], "hello", key: "k1"))
        #expect(try ask(try conversation([], "hello", key: "k1")).sessionID == begun.sessionID)
        try answer(begun, "Hi.")
        let grown = try ask(try conversation(["hello", "Hi."], "more", key: "k2"))
        try answer(grown, "More.")
        let again = try ask(try conversation(["hello", "Hi."], "more", key: "k2"))
        #expect(again.sessionID == grown.sessionID && again.metadata == grown.metadata)
        let foreign = try ask(try conversation(["from", "elsewhere"], "and?", key: "k3"))
        #expect(try ask(try conversation(["from", "elsewhere"], "and?", key: "k3")) == foreign)
        for (history, key) in [(["hello", "Bye."], "k2"), (["from", "nowhere"], "k3"), (["x", "y"], "k1")] {
            let error = #expect(throws: JobError.self) { try ask(try conversation(history, key == "k3" ? "and?" : key == "k2" ? "more" : "hello", key: key)) }
            #expect(error?.kind == .idempotencyConflict)
        }
        #expect(try bench.services.spool.names(in: .queued).count == 1)
    }

    @Test("one key with another previous answer, or other messages behind it, is another request")
    func repeatedFollowing() throws {
        let first = try ask(try conversation([], "hello"))
        let id = try #require(try bench.services.spool.names(in: .queued).first).id
        try answer(first, "Hi.")
        let session = try #require(first.sessionID)
        func following(_ previous: String?, _ history: [String]) throws -> ClientConversation {
            var next = try conversation(history, "same", key: "k")
            next.previous = previous.map { PreviousAnswer(job: $0, session: session, isOver: true, isInSession: true) }
            return next
        }
        let begun = try ask(try following("\(id)", ["e1", "e2"]))
        #expect(try ask(try following("\(id)", ["e1", "e2"])) == begun)
        for other in [
            try following("\(id)", ["e1", "CHANGED"]), try following("\(JobID.make(now: Date()))", ["e1", "e2"]), try following(nil, []),
            try following(nil, ["e1", "e2"]), try following("\(id)", []),
        ] {
            let error = #expect(throws: JobError.self) { try ask(other) }
            #expect(error?.kind == .idempotencyConflict)
        }
    }

    @Test("a job that is refused leaves no session behind", arguments: [nil, "named"] as [String?])
    func refused(session: String?) throws {
        #expect(throws: JobError.self) {
            try ask(try conversation(["from", "elsewhere"], "and?", session: session), more: ["model": "nosuch model"])
        }
        #expect(try store.list().isEmpty)
    }

    @Test("a large history that has no room in its user's quota is refused, and leaves nothing behind", arguments: [(10_000, true), (30_000, false)])
    func quota(size: Int, isStored: Bool) throws {
        let tight = ClientConversationShelf(
            workspaces: bench.services.workspaces, jobs: bench.services.client, diskBytes: { _ in 20_000 }, sessionsKept: 10,
            sessionAge: 86_400, logger: bench.services.logger, now: { Date() })
        let large = try conversation([String(repeating: "x", count: size), "y"], "q")
        func submit() throws {
            _ = try tight.submit(large, route: "test") { place in
                try JobRequest.parse(
                    ["kind": "chat", "user_id": "alice", "message": "q", "session_id": .string(place.session.rawValue)], now: Date()
                ).with(place.history)
            }
        }
        guard !isStored else {
            try submit()
            #expect(try store.list().count == 1)
            return
        }
        let error = #expect(throws: WorkspaceFileError.self) { try submit() }
        #expect(error?.code == .diskQuota)
        #expect(try store.list().isEmpty)
    }

    @Test("an answer that is followed twice is followed in two sessions, and one whose session is gone is said to be gone")
    func follows() throws {
        let first = try ask(try conversation([], "hello"))
        let id = try #require(try bench.services.spool.names(in: .queued).first).id
        let previous = PreviousAnswer(job: "\(id)", session: try #require(first.sessionID), isOver: false, isInSession: false)
        var next = try conversation([], "waits behind it")
        next.previous = previous
        #expect(try ask(next).sessionID == first.sessionID)
        next.history = messages(["an item", "more items"])
        #expect(throws: ProblemDetails.self) { try ask(next) }
        next.history = []
        try answer(first, "Hi.")
        next.question = "beside it"
        next.previous?.isOver = true
        // A job that failed has left no answer: its session goes on.
        #expect(try ask(next).sessionID == first.sessionID)
        next.previous?.isInSession = true
        let branch = try ask(next)
        #expect(branch.sessionID != first.sessionID)
        let digest = try #require(ClientHistoryReference(branch.metadata).stored)
        #expect(try store.history(digest, in: try #require(branch.sessionID))?.messages.map(\.content) == ["hello", "Hi."])
        #expect(try shelf.input(of: branch)?.compactMap { $0["content"]?.string } == ["hello", "Hi.", "beside it"])
        try store.delete(try #require(first.sessionID))
        #expect(throws: (any Error).self) { try ask(next) }
        try store.delete(try #require(branch.sessionID))
        #expect(try shelf.input(of: branch) == nil)
    }

    @Test("sessions that clients did not name are bounded: the oldest go")
    func bounded() throws {
        let few = ClientConversationShelf(
            workspaces: bench.services.workspaces, jobs: bench.services.client, diskBytes: { _ in 0 }, sessionsKept: 3, sessionAge: 86_400,
            logger: bench.services.logger, now: { Date() })
        for number in 0..<6 {
            let name = ClientHistory.sessionName([], question: "q", own: "\(number)")
            try store.append(
                try SessionID(name),
                [SessionEntry(id: "\(number):0", jobID: "\(number)", message: .user("q"), time: Date())])
        }
        _ = try few.submit(try conversation([], "one more"), route: "test") { place in
            try JobRequest.parse(
                ["kind": "chat", "user_id": "alice", "message": "one more", "session_id": .string(place.session.rawValue)], now: Date())
        }
        #expect(try store.list().count == 3)
    }
}
