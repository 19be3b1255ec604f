// Hands a stream's text to the caller and remembers that it did: what was said cannot be said again by a retry.
// One call, one thread.

final class DeltaSink {
    private let onDelta: ((String) -> Void)?
    private(set) var delivered = false

    init(_ onDelta: ((String) -> Void)?) { self.onDelta = onDelta }

    func send(_ text: String) {
        guard !text.isEmpty, let onDelta else { return }
        delivered = true
        onDelta(text)
    }

    /// `error`, marked if text was delivered before it.
    func marking(_ error: ProviderError) -> ProviderError {
        var error = error
        error.streamed = error.streamed || delivered
        return error
    }
}
