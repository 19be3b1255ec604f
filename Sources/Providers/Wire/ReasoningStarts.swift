// Remembers the models of an account whose answers begin inside their reasoning: their chat template writes the opening tag
// into the prompt, and the answer holds the closing tag alone. Any thread.
import Synchronization

final class ReasoningStarts: Sendable {
    /// Models that are remembered; the next one beyond them clears the memory.
    private static let maxModels = 256

    private let configured: @Sendable (String) -> Bool
    private let seen = Mutex<Set<String>>([])

    /// - Parameter configured: what the settings say of a model.
    init(configured: @escaping @Sendable (String) -> Bool) { self.configured = configured }

    func isInside(_ model: String) -> Bool { configured(model) || seen.withLock { $0.contains(model) } }

    func remember(_ model: String) {
        seen.withLock { models in
            if models.count >= Self.maxModels { models = [] }
            models.insert(model)
        }
    }
}
