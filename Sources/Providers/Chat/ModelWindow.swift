// How much a model can read and write in one call, and who says so. Pure values; any thread.

public struct ModelWindow: Sendable, Hashable {
    /// Where the figure comes from.
    public enum Source: Sendable, Hashable {
        /// The operator's `context_window`.
        case configured
        /// A row of Assets/model-windows.json: the vendor's page, and the day it was read.
        case known(page: String, date: String)
        /// The server is Ollama, whose models have 4,096 tokens unless somebody sets more, and which cuts silently.
        case ollamaDefault
        /// Nothing is known of the model.
        case assumed
    }

    /// Tokens of a model that nothing is known of.
    public static let unknownModel = 32_768
    /// Ollama's default where it finds little graphics memory (docs.ollama.com/context-length, read on 2026-11-30).
    public static let ollama = 4_096
    /// Kept free for the answer where nothing bounds it.
    static let usualAnswer = 4_096
    /// The answer's share of a small window.
    private static let answerShare = 4
    /// Below this window the answer's bound is sent even where none is configured: an answer that outgrows the window
    /// would push the beginning of the conversation out of it.
    private static let smallWindow = 16_384

    /// Of a provider that is no language model.
    public static let unbounded = ModelWindow(tokens: 1 << 30, source: .assumed)

    /// Input and output together.
    public var tokens: Int
    /// Kept free for the answer, thoughts included.
    public var outputTokens: Int
    /// Sent as the answer's bound, without thoughts; nil: none is.
    public var answerBound: Int?
    public var source: Source

    /// - Parameters:
    ///   - answer: the configured bound of the answer; more than half of the window is not kept free for it.
    ///   - usualAnswer: the bound that the interface is given where none is configured; nil: it needs none.
    ///   - thinking: tokens of thought on top of the answer.
    public init(tokens: Int, source: Source, answer: Int? = nil, usualAnswer: Int? = nil, thinking: Int = 0) {
        self.tokens = tokens
        self.source = source
        let share = max(1, tokens / Self.answerShare)
        let bound = min(answer ?? min(usualAnswer ?? Self.usualAnswer, share), max(1, tokens / 2))
        outputTokens = bound + thinking
        answerBound = answer != nil || usualAnswer != nil || tokens < Self.smallWindow ? bound : nil
    }

    /// Kept free for what the estimate of a request misses: the template of the model, the separators of its messages.
    public var safetyTokens: Int { min(1_024, tokens / 16) }

    /// For messages and definitions of tools, in estimated tokens.
    /// - Parameter most: what is used of a window that nobody has configured.
    public func inputTokens(most: Int) -> Int {
        let room = max(0, tokens - outputTokens - safetyTokens)
        return source == .configured ? room : min(room, max(most, 1))
    }
}
