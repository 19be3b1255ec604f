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

    public init(provider: any ChatProvider, model: String, fullName: String) {
        self.provider = provider
        self.model = model
        self.fullName = fullName
    }
}
