// An account as the agent uses it: breaker around retries around places around the vendor's interface, and the price on
// the answer. A place is held during an exchange, not while waiting to try again. Blocks; any thread.
import Foundation
import HTTPTransport
import Logging

/// One configured account with everything that belongs to all its calls.
final class AccountProvider: ChatProvider {
    let name: String
    private let retrying: RetryingProvider
    private let breaker: CircuitBreaker
    private let prices: [String: ModelPrice]

    /// - Parameter prices: by `provider/model`.
    init(
        _ base: any ChatProvider, maxConcurrent: Int, prices: [String: ModelPrice], retries: RetryPolicy,
        logger: Logger, now: @escaping @Sendable () -> Date
    ) {
        name = base.name
        let limiter = AccountLimiter(account: base.name, maxConcurrent: maxConcurrent)
        retrying = RetryingProvider(LimitedProvider(base: base, limiter: limiter), policy: retries, logger: logger)
        breaker = CircuitBreaker(now: now)
        self.prices = prices
    }

    func complete(
        _ request: ChatRequest, cancellation: CancellationToken?, onDelta: ((String) -> Void)?
    ) throws(ProviderError) -> ChatResponse {
        var response = try breaker.run(account: name) { () throws(ProviderError) in
            try retrying.complete(request, cancellation: cancellation, onDelta: onDelta)
        }
        let fullName = "\(name)/\(request.model)"
        if let price = prices[fullName] { response.usage.costUSD = price.cost(of: response.usage) }
        response.model = fullName
        return response
    }
}

/// A provider whose calls need a place.
struct LimitedProvider: ChatProvider {
    let base: any ChatProvider
    let limiter: AccountLimiter

    var name: String { base.name }

    func complete(
        _ request: ChatRequest, cancellation: CancellationToken?, onDelta: ((String) -> Void)?
    ) throws(ProviderError) -> ChatResponse {
        try limiter.run(timeout: request.timeout, cancellation: cancellation) { () throws(ProviderError) in
            try base.complete(request, cancellation: cancellation, onDelta: onDelta)
        }
    }
}
