// What a chat model is to the rest of the house.
import HTTPTransport

/// Something that answers conversations. Calls block; any number of threads may call at once.
public protocol ChatProvider: Sendable {
    /// The account's name in the configuration, such as "openai".
    var name: String { get }

    /// Carries out one call on the calling thread and returns the complete answer.
    ///
    /// - Parameters:
    ///   - cancellation: ends the call within milliseconds with code `cancelled`.
    ///   - onDelta: gets the answer's text piece by piece, on the calling thread, when `request.stream` is set. The
    ///     pieces joined are `message.content`. A provider that cannot stream calls it once.
    func complete(
        _ request: ChatRequest, cancellation: CancellationToken?, onDelta: ((String) -> Void)?
    ) throws(ProviderError) -> ChatResponse
}

extension ChatProvider {
    public func complete(
        _ request: ChatRequest, cancellation: CancellationToken? = nil
    ) throws(ProviderError) -> ChatResponse {
        try complete(request, cancellation: cancellation, onDelta: nil)
    }
}

/// A model picked by name: who carries the call out, and what the model is called there.
public struct ResolvedModel: Sendable {
    public var provider: any ChatProvider
    /// The name to put into `ChatRequest.model`, without the provider's prefix.
    public var model: String
    /// `provider/model`.
    public var fullName: String
    /// What bounds a call, for this model and each model that may answer in its place. Empty: calls use nothing.
    public var terms: [ModelTerms]
    /// Of the model that is asked first; a fallback model gets a request of its own size.
    public var window: ModelWindow

    /// - Parameters:
    ///   - terms: nil: no price, and an answer that nothing bounds.
    ///   - window: nil: nothing bounds it (scripts, and rules that are no language model).
    public init(
        provider: any ChatProvider, model: String, fullName: String, terms: [ModelTerms]? = nil, window: ModelWindow? = nil
    ) {
        self.provider = provider
        self.model = model
        self.fullName = fullName
        self.terms = terms ?? [ModelTerms(fullName: fullName)]
        self.window = window ?? ModelWindow.unbounded
    }

    /// The most tokens and US dollars that a call can use, whichever model of the chain answers.
    public func most(for request: ChatRequest) -> (tokens: Int, cost: Double) {
        terms.reduce((0, 0)) { most, terms in
            let bound = terms.bound(of: request)
            return (max(most.0, bound.totalTokens), max(most.1, terms.price.map(bound.cost) ?? 0))
        }
    }
}

/// What is known of a model before it is asked.
public struct ModelTerms: Sendable, Hashable {
    /// `provider/model`.
    public var fullName: String
    /// nil: none is configured.
    public var price: ModelPrice?
    /// Tokens of an answer where the request names no bound.
    public var answerTokens: Int
    /// Tokens of thought on top of the answer.
    public var thinkingTokens: Int

    public init(
        fullName: String, price: ModelPrice? = nil, answerTokens: Int = CallBound.unboundedAnswer,
        thinkingTokens: Int = 0
    ) {
        self.fullName = fullName
        self.price = price
        self.answerTokens = answerTokens
        self.thinkingTokens = thinkingTokens
    }

    public func bound(of request: ChatRequest) -> CallBound {
        CallBound(request, answer: answerTokens, thinking: thinkingTokens)
    }
}
