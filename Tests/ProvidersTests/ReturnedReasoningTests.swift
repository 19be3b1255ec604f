import Foundation
import HTTPTransport
import ModelTestSupport
import TestSupport
import Testing
import TextFormats

@testable import Providers

/// Servers that refuse a conversation with calls unless the reasoning of the calls comes with them, and servers that refuse it
/// where it comes.
@Suite("Reasoning that a server wants back")
struct ReturnedReasoningTests {
    private static let demand = #"{"error":{"message":"The `reasoning_content` in the thinking mode must be passed back to the API."}}"#
    private static let unknown = #"{"error":{"message":"Unrecognized request argument: reasoning_content"}}"#

    /// Whether each assistant message with calls carries its reasoning.
    private static func isComplete(_ request: JSON) -> Bool {
        (request["messages"]?.array ?? []).allSatisfy { $0["tool_calls"] == nil || $0["reasoning_content"]?.string != nil }
    }

    private static func provider(_ server: LoopbackHTTPServer, _ clock: ManualClock = ManualClock()) -> OpenAICompatibleProvider {
        OpenAICompatibleProvider(
            name: "acme", baseURL: server.url, apiKey: { nil }, client: HTTPClient(policy: .anywhere), now: clock.read)
    }

    private static func conversation(reasoning: String?, account: String = "acme") -> [ChatMessage] {
        let state: JSON = ["account": .string(account), "returns": "reasoning_content"]
        return [
            .user("list"),
            ChatMessage(
                role: .assistant, content: "", toolCalls: [ToolCall(id: "c1", name: "list_dir", arguments: #"{"path":"."}"#)],
                reasoning: reasoning, providerState: reasoning == nil ? nil : state),
            .tool("[]", callID: "c1", name: "list_dir"), .assistant("Empty."), .user("again"),
        ]
    }

    @Test("calls go with their reasoning, and as text where it is not known; the server is asked twice once, then once")
    func demanded() throws {
        let server = try LoopbackHTTPServer { request in
            guard let body = try? JSON.parse(request.body), Self.isComplete(body) else { return .json(Self.demand, status: 400) }
            return .json(#"{"choices":[{"message":{"content":"ok"},"finish_reason":"stop"}]}"#)
        }
        let provider = Self.provider(server)
        let whole = ChatRequest(model: "m", messages: Self.conversation(reasoning: "hm"))
        #expect(try provider.complete(whole).message.content == "ok")
        #expect(server.requests.count == 1)
        for (number, messages) in [Self.conversation(reasoning: nil), Self.conversation(reasoning: "hm", account: "other")].enumerated() {
            #expect(try provider.complete(ChatRequest(model: "m", messages: messages)).message.content == "ok")
            #expect(server.requests.count == 3 + number)
            let sent = try JSON.parse(try #require(server.requests.last).body)
            let texts = sent["messages"]?.array?.compactMap { $0["content"]?.string } ?? []
            #expect(texts.contains { $0.contains("called the tool list_dir") })
            #expect(texts.contains { $0.contains("[result of the tool list_dir]") })
            #expect(sent["messages"]?.array?.allSatisfy { $0["role"] != "tool" } == true)
        }
    }

    @Test("a server that does not know the field gets none, and that is forgotten after a while")
    func unknownField() throws {
        let server = try LoopbackHTTPServer { request in
            request.text.contains("reasoning_content")
                ? .json(Self.unknown, status: 400) : .json(#"{"choices":[{"message":{"content":"ok"}}]}"#)
        }
        let clock = ManualClock()
        let provider = Self.provider(server, clock)
        let request = ChatRequest(model: "m", messages: Self.conversation(reasoning: "hm"))
        _ = try provider.complete(request)
        #expect(server.requests.count == 2)
        _ = try provider.complete(request)
        #expect(server.requests.count == 3)
        clock.advance(by: KnownDialects.lifetime + 1)
        _ = try provider.complete(request)
        #expect(server.requests.count == 5)
    }

    @Test("what one conversation's refusal suggests is not kept unless it helps")
    func notKept() throws {
        let server = try LoopbackHTTPServer { request in
            request.text.contains("poison")
                ? .json(#"{"error":{"message":"bad words: temperature"}}"#, status: 400)
                : .json(#"{"choices":[{"message":{"content":"ok"}}]}"#)
        }
        let provider = Self.provider(server)
        let poisoned = ChatRequest(model: "m", messages: [.user("poison")], temperature: 1)
        _ = providerFailure { () throws(ProviderError) in try provider.complete(poisoned) }
        _ = try provider.complete(ChatRequest(model: "m", messages: [.user("hi")], temperature: 1))
        #expect(server.requests.last?.text.contains("temperature") == true)
    }
}
