import Testing
import TextFormats

@testable import Providers

@Suite("The values of a conversation")
struct ChatValueTests {
    @Test("come back from their stored form unchanged")
    func roundTrip() throws {
        let full = ChatMessage(
            role: .tool, content: "c", toolCalls: [ToolCall(id: "i", name: "n", arguments: "{broken")],
            toolCallID: "t", name: "n", reasoning: "r", providerState: ["x": [1]])
        for message in [full, .user(""), .system("s"), .assistant("a")] {
            #expect(ChatMessage(json: try JSON.parse(message.json.text())) == message)
        }
        let usage = TokenUsage(promptTokens: 5, completionTokens: 3, totalTokens: 9, cachedTokens: 2, costUSD: 0.25)
        let response = ChatResponse(message: full, finishReason: .toolCalls, usage: usage, model: "a/b")
        #expect(ChatResponse(json: try JSON.parse(response.json.text())) == response)
        #expect(
            usage.json.object?.keys == [
                "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "cost_usd",
            ])
    }

    @Test(
        "refuse what is no message",
        arguments: [
            "{}", "[]", #"{"role":"nobody","content":"x"}"#, #"{"role":"user"}"#, #"{"role":"user","content":1}"#,
            #"{"role":"assistant","content":"","tool_calls":[{"id":"x"}]}"#,
        ])
    func invalid(text: String) throws {
        #expect(ChatMessage(json: try JSON.parse(text)) == nil)
    }

    @Test("read a call's arguments only as an object")
    func arguments() {
        func parsed(_ text: String) -> JSON? { ToolCall(id: "i", name: "n", arguments: text).parsedArguments }
        #expect(parsed("") == [:])
        #expect(parsed(" \n") == [:])
        #expect(parsed("{\"a\":1}") == ["a": 1])
        for text in ["[1]", "\"x\"", "{", "{} {}"] { #expect(parsed(text) == nil) }
    }

    @Test("add up without trapping and price only what was counted")
    func usage() {
        let sum =
            TokenUsage(promptTokens: 1, completionTokens: 2, costUSD: 0.5) + TokenUsage(promptTokens: .max, costUSD: 1)
        #expect(sum.promptTokens == .max)
        #expect(sum.costUSD == 1.5)
        let price = ModelPrice(input: 4, cachedInput: 1, output: 8)
        #expect(price.cost(of: TokenUsage(promptTokens: 1_000_000)) == 4)
        #expect(price.cost(of: TokenUsage(promptTokens: 1_000_000, cachedTokens: 1_000_000)) == 1)
        #expect(price.cost(of: TokenUsage(promptTokens: 1_000_000, cacheWriteTokens: 1_000_000)) == 5)
        #expect(price.cost(of: TokenUsage(completionTokens: 1_000_000)) == 8)
        #expect(price.cost(of: TokenUsage(promptTokens: -5, completionTokens: -5, cachedTokens: 99)) == 0)
        #expect(
            ModelPrice(input: 4, output: 8).cost(of: TokenUsage(promptTokens: 1_000_000, cachedTokens: 1_000_000)) == 4)
    }
}
