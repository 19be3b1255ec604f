// The background job that keeps history and memory, through the real handlers, stores and provider.

import Accounts
import Agent
import Foundation
import HTTPTransport
import Jobs
import ModelTestSupport
import Providers
import Spool
import Synchronization
import Tenants
import Testing
import TextFormats

@testable import Runtime

@Suite struct MemoryJobTests {
    private let user: UserID

    init() throws { user = try UserID("alice") }

    private func bench(_ url: String? = nil) throws -> RuntimeBench {
        let settings = url.map {
            """
            {"model": "house/m", "memory": {"max_tokens": 200}, "providers": {"house": {"type": "openai", "base_url": "\($0)"}}}
            """
        }
        let bench = try RuntimeBench(settings: settings)
        try bench.services.accounts.create(user)
        return bench
    }

    /// A conversation of so many turns that were had before.
    private func talked(_ turns: Int, _ bench: RuntimeBench) throws {
        let store = SessionStore(workspace: try bench.services.workspaces.open(user))
        for turn in 0..<turns {
            try store.append(
                .standard,
                [
                    SessionEntry(
                        id: "j\(turn):0", jobID: "j\(turn)", message: .user("my broker is Acorn \(turn)"), time: Date()),
                    SessionEntry(id: "j\(turn):1", jobID: "j\(turn)", message: .assistant("noted"), time: Date()),
                ])
        }
    }

    private func waiting(_ bench: RuntimeBench) throws -> [JobID] {
        try bench.services.spool.names(in: .queued).map(\.id)
    }

    private func history(_ bench: RuntimeBench) throws -> [JSON] {
        let text = try bench.services.workspaces.open(user).readText(Workspace.history, maxBytes: 1 << 20) ?? ""
        return try text.split(separator: "\n").map { try JSON.parse(Array($0.utf8)) }
    }

    private static func answer(_ text: String) -> ScriptedAnswer {
        let message: JSON = ["role": "assistant", "content": .string(text)]
        let body: JSON = [
            "choices": [["message": message, "finish_reason": "stop"]],
            "usage": ["prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15],
        ]
        return .json(body.text())
    }

    @Test("without a language model the words themselves go into the history, once")
    func offline() throws {
        let bench = try bench()
        try talked(40, bench)
        let chat: JSON = ["kind": "chat", "user_id": "alice", "message": "What is on my watchlist?"]
        #expect(try bench.run(chat).state == .completed)
        let due = try waiting(bench)
        #expect(due.count == 1)
        let record = try bench.run(try #require(due.first))
        #expect(record.result?["raw"] == true)
        #expect(try history(bench).count == 1)
        #expect(try history(bench).first?["content"]?.string?.contains("Acorn 0") == true)
        #expect(try bench.run(chat).state == .completed)
        #expect(try waiting(bench).isEmpty)
    }

    @Test("a model's summary goes into history and session, what it says of the user into the memory")
    func model() throws {
        let server = try LoopbackHTTPServer { request in
            request.text.contains("SUMMARY")
                ? Self.answer("SUMMARY\nBroker is Acorn.\nFACTS\n- broker: Acorn\n- none") : Self.answer("Hello.")
        }
        let bench = try bench(server.url + "/v1")
        try talked(40, bench)
        let chat: JSON = ["kind": "chat", "user_id": "alice", "message": "hi"]
        #expect(try bench.run(chat).state == .completed)
        let record = try bench.run(try #require(try waiting(bench).first))
        #expect(record.state == .completed)
        #expect(record.result?["raw"] == false && record.result?["remembered"] == 1)
        #expect(record.usage?["total_tokens"] == 15)
        #expect(try history(bench).map { $0["content"] } == ["Broker is Acorn."])
        let asked = try #require(server.requests.last)
        #expect(!asked.text.contains("\"tools\"") || asked.text.contains("\"tool_choice\":\"none\""))
        #expect(try bench.run(chat).state == .completed)
        let next = try #require(server.requests.last).text
        #expect(next.contains("- broker: Acorn") || next.contains("broker: Acorn"))
        #expect(next.contains("Earlier in this conversation"))
    }

    @Test("a model that fails for good costs no words: they go into the history as they are")
    func failing() throws {
        let server = try LoopbackHTTPServer { request in
            request.text.contains("SUMMARY")
                ? .json(#"{"error": {"message": "no", "type": "invalid_request_error"}}"#, status: 400)
                : Self.answer("Hello.")
        }
        let bench = try bench(server.url + "/v1")
        try talked(40, bench)
        #expect(try bench.run(["kind": "chat", "user_id": "alice", "message": "hi"]).state == .completed)
        let record = try bench.run(try #require(try waiting(bench).first))
        #expect(record.state == .completed && record.result?["raw"] == true)
        #expect(try history(bench).count == 1)
    }

    @Test(
        "an answer that is no summary costs no words and at most two calls",
        arguments: [
            ("", "stop", 2), ("Sorry, the model returned nothing.", "stop", 1), ("I cannot help with that.", "stop", 1),
            ("SUMMARY\nBroker is", "length", 1), ("SUMMARY\nA.\nFACTS\n- none", "content_filter", 1),
            ("SUMMARY\nA.\nFACTS\n- none", "length", 1), ("<think>only thoughts</think>", "stop", 1),
            ("<html><h1>502</h1></html>", "stop", 1),
        ])
    func noSummary(text: String, reason: String, most: Int) throws {
        let server = try LoopbackHTTPServer { request in
            guard request.text.contains("SUMMARY") else { return Self.answer("Hello.") }
            let message: JSON = ["role": "assistant", "content": .string(text)]
            return .json(JSON.object(["choices": [["message": message, "finish_reason": .string(reason)]]]).text())
        }
        let bench = try bench(server.url + "/v1")
        try bench.services.workspaces.open(user).writeText(Workspace.memory, "- likes tea\n")
        try talked(40, bench)
        #expect(try bench.run(["kind": "chat", "user_id": "alice", "message": "hi"]).state == .completed)
        let record = try bench.run(try #require(try waiting(bench).first))
        #expect(record.state == .completed && record.result?["raw"] == true)
        #expect(server.requests.count { $0.text.contains("SUMMARY") } <= most)
        #expect(try history(bench).first?["content"]?.string?.contains("my broker is Acorn 13") == true)
        #expect(try bench.services.workspaces.open(user).readText(Workspace.memory, maxBytes: 1 << 20) == "- likes tea\n")
        #expect(try bench.run(["kind": "chat", "user_id": "alice", "message": "and?"]).state == .completed)
        #expect(server.requests.last?.text.contains("my broker is Acorn 13") == true)
    }

    @Test("a conversation that is begun anew goes into the history")
    func reset() throws {
        let bench = try bench()
        try talked(2, bench)
        #expect(try bench.run(["kind": "chat", "user_id": "alice", "message": "/new"]).state == .completed)
        #expect(try bench.run(try #require(try waiting(bench).first)).result?["messages"] == 4)
        #expect(try history(bench).count == 1)
        let shelf = ConversationShelf(workspaces: bench.services.workspaces, now: { Date() })
        #expect(try shelf.delete(.standard, user: user))
        #expect(try history(bench).isEmpty)
    }

    @Test("a memory that has grown too long is written anew, if the new text is shorter", arguments: [true, false])
    func tidy(isShorter: Bool) throws {
        let long = String(repeating: "long ", count: 300)
        let server = try LoopbackHTTPServer { request in
            if request.text.contains("Write it anew") { return Self.answer(isShorter ? "- likes tea and Acorn" : long) }
            return Self.answer(request.text.contains("SUMMARY") ? "SUMMARY\nx\nFACTS\n- none" : "Hello.")
        }
        let bench = try bench(server.url + "/v1")
        let workspace = try bench.services.workspaces.open(user)
        let before = String(repeating: "- likes tea very much\n", count: 60)
        try workspace.writeText(Workspace.memory, before)
        try talked(40, bench)
        #expect(try bench.run(["kind": "chat", "user_id": "alice", "message": "hi"]).state == .completed)
        #expect(try bench.run(try #require(try waiting(bench).first)).state == .completed)
        let record = try bench.run(try #require(try waiting(bench).first))
        #expect(record.state == .completed)
        let after = try workspace.readText(Workspace.memory, maxBytes: 1 << 20)
        #expect(after == (isShorter ? "- likes tea and Acorn\n" : before))
    }

    @Test("metadata that looks like a task means nothing in a job from outside")
    func outside() throws {
        let bench = try bench()
        try talked(2, bench)
        let metadata: JSON = ["memory_task": "consolidate", "memory_session": "default", "memory_through": "j1:1"]
        let record = try bench.run(["kind": "heartbeat", "user_id": "alice", "metadata": metadata])
        #expect(record.result?["reason"]?.string == "HEARTBEAT.md has no tasks")
        #expect(try history(bench).isEmpty)
    }
}
