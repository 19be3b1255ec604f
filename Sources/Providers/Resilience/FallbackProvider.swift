// A chain of models: the next one answers when one before it cannot. Blocks on the calling thread. Goes on after errors
// of the account (down, limited, out of credit, wrong key), never after those of the request, which the next model
// would only repeat at a price, and never after text was delivered.
import HTTPTransport
import Logging

/// A provider made of several.
public struct FallbackProvider: ChatProvider {
    private let links: [ResolvedModel]
    private let logger: Logger

    /// - Parameter links: tried in order; must not be empty.
    public init?(_ links: [ResolvedModel], logger: Logger) {
        guard !links.isEmpty else { return nil }
        self.links = links
        self.logger = logger
    }

    /// The first link's account.
    public var name: String { links[0].provider.name }

    /// `request.model` is replaced by each link's own.
    public func complete(
        _ request: ChatRequest, cancellation: CancellationToken?, onDelta: ((String) -> Void)?
    ) throws(ProviderError) -> ChatResponse {
        var errors: [ProviderError] = []
        for (index, link) in links.enumerated() {
            guard var request = fitted(request, link, isFirst: index == 0) else {
                logger.warning(
                    "a fallback model is left out: its window is too small", metadata: ["model": "\(link.fullName)"])
                continue
            }
            request.model = link.model
            request.allowance?.reserve(links.count - 1 - index)
            do throws(ProviderError) {
                return try link.provider.complete(request, cancellation: cancellation, onDelta: onDelta)
            } catch {
                guard !error.streamed, Self.mayHelp(after: error) else { throw error }
                errors.append(error)
                if index + 1 < links.count {
                    logger.warning(
                        "a model failed and the next one is asked",
                        metadata: [
                            "model": "\(link.fullName)", "next": "\(links[index + 1].fullName)", "error": "\(error)",
                        ])
                }
            }
        }
        throw Self.joined(errors)
    }

    /// - Returns: nil where not even the question fits.
    private func fitted(_ request: ChatRequest, _ link: ResolvedModel, isFirst: Bool) -> ChatRequest? {
        guard !isFirst, let fitting = request.fitting else { return request }
        return fitting.fit(request, link.window)
    }

    private static func mayHelp(after error: ProviderError) -> Bool {
        switch error.code {
        case .cancelled, .badRequest, .contextLength, .contentFilter, .requestsUsedUp: false
        default: true
        }
    }

    /// One that can pass by itself, since then the call can still succeed later: rather one that names no time, and can
    /// be tried again soon, else the one with the shortest wait. If none passes, the first.
    private static func joined(_ errors: [ProviderError]) -> ProviderError {
        let passing = errors.filter(\.isRetryable)
        guard var error = passing.min(by: { ($0.retryAfter ?? 0) < ($1.retryAfter ?? 0) }) ?? errors.first else {
            return ProviderError(code: .unavailable, detail: "no model was asked")
        }
        if errors.count > 1 { error.detail = errors.map(\.detail).joined(separator: "; then ") }
        return error
    }
}
