// Hands a stream's text to the caller without the account's key, and remembers that it did: what was said cannot be said again by
// a retry. One call, one thread.
import HTTPTransport
import TextFormats

final class DeltaSink {
    private let onDelta: ((String) -> Void)?
    private var scrubber = StreamScrubber(SecretScrubber([]))
    private var secrets = SecretScrubber([])
    /// Text that was handed over, joined.
    private var said = ""
    private(set) var delivered = false

    init(_ onDelta: ((String) -> Void)?) { self.onDelta = onDelta }

    /// Before an exchange. - Parameter headers: what is sent; a model or a gateway may repeat the credentials among them.
    func begin(_ headers: [HTTPRequest.Header]) {
        secrets = SecretScrubber(headers: headers.filter { SecretScrubber.isCredential(name: $0.name) })
        scrubber = StreamScrubber(secrets)
    }

    func send(_ text: String) { deliver(scrubber.feed(text)) }

    private func deliver(_ text: String) {
        guard !text.isEmpty, let onDelta else { return }
        delivered = true
        said += text
        onDelta(text)
    }

    /// Hands over what was held back.
    /// - Parameter wasRetracted: a part of the pieces was reasoning: the answer's text is not theirs.
    /// - Returns: the answer without the credentials; its text is that of the pieces.
    func finish(_ response: ChatResponse, wasRetracted: Bool = false) -> ChatResponse {
        deliver(scrubber.finish())
        var response = response
        response.message = response.message.hidden(by: secrets)
        if scrubber.hasHidden, onDelta != nil, !wasRetracted { response.message.content = said }
        return response
    }

    /// `error`, marked if text was delivered before it.
    func marking(_ error: ProviderError) -> ProviderError {
        var error = error
        error.streamed = error.streamed || delivered
        return error
    }
}

extension ChatMessage {
    fileprivate func hidden(by secrets: SecretScrubber) -> ChatMessage {
        var message = self
        message.content = secrets.hide(content)
        message.reasoning = reasoning.map(secrets.hide)
        message.toolCalls = toolCalls.map { call in
            ToolCall(id: secrets.hide(call.id), name: secrets.hide(call.name), arguments: secrets.hide(call.arguments))
        }
        message.providerState = providerState.map(secrets.hide)
        return message
    }
}
