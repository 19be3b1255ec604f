// POST /v1/messages: the interface of Anthropic's clients.

import Foundation
import Jobs
import Spool
import Synchronization
import TestSupport
import Testing
import TextFormats
import WireTypes

@testable import API

@Suite("Anthropic's interface")
struct AnthropicTests {
    private static func message(_ more: JSONObject = [:]) -> JSON {
        var body: JSONObject = [
            "model": "nanobot", "max_tokens": 500, "messages": [["role": "user", "content": "hello"]],
            "metadata": ["user_id": "alice"],
        ]
        body.merge(more)
        return .object(body)
    }

    /// The answer to a request whose job does what the test says, and that job.
    private func answered(
        _ body: JSON, act: @escaping ServiceFixture.Work = { _, _ in .complete(["response": "Hi there.", "model": "offline"]) }
    ) async throws -> (Reply, JobRequest) {
        let fixture = try ServiceFixture()
        try fixture.makeUser("alice")
        fixture.startWorker(act)
        let seen = Mutex<Reply?>(nil)
        try await fixture.serve { http in
            let reply = try await http.send("POST", "/v1/messages", json: body)
            seen.withLock { $0 = reply }
        }
        let job = try #require(try fixture.jobs.list(JobFilter(), limit: 1).first)
        return (try #require(seen.withLock { $0 }), try #require(try fixture.jobs.request(job.id)))
    }

    @Test("a message is a chat job: its words, its instructions, its history; the answer is a message")
    func message() async throws {
        let (reply, job) = try await answered(
            Self.message([
                "system": [["type": "text", "text": "Be brief."]],
                "messages": [
                    ["role": "user", "content": "price?"],
                    ["role": "assistant", "content": [
                        ["type": "thinking", "thinking": "hm", "signature": "s"],
                        ["type": "tool_use", "id": "t1", "name": "look", "input": ["a": 1]],
                    ]],
                    ["role": "user", "content": [
                        ["type": "tool_result", "tool_use_id": "t1", "content": [["type": "text", "text": "42"]]],
                    ]],
                    ["role": "assistant", "content": [["type": "text", "text": "It is 42."]]],
                    ["role": "user", "content": [["type": "text", "text": "hello"]]],
                ],
            ]))
        #expect(job.message == "hello")
        #expect(job.metadata == ["user_id": "alice", "instructions": "Be brief.", "nanobot.history": "4"])
        let json = try reply.json
        #expect(reply.status == 200 && json["type"] == "message" && json["role"] == "assistant")
        #expect(json["content"] == [["type": "text", "text": "Hi there.", "citations": .null]])
        #expect(json["stop_reason"] == "end_turn")
        #expect(json["id"]?.string == reply.header("x-job-id").map { "msg_\($0)" })
        #expect(reply.header("request-id") == reply.header("x-request-id"))
    }

    @Test("a streamed message is the events of one text block")
    func stream() async throws {
        let (reply, _) = try await answered(Self.message(["stream": true])) { _, record in
            try record.event(["event": "delta", "text": "Hi "])
            try record.event(["event": "delta", "text": "there."])
            return .complete(["response": "Hi there.", "model": "offline", "finish_reason": "length"])
        }
        let events = try reply.body.split(separator: "\n\n").compactMap { block -> JSON? in
            guard let data = block.split(separator: "\n").first(where: { $0.hasPrefix("data: ") }) else { return nil }
            let json = try JSON.parse(Array(data.dropFirst(6).utf8))
            // The event's name is the type of its data.
            #expect(block.hasPrefix("event: \(json["type"]?.string ?? "?")\n"))
            return json
        }
        let types = events.compactMap { $0["type"]?.string }.filter { $0 != "content_block_delta" }
        #expect(
            types == ["message_start", "content_block_start", "ping", "content_block_stop", "message_delta", "message_stop"])
        #expect(events.compactMap { $0["delta"]?["text"]?.string }.joined() == "Hi there.")
        #expect(events.compactMap { $0["delta"]?["stop_reason"]?.string } == ["max_tokens"])
    }

    @Test("a stream whose job fails ends with an error event, and an answer that fails is an error its client does not repeat")
    func failures() async throws {
        let (stream, _) = try await answered(Self.message(["stream": true])) { _, _ in .fail(code: "model_error") }
        #expect(stream.body.contains("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\""))
        let (whole, _) = try await answered(Self.message()) { _, _ in .fail(code: "model_error") }
        #expect(whole.status == 502 && whole.header("x-should-retry") == "false")
        #expect(try whole.json["type"] == "error" && whole.json["code"] == "job_failed")
    }

    @Test(
        "a request that cannot be answered is refused by the parameter's name",
        arguments: [
            (["tools": [["name": "f"]]], 400, "tools"), (["stop_sequences": ["x"]], 400, "stop_sequences"),
            (["tool_choice": ["type": "any"]], 400, "tool_choice"), (["mcp_servers": [["url": "x"]]], 400, "mcp_servers"),
            (["output_config": ["format": ["type": "json_schema"]]], 400, "output_config.format"),
            (["messages": .null], 400, "messages"), (["messages": []], 400, "messages"), (["messages": "x"], 400, "messages"),
            (["messages": [["role": "wizard", "content": "x"]]], 400, "messages[0].role"),
            (["messages": [["role": "user"]]], 400, "messages[0].content"),
            (["messages": [["role": "user", "content": [["type": "image"]]]]], 400, "messages[0].content[0]"),
            (
                ["messages": [["role": "user", "content": [["type": "tool_result", "tool_use_id": "t", "content": "1"]]]]], 400,
                "messages[0].content[0].tool_use_id"
            ),
            (["messages": [["role": "user", "content": "q"], ["role": "assistant", "content": "begun"]]], 400, "messages"),
            (["system": 5], 400, "system"), (["model": "gpt-9"], 404, "model"), (["metadata": [:]], 400, "user"),
            (["stream": 1], 400, "stream"),
        ] as [(JSONObject, Int, String)])
    func refusals(more: JSONObject, status: Int, field: String) async throws {
        let fixture = try ServiceFixture()
        try fixture.makeUser("alice")
        try await fixture.serve { http in
            let reply = try await http.send("POST", "/v1/messages", json: Self.message(more))
            #expect(reply.status == status)
            #expect(try reply.json["type"] == "error" && reply.json["param"] == .string(field))
            #expect(try reply.json["error"]?["message"]?.string?.contains(field) == true)
            #expect(try reply.json["request_id"]?.string == reply.header("x-request-id"))
        }
    }

    @Test("parameters that hold nothing, and those of a model's temper, are passed over", arguments: [
        ["tools": []], ["stop_sequences": []], ["system": ""], ["temperature": 0.2], ["thinking": ["type": "adaptive"]],
        ["tool_choice": ["type": "auto"]], ["metadata": ["user_id": "alice", "note": .null]],
    ] as [JSONObject])
    func passedOver(more: JSONObject) async throws {
        #expect(try await answered(Self.message(more)).0.status == 200)
    }

    @Test("the token may come as x-api-key, on these paths only, and not beside another one")
    func apiKey() async throws {
        let fixture = try ServiceFixture()
        try fixture.makeUser("alice")
        fixture.startWorker { _, _ in .complete(["response": "Hi.", "model": "offline"]) }
        try await fixture.serve({ $0.adminToken = "the-admin-token" }) { http in
            let key = ("X-Api-Key", "the-admin-token")
            #expect(try await http.send("POST", "/v1/messages", json: Self.message(), [key]).status == 200)
            let models = try await http.get("/v1/models", [key, ("anthropic-version", "2023-06-01")])
            #expect(try models.json["data"]?[0]?["type"] == "model" && models.json["has_more"] == false)
            #expect(try await http.get("/users", [key]).status == 401)
            let wrong = try await http.send("POST", "/v1/messages", json: Self.message(), [("X-Api-Key", "other")])
            #expect(try wrong.status == 401 && wrong.json["error"]?["type"] == "authentication_error")
            let both = [key, ("Authorization", "Bearer other")]
            #expect(try await http.send("POST", "/v1/messages", json: Self.message(), both).status == 401)
        }
    }
}
