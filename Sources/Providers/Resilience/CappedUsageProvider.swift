// A provider whose counts are believed only as far as the request and its answer can hold them: budgets, rates and costs are
// computed from them. Blocks; any thread; fails as its base does. The log has a line for each model that counts too much.
import HTTPTransport
import Logging
import Synchronization

final class CappedUsageProvider: ChatProvider {
    private static let rememberedModels = 256

    private let base: any ChatProvider
    private let answerTokens: @Sendable (String) -> Int
    private let thinkingTokens: Int
    private let logger: Logger
    private let exaggerating = Mutex<Set<String>>([])

    /// - Parameters:
    ///   - answerTokens: of a model's answer where the request names no bound.
    ///   - thinkingTokens: of thought on top of the answer.
    init(_ base: any ChatProvider, answerTokens: @escaping @Sendable (String) -> Int, thinkingTokens: Int, logger: Logger) {
        self.base = base
        self.answerTokens = answerTokens
        self.thinkingTokens = thinkingTokens
        self.logger = logger
    }

    var name: String { base.name }

    func complete(
        _ request: ChatRequest, cancellation: CancellationToken?, onDelta: ((String) -> Void)?
    ) throws(ProviderError) -> ChatResponse {
        var response = try base.complete(request, cancellation: cancellation, onDelta: onDelta)
        let bound = CallBound(request, answer: answerTokens(request.model), thinking: thinkingTokens)
        let told = response.usage
        response.usage = bound.capping(told, answer: response.message)
        if response.usage.isLess(than: told) { warn(request.model, told, response.usage) }
        return response
    }

    private func warn(_ model: String, _ told: TokenUsage, _ counted: TokenUsage) {
        let isNew = exaggerating.withLock { models in
            if models.count >= Self.rememberedModels { models = [] }
            return models.insert(model).inserted
        }
        guard isNew else { return }
        logger.warning(
            "a provider reports more tokens than the request can hold; the count is capped",
            metadata: [
                "provider": "\(name)", "model": "\(model)", "reported": "\(told.totalTokens)",
                "counted": "\(counted.totalTokens)",
            ])
    }
}

extension TokenUsage {
    fileprivate func isLess(than other: TokenUsage) -> Bool {
        promptTokens < other.promptTokens || completionTokens < other.completionTokens
            || totalTokens < other.totalTokens
    }
}
