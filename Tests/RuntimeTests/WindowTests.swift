// Windows through the real handlers: what a model server receives, what is refused before the queue, what the doctor says.

import Accounts
import Agent
import DurableFiles
import Foundation
import Jobs
import ModelTestSupport
import Providers
import Spool
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Runtime

@Suite("Windows in service") struct WindowTests {
    private static func settings(_ url: String, _ more: String) -> String {
        """
        {"model": "house/m", "providers": {"house": {"type": "openai", "base_url": "\(url)/v1", \(more)}}}
        """
    }

    private static func answer(_ text: String) -> ScriptedAnswer {
        let body: JSON = [
            "choices": [["message": ["role": "assistant", "content": .string(text)], "finish_reason": "stop"]],
            "usage": ["prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15],
        ]
        return .json(body.text())
    }

    /// Estimated tokens of a request's messages and tools.
    private static func size(_ body: JSON) -> Int {
        let tools = body["tools"]?.array?.reduce(0) { $0 + TokenEstimate.tokens($1.text()) } ?? 0
        let messages = body["messages"]?.array ?? []
        return messages.reduce(tools) { sum, message in
            sum + TokenEstimate.tokens(message["content"]?.string ?? "")
                + TokenEstimate.tokens(message["tool_calls"]?.text() ?? "")
        }
    }

    @Test("a conversation of any length stays within the window, with prompt and question", arguments: [4_096, 8_192, 40_000])
    func window(tokens: Int) throws {
        let server = try LoopbackHTTPServer { _ in Self.answer(String(repeating: "An answer of some words. ", count: 30)) }
        let bench = try RuntimeBench(settings: Self.settings(server.url, "\"context_window\": \(tokens)"))
        try bench.services.accounts.create(try UserID("alice"))
        for turn in 0..<14 {
            let words = "Question \(turn): " + String(repeating: "tell me about chips and rates, please. ", count: 20)
            #expect(try bench.run(["kind": "chat", "user_id": "alice", "message": .string(words)]).state == .completed)
            let request = try #require(server.requests.last)
            let body = try JSON.parse(request.body)
            #expect(Self.size(body) + (body["max_tokens"]?.int ?? 0) <= tokens)
            let messages = body["messages"]?.array ?? []
            #expect(messages.first?["content"]?.string?.contains("You are nanobot") == true)
            #expect(messages.first?["content"]?.string?.contains("# Tools") == true)
            #expect(messages.last?["content"]?.string?.hasPrefix(words) == true)
            #expect(body["tools"]?.array?.isEmpty == false)
            if turn > 0 { #expect(messages.count >= 4, "the newest exchange is there") }
        }
        #expect(server.requests.allSatisfy { $0.text.contains("\"max_tokens\"") } == (tokens < 16_384))
    }

    @Test("the account's and the model's settings reach the wire")
    func settingsOnTheWire() throws {
        let server = try LoopbackHTTPServer { _ in Self.answer("Hello.") }
        let more = """
            "max_output_tokens": 700, "temperature": 0.3, "extra": {"top_k": 20, "user": null},
            "models": {"m": {"temperature": 0.9, "extra": {"seed": 7}}}
            """
        let bench = try RuntimeBench(settings: Self.settings(server.url, more))
        try bench.services.accounts.create(try UserID("alice"))
        _ = try bench.run(["kind": "chat", "user_id": "alice", "message": "hi"])
        _ = try bench.run(["kind": "chat", "user_id": "alice", "message": "hi", "model": "house/other"])
        let bodies = try server.requests.map { try JSON.parse($0.body) }
        #expect(bodies.map { $0["temperature"]?.double } == [0.9, 0.3])
        #expect(bodies.map { $0["seed"] } == [7, nil])
        #expect(bodies.allSatisfy { $0["max_tokens"] == 700 && $0["top_k"] == 20 && $0["user"] == nil })
    }

    @Test(
        "a text that has no room by itself is refused before the queue, whatever kind of job it is",
        arguments: [
            (["kind": "chat", "message": "WORDS"], "message"),
            (["kind": "report", "report_type": "custom", "custom_prompt": "WORDS"], "custom_prompt"),
            (["kind": "chat", "message": "hi", "metadata": ["instructions": "WORDS"]], "message"),
        ] as [(JSONObject, String)])
    func refused(members: JSONObject, field: String) throws {
        let bench = try RuntimeBench(settings: Self.settings("http://127.0.0.1:9", "\"context_window\": 1024"))
        try bench.services.accounts.create(try UserID("alice"))
        let words = String(repeating: "many words ", count: 170)
        var job = members
        job["user_id"] = "alice"
        for (name, value) in members {
            if value == "WORDS" { job[name] = .string(words) }
            if value["instructions"] != nil { job[name] = ["instructions": .string(words)] }
        }
        let request = try JobRequest.parse(.object(job), now: Date())
        let error = #expect(throws: JobError.self) { try bench.services.client.submit(request, source: .cli) }
        #expect(error?.code == "context_length_exceeded" && error?.field == field && error?.isPassing == false)
        #expect(try bench.services.spool.names(in: .queued).isEmpty)
        // The same words have room elsewhere.
        job["model"] = "offline"
        _ = try bench.services.client.submit(try JobRequest.parse(.object(job), now: Date()), source: .cli)
    }

    @Test("a fallback model with a smaller window gets a request of its own size")
    func fallback() throws {
        let small = try LoopbackHTTPServer { _ in Self.answer("From the small one.") }
        let large = try LoopbackHTTPServer { request in
            request.text.contains("LATER") ? .json(#"{"error": {"message": "no"}}"#, status: 401) : Self.answer("ok")
        }
        let settings = """
            {"model": "large/m", "fallback_models": ["small/m"], "providers": {
              "large": {"type": "openai", "base_url": "\(large.url)/v1", "context_window": 60000},
              "small": {"type": "openai", "base_url": "\(small.url)/v1", "context_window": 4096}}}
            """
        let bench = try RuntimeBench(settings: settings)
        try bench.services.accounts.create(try UserID("alice"))
        let words = String(repeating: "something to remember for the next turns ", count: 100)
        for turn in 0..<4 {
            _ = try bench.run(["kind": "chat", "user_id": "alice", "message": .string("\(turn) " + words)])
        }
        #expect(try bench.run(["kind": "chat", "user_id": "alice", "message": "LATER"]).result?["response"] == "From the small one.")
        let asked = try JSON.parse(try #require(large.requests.last).body)
        let fallback = try JSON.parse(try #require(small.requests.last).body)
        #expect(Self.size(asked) > 4_096)
        #expect(Self.size(fallback) + (fallback["max_tokens"]?.int ?? 0) <= 4_096)
        #expect(fallback["messages"]?.array?.last?["content"]?.string?.hasPrefix("LATER") == true)
    }

    @Test(
        "the doctor says where a window's figure comes from",
        arguments: [
            ("house/m", "\"context_window\": 20000", "as context_window says", Diagnosis.Verdict.ok),
            ("house/m", "\"max_concurrent\": 1", "assumed", .warning), ("house/gpt-4o", "\"max_concurrent\": 1", "developers.openai.com", .ok),
            ("ollama/llama3.2", "\"max_concurrent\": 1", "OLLAMA_CONTEXT_LENGTH", .warning),
        ])
    func doctor(model: String, more: String, words: String, verdict: Diagnosis.Verdict) throws {
        let settings = Self.settings("http://10.0.0.5", more).replacingOccurrences(of: "house/m\"", with: "\(model)\"")
        let bench = try RuntimeBench(settings: settings)
        let line = try #require(bench.services.windowDiagnoses.first)
        #expect(bench.services.windowDiagnoses.count == 1)
        #expect(line.detail.contains(words) && line.verdict == verdict, "\(line)")
    }
}
