// Bounds how many requests and tokens an account uses in any minute, whatever window its vendor counts in. A short wait
// is waited here, in the order of coming; a longer one is refused with the time it would take, and the queue holds the
// account. Counts are this process's own. Any thread.
import Foundation
import HTTPTransport
import Synchronization

/// What an account may use in any 60 seconds; 0: no bound.
public struct AccountRates: Sendable, Hashable {
    public var requestsPerMinute: Int
    /// Input and output. A call counts by its length at first, by the vendor's count when it has ended.
    public var tokensPerMinute: Int

    public init(requestsPerMinute: Int = 0, tokensPerMinute: Int = 0) {
        self.requestsPerMinute = requestsPerMinute
        self.tokensPerMinute = tokensPerMinute
    }
}

/// The calls of an account in the last minute, and those that were promised a moment in the next seconds.
final class AccountRate: Sendable {
    static let window: TimeInterval = 60
    /// The longest wait that keeps a worker, in seconds: what the queue holds an account for begins here.
    static let longestWait: TimeInterval = 5

    private struct Call {
        var id: Int
        var start: Date
        var tokens: Int
    }

    private struct State {
        /// By start.
        var calls: [Call] = []
        var nextID = 0
    }

    private let account: String
    private let rates: AccountRates
    private let now: @Sendable () -> Date
    private let wait: @Sendable (Double, CancellationToken?) -> Bool
    private let state = Mutex(State())

    /// - Parameter wait: blocks for so many seconds; true if it was cancelled before they were over.
    init(
        account: String, rates: AccountRates, now: @escaping @Sendable () -> Date,
        wait: @escaping @Sendable (Double, CancellationToken?) -> Bool = { seconds, token in
            (token ?? CancellationToken()).wait(seconds: seconds)
        }
    ) {
        self.account = account
        self.rates = rates
        self.now = now
        self.wait = wait
    }

    /// Runs `call` as soon as the rates allow.
    ///
    /// - Parameter estimate: tokens the call is taken to cost until it has ended.
    /// - Throws: `rateLimited` with `retryAfter` if that is longer than `longestWait`; what `call` throws.
    func run(
        estimate: Int, cancellation: CancellationToken?, _ call: () throws(ProviderError) -> ChatResponse
    ) throws(ProviderError) -> ChatResponse {
        guard rates != AccountRates() else { return try call() }
        let (id, seconds) = state.withLock { state in promise(estimate, &state) }
        guard let id else {
            throw ProviderError(
                code: .rateLimited,
                detail: "\(account) is at its own bound of \(bounds) — raise it in config.json, or wait",
                retryAfter: seconds, isOwnBound: true)
        }
        if seconds > 0, wait(seconds, cancellation) {
            state.withLock { $0.calls.removeAll { $0.id == id } }
            throw ProviderError(code: .cancelled, detail: "cancelled while waiting for the rate of \(account)")
        }
        let response = try call()
        let used = response.usage.totalTokens
        if used > 0 {
            state.withLock { state in
                if let place = state.calls.firstIndex(where: { $0.id == id }) { state.calls[place].tokens = used }
            }
        }
        return response
    }

    /// - Returns: the call's id and the seconds until it may start; no id where they are too many.
    private func promise(_ estimate: Int, _ state: inout State) -> (id: Int?, seconds: Double) {
        let now = now()
        state.calls.removeAll { $0.start <= now - Self.window }
        let start = max(now, startByRequests(state.calls), startByTokens(state.calls, estimate))
        let seconds = start.timeIntervalSince(now)
        guard seconds <= Self.longestWait else { return (nil, seconds) }
        state.nextID += 1
        // A later caller never starts before an earlier one.
        let last = max(start, state.calls.last?.start ?? start)
        state.calls.append(Call(id: state.nextID, start: last, tokens: estimate))
        return (state.nextID, last.timeIntervalSince(now))
    }

    private func startByRequests(_ calls: [Call]) -> Date {
        let limit = rates.requestsPerMinute
        guard limit > 0, calls.count >= limit else { return .distantPast }
        return calls[calls.count - limit].start + Self.window
    }

    /// When so many calls have left the window that there is room for `estimate`. A call that is larger than the bound
    /// starts when the window is empty: it could never start otherwise.
    private func startByTokens(_ calls: [Call], _ estimate: Int) -> Date {
        let limit = rates.tokensPerMinute
        guard limit > 0 else { return .distantPast }
        var excess = calls.reduce(min(estimate, limit)) { $0 &+ $1.tokens } - limit
        var start = Date.distantPast
        for call in calls where excess > 0 {
            excess -= call.tokens
            start = call.start + Self.window
        }
        return start
    }

    private var bounds: String {
        [
            rates.requestsPerMinute > 0 ? "\(rates.requestsPerMinute) requests a minute" : nil,
            rates.tokensPerMinute > 0 ? "\(rates.tokensPerMinute) tokens a minute" : nil,
        ].compactMap { $0 }.joined(separator: " and ")
    }
}

extension ChatRequest {
    /// What an answer has cost of which the provider does not say it: a budget must not take it for free.
    func estimatedUsage(of answer: ChatMessage) -> TokenUsage {
        let bytes = answer.toolCalls.reduce(answer.content.utf8.count + (answer.reasoning?.utf8.count ?? 0)) {
            $0 + $1.name.utf8.count + $1.arguments.utf8.count
        }
        return TokenUsage(promptTokens: estimatedTokens, completionTokens: max(1, bytes / 4))
    }

    /// A count of its input tokens that needs no tokenizer: a token is about four bytes of text.
    var estimatedTokens: Int {
        let texts = messages.reduce(0) { sum, message in
            message.toolCalls.reduce(sum + message.content.utf8.count) { $0 + $1.arguments.utf8.count }
        }
        return max(1, tools.reduce(texts) { $0 + $1.description.utf8.count } / 4)
    }
}
