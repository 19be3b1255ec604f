// Reports each exchange with a provider to an observer: who was asked, how the call ended, how long it took and what the
// answer used. Blocks on the calling thread; any thread. Errors pass through unchanged.
import HTTPTransport

/// One exchange with a provider, retries counted one by one.
public struct ProviderCall: Sendable, Hashable {
    /// The account's name in the configuration.
    public var provider: String
    /// Without the provider's prefix, as the caller named it: may be any text.
    public var model: String
    /// nil: the call was answered.
    public var failure: ProviderError.Code?
    /// With the cost where a price is known; zero for a call that failed.
    public var usage: TokenUsage
    public var seconds: Double
}

/// A provider whose exchanges are reported.
struct MeteredProvider: ChatProvider {
    let base: any ChatProvider
    /// By `provider/model`.
    let prices: [String: ModelPrice]
    let observe: @Sendable (ProviderCall) -> Void

    var name: String { base.name }

    func complete(
        _ request: ChatRequest, cancellation: CancellationToken?, onDelta: ((String) -> Void)?
    ) throws(ProviderError) -> ChatResponse {
        let start = ContinuousClock.now
        do throws(ProviderError) {
            let response = try base.complete(request, cancellation: cancellation, onDelta: onDelta)
            var usage = response.usage
            if let price = prices["\(name)/\(request.model)"] { usage.costUSD = price.cost(of: usage) }
            report(request, nil, usage, since: start)
            return response
        } catch {
            report(request, error.code, .zero, since: start)
            throw error
        }
    }

    private func report(
        _ request: ChatRequest, _ failure: ProviderError.Code?, _ usage: TokenUsage, since start: ContinuousClock.Instant
    ) {
        observe(
            ProviderCall(
                provider: name, model: request.model, failure: failure, usage: usage,
                seconds: start.duration(to: .now) / .seconds(1)))
    }
}
