// What a chat completion says, whether it came whole or in pieces, and how that becomes a ChatResponse. Pure.
import HTTPTransport
import TextFormats

/// The parts of one completion.
struct OpenAICompletion: Sendable {
    /// A call as the server gives it: id and arguments may be missing.
    struct Call: Sendable {
        var id = ""
        var name = ""
        var arguments = ""
        /// What the server wants back with the call (Gemini: a signature of its thoughts).
        var extra: JSON?

        /// Whether the arguments have begun and do not end yet.
        var isOpen: Bool { !arguments.isEmpty && (try? JSON.parse(arguments)) == nil }

        /// Takes the next piece of the arguments. Some servers send all that there is so far with each piece.
        mutating func add(arguments piece: String) {
            let isWhole = arguments.utf8.count >= 2 && arguments.hasPrefix("{") && piece.hasPrefix(arguments)
            arguments = isWhole ? piece : arguments + piece
        }
    }

    /// Calls one answer may hold.
    static let maxCalls = 128

    var content = ""
    var reasoning = ""
    /// Whether the reasoning came as `reasoning_content`, the name under which it is wanted back.
    var reasoningIsReturned = false
    var refused = false
    /// Whether the model had begun an answer when it refused.
    var brokeOff = false
    var calls: [Call] = []
    var finishReason: String?
    var usage = TokenUsage.zero
    var model: String?

    init() {}

    init(json: JSON, endpoint: ModelEndpoint, headers: [HTTPRequest.Header]) throws(ProviderError) {
        guard let choice = json["choices"]?[0], let message = choice["message"] else {
            throw endpoint.badResponse("it has no choices[0].message")
        }
        if let complaint = Self.complaint(in: choice) { throw endpoint.reported(complaint, headers: headers) }
        content = Self.text(message["content"])
        take(refusal: message["refusal"]?.string)
        takeReasoning(message)
        for call in message["tool_calls"]?.array ?? [] { calls.append(Self.call(call)) }
        if calls.isEmpty, let call = message["function_call"], call.object != nil {
            calls.append(Self.call(["function": call]))
        }
        finishReason = Self.reason(choice["finish_reason"])
        if let usage = Self.usage(json) { self.usage = usage }
        model = json["model"]?.string
    }

    /// - Returns: the text it adds.
    @discardableResult
    mutating func take(refusal: String?) -> String {
        guard let refusal, !refusal.isEmpty else { return "" }
        if !refused { brokeOff = !content.allSatisfy(\.isWhitespace) }
        refused = true
        content += refusal
        return refusal
    }

    /// Whether there is text, and each call has a name and arguments that end.
    var hasWholeContent: Bool {
        guard calls.allSatisfy({ !$0.name.isEmpty && !$0.arguments.isEmpty && !$0.isOpen }) else { return false }
        return !calls.isEmpty || !content.allSatisfy(\.isWhitespace)
    }

    static func reason(_ json: JSON?) -> String? {
        guard let reason = json?.string, !reason.isEmpty, reason != "null" else { return nil }
        return reason
    }

    /// Gateways report an upstream's failure in the choice it broke off.
    static func complaint(in choice: JSON) -> ProviderComplaint? {
        guard choice["finish_reason"]?.string == "error" || choice["error"].map(ProviderComplaint.isEmpty) == false else {
            return nil
        }
        return ProviderComplaint(json: choice) ?? ProviderComplaint(message: "the answer broke off with an error")
    }

    /// Takes the thoughts of a message or a piece of one: `reasoning_content` (DeepSeek, vLLM, Qwen) or `reasoning`
    /// (OpenRouter, Groq, Ollama).
    mutating func takeReasoning(_ message: JSON) {
        if let text = message["reasoning_content"]?.string {
            reasoning += text
            reasoningIsReturned = reasoningIsReturned || !text.isEmpty
        } else if let text = message["reasoning"]?.string {
            reasoning += text
        }
    }

    /// Content is a text, or a list of parts of which the texts count.
    static func text(_ content: JSON?) -> String {
        if let text = content?.string { return text }
        return (content?.array ?? []).compactMap { part in
            part["type"]?.string == "text" || part["type"] == nil ? part["text"]?.string : nil
        }.joined()
    }

    private static func call(_ json: JSON) -> Call {
        Call(
            id: json["id"]?.string ?? "", name: json["function"]?["name"]?.string ?? "",
            arguments: arguments(json["function"]?["arguments"]),
            extra: json["extra_content"].flatMap { $0.isNull ? nil : $0 })
    }

    /// A text by the protocol; some local servers send the object itself.
    static func arguments(_ json: JSON?) -> String {
        guard let json, !json.isNull else { return "" }
        return json.string ?? json.text()
    }

    /// nil if the response or chunk carries none. The names of cached tokens are the vendors': OpenAI, DeepSeek,
    /// Moonshot, LiteLLM over Anthropic.
    static func usage(_ json: JSON) -> TokenUsage? {
        guard let usage = [json["usage"], json["x_groq"]?["usage"]].compactMap({ $0 }).first(where: { !$0.isNull }),
            usage.object != nil
        else { return nil }
        func count(_ value: JSON?) -> Int? { value?.int.map { max($0, 0) } }
        let prompt = count(usage["prompt_tokens"]) ?? 0
        let details = usage["prompt_tokens_details"]
        let cached =
            count(details?["cached_tokens"]) ?? count(usage["prompt_cache_hit_tokens"])
            ?? count(usage["cached_tokens"]) ?? count(usage["cache_read_input_tokens"]) ?? 0
        let written = count(details?["cache_write_tokens"]) ?? count(usage["cache_creation_input_tokens"]) ?? 0
        return TokenUsage(
            promptTokens: prompt, completionTokens: count(usage["completion_tokens"]) ?? 0,
            totalTokens: count(usage["total_tokens"]), cachedTokens: min(cached, prompt),
            cacheWriteTokens: min(written, prompt))
    }

    func response(
        account: String, request: ChatRequest, endpoint: ModelEndpoint, makeID: () -> String
    ) throws(ProviderError) -> ChatResponse {
        guard calls.count <= Self.maxCalls else {
            throw endpoint.badResponse("\(calls.count) tool calls, more than \(Self.maxCalls)")
        }
        var seen: Set<String> = []
        var toolCalls: [ToolCall] = []
        var extras: JSONObject = [:]
        let offered = request.tools.map(\.name)
        for call in calls {
            // A call without a name goes on under a name that no tool has: the model is told so, and can repeat the call.
            let name = ToolCallRepair.name(call.name, offered: offered)
            let schema = request.tools.first { $0.name == name }?.parameters
            let arguments = ToolCallRepair.arguments(PartialText.joined(call.arguments), schema: schema)
            // Servers have been seen to repeat an id; the answers to the two calls must differ in theirs.
            let id = !call.id.isEmpty && seen.insert(call.id).inserted ? call.id : makeID()
            toolCalls.append(ToolCall(id: id, name: name, arguments: arguments))
            if let extra = call.extra { extras[id] = extra }
        }
        var state: JSONObject = [:]
        if reasoningIsReturned { state["returns"] = "reasoning_content" }
        if !extras.isEmpty { state["extra_content"] = .object(extras) }
        if !state.isEmpty { state["account"] = .string(account) }
        let message = ChatMessage(
            role: .assistant, content: content, toolCalls: toolCalls, reasoning: reasoning.isEmpty ? nil : PartialText.joined(reasoning),
            providerState: state.isEmpty ? nil : .object(state))
        return ChatResponse(
            message: message, finishReason: reason, usage: usage == .zero ? request.estimatedUsage(of: message) : usage,
            model: model ?? request.model)
    }

    private var reason: FinishReason {
        if refused { return brokeOff ? .contentFilter : .stop }
        switch finishReason {
        case "length"?: return .length
        case "content_filter"?: return .contentFilter
        // Some servers say "stop" after tool calls.
        case _ where !calls.isEmpty: return .toolCalls
        case "stop"?, nil: return .stop
        default: return .other
        }
    }
}
