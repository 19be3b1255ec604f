// The most that one model call can use, known before the call is made. Budgets reserve this much, and a provider's count
// beyond it is not believed. Pure values; any thread.
import TextFormats

/// An upper bound of a call's tokens.
public struct CallBound: Sendable, Hashable {
    /// A tokenizer that works on bytes makes at most one token of each byte.
    public var promptTokens: Int
    public var completionTokens: Int

    /// Tokens of an answer that neither the request nor its provider's interface bounds.
    public static let unboundedAnswer = 32_768
    /// Tokens a provider may add around a conversation: its template, its own instructions for tools.
    private static let perRequest = 2_048
    /// Tokens around one message, tool or call: role, separators, ids.
    private static let perPart = 64

    public init(promptTokens: Int, completionTokens: Int) {
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
    }

    /// - Parameters:
    ///   - answer: tokens of an answer where the request names no bound.
    ///   - thinking: tokens of thought before the answer, which count as output and are not part of the request's bound.
    public init(_ request: ChatRequest, answer: Int = CallBound.unboundedAnswer, thinking: Int = 0) {
        let messages = request.messages.reduce(0) { $0 + Self.bytes($1) }
        let tools = request.tools.reduce(0) { sum, tool in
            sum + Self.perPart + tool.name.utf8.count + tool.description.utf8.count + tool.parameters.bytes().count
        }
        promptTokens = Self.perRequest + messages + tools
        completionTokens = max(0, request.maxTokens ?? answer) + max(0, thinking)
    }

    private static func bytes(_ message: ChatMessage) -> Int {
        let state = message.providerState?.bytes().count ?? 0
        let text = message.content.utf8.count + (message.reasoning?.utf8.count ?? 0)
        return message.toolCalls.reduce(perPart + text + state) {
            $0 + perPart + $1.name.utf8.count + $1.arguments.utf8.count
        }
    }

    public var totalTokens: Int { promptTokens + completionTokens }

    /// In US dollars.
    public func cost(at price: ModelPrice) -> Double {
        let input = max(price.input, price.cachedInput, price.cacheWrite)
        return (Double(promptTokens) * input + Double(completionTokens) * price.output) / 1_000_000
    }

    /// What a provider says a call has used, as far as the request and its answer can hold it: no count is negative, and no
    /// part is larger than its whole. An answer that is longer than the bound counts with its bytes.
    func capping(_ usage: TokenUsage, answer: ChatMessage) -> TokenUsage {
        let received = Self.bytes(answer)
        let most = max(completionTokens, received)
        var capped = usage
        capped.promptTokens = min(max(usage.promptTokens, 0), promptTokens)
        capped.completionTokens = min(max(usage.completionTokens, 0), most)
        capped.cachedTokens = min(max(usage.cachedTokens, 0), capped.promptTokens)
        capped.cacheWriteTokens = min(max(usage.cacheWriteTokens, 0), capped.promptTokens - capped.cachedTokens)
        let sum = capped.promptTokens + capped.completionTokens
        // A total may count thoughts that the answer's own count leaves out.
        capped.totalTokens = max(sum, min(usage.totalTokens, promptTokens + most))
        return capped
    }
}
