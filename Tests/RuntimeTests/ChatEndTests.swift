// Chats that end without an answer: the user's words stay in the session, marked, whatever ended the job.

import API
import Accounts
import Agent
import Foundation
import Jobs
import ModelTestSupport
import Spool
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Runtime
@testable import Workers

@Suite struct ChatEndTests {
    private let user: UserID

    init() throws { user = try UserID("alice") }

    private func bench(_ settings: String? = nil) throws -> RuntimeBench {
        let bench = try RuntimeBench(settings: settings)
        try bench.services.accounts.create(user)
        return bench
    }

    private func messages(_ bench: RuntimeBench, _ session: String = "talk") throws -> [ConversationMessage] {
        let shelf = ConversationShelf(workspaces: bench.services.workspaces, now: { Date() })
        guard let page = try shelf.messages(of: try SessionID(session), user: user, order: .asc, limit: 20, after: nil) else { return [] }
        return try page.read(page.ids.indices)
    }

    private func submit(_ bench: RuntimeBench, _ words: String, more: JSONObject = [:]) throws -> JobID {
        var json: JSONObject = [
            "kind": "chat", "user_id": "alice", "session_id": "talk", "message": .string(words), "language": "en",
        ]
        json.merge(more)
        return try bench.services.client.submit(try JobRequest.parse(.object(json), now: Date()), source: .cli).id
    }

    /// Claims the job and runs it, then does what the pool does with the outcome.
    private func end(_ id: JobID, _ bench: RuntimeBench, cancelled: Bool = false) throws {
        let name = try #require(try bench.services.spool.names(in: .queued).first { $0.id == id })
        guard case .claimed(let claim) = try bench.services.spool.claim(name) else { throw SpoolError(.state, "not claimed") }
        let router = bench.services.makeRouter()
        let flag = CancellationFlag()
        if cancelled { flag.set(.cancelled) }
        switch router.run(claim.job, record: claim.record, cancellation: flag) {
        case .failed(let failure, _):
            _ = router.discardResult(of: claim.job, because: failure)
            try claim.bury(failure)
        case .cancelled:
            _ = router.discardResult(of: claim.job, because: nil)
            try claim.cancel(usage: nil)
        case let other:
            try claim.release("test")
            Issue.record("\(other)")
        }
    }

    @Test("a first chat that fails leaves its session with the user's words and a note, and says why")
    func failedFirst() throws {
        let server = try LoopbackHTTPServer { _ in .json(#"{"error":{"message":"bad key"}}"#, status: 401) }
        let bench = try bench(
            """
            {"model": "house/m", "memory": {"enabled": false},
             "providers": {"house": {"type": "openai", "base_url": "\(server.url)/v1"}}}
            """)
        try end(try submit(bench, "my first words"), bench)
        let kept = try messages(bench)
        #expect(kept.map(\.role) == ["user", "assistant"])
        #expect(kept.first?.content == "my first words")
        #expect(kept.allSatisfy { $0.isInterrupted && $0.stopped == "authentication" })
        let listed = try ConversationShelf(workspaces: bench.services.workspaces, now: { Date() })
            .conversations(of: user, limit: 9, after: nil)
        #expect(listed.map(\.title) == ["my first words"])
    }

    @Test("a chat whose model is gone, and one that is cancelled before its turn, leave the same")
    func beforeTheTurn() throws {
        let bench = try bench()
        // The model was there when the job was admitted.
        try end(try submit(bench, "one", more: ["model": "gone/m"]), bench)
        try end(try submit(bench, "two"), bench, cancelled: true)
        let kept = try messages(bench)
        #expect(kept.map(\.role) == ["user", "assistant", "user", "assistant"])
        #expect(kept.map(\.content).filter { ["one", "two"].contains($0) } == ["one", "two"])
        #expect(kept.map(\.stopped) == ["bad_request", "bad_request", "cancelled", "cancelled"])
    }

    @Test("a process that dies in mid-answer leaves the question; cancelled meanwhile, it stays in front of the next one")
    func killed() throws {
        let bench = try bench()
        let id = try submit(bench, "first")
        do {
            let name = try #require(try bench.services.spool.names(in: .queued).first { $0.id == id })
            guard case .claimed(let claim) = try bench.services.spool.claim(name) else {
                Issue.record("the job could not be claimed")
                return
            }
            // As far as the handler had come when the process died.
            try StoppedTurn(job: id.description, question: "first", language: "en", time: Date())
                .open(in: try SessionID("talk"), of: try bench.services.workspaces.open(user))
            try claim.release("as after a crash")
        }
        #expect(try bench.services.client.cancel(id).state == .cancelled)
        let next = try bench.run([
            "kind": "chat", "user_id": "alice", "session_id": "talk", "message": "What is on my watchlist?", "language": "en",
        ])
        #expect(next.state == .completed)
        let kept = try messages(bench)
        #expect(kept.map(\.content).prefix(2) == ["first", "What is on my watchlist?"])
        #expect(kept.map(\.isInterrupted) == [true] + Array(repeating: false, count: kept.count - 1))
    }

    @Test("a command leaves no words, whatever becomes of it")
    func commands() throws {
        let bench = try bench()
        let id = try submit(bench, "/status")
        let name = try #require(try bench.services.spool.names(in: .queued).first { $0.id == id })
        guard case .claimed(let claim) = try bench.services.spool.claim(name) else {
            Issue.record("the job could not be claimed")
            return
        }
        _ = bench.services.makeRouter().discardResult(of: claim.job, because: nil)
        try claim.cancel(usage: nil)
        #expect(try messages(bench).isEmpty)
    }
}
