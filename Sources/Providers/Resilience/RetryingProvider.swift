// Tries a call again when its error can pass. Blocks on the calling thread, also between attempts; a cancellation ends
// a wait at once. Gives up, with the last error, when attempts are used up, when text was already delivered, or when
// the provider asks for a wait longer than a worker should be kept for: the queue then holds the whole account.
import HTTPTransport
import Logging

/// When and how often a failed call is tried again.
public struct RetryPolicy: Sendable {
    /// Attempts in all, at least 1.
    public var maxAttempts: Int
    /// The upper bounds of the waits after the first, second … attempt, in seconds; the last one stays. The wait is
    /// drawn evenly from zero to the bound ("full jitter"), which spreads callers that failed together.
    public var backoff: [Double]
    /// A Retry-After of so many seconds or more is not waited for here: the queue holds the account, or a fallback is asked.
    public var longestRetryAfter: Double
    /// Attempts in all after an error that has cost much time or money already (no answer in time, an answer that is none),
    /// and is likely to come again.
    private static let costlyAttempts = 2

    public init(maxAttempts: Int = 4, backoff: [Double] = [1, 2, 4], longestRetryAfter: Double = 5) {
        self.maxAttempts = max(maxAttempts, 1)
        self.backoff = backoff
        self.longestRetryAfter = longestRetryAfter
    }

    /// Seconds to wait before the next attempt; nil if there is to be none.
    ///
    /// - Parameters:
    ///   - attempt: the attempts made, at least 1.
    ///   - random: 0 ..< 1.
    func wait(after error: ProviderError, attempt: Int, random: Double) -> Double? {
        guard error.isRetryable, !error.streamed, !error.isOwnBound, attempt < maxAttempts else { return nil }
        if error.code == .timeout || error.code == .badResponse, attempt >= Self.costlyAttempts { return nil }
        // A limit that names no time: the queue holds the account for longer and longer times, which helps more than tries.
        if error.code == .rateLimited, error.retryAfter == nil, attempt >= Self.costlyAttempts { return nil }
        if let asked = error.retryAfter {
            // Up to a second more, so that all who were told the same moment do not come back in it.
            return asked >= longestRetryAfter ? nil : asked + random
        }
        guard let last = backoff.last else { return 0 }
        return random * (attempt <= backoff.count ? backoff[attempt - 1] : last)
    }
}

/// A provider that repeats the calls of another.
public struct RetryingProvider: ChatProvider {
    private let base: any ChatProvider
    private let policy: RetryPolicy
    private let random: @Sendable () -> Double
    private let wait: @Sendable (Double, CancellationToken?) -> Bool
    private let logger: Logger

    /// - Parameters:
    ///   - random: 0 ..< 1.
    ///   - wait: blocks for so many seconds; true if it was cancelled before they were over.
    public init(
        _ base: any ChatProvider, policy: RetryPolicy = RetryPolicy(), logger: Logger,
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) },
        wait: @escaping @Sendable (Double, CancellationToken?) -> Bool = { seconds, token in
            (token ?? CancellationToken()).wait(seconds: seconds)
        }
    ) {
        self.base = base
        self.policy = policy
        self.random = random
        self.wait = wait
        self.logger = logger
    }

    public var name: String { base.name }

    public func complete(
        _ request: ChatRequest, cancellation: CancellationToken?, onDelta: ((String) -> Void)?
    ) throws(ProviderError) -> ChatResponse {
        var attempt = 1
        while true {
            do throws(ProviderError) {
                return try base.complete(request, cancellation: cancellation, onDelta: onDelta)
            } catch {
                // Whoever is asked to stop begins no further call.
                guard cancellation?.wish == nil, request.allowance?.isUsedUp != true,
                    let seconds = policy.wait(after: error, attempt: attempt, random: random())
                else { throw error }
                logger.notice(
                    "a model call failed and is tried again",
                    metadata: [
                        "provider": "\(name)", "model": "\(request.model)", "attempt": "\(attempt)",
                        "wait_s": "\(seconds)", "error": "\(error)",
                    ])
                if wait(seconds, cancellation) {
                    throw ProviderError(
                        code: .cancelled, detail: "cancelled while waiting to try again (\(error.code.rawValue))")
                }
                attempt += 1
            }
        }
    }
}
