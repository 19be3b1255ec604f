// What a message of the Messages interface says, whole or put together from a stream, and how it becomes a
// ChatResponse. Pure.
import TextFormats

struct AnthropicMessage: Sendable {
    /// Content blocks one message may hold.
    static let maxBlocks = 512
    /// Under this key of `ChatMessage.providerState` the signed thinking blocks are kept.
    static let stateKey = "anthropic_thinking"

    /// One block of content.
    enum Block: Sendable {
        case text(String)
        case toolUse(id: String, name: String, input: String)
        case thinking(text: String, signature: String)
        /// Sent back as it came: redacted thinking, and kinds that came later than this code.
        case opaque(JSON)

        init(json: JSON) {
            switch json["type"]?.string {
            case "text"?: self = .text(json["text"]?.string ?? "")
            case "tool_use"?:
                // A stream begins with an empty object and sends the text in pieces; those alone count then.
                let input = json["input"].flatMap { $0.object?.isEmpty == false ? $0.text() : nil } ?? ""
                self = .toolUse(id: json["id"]?.string ?? "", name: json["name"]?.string ?? "", input: input)
            case "thinking"?:
                self = .thinking(text: json["thinking"]?.string ?? "", signature: json["signature"]?.string ?? "")
            default: self = .opaque(json)
            }
        }
    }

    /// Counts as the interface reports them: three kinds of input that exclude each other.
    struct Usage: Sendable {
        var input = 0
        var cacheRead = 0
        var cacheWrite = 0
        var output = 0

        /// Later reports replace earlier ones, field by field.
        mutating func take(_ json: JSON?) {
            func replace(_ field: inout Int, _ key: String) {
                if let count = json?[key]?.int { field = min(max(count, 0), 1 << 40) }
            }
            replace(&input, "input_tokens")
            replace(&cacheRead, "cache_read_input_tokens")
            replace(&cacheWrite, "cache_creation_input_tokens")
            replace(&output, "output_tokens")
        }

        var tokens: TokenUsage {
            TokenUsage(
                promptTokens: input + cacheRead + cacheWrite, completionTokens: output, cachedTokens: cacheRead,
                cacheWriteTokens: cacheWrite)
        }
    }

    var blocks: [Block] = []
    var stopReason: String?
    var usage = Usage()
    var model: String?

    init() {}

    init(json: JSON, endpoint: ModelEndpoint) throws(ProviderError) {
        guard let content = json["content"]?.array else { throw endpoint.badResponse("it has no content") }
        guard content.count <= Self.maxBlocks else {
            throw endpoint.badResponse("\(content.count) content blocks, more than \(Self.maxBlocks)")
        }
        blocks = content.map(Block.init(json:))
        stopReason = json["stop_reason"]?.string
        usage.take(json["usage"])
        model = json["model"]?.string
    }

    /// Whether there is text, and each call has arguments that end.
    var hasWholeContent: Bool {
        let isWhole = blocks.allSatisfy { block in
            guard case .toolUse(_, _, let input) = block else { return true }
            return !input.isEmpty && (try? JSON.parse(input, limits: .lenient)) != nil
        }
        let hasCalls = blocks.contains { if case .toolUse = $0 { true } else { false } }
        return isWhole && (hasCalls || !text.allSatisfy(\.isWhitespace))
    }

    var text: String {
        blocks.map { block in
            if case .text(let text) = block { return text }
            return ""
        }.joined()
    }

    func response(to request: ChatRequest) -> ChatResponse {
        var calls: [ToolCall] = []
        var thoughts = ""
        var kept: [JSON] = []
        let offered = request.tools.map(\.name)
        for block in blocks {
            switch block {
            case .text: break
            case .toolUse(let id, let name, let input):
                let tool = ToolCallRepair.name(name, offered: offered)
                let schema = request.tools.first { $0.name == tool }?.parameters
                let arguments = ToolCallRepair.arguments(PartialText.joined(input), schema: schema)
                calls.append(ToolCall(id: id, name: tool, arguments: arguments.isEmpty ? "{}" : arguments))
            case .thinking(let text, let signature):
                thoughts += PartialText.joined(text)
                kept.append(["type": "thinking", "thinking": .string(text), "signature": .string(signature)])
            case .opaque(let json):
                if json["type"]?.string == "redacted_thinking" { kept.append(json) }
            }
        }
        let message = ChatMessage(
            role: .assistant, content: text, toolCalls: calls, reasoning: thoughts.isEmpty ? nil : thoughts,
            providerState: kept.isEmpty ? nil : [Self.stateKey: .array(kept)])
        let told = usage.tokens
        return ChatResponse(
            message: message, finishReason: reason, usage: told == .zero ? request.estimatedUsage(of: message) : told,
            model: model ?? request.model)
    }

    private var reason: FinishReason {
        switch stopReason {
        case "end_turn"?, "stop_sequence"?: .stop
        case "tool_use"?: .toolCalls
        case "max_tokens"?: .length
        case "model_context_window_exceeded"?: .contextWindow
        case "refusal"?: .contentFilter
        default: .other
        }
    }
}
