// A chat model that says what a test wrote down. Any thread; fails with a plain error when the script has ended.
import HTTPTransport
import Providers
import Synchronization

/// Plays a list of steps, one per call, and records what it was asked.
public final class ScriptedProvider: ChatProvider {
    public enum Step: Sendable {
        /// Answers; when the request streams, the text is delivered word by word.
        case answer(ChatResponse)
        /// Decides from the request.
        case decide(@Sendable (ChatRequest) -> Result<ChatResponse, ProviderError>)
        case fail(ProviderError)
        /// Signals `reached`, then waits for the cancellation and fails with `cancelled`.
        case waitForCancellation(reached: WakeSignal)
        /// Signals `reached`, then answers when `release` is signalled, or fails if it is cancelled first.
        case hold(reached: WakeSignal, release: WakeSignal, ChatResponse)

        public static func text(_ text: String, usage: TokenUsage = TokenUsage(promptTokens: 10, completionTokens: 5))
            -> Step
        {
            .answer(
                ChatResponse(
                    message: ChatMessage(role: .assistant, content: text), finishReason: .stop, usage: usage,
                    model: "scripted"))
        }

        public static func calls(_ calls: [ToolCall], text: String = "") -> Step {
            .answer(
                ChatResponse(
                    message: ChatMessage(role: .assistant, content: text, toolCalls: calls), finishReason: .toolCalls,
                    usage: TokenUsage(promptTokens: 10, completionTokens: 5), model: "scripted"))
        }
    }

    /// The longest a held step waits, in seconds: a test that forgets to release fails instead of hanging.
    private static let longestHold = 30.0

    private struct State {
        var steps: [Step]
        var requests: [ChatRequest] = []
    }

    public let name: String
    private let state: Mutex<State>

    public init(name: String = "scripted", _ steps: [Step]) {
        self.name = name
        state = Mutex(State(steps: steps))
    }

    /// The calls so far, in order.
    public var requests: [ChatRequest] { state.withLock(\.requests) }
    public var stepsLeft: Int { state.withLock(\.steps.count) }

    public func append(_ step: Step) { state.withLock { $0.steps.append(step) } }

    /// This provider as the agent gets it.
    public var resolved: ResolvedModel { ResolvedModel(provider: self, model: "model", fullName: "\(name)/model") }

    public func complete(
        _ request: ChatRequest, cancellation: CancellationToken?, onDelta: ((String) -> Void)?
    ) throws(ProviderError) -> ChatResponse {
        let next = state.withLock { state -> Step? in
            state.requests.append(request)
            return state.steps.isEmpty ? nil : state.steps.removeFirst()
        }
        guard let next else {
            throw ProviderError(code: .badResponse, detail: "the script has no further step", isRetryable: false)
        }
        let response = try play(next, request, cancellation)
        if request.stream, let onDelta {
            var words = response.message.content.split(separator: " ", omittingEmptySubsequences: false).map(
                String.init)
            for index in words.indices.dropLast() { words[index] += " " }
            for word in words where !word.isEmpty { onDelta(word) }
        }
        return response
    }

    private func play(
        _ step: Step, _ request: ChatRequest, _ cancellation: CancellationToken?
    ) throws(ProviderError) -> ChatResponse {
        switch step {
        case .answer(let response): return response
        case .decide(let decide): return try decide(request).get()
        case .fail(let error): throw error
        case .waitForCancellation(let reached):
            reached.signal()
            _ = cancellation?.wait(seconds: Self.longestHold)
            throw ProviderError(code: .cancelled, detail: cancellation?.reason ?? "never cancelled")
        case .hold(let reached, let release, let response):
            reached.signal()
            let ended = WakeSignal()
            let id = cancellation?.onCancel {
                ended.signal()
                release.signal()
            }
            _ = release.wait(seconds: Self.longestHold)
            if let id { cancellation?.removeHandler(id) }
            if ended.wait(seconds: 0) {
                throw ProviderError(code: .cancelled, detail: cancellation?.reason ?? "")
            }
            return response
        }
    }
}
