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
        #expect(refusal.finishReason == .stop)
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

    // MARK: - What gateways do to an answer that is paid for

    private let hello: [String] = WireFixture.openai.stream
    private let streaming = ChatRequest(model: "m", messages: [.user("hi")], stream: true)

    @Test("an answer is whole at the end mark, however the connection ends after it", arguments: [true, false])
    func endMark(isCut: Bool) throws {
        var answer = ScriptedAnswer.events(hello, cut: isCut)
        // Or it is kept open, and nothing more comes.
        if !isCut { answer.pieces.append(.stall) }
        let (response, _) = try complete(streaming, [answer])
        #expect(response.message.content == "Hello, world")
        #expect(response.usage.promptTokens == 100)
    }

    @Test("an answer that has said why it stopped is whole without the end mark, and without an empty line behind it")
    func noEndMark() throws {
        let all = #"data: {"choices":[{"delta":{"content":"all"},"finish_reason":""}]}"# + "\n\n"
        let stop = #"data: {"choices":[{"delta":{"content":""},"finish_reason":"stop"}]}"#
        #expect(try complete(streaming, [.events([all, stop + "\n\n"], cut: true)]).0.message.content == "all")
        #expect(try complete(streaming, [.events([all, stop + "\n"])]).0.message.content == "all")
        // Cut in the middle of what only counts it.
        let half = [all, stop + "\n\n", #"data: {"choices":[],"usa"#]
        #expect(try complete(streaming, [.events(half, cut: true)]).0.message.content == "all")
        #expect(try complete(streaming, [.events(half)]).0.message.content == "all")
    }

    @Test("a reason that comes with every piece ends nothing", arguments: ["", "null", "stop"])
    func earlyReasons(reason: String) throws {
        func piece(_ text: String) -> String {
            #"data: {"choices":[{"delta":{"content":"\#(text)"},"finish_reason":"\#(reason)"}]}"# + "\n\n"
        }
        let error = providerFailure { () throws(ProviderError) in
            try provider([.events([piece("one "), piece("two")], cut: true)]).complete(streaming)
        }
        #expect(error?.code == .connection)
        let whole = [piece("one "), piece("two"), "data: [DONE]\n\n"]
        #expect(try complete(streaming, [.events(whole)]).0.message.content == "one two")
    }

    @Test("is read by what it is and not by what its type says")
    func contentTypes() throws {
        for type in ["text/plain", "", "text/event-stream"] {
            let whole = ScriptedAnswer(
                headers: type.isEmpty ? [] : [("Content-Type", type)],
                pieces: [.bytes([0x0A, 0x20]), .bytes(Array(WireFixture.openai.plain.utf8))], framing: .chunked)
            #expect(try complete(streaming, [whole]).0.message.content == "Hello, world")
        }
        var events = ScriptedAnswer.events([": wait\n"] + hello)
        events.headers = [("Content-Type", "application/json")]
        #expect(try complete(streaming, [events]).0.message.content == "Hello, world")
        let page = ScriptedAnswer(headers: [("Content-Type", "text/html")], pieces: [.bytes(Array("<html>log in".utf8))])
        let error = providerFailure { () throws(ProviderError) in try provider([page]).complete(streaming) }
        #expect(error?.code == .badResponse)
        #expect(error?.detail.contains("<html>log in") == true)
    }

    private func provider(_ answers: [ScriptedAnswer]) -> OpenAICompatibleProvider {
        // A server that cannot be made fails the test by its answers.
        let server = try? LoopbackHTTPServer(answers: answers)
        return OpenAICompatibleProvider(
            name: "acme", baseURL: server?.url ?? "", apiKey: { _ = server; return nil },
            client: HTTPClient(policy: .anywhere))
    }

    @Test("is taken although its JSON is not quite that")
    func lenient() throws {
        let odd = #"{"choices":[{"delta":{"content":"a \ud83d"},"logprobs":{"p":-Infinity,"q":NaN}}],"usage":null,"usage":null}"#
        let response = try streamed([odd, #"{"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}]}"#])
        #expect(response.message.content == "a \u{FFFD}b")
    }

    @Test("that its gateway broke off is no answer")
    func brokenOff() throws {
        let chunk = #"{"choices":[{"delta":{"content":""},"finish_reason":"error","error":{"code":502,"message":"gone"}}]}"#
        let error = providerFailure { () throws(ProviderError) in
            try provider([.events(["data: \(chunk)\n\n", "data: [DONE]\n\n"])]).complete(streaming)
        }
        #expect(error?.isRetryable == true)
        #expect(error?.detail.contains("gone") == true)
    }

    @Test("that a filter withholds is an empty one with that reason")
    func withheld() throws {
        let body = #"{"error":{"code":"content_filter","message":"filtered"}}"#
        let response = try complete(streaming, [.json(body, status: 400)]).0
        #expect(response.finishReason == .contentFilter)
        #expect(response.message.content.isEmpty)
    }

    @Test("of which no usage is told is not free")
    func estimated() throws {
        let response = try streamed([#"{"choices":[{"delta":{"content":"12345678"},"finish_reason":"stop"}]}"#])
        #expect(response.usage.completionTokens == 2)
        #expect(response.usage.promptTokens >= 1)
    }

    @Test("comes back with what the server wants back with its calls, to the same account only")
    func extraContent() throws {
        let chunk = #"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"t1","function":{"name":"quotes","arguments":"{}"},"#
            + #""extra_content":{"google":{"thought_signature":"sig"}}}]},"finish_reason":"tool_calls"}]}"#
        let message = try streamed([chunk]).message
        let request = ChatRequest(model: "m", messages: [.user("hi"), message, .tool("R", callID: "t1", name: "quotes")])
        let sent = try complete(request, [.json(WireFixture.openai.plain)]).1[0]
        #expect(sent["messages"]?[1]?["tool_calls"]?[0]?["extra_content"]?["google"]?["thought_signature"] == "sig")
        var other = message
        other.providerState = ["account": "somebody", "extra_content": ["t1": ["x": 1]]]
        let plain = ChatRequest(model: "m", messages: [.user("hi"), other, .tool("R", callID: "t1", name: "quotes")])
        #expect(try complete(plain, [.json(WireFixture.openai.plain)]).1[0].text().contains("extra_content") == false)
    }

    @Test("names the tools again where a server refuses a conversation with calls that names none")
    func keptTools() throws {
        let refusal = #"{"error":{"message":"doesn't support tool calling without `tools=` param specified"}}"#
        var request = ChatRequest(
            model: "m", messages: [.user("hi")],
            tools: [ToolDefinition(name: "quotes", description: "D", parameters: ["type": "object"])])
        request.toolChoice = .none
        let sent = try complete(request, [.json(refusal, status: 400), .json(WireFixture.openai.plain)]).1
        #expect(sent[0]["tools"] == nil)
        #expect(sent[1]["tools"]?[0]?["function"]?["name"] == "quotes")
        #expect(sent[1]["tool_choice"] == "none")
    }

    @Test("puts two questions in a row into one message")
    func joinedQuestions() throws {
        let request = ChatRequest(model: "m", messages: [.system("S"), .user("one"), .user("two"), .assistant("A"), .user("three")])
        let sent = try complete(request, [.json(WireFixture.openai.plain)]).1[0]
        let contents = (sent["messages"]?.array ?? []).compactMap { $0["content"]?.string }
        #expect(contents == ["S", "one\n\ntwo", "A", "three"])
    }

    @Test("keeps the query of its base address behind the path")
    func queries() {
        #expect(ModelEndpoint.url("http://a/d/?v=1", adding: "/chat/completions") == "http://a/d/chat/completions?v=1")
        #expect(ModelEndpoint.url("http://a", version: "/v1", adding: "/messages") == "http://a/v1/messages")
        #expect(ModelEndpoint.url("http://a/v1/", version: "/v1", adding: "/messages") == "http://a/v1/messages")
    }
}
