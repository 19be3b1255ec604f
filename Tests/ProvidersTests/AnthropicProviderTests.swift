import HTTPTransport
import ModelTestSupport
import Testing
import TextFormats

@testable import Providers

@Suite("The Anthropic interface")
struct AnthropicProviderTests {
    private let mark: JSON = ["type": "ephemeral"]

    private func body(_ request: ChatRequest) -> JSON { AnthropicRequestBody(request).json }

    @Test("gets system text, tools and an alternating conversation, with cache marks at their ends")
    func conversation() {
        let request = ChatRequest(
            model: "m",
            messages: [
                .system("S1"), .system("S2"), .user("U1"), .user("U2"),
                .assistant("A \n", toolCalls: [ToolCall(id: "a:b", name: "quotes", arguments: "{\"k\":1}")]),
                .tool("R", callID: "a:b", name: "quotes"), .user(" "), .user("U3"),
            ],
            tools: [
                ToolDefinition(name: "one", description: "D1", parameters: ["type": "object"]),
                ToolDefinition(name: "two", description: "D2", parameters: ["type": "object"]),
            ],
            temperature: 1.5, stream: true, user: "u")
        let expected: JSON = [
            "model": "m", "max_tokens": 8192,
            "tools": [
                ["name": "one", "description": "D1", "input_schema": ["type": "object"]],
                ["name": "two", "description": "D2", "input_schema": ["type": "object"], "cache_control": mark],
            ],
            "tool_choice": ["type": "auto"],
            "system": [["type": "text", "text": "S1"], ["type": "text", "text": "S2", "cache_control": mark]],
            "messages": [
                ["role": "user", "content": [["type": "text", "text": "U1"], ["type": "text", "text": "U2"]]],
                [
                    "role": "assistant",
                    "content": [
                        ["type": "text", "text": "A"],
                        ["type": "tool_use", "id": "a_b", "name": "quotes", "input": ["k": 1]],
                    ],
                ],
                [
                    "role": "user",
                    "content": [
                        ["type": "tool_result", "tool_use_id": "a_b", "content": "R"],
                        ["type": "text", "text": "U3", "cache_control": mark],
                    ],
                ],
            ],
            "temperature": 1.0, "metadata": ["user_id": "u"], "stream": true,
        ]
        #expect(body(request) == expected)
    }

    /// The places of the marks: "system 0", "2.1" for the second block of the third message.
    private func marks(_ json: JSON) -> [String] {
        func marked(_ blocks: JSON?, _ name: String) -> [String] {
            (blocks?.array ?? []).enumerated().filter { $0.element["cache_control"] != nil }.map { "\(name)\($0.offset)" }
        }
        let messages = (json["messages"]?.array ?? []).enumerated().flatMap { marked($0.element["content"], "\($0.offset).") }
        return marked(json["tools"], "tools ") + marked(json["system"], "system ") + messages
    }

    @Test("marks end where later requests repeat: before what is said once, and before more blocks than a mark looks back over")
    func marks() {
        var system = ChatMessage.system("stable and changing")
        system.stableBytes = 7
        var question = ChatMessage.user("words, said once")
        question.stableBytes = 6
        let tools = [ToolDefinition(name: "one", description: "D1", parameters: ["type": "object"])]
        let calls = (0..<12).map { ToolCall(id: "c\($0)", name: "one", arguments: "{}") }
        let results = calls.map { ChatMessage.tool("r", callID: $0.id, name: "one") }
        func marks(_ messages: [ChatMessage]) -> [String] {
            self.marks(body(ChatRequest(model: "m", messages: [system] + messages, tools: tools)))
        }
        let before: [ChatMessage] = [.user("U"), .assistant("A")]
        #expect(marks(before + [.user("V")]) == ["system 0", "system 1", "2.0"])
        #expect(marks(before + [question]) == ["system 0", "system 1", "2.0", "2.1"])
        let round = [question, .assistant("", toolCalls: calls)] + results
        #expect(marks(before + round) == ["system 0", "system 1", "2.0", "4.11"])
        let long = [ChatMessage.user("V"), .assistant("", toolCalls: calls)] + results
        #expect(marks(before + long) == ["system 0", "system 1", "2.0", "4.11"])
        let blocks = body(ChatRequest(model: "m", messages: [system, question]))
        #expect(blocks["system"]?[0]?["text"] == "stable " && blocks["messages"]?[0]?["content"]?[1]?["text"] == " said once")
    }

    @Test("keeps definitions for the calls of the history when none may be called", arguments: [true, false])
    func noTools(offered: Bool) {
        let definition = ToolDefinition(name: "quotes", description: "D", parameters: ["type": "object"])
        let request = ChatRequest(
            model: "m",
            messages: [
                .user("U"), .assistant("", toolCalls: [ToolCall(id: "t", name: "quotes", arguments: "broken")]),
                .tool("", callID: "t", name: "quotes"),
            ], tools: offered ? [definition] : [], toolChoice: .none)
        let json = body(request)
        #expect(json["tool_choice"] == ["type": "none"])
        #expect(json["tools"]?[0]?["name"]?.string == "quotes")
        #expect(json["messages"]?[1]?["content"]?[0]?["input"] == [:])
        #expect(json["messages"]?[2]?["content"]?[0]?["content"] == nil)
        #expect(body(ChatRequest(model: "m", messages: [.user("U")]))["tools"] == nil)
    }

    @Test("lets the user begin")
    func begin() {
        let json = body(ChatRequest(model: "m", messages: [.assistant("A"), .user("U")]))
        #expect(json["messages"]?.array?.map { $0["role"]?.string } == ["user", "assistant", "user"])
    }

    @Test("keeps signed thoughts and sends them back first", arguments: [false, true])
    func thinking(stream: Bool) throws {
        let whole = #"""
            {"type":"message","content":[{"type":"thinking","thinking":"Hm.","signature":"sig"},
            {"type":"redacted_thinking","data":"xyz"},{"type":"text","text":"A"},
            {"type":"tool_use","id":"t","name":"a","input":{}}],"stop_reason":"tool_use"}
            """#
        let events = [
            #"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","#
                + #""signature":""}}"#,
            #"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}"#,
            #"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig"}}"#,
            #"{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"xyz"}}"#,
            #"{"type":"content_block_start","index":2,"content_block":{"type":"text","text":"A"}}"#,
            #"{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"t","name":"a","#
                + #""input":{}}}"#,
            #"{"type":"message_delta","delta":{"stop_reason":"tool_use"}}"#,
        ].map { "data: \($0)\n\n" }
        let server = try LoopbackHTTPServer(answers: [stream ? .events(events) : .json(whole)])
        let provider = WireFixture.anthropic.make(server.url + "/v1", "k")
        let response = try provider.complete(ChatRequest(model: "m", messages: [.user("U")], stream: stream))
        #expect(response.message.reasoning == "Hm.")
        #expect(response.message.content == "A")
        let stored = try #require(ChatMessage(json: response.message.json))
        let json = body(ChatRequest(model: "m", messages: [.user("U"), stored]))
        let blocks = json["messages"]?[1]?["content"]?.array ?? []
        #expect(blocks.map { $0["type"]?.string } == ["thinking", "redacted_thinking", "text", "tool_use"])
        #expect(blocks.first?["signature"]?.string == "sig")
        let sent = try #require(server.requests.first)
        #expect(sent.target == "/v1/messages")
        #expect(sent.header("x-api-key") == "k")
        #expect(sent.header("anthropic-version") == "2023-06-01")
    }

    @Test("thinks where it may: not behind calls that were made without a thought")
    func thinkingOn() {
        let thought: JSON = ["type": "redacted_thinking", "data": "x"]
        let call = ToolCall(id: "t", name: "quotes", arguments: "{}")
        func asked(_ state: JSON?) -> JSON {
            let made = ChatMessage(role: .assistant, content: "", toolCalls: [call], providerState: state)
            let request = ChatRequest(
                model: "m", messages: [.user("U"), made, .tool("R", callID: "t", name: "quotes")], temperature: 0.2,
                maxTokens: 100)
            return AnthropicRequestBody(request, thinkingTokens: 2_048).json
        }
        let on = asked([AnthropicMessage.stateKey: [thought]])
        #expect(on["thinking"] == ["type": "enabled", "budget_tokens": 2048])
        #expect(on["max_tokens"] == 2148)
        #expect(on["temperature"] == nil)
        let off = asked(nil)
        #expect(off["thinking"] == nil)
        #expect(off["max_tokens"] == 100)
        #expect(off["temperature"] == 0.2)
        #expect(body(ChatRequest(model: "m", messages: [.user("U")]))["thinking"] == nil)
    }

    @Test("puts no cache mark on a thought", arguments: ["thinking", "redacted_thinking"])
    func markOnThought(kind: String) {
        let message = ChatMessage(
            role: .assistant, content: "", providerState: [AnthropicMessage.stateKey: [["type": .string(kind)]]])
        let json = body(ChatRequest(model: "m", messages: [.user("U"), message]))
        #expect(json["messages"]?[1]?["content"] == [["type": .string(kind)]])
    }

    @Test(
        "says why the model stopped",
        arguments: [
            ("end_turn", FinishReason.stop), ("stop_sequence", .stop), ("max_tokens", .length),
            ("model_context_window_exceeded", .contextWindow), ("refusal", .contentFilter), ("pause_turn", .other),
        ])
    func reasons(wire: String, reason: FinishReason) throws {
        var message = AnthropicMessage()
        message.stopReason = wire
        #expect(message.response(to: ChatRequest(model: "m", messages: [])).finishReason == reason)
    }

    @Test("gives calls that share an id ids of their own, and each result that of its call")
    func repeatedIDs() throws {
        let call = ToolCall(id: "a:b", name: "quotes", arguments: "{}")
        let twin = ToolCall(id: "a.b", name: "quotes", arguments: "{}")
        let messages: [ChatMessage] = [
            .user("1"), .assistant("", toolCalls: [call]), .tool("R1", callID: "a:b", name: "quotes"), .user("2"),
            .assistant("", toolCalls: [call, twin]), .tool("R2", callID: "a:b", name: "quotes"),
            .tool("R3", callID: "a.b", name: "quotes"),
        ]
        let body = AnthropicRequestBody(ChatRequest(model: "m", messages: messages)).json
        var calls: [String] = []
        var results: [String] = []
        for block in (body["messages"]?.array ?? []).flatMap({ $0["content"]?.array ?? [] }) {
            if block["type"] == "tool_use", let id = block["id"]?.string { calls.append(id) }
            if block["type"] == "tool_result", let id = block["tool_use_id"]?.string { results.append(id) }
        }
        #expect(calls == ["a_b", "a_b_2", "a_b_3"])
        #expect(results == calls)
    }
}
