// A model's answer. A pure value; `json` and `init(json:)` are the form the journal keeps, so that a resumed job takes
// the answer it has paid for from there.
import TextFormats

/// Why the model stopped.
public enum FinishReason: String, Sendable, Hashable, CaseIterable {
    case stop, length
    case toolCalls = "tool_calls"
    /// The vendor's filter, or the model itself, refused.
    case contentFilter = "content_filter"
    /// The conversation and the answer fill the model's context window: going on would be cut off as well.
    case contextWindow = "context_window"
    case other
}

/// One complete answer.
public struct ChatResponse: Sendable, Hashable {
    public var message: ChatMessage
    public var finishReason: FinishReason
    public var usage: TokenUsage
    /// The model that answered. From `ProviderFactory` always `provider/model`.
    public var model: String

    public init(message: ChatMessage, finishReason: FinishReason, usage: TokenUsage, model: String) {
        self.message = message
        self.finishReason = finishReason
        self.usage = usage
        self.model = model
    }

    /// The answer of a provider whose filter refused the conversation before the model saw it: nothing, at no cost.
    static func withheld(by model: String) -> ChatResponse {
        ChatResponse(
            message: ChatMessage(role: .assistant, content: ""), finishReason: .contentFilter, usage: .zero, model: model)
    }

    public var json: JSON {
        [
            "message": message.json, "finish_reason": .string(finishReason.rawValue), "usage": usage.json,
            "model": .string(model),
        ]
    }

    public init?(json: JSON) {
        guard let message = json["message"].flatMap(ChatMessage.init(json:)),
            let reason = (json["finish_reason"]?.string).flatMap(FinishReason.init(rawValue:)),
            let usage = json["usage"].flatMap(TokenUsage.init(json:)), let model = json["model"]?.string
        else { return nil }
        self.init(message: message, finishReason: reason, usage: usage, model: model)
    }
}
