import HTTPTransport
import ModelTestSupport
import Testing
import TextFormats

@testable import Providers

@Suite("The OpenAI-compatible interface")
struct OpenAICompatibleProviderTests {
    private func complete(_ request: ChatRequest, _ answers: [ScriptedAnswer]) throws -> (ChatResponse, [JSON]) {
        let server = try LoopbackHTTPServer(answers: answers)
        let provider = OpenAICompatibleProvider(
            name: "acme", baseURL: server.url, apiKey: { nil }, client: HTTPClient(policy: .anywhere),
            makeID: { "made" })
        let response = try provider.complete(request)
        #expect(server.requests.allSatisfy { $0.target == "/chat/completions" && $0.header("Authorization") == nil })
        return (response, try server.requests.map { try JSON.parse($0.body) })
    }

    private func streamed(_ chunks: [String]) throws -> ChatResponse {
        let request = ChatRequest(model: "m", messages: [.user("hi")], stream: true)
        return try complete(request, [.events((chunks + ["[DONE]"]).map { "data: \($0)\n\n" })]).0
    }

    @Test("gets the conversation, the tools and the settings in its own words")
    func body() throws {
        let call = ToolCall(id: "t1", name: "quotes", arguments: "{\"symbols\":[]}")
        let broken = ToolCall(id: "t2", name: "quotes", arguments: "{\"symbols\":")
        var request = ChatRequest(
            model: "m",
            messages: [
                .system("S"), .user("U"), .assistant("", toolCalls: [call, broken]),
                .tool("R", callID: "t1", name: "quotes"), .tool("R2", callID: "t2", name: "quotes"),
            ],
            tools: [ToolDefinition(name: "quotes", description: "D", parameters: ["type": "object"])],
            temperature: 0.5, maxTokens: 99, stream: true, user: "u1")
        let assistant: JSON = [
            "role": "assistant", "content": nil,
            "tool_calls": [
                ["id": "t1", "type": "function", "function": ["name": "quotes", "arguments": "{\"symbols\":[]}"]],
                ["id": "t2", "type": "function", "function": ["name": "quotes", "arguments": "{}"]],
            ],
        ]
        let expected: JSONObject = [
            "model": "m",
            "messages": [
                ["role": "system", "content": "S"], ["role": "user", "content": "U"], assistant,
                ["role": "tool", "content": "R", "tool_call_id": "t1"],
                ["role": "tool", "content": "R2", "tool_call_id": "t2"],
            ],
            "tools": [
                [
                    "type": "function",
                    "function": ["name": "quotes", "description": "D", "parameters": ["type": "object"]],
                ]
            ],
            "temperature": 0.5, "max_tokens": 99, "user": "u1", "stream": true,
            "stream_options": ["include_usage": true],
        ]
        #expect(try complete(request, [.json(WireFixture.openai.plain)]).1 == [.object(expected)])

        request.toolChoice = .none
        let last = try complete(request, [.json(WireFixture.openai.plain)]).1[0]
        #expect(last["tools"] == nil)
        #expect(last["tool_choice"] == nil)
    }

    @Test("leaves out, once and for all, what a server refuses by name")
    func dialect() throws {
        let server = try LoopbackHTTPServer { request in
            let text = request.text
            func refuse(_ name: String) -> ScriptedAnswer {
                .json(#"{"error":{"message":"Unsupported parameter: '\#(name)'"}}"#, status: 400)
            }
            if text.contains("stream_options") { return refuse("stream_options") }
            if text.contains("max_tokens") { return refuse("max_tokens' is not supported, use 'max_completion_tokens") }
            if text.contains("temperature") { return refuse("temperature") }
            return .events(WireFixture.openai.stream)
        }
        let provider = OpenAICompatibleProvider(
            name: "acme", baseURL: server.url, apiKey: { nil }, client: HTTPClient(policy: .anywhere))
        let request = ChatRequest(
            model: "m", messages: [.user("hi")], temperature: 0.1, maxTokens: 7, stream: true)
        #expect(try provider.complete(request).message.content == "Hello, world")
        #expect(server.requests.count == 4)
        #expect(server.requests.last?.text.contains("\"max_completion_tokens\":7") == true)
        _ = try provider.complete(request)
        #expect(server.requests.count == 5)
    }

    @Test("gives up on a refusal that names nothing it could leave out")
    func refused() throws {
        let server = try LoopbackHTTPServer { _ in .json(#"{"error":{"message":"temperature is wrong"}}"#, status: 400)
        }
        let provider = OpenAICompatibleProvider(
            name: "acme", baseURL: server.url, apiKey: { nil }, client: HTTPClient(policy: .anywhere))
        let error = providerFailure { () throws(ProviderError) in
            try provider.complete(ChatRequest(model: "m", messages: [.user("hi")], temperature: 1))
        }
        #expect(error?.code == .badRequest)
        #expect(server.requests.count == 2)
    }

    @Test(
        "counts cached tokens under every vendor's name",
        arguments: [
            #""prompt_tokens_details":{"cached_tokens":6}"#,
            #""prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":4"#,
            #""cached_tokens":6"#, #""prompt_tokens_details":null,"cache_read_input_tokens":6"#,
        ])
    func cached(fields: String) throws {
        let body =
            #"{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":10,"completion_tokens":2,\#(fields)}}"#
        let usage = try complete(ChatRequest(model: "m", messages: []), [.json(body)]).0.usage
        #expect(usage == TokenUsage(promptTokens: 10, completionTokens: 2, totalTokens: 12, cachedTokens: 6))
    }

    @Test("reads the answers of servers that bend the format")
    func bent() throws {
        let request = ChatRequest(model: "m", messages: [])
        func message(_ message: String, _ reason: String = "\"stop\"") throws -> ChatResponse {
            try complete(request, [.json(#"{"choices":[{"message":\#(message),"finish_reason":\#(reason)}]}"#)]).0
        }
        #expect(
            try message(#"{"content":[{"type":"text","text":"a"},{"type":"x"},{"text":"b"}]}"#).message.content == "ab")
        let refusal = try message(#"{"content":null,"refusal":"I can't."}"#)
        #expect(refusal.message.content == "I can't.")
        #expect(refusal.finishReason == .contentFilter)
        #expect(try message(#"{"content":"x"}"#, "\"content_filter\"").finishReason == .contentFilter)
        #expect(try message(#"{"content":"x"}"#, "null").finishReason == .stop)
        #expect(try message(#"{"content":"x"}"#, "\"weird\"").finishReason == .other)
        let calls = try message(
            #"{"tool_calls":[{"function":{"name":"a","arguments":{"k":1}}},{"id":"i","function":{"name":"b"}}]}"#)
        #expect(calls.finishReason == .toolCalls)
        #expect(calls.message.toolCalls.map(\.id) == ["made", "i"])
        #expect(calls.message.toolCalls.map(\.parsedArguments) == [["k": 1], [:]])
        let old = try message(#"{"content":null,"function_call":{"name":"f","arguments":"{}"}}"#, "\"function_call\"")
        #expect(old.message.toolCalls == [ToolCall(id: "made", name: "f", arguments: "{}")])
        #expect(try message(#"{"content":"x","reasoning":"r"}"#).message.reasoning == "r")
    }

    @Test("joins fragments of calls by index, and without one by id or name")
    func fragments() throws {
        func calls(_ deltas: [String]) throws -> [ToolCall] {
            try streamed(deltas.map { #"{"choices":[{"delta":{"tool_calls":[\#($0)]}}]}"# }).message.toolCalls
        }
        let expected = [
            ToolCall(id: "x", name: "a", arguments: "{}"), ToolCall(id: "y", name: "b", arguments: "{\"k\":1}"),
        ]
        #expect(
            try calls([
                #"{"id":"x","function":{"name":"a","arguments":"{"}}"#, #"{"function":{"arguments":"}"}}"#,
                #"{"id":"y","function":{"name":"b","arguments":"{\"k\":1}"}}"#,
            ]) == expected)
        #expect(
            try calls([
                #"{"index":0,"id":"x","function":{"name":"a","arguments":"{}"}}"#,
                #"{"index":0,"id":"y","function":{"name":"b","arguments":"{\"k\""}}"#,
                #"{"index":0,"id":"y","function":{"name":"b","arguments":":1}"}}"#,
            ]) == expected)
        #expect(
            try calls([
                #"{"index":1,"id":"x","function":{"name":"a"}},{"index":0,"id":"y","function":{"name":"b"}}"#,
                #"{"index":0,"function":{"arguments":"{\"k\":1}"}},{"index":1,"function":{"arguments":"{}"}}"#,
            ]) == expected)
    }

    @Test("ends a stream of endless calls")
    func endless() {
        let chunks = (0..<300).map {
            #"{"choices":[{"delta":{"tool_calls":[{"index":\#($0),"function":{"name":"a"}}]}}]}"#
        }
        let error = providerFailure { () throws(ProviderError) in
            do {
                return try streamed(chunks)
            } catch let error as ProviderError {
                throw error
            } catch {
                throw ProviderError(code: .unavailable, detail: "\(error)")
            }
        }
        #expect(error?.code == .badResponse)
    }

    @Test("sends the thoughts back to the account they came from, and to no other")
    func reasoning() throws {
        let response = try streamed([
            #"{"choices":[{"delta":{"reasoning_content":"Let me "}}]}"#,
            #"{"choices":[{"delta":{"reasoning_content":"see."}}]}"#,
            #"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"a","#
                + #""arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#,
        ])
        #expect(response.message.reasoning == "Let me see.")
        #expect(response.message.content == "")
        let stored = try #require(ChatMessage(json: response.message.json))
        let request = ChatRequest(model: "m", messages: [stored])
        for (account, expected) in [("acme", "Let me see."), ("other", nil)] {
            let body = OpenAIRequestBody(account: account, dialect: OpenAIDialect()).json(request)
            #expect(body["messages"]?[0]?["reasoning_content"]?.string == expected)
        }
    }
}
