// An account as the configuration describes it, with the environment already resolved. A pure value.
import HTTPTransport

/// Which interface an account speaks.
public enum ProviderType: String, Sendable, Hashable, CaseIterable {
    case openai, anthropic, offline
}

/// One entry of `providers` in the configuration.
public struct ProviderSettings: Sendable {
    /// The name before the slash in `provider/model`.
    public var name: String
    public var type: ProviderType
    /// nil: the vendor's own.
    public var baseURL: String?
    /// Asked before every call. Must not block for long; nil or an empty text: there is no key. Fails where a key is
    /// configured and cannot be had.
    public var apiKey: @Sendable () throws(ProviderError) -> String?
    /// Where the key comes from, for the errors of a missing or wrong one: "OPENAI_API_KEY" or a file's path; nil: the
    /// configuration says nothing.
    public var keySource: String?
    /// Calls at once.
    public var maxConcurrent: Int
    public var rates: AccountRates
    /// Tokens a model of the type `anthropic` may think for before it answers, at least 1,024; 0: it does not think.
    public var thinkingTokens: Int
    /// The answers of this account's models begin inside their reasoning, with a closing tag alone (`ReasoningFilter`). Other
    /// models are recognised at their first such answer.
    public var startsInReasoning = false
    /// For all models of the account, and for some by their names.
    public var options = ModelOptions()
    public var models: [String: ModelOptions] = [:]
    /// Sent with every call.
    public var extraHeaders: [(name: String, value: String)]

    public static let defaultMaxConcurrent = 64

    public init(
        name: String, type: ProviderType, baseURL: String? = nil,
        apiKey: @escaping @Sendable () throws(ProviderError) -> String? = { nil }, keySource: String? = nil,
        maxConcurrent: Int = ProviderSettings.defaultMaxConcurrent, rates: AccountRates = AccountRates(),
        thinkingTokens: Int = 0, extraHeaders: [(name: String, value: String)] = []
    ) {
        self.name = name
        self.type = type
        self.baseURL = baseURL
        self.apiKey = apiKey
        self.keySource = keySource
        self.maxConcurrent = maxConcurrent
        self.rates = rates
        self.thinkingTokens = thinkingTokens
        self.extraHeaders = extraHeaders
    }

    /// The address calls go to.
    public var effectiveBaseURL: String {
        if let baseURL, !baseURL.isEmpty { return baseURL }
        switch type {
        case .openai: return "https://api.openai.com/v1"
        case .anthropic: return "https://api.anthropic.com"
        case .offline: return ""
        }
    }

    /// What holds for one model.
    public func options(of model: String) -> ModelOptions { models[model]?.over(options) ?? options }

    /// Tokens of an answer where a request names no bound.
    func answerTokens(of model: String) -> Int {
        options(of: model).maxOutputTokens
            ?? (type == .anthropic ? AnthropicRequestBody.defaultMaxTokens : CallBound.unboundedAnswer)
    }

    /// The configured window, else the known one; a server that is Ollama holds what its default is, whatever its models can.
    public func window(of model: String) -> ModelWindow {
        let options = options(of: model)
        func window(_ tokens: Int, _ source: ModelWindow.Source) -> ModelWindow {
            ModelWindow(
                tokens: tokens, source: source, answer: options.maxOutputTokens,
                usualAnswer: type == .anthropic ? AnthropicRequestBody.defaultMaxTokens : nil, thinking: thinkingTokens)
        }
        if type == .offline { return .unbounded }
        if let tokens = options.contextWindow { return window(tokens, .configured) }
        if isOllama { return window(ModelWindow.ollama, .ollamaDefault) }
        guard let known = KnownModel.named(model) else { return window(ModelWindow.unknownModel, .assumed) }
        return window(known.contextWindow, .known(page: known.source, date: known.date))
    }

    private static let ollamaPort = ":11434"

    /// Recognised by the account's name and by the port that Ollama listens at unless told otherwise.
    public var isOllama: Bool {
        guard type == .openai else { return false }
        let authority = effectiveBaseURL.split(separator: "/", maxSplits: 2).dropFirst().first ?? ""
        return name == "ollama" || authority.hasSuffix(Self.ollamaPort)
    }

    /// A model on this machine usually wants no key; everything else does.
    var needsKey: Bool {
        switch type {
        case .openai, .anthropic: !EgressPolicy.isLoopback(url: effectiveBaseURL)
        case .offline: false
        }
    }
}
