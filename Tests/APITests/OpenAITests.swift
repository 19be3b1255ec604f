// The interface of OpenAI's clients, as their packages call it.
import Foundation
import Jobs
import Spool
import Synchronization
import Tenants
import Testing
import TextFormats
import WireTypes

@testable import API

@Suite(.serialized) struct OpenAITests {
    private static func chat(_ more: JSONObject = [:]) -> JSON {
        var body: JSONObject = [
            "model": "nanobot", "user": "alice", "messages": [["role": "user", "content": "hello"]],
        ]
        body.merge(more)
        return .object(body)
    }

    /// A world with alice, and the one job of a request done by hand while the request waits.
    private func served(
        _ body: @escaping @Sendable (ServiceFixture, ProbeClient) async throws -> Void
    ) async throws {
        let fixture = try ServiceFixture()
        try fixture.makeUser("alice")
        try await fixture.serve { http in try await body(fixture, http) }
    }

    @Test("a message without room in the window is refused before the queue, in each interface's own words")
    func tooLong() async throws {
        try await served { fixture, http in
            for path in ["/chat", "/jobs", "/v1/chat/completions", "/v1/responses"] {
                let isOpenAI = path.hasPrefix("/v1")
                var body: JSONObject = ["user_id": "alice", "message": "TOO LONG"]
                if path == "/jobs" { body["kind"] = "chat" }
                if isOpenAI {
                    body = ["model": "nanobot", "user": "alice"]
                    body[path.hasSuffix("responses") ? "input" : "messages"] = [["role": "user", "content": "TOO LONG"]]
                }
                let reply = try await http.send("POST", path, json: .object(body))
                #expect(reply.status == (isOpenAI ? 400 : 422), "\(path)")
                let problem = try isOpenAI ? reply.json["error"] : reply.json
                #expect(problem?["code"] == "context_length_exceeded", "\(path)")
                let field = path.hasSuffix("responses") ? "input" : isOpenAI ? "messages" : "message"
                #expect(problem?[isOpenAI ? "param" : "field"]?.string == field, "\(path)")
                if isOpenAI { #expect(problem?["type"] == "invalid_request_error") }
            }
            #expect(try fixture.jobs.list(JobFilter(), limit: 9, after: nil).isEmpty)
        }
    }

    private func newest(_ fixture: ServiceFixture) async throws -> JobID {
        for _ in 0..<100_000 {
            if let view = try fixture.jobs.list(JobFilter(state: .queued), limit: 1, after: nil).first {
                return view.id
            }
            await Task.yield()
        }
        throw ProblemDetails(status: 500, code: "no_job", detail: "the request made no job")
    }

    private func answered(
        _ path: String, _ body: JSON, headers: [(String, String)] = [],
        act: @escaping ServiceFixture.Work = { _, _ in .complete(["response": "Hi there.", "model": "offline"]) }
    ) async throws -> (Reply, JobRequest?) {
        let fixture = try ServiceFixture()
        try fixture.makeUser("alice")
        let seen = Mutex<(Reply, JobRequest?)?>(nil)
        try await fixture.serve { http in
            async let reply = http.send("POST", path, json: body, headers)
            let id = try await newest(fixture)
            let request = try fixture.spool.payload(id).flatMap { try? AdmittedJob(payload: $0, now: Date()).request }
            // The submitter may still hold the lock of what is seen already.
            while try fixture.jobs.view(id)?.state.isFinal != true {
                try fixture.work(id, act)
                await Task.yield()
            }
            let answer = try await reply
            seen.withLock { $0 = (answer, request) }
        }
        return try #require(seen.withLock { $0 })
    }

    @Test("a completion is a chat job: its words, its own session, its usage")
    func completion() async throws {
        let (reply, job) = try await answered("/v1/chat/completions", Self.chat())
        #expect(reply.status == 200)
        #expect(try reply.json["object"] == "chat.completion")
        #expect(try reply.json["choices"]?[0]?["message"]?["content"] == "Hi there.")
        #expect(try reply.json["choices"]?[0]?["finish_reason"] == "stop")
        #expect(try reply.json["usage"]?["total_tokens"] == 7)
        #expect(try reply.json["model"] == "nanobot")
        #expect(job?.message == "hello")
        #expect(job?.model == nil)
        #expect(job?.sessionID?.rawValue.hasPrefix("v1-") == true)
        #expect(reply.header("x-session-id") == job?.sessionID?.rawValue)
    }

    @Test("the messages in front of the question go along as its history; instructions are kept apart")
    func conversation() async throws {
        let parts: JSON = [["type": "text", "text": "and"], ["type": "text", "text": "now?"]]
        let call: JSON = ["id": "c1", "type": "function", "function": ["name": "look", "arguments": "{}"]]
        let (_, job) = try await answered(
            "/v1/chat/completions",
            Self.chat([
                "messages": [
                    ["role": "system", "content": "Be brief."], ["role": "user", "content": "hello"],
                    ["role": "assistant", "content": .null, "tool_calls": [call]],
                    ["role": "tool", "tool_call_id": "c1", "content": "seen"],
                    ["role": "assistant", "content": "Hi."], ["role": "developer", "content": "Be kind."],
                    ["role": "user", "content": parts],
                ], "metadata": ["app": "x"],
            ]))
        #expect(job?.message == "and\nnow?")
        #expect(job?.metadata == ["app": "x", "instructions": "Be brief.\n\nBe kind.", "nanobot.history": "4"])
    }

    @Test(
        "the session can be named",
        arguments: [
            (["X-Session-Id": "s1"], [:]), ([:], ["session_id": "s1"]), ([:], ["metadata": ["session_id": "s1"]]),
            ([:], ["conversation": "s1"]), ([:], ["conversation": ["id": "s1"]]),
        ] as [([String: String], JSONObject)])
    func session(headers: [String: String], more: JSONObject) async throws {
        let (_, job) = try await answered(
            "/v1/chat/completions", Self.chat(more), headers: headers.map { ($0.key, $0.value) })
        #expect(job?.sessionID?.rawValue == "s1")
    }

    @Test(
        "what cannot be done is refused in their shape, and names the parameter",
        arguments: [
            (["tools": [["type": "function", "function": ["name": "f"]]]], 400, "tools"), (["n": 2], 400, "n"),
            (["logprobs": true], 400, "logprobs"), (["stop": "x"], 400, "stop"),
            (["response_format": ["type": "json_object"]], 400, "response_format"),
            (["messages": []], 400, "messages"), (["messages": "hi"], 400, "messages"),
            (["messages": .null], 400, "messages"),
            (["messages": [["role": "assistant", "content": "x"]]], 400, "messages"),
            (["messages": [["role": "wizard", "content": "x"]]], 400, "messages[0].role"),
            (["messages": [["role": "user"]]], 400, "messages[0].content"),
            (["messages": [["role": "user", "content": [["type": "image_url"]]]]], 400, "messages[0].content[0]"),
            (["messages": [["role": "user", "content": " "]]], 400, "messages[0].content"),
            (["messages": [["role": "user", "content": .string(String(repeating: "z", count: 65_537))]]], 400, "messages[0].content"),
            (
                ["messages": [["role": "system", "content": .string(String(repeating: "z", count: 65_537))], ["role": "user", "content": "q"]]],
                400, "messages[0].content"
            ),
            (["messages": [["role": "user", "content": "q"], ["role": "assistant", "content": "begun"]]], 400, "messages"),
            (
                ["messages": [["role": "tool", "tool_call_id": "x", "content": "1"], ["role": "user", "content": "q"]]], 400,
                "messages[0].tool_call_id"
            ),
            (["messages": [1]], 400, "messages[0]"),
            (["model": "gpt-9"], 404, "model"), (["model": .null], 400, "model"), (["user": .null], 400, "user"),
            (["stream": "yes"], 400, "stream"), (["metadata": ["a": 1]], 400, "metadata.a"),
            (["user": "nobody"], 404, ""), (["user": "No User"], 404, ""),
        ] as [(JSONObject, Int, String)])
    func refusals(more: JSONObject, status: Int, field: String) async throws {
        try await served { _, http in
            let reply = try await http.send("POST", "/v1/chat/completions", json: Self.chat(more))
            #expect(reply.status == status)
            #expect(try reply.json["error"]?["message"]?.string?.isEmpty == false)
            #expect(try reply.json["error"]?["type"] == "invalid_request_error")
            #expect(try reply.json["error"]?["code"]?.string != nil)
            if !field.isEmpty { #expect(try reply.json["error"]?["param"]?.string == field) }
        }
    }

    @Test(
        "a parameter that holds nothing is no wish",
        arguments: [
            ["stop": []], ["stop": ""], ["stop": [""]], ["stop": .null], ["tools": []], ["tools": .null], ["functions": []],
            ["tool_choice": .null], ["tool_choice": ""], ["modalities": []], ["modalities": .null], ["modalities": ["text"]],
            ["logit_bias": [:]], ["audio": .null], ["audio": [:]], ["prediction": [:]], ["web_search_options": .null], ["n": .null],
            ["logprobs": .null], ["top_logprobs": .null], ["response_format": .null], ["response_format": [:]],
        ] as [JSONObject])
    func emptyWishes(more: JSONObject) async throws {
        let (reply, _) = try await answered("/v1/chat/completions", Self.chat(more))
        #expect(reply.status == 200, "\(more)")
    }

    @Test("parameters that set a model's temper are passed over")
    func sampling() async throws {
        let (reply, _) = try await answered(
            "/v1/chat/completions",
            Self.chat([
                "temperature": 0.3, "top_p": 1, "max_completion_tokens": 100, "seed": 1, "stop": .null, "n": 1,
                "tools": [],
                "response_format": ["type": "text"], "logprobs": false, "reasoning_effort": "low", "store": true,
            ]))
        #expect(reply.status == 200)
    }

    @Test(
        "a job that fails is an error its client does not repeat by itself",
        arguments: [("model_error", 502, "job_failed"), ("budget_tokens", 429, "budget_tokens")])
    func failure(code: String, status: Int, told: String) async throws {
        let (reply, _) = try await answered("/v1/chat/completions", Self.chat()) { _, _ in .fail(code: code) }
        #expect(reply.status == status)
        #expect(try reply.json["error"]?["code"]?.string == told)
        #expect(reply.header("x-should-retry") == "false")
    }

    private static let streaming: ServiceFixture.Work = { _, record in
        try record.event(["event": "delta", "text": "Let me look."])
        try record.event(["event": "tool", "name": "quotes", "phase": "start"])
        try record.event(["event": "tool", "name": "quotes", "phase": "end"])
        try record.event(["event": "delta", "text": "It "])
        try record.event(["event": "delta", "text": "rose."])
        return .complete(["response": "It rose.", "model": "offline"])
    }

    @Test("a streamed completion is chunks, with the usage if it is asked for", arguments: [true, false])
    func stream(usage: Bool) async throws {
        let (reply, _) = try await answered(
            "/v1/chat/completions", Self.chat(["stream": true, "stream_options": ["include_usage": .bool(usage)]]),
            act: Self.streaming)
        #expect(reply.header("content-type") == "text/event-stream")
        let data = Self.data(reply.body)
        #expect(data.last == "[DONE]")
        let chunks = try data.dropLast().map { try JSON.parse(Array($0.utf8)) }
        #expect(chunks.allSatisfy { $0["object"] == "chat.completion.chunk" && $0["id"] == chunks[0]["id"] })
        #expect(chunks[0]["choices"]?[0]?["delta"]?["role"] == "assistant")
        let text = chunks.compactMap { $0["choices"]?[0]?["delta"]?["content"]?.string }.joined()
        #expect(text == "Let me look.\n\nIt rose.")
        #expect(chunks.compactMap { $0["choices"]?[0]?["finish_reason"]?.string } == ["stop"])
        #expect(chunks.contains { $0["choices"]?.array?.isEmpty == true && $0["usage"]?["total_tokens"] == 7 } == usage)
    }

    @Test("a failed stream says so")
    func failedStream() async throws {
        let (reply, _) = try await answered("/v1/chat/completions", Self.chat(["stream": true])) { _, _ in
            .fail(code: "model_error")
        }
        let data = Self.data(reply.body)
        #expect(
            try data.contains { try $0 != "[DONE]" && JSON.parse(Array($0.utf8))["error"]?["code"] == "job_failed" })
    }

    @Test("a response is made, found again, continued and cancelled")
    func responses() async throws {
        try await served { fixture, http in
            let made = try await http.send(
                "POST", "/v1/responses",
                json: [
                    "model": "nanobot", "user": "alice", "input": "hello", "background": true, "metadata": ["a": "b"],
                ])
            #expect(made.status == 200)
            #expect(try made.json["status"] == "queued")
            #expect(try made.json["background"] == true)
            #expect(try made.json["metadata"] == ["a": "b"])
            let id = try #require(try made.json["id"]?.string)
            let job = try #require(OpenAIAnswer.jobID(inResponse: id).flatMap { JobID($0) })
            let next = try await http.send(
                "POST", "/v1/responses",
                json: [
                    "model": "nanobot", "user": "alice", "input": [["role": "user", "content": "more"]],
                    "previous_response_id": .string(id), "background": true,
                ])
            #expect(try next.json["conversation"] == (try made.json["conversation"]))
            try fixture.work(job) { _, _ in .complete(["response": "Hi.", "model": "offline"]) }
            let found = try await http.get("/v1/responses/\(id)")
            #expect(try found.json["status"] == "completed")
            #expect(try found.json["output"]?[0]?["content"]?[0]?["text"] == "Hi.")
            #expect(try found.json["usage"]?["total_tokens"] == 7)
            let nextID = try #require(try next.json["id"]?.string)
            let cancelled = try await http.send("POST", "/v1/responses/\(nextID)/cancel")
            #expect(try cancelled.json["status"] == "cancelled")
            #expect(try await http.get("/v1/responses/resp_nothing").json["error"]?["code"] == "response_not_found")
        }
    }

    @Test(
        "an item of an unknown kind is refused by its name, and never passed over in silence",
        arguments: [
            (["type": "input_text", "text": "the real question"], "input[1].type"), (["type": "Message", "role": "user", "content": "q"], "input[1].type"),
            (["type": "item_reference", "id": "x"], "input[1].type"), (["type": "custom_tool_call_output", "call_id": "c", "output": "1"], "input[1].call_id"),
            (["type": "reasoning", "summary": []], nil),
        ] as [(JSON, String?)])
    func unknownItems(item: JSON, field: String?) async throws {
        try await served { _, http in
            let input: JSON = [["role": "user", "content": "old"], item, ["role": "user", "content": "new"]]
            let reply = try await http.send(
                "POST", "/v1/responses", json: ["model": "nanobot", "user": "alice", "input": input, "background": true])
            #expect(reply.status == (field == nil ? 200 : 400))
            #expect(try field == nil || reply.json["error"]?["param"]?.string == field)
        }
    }

    @Test("two calls of one message with one id are refused; thousands of calls are one message")
    func manyCalls() throws {
        let call: (Int) -> JSON = { ["type": "function_call", "call_id": .string("c\($0)"), "name": "f", "arguments": ["a": 1]] }
        let bounds = ClientMessages.Bounds(history: 1 << 24, instructions: 10)
        let question: JSON = ["role": "user", "content": "q"]
        let many = JSON.array((0..<20_000).map(call) + [question])
        let read = try OpenAIMessages.read(many, field: "input", bounds)
        #expect(read.history.count == 1 && read.history[0]["tool_calls"]?.array?.count == 20_000)
        #expect(read.history[0]["tool_calls"]?[0]?["arguments"] == "{\"a\":1}")
        let error = #expect(throws: FieldError.self) { try OpenAIMessages.read([call(1), call(1), question], field: "input", bounds) }
        #expect(error?.field == "input[1]")
    }

    @Test("a response that has ended can be deleted, with its record; one that has not is cancelled first")
    func deleting() async throws {
        try await served { fixture, http in
            let made = try await http.send(
                "POST", "/v1/responses", json: ["model": "nanobot", "user": "alice", "input": "hello", "background": true])
            let id = try #require(try made.json["id"]?.string)
            let job = try #require(OpenAIAnswer.jobID(inResponse: id).flatMap { JobID($0) })
            #expect(try await http.send("DELETE", "/v1/responses/\(id)").status == 409)
            try fixture.work(job) { _, _ in .complete(["response": "Hi.", "model": "offline"]) }
            let gone = try await http.send("DELETE", "/v1/responses/\(id)")
            #expect(try gone.json == ["id": .string(id), "object": "response", "deleted": true])
            for path in ["/v1/responses/\(id)", "/v1/responses/\(id)/input_items", "/jobs/\(job)"] {
                #expect(try await http.get(path).status == 404, "\(path)")
            }
            #expect(try await http.send("DELETE", "/v1/responses/\(id)").status == 404)
        }
    }

    @Test(
        "a response's input is listed in pages, the newest first unless asked otherwise",
        arguments: [
            ("", ["hello", "answered", "before"]), ("?order=asc", ["before", "answered", "hello"]),
            ("?limit=1", ["hello"]), ("?order=asc&limit=2", ["before", "answered"]),
        ])
    func inputItems(query: String, texts: [String]) async throws {
        try await served { _, http in
            let made = try await http.send(
                "POST", "/v1/responses", json: ["model": "nanobot", "user": "alice", "input": "hello", "background": true])
            let path = "/v1/responses/\(try #require(try made.json["id"]?.string))/input_items"
            let list = try await http.get(path + query).json
            let data = try #require(list["data"]?.array)
            #expect(data.compactMap { $0["content"]?[0]?["text"]?.string } == texts)
            #expect(list["has_more"] == .bool(texts.count < 3))
            #expect(list["first_id"] == data.first?["id"] && list["last_id"] == data.last?["id"])
            let order = query.contains("asc") ? "asc" : "desc"
            let rest = try await http.get("\(path)?order=\(order)&after=\(try #require(data[0]["id"]?.string))").json
            #expect(rest["data"]?.array?.count == 2)
            for wrong in ["?order=up", "?limit=0", "?limit=101"] { #expect(try await http.get(path + wrong).status == 400, "\(wrong)") }
            #expect(try await http.get(path + "?after=nothing").status == 404)
        }
    }

    @Test("a response whose messages are no longer kept says so")
    func forgottenInput() async throws {
        try await served { _, http in
            let made = try await http.send(
                "POST", "/v1/responses", json: ["model": "nanobot", "user": "alice", "input": "FORGOTTEN", "background": true])
            let reply = try await http.get("/v1/responses/\(try #require(try made.json["id"]?.string))/input_items")
            #expect(reply.status == 404)
            #expect(try reply.json["error"]?["code"] == "input_not_found")
        }
    }

    @Test(
        "a response's events are numbered, and can be had again from any number on", arguments: [nil, 0, 5] as [Int?])
    func responseEvents(after: Int?) async throws {
        try await served { fixture, http in
            let made = try await http.send(
                "POST", "/v1/responses", json: ["model": "nanobot", "user": "alice", "input": "x", "background": true])
            let id = try #require(try made.json["id"]?.string)
            let job = try #require(OpenAIAnswer.jobID(inResponse: id).flatMap { JobID($0) })
            try fixture.work(job, Self.streaming)
            let query = after.map { "&starting_after=\($0)" } ?? ""
            let reply = try await http.get("/v1/responses/\(id)?stream=true\(query)")
            let events = try Self.data(reply.body).map { try JSON.parse(Array($0.utf8)) }
            #expect(events.compactMap { $0["sequence_number"]?.int } == Array(((after ?? -1) + 1)..<10))
            #expect(events.last?["type"] == "response.completed")
            #expect(
                events.last?["response"]?["output"]?[0]?["content"]?[0]?["text"] == "Let me look.\n\nIt rose.")
            guard after == nil else { return }
            #expect(
                events.compactMap { $0["type"]?.string } == [
                    "response.created", "response.in_progress", "response.output_item.added",
                    "response.content_part.added", "response.output_text.delta", "response.output_text.delta",
                    "response.output_text.done", "response.content_part.done", "response.output_item.done",
                    "response.completed",
                ])
        }
    }

    @Test(
        "what a crash cut off is not continued by the repeated call's words",
        arguments: [
            ("It rose by", "It rose by 2 %.", "It rose by 2 %."), ("It ro", "Up by 2 %.", "It ro\n\nUp by 2 %."),
        ])
    func cut(first: String, answer: String, sent: String) {
        var text = AnswerText()
        var pieces: [String?] = []
        for event in [
            StreamEvent(.status, ["epoch": 1]), StreamEvent(.delta, ["text": .string(first)]),
            StreamEvent(.status, ["epoch": 2]), StreamEvent(.delta, ["text": .string(answer)]),
            StreamEvent(.message, ["response": .string(answer)]),
        ] { pieces.append(text.take(event)) }
        #expect(pieces.compactMap { $0 }.joined() == sent)
        #expect(text.sent == sent)
    }

    @Test("reasoning that was sent stays sent, and the whole answer follows it")
    func reasoningSent() {
        var text = AnswerText()
        let pieces = [
            StreamEvent(.status, ["epoch": 1]), StreamEvent(.delta, ["text": "secret"]), StreamEvent(.reset, [:]),
            StreamEvent(.delta, ["text": "Hello"]), StreamEvent(.message, ["response": "Hello"]),
        ].map { text.take($0) }
        #expect(pieces.compactMap { $0 } == ["secret", "\n\nHello"])
    }

    @Test("an answer that is cut says so in both shapes", arguments: [("content_filter", "content_filter"), ("length", "max_output_tokens")])
    func cutAnswers(reason: String, detail: String) {
        var answer = OpenAIAnswer(
            jobID: "j", created: Date(timeIntervalSince1970: 0), model: "m", state: .completed, text: "Half", usage: .null,
            sessionID: "s")
        #expect(answer.response["status"] == "completed")
        answer.finishReason = reason
        #expect(answer.completion["choices"]?[0]?["finish_reason"] == .string(reason))
        #expect(answer.response["status"] == "incomplete")
        #expect(answer.response["incomplete_details"]?["reason"] == .string(detail))
        #expect(answer.response["output"]?[0]?["content"]?[0]?["text"] == "Half")
    }

    @Test("models are the house's own and those of the configuration; paths may have the slash")
    func models() async throws {
        try await served { _, http in
            let list = try await http.get("/v1/models")
            #expect(
                try list.json["data"]?.array?.compactMap { $0["id"]?.string } == ["nanobot", "offline", "openai/m"])
            for path in ["nanobot", "openai/m", "openai%2Fm"] {
                #expect(try await http.get("/v1/models/\(path)").json["object"] == "model")
            }
            #expect(try await http.get("/v1/models/gpt-9").json["error"]?["code"] == "model_not_found")
            #expect(try await http.get("/v1/nothing").json["error"]?["code"] == "not_found")
            #expect(try await http.send("DELETE", "/v1/models").json["error"]?["code"] == "method_not_allowed")
        }
    }

    private static func data(_ body: String) -> [String] {
        body.split(separator: "\n").filter { $0.hasPrefix("data: ") }.map { String($0.dropFirst(6)) }
    }
}
