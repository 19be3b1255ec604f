// An account as the agent uses it: breaker around retries around places around the vendor's interface, whose counts are
// capped; a waiting time on rate limits that name none, and the price on the answer. A place is held during an exchange,
// not while waiting to try again. Blocks; any thread.
import Foundation
import HTTPTransport
import Logging
import Synchronization

/// One configured account with everything that belongs to all its calls.
final class AccountProvider: ChatProvider {
    let name: String
    private let retrying: RetryingProvider
    private let breaker: CircuitBreaker
    private let assumedPause = Mutex(AssumedPause())
    private let prices: [String: ModelPrice]
    private let answerTokens: @Sendable (String) -> Int
    private let thinkingTokens: Int
    private let options: @Sendable (String) -> ModelOptions
    private let now: @Sendable () -> Date

    /// - Parameters:
    ///   - prices: by `provider/model`.
    ///   - answerTokens, thinkingTokens: as `ModelTerms` has them; the first by the model's name.
    ///   - options: what the operator has set for a model.
    ///   - observe: is told of each exchange, on the calling thread.
    init(
        _ base: any ChatProvider, maxConcurrent: Int, rates: AccountRates = AccountRates(), prices: [String: ModelPrice],
        answerTokens: @escaping @Sendable (String) -> Int = { _ in CallBound.unboundedAnswer }, thinkingTokens: Int = 0,
        options: @escaping @Sendable (String) -> ModelOptions = { _ in ModelOptions() },
        retries: RetryPolicy, observe: @escaping @Sendable (ProviderCall) -> Void = { _ in }, logger: Logger,
        now: @escaping @Sendable () -> Date
    ) {
        name = base.name
        let limiter = AccountLimiter(account: base.name, maxConcurrent: maxConcurrent)
        let rate = AccountRate(account: base.name, rates: rates, now: now)
        let believed = CappedUsageProvider(
            base, answerTokens: answerTokens, thinkingTokens: thinkingTokens, logger: logger)
        let metered = MeteredProvider(base: believed, prices: prices, observe: observe)
        retrying = RetryingProvider(
            LimitedProvider(base: metered, limiter: limiter, rate: rate), policy: retries, logger: logger)
        breaker = CircuitBreaker(account: base.name, now: now)
        self.prices = prices
        self.answerTokens = answerTokens
        self.thinkingTokens = thinkingTokens
        self.options = options
        self.now = now
    }

    func complete(
        _ request: ChatRequest, cancellation: CancellationToken?, onDelta: ((String) -> Void)?
    ) throws(ProviderError) -> ChatResponse {
        let request = options(request.model).applied(to: request)
        var response: ChatResponse
        do throws(ProviderError) {
            response = try breaker.run(model: request.model) { pass throws(ProviderError) in
                try retrying.complete(
                    request, cancellation: cancellation,
                    onDelta: onDelta.map { tell in
                        { text in
                            self.breaker.answering(pass)
                            tell(text)
                        }
                    })
            }
        } catch {
            throw withPause(error)
        }
        assumedPause.withLock { $0.answered() }
        let terms = terms(request.model)
        if let price = terms.price { response.usage.costUSD = price.cost(of: response.usage) }
        response.model = terms.fullName
        return response
    }

    /// What is known of a model of this account before it is asked.
    func terms(_ model: String) -> ModelTerms {
        let fullName = "\(name)/\(model)"
        return ModelTerms(
            fullName: fullName, price: prices[fullName], answerTokens: answerTokens(model), thinkingTokens: thinkingTokens)
    }

    /// A rate limit always says how long to wait: what it asked for, or what is assumed.
    private func withPause(_ error: ProviderError) -> ProviderError {
        guard error.code == .rateLimited, (error.retryAfter ?? 0) < AssumedPause.shortestBelieved else { return error }
        var error = error
        error.retryAfter = assumedPause.withLock { $0.refused(now: now()) }
        return error
    }
}

/// A provider whose calls need a place and keep to a rate. Each attempt counts.
struct LimitedProvider: ChatProvider {
    let base: any ChatProvider
    let limiter: AccountLimiter
    let rate: AccountRate

    var name: String { base.name }

    func complete(
        _ request: ChatRequest, cancellation: CancellationToken?, onDelta: ((String) -> Void)?
    ) throws(ProviderError) -> ChatResponse {
        try rate.run(estimate: request.estimatedTokens, cancellation: cancellation) { () throws(ProviderError) in
            try limiter.run(timeout: request.timeout, cancellation: cancellation) { () throws(ProviderError) in
                try base.complete(request, cancellation: cancellation, onDelta: onDelta)
            }
        }
    }
}
