// One call of a model. A pure value: the provider that carries it out decides how it looks on the wire.
import TextFormats

/// Whether the model may call tools in this call.
public enum ToolChoice: String, Sendable, Hashable {
    /// It may (default).
    case auto
    /// It must answer in text. The definitions stay in the request, so the prompt's cached prefix stays the same.
    case none
}

/// What is asked of a model.
public struct ChatRequest: Sendable, Hashable {
    /// The model's name without the provider's prefix.
    public var model: String
    public var messages: [ChatMessage]
    public var tools: [ToolDefinition]
    public var toolChoice: ToolChoice
    /// 0 … 2; nil leaves it to the provider.
    public var temperature: Double?
    /// Upper bound of the answer in tokens; nil leaves it to the provider.
    public var maxTokens: Int?
    /// Whether the answer's text is delivered piece by piece.
    public var stream: Bool
    /// Wall clock of one exchange with the provider, in seconds. Retries each get it anew.
    public var timeout: Double
    /// No byte from the provider for so many seconds ends the exchange.
    public var idleTimeout: Double
    /// An opaque mark of the end user for the provider's abuse detection; never a name or an id people know.
    public var user: String?
    /// What the step may still ask for; nil: no bound.
    public var allowance: RequestAllowance?
    /// Merged into the body on the wire (`ModelOptions.extra`).
    public var extra: JSONObject?
    /// Makes the request fit another model's window; nil: it is sent as it is.
    public var fitting: RequestFitting?

    public init(
        model: String, messages: [ChatMessage], tools: [ToolDefinition] = [], toolChoice: ToolChoice = .auto,
        temperature: Double? = nil, maxTokens: Int? = nil, stream: Bool = false, timeout: Double = 300,
        idleTimeout: Double = 90, user: String? = nil
    ) {
        self.model = model
        self.messages = messages
        self.tools = tools
        self.toolChoice = toolChoice
        self.temperature = temperature
        self.maxTokens = maxTokens
        self.stream = stream
        self.timeout = timeout
        self.idleTimeout = idleTimeout
        self.user = user
    }
}
