// The default provider: no key, no network, no language model, and it says so. It reads the messages it is given as a
// model would, finds what the last user message asks for by rules in English and Chinese, calls the tools it was
// offered and writes its answer from their results. The same request always gives the same response. No model is asked,
// so no tokens are used: the usage is zero.
//
// Any thread; no state. It fails only when cancelled. What the user says is read from the last user message alone;
// earlier messages and tool results are data and can start nothing.
import HTTPTransport
import TextFormats

public struct OfflineProvider: ChatProvider {
    public let name: String

    /// Characters handed to `onDelta` at a time.
    static let chunkLength = 48

    public init(name: String = "offline") {
        self.name = name
    }

    public func complete(
        _ request: ChatRequest, cancellation: CancellationToken?, onDelta: ((String) -> Void)?
    ) throws(ProviderError) -> ChatResponse {
        try Self.check(cancellation, streamed: false)
        let message: ChatMessage
        switch OfflinePlanner.nextStep(OfflineTurn(request)) {
        case .calls(let calls): message = .assistant("", toolCalls: calls)
        case .answer(let text):
            message = .assistant(text)
            if request.stream, let onDelta { try Self.deliver(text, cancellation, onDelta) }
        }
        return ChatResponse(
            message: message, finishReason: message.toolCalls.isEmpty ? .stop : .toolCalls,
            usage: .zero, model: request.model)
    }

    private static func deliver(
        _ text: String, _ cancellation: CancellationToken?, _ onDelta: (String) -> Void
    ) throws(ProviderError) {
        var rest = text[...]
        while !rest.isEmpty {
            try check(cancellation, streamed: rest.startIndex > text.startIndex)
            onDelta(String(rest.prefix(chunkLength)))
            rest = rest.dropFirst(chunkLength)
        }
    }

    private static func check(_ cancellation: CancellationToken?, streamed: Bool) throws(ProviderError) {
        guard let cancellation, cancellation.isCancelled else { return }
        throw ProviderError(
            code: .cancelled, detail: "cancelled: \(cancellation.reason ?? "no reason given")", streamed: streamed)
    }
}
