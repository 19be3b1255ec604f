// Makes a request fit the model's context: old tool results become markers, then the oldest turns go, whole, at the
// user's messages, then what is left of long results is cut. The system prompt and the current question always stay.
// A call and its result are never separated. Pure: the same input gives the same bytes.
import Providers

struct ContextBudget: Sendable, Hashable {
    /// Kept free for what the estimate misses, in tokens.
    static let safetyTokens = 1_024
    /// Kept free for the answer where no bound is configured, in tokens.
    static let usualAnswerTokens = 4_096
    /// Compaction goes below the budget by this much, in percent of it, so that not every call compacts anew.
    static let targetPercent = 85
    /// What a long result of the current round keeps, in characters, when nothing else helps.
    static let lastResortCharacters = 1_000
    static let marker = "[an earlier result, removed to save space; call the tool again if it is needed]"

    /// For system prompt, history and turn, in estimated tokens.
    let tokens: Int

    /// - Parameters:
    ///   - toolTokens: what the definitions of the tools take.
    ///   - squeeze: how often the provider found the request too long: each time half is used.
    init(limits: TurnLimits, toolTokens: Int, squeeze: Int) {
        let answer = limits.outputTokens ?? Self.usualAnswerTokens
        let whole = limits.contextTokens >> min(max(squeeze, 0), 16)
        tokens = max(0, whole - answer - Self.safetyTokens - toolTokens)
    }

    init(tokens: Int) { self.tokens = tokens }

    /// - Parameters:
    ///   - history: older turns, beginning with a user's message.
    ///   - turn: the current one: the question, then what followed.
    func fit(system: ChatMessage, history: [ChatMessage], turn: [ChatMessage]) -> [ChatMessage] {
        var packing = Packing(system: system, history: history, turn: turn)
        guard packing.size > tokens else { return packing.messages }
        let target = tokens * Self.targetPercent / 100
        packing.markOldResults(target)
        packing.dropOldestTurns(target)
        packing.cutLongResults(target)
        return packing.messages
    }

    private struct Packing {
        let system: ChatMessage
        var history: [ChatMessage]
        var turn: [ChatMessage]
        /// Estimated tokens of all messages.
        private(set) var size: Int

        init(system: ChatMessage, history: [ChatMessage], turn: [ChatMessage]) {
            self.system = system
            self.history = history
            self.turn = turn
            size = ([system] + history + turn).reduce(0) { $0 + TokenEstimate.tokens($1) }
        }

        var messages: [ChatMessage] { [system] + history + turn }

        /// Results before the current round, the oldest first.
        mutating func markOldResults(_ target: Int) {
            for index in history.indices where size > target { shorten(\.history, index, to: ContextBudget.marker) }
            let lastRound = turn.lastIndex { $0.role == .assistant && !$0.toolCalls.isEmpty } ?? turn.startIndex
            for index in turn.indices.prefix(upTo: lastRound) where size > target {
                shorten(\.turn, index, to: ContextBudget.marker)
            }
        }

        mutating func dropOldestTurns(_ target: Int) {
            while size > target, !history.isEmpty {
                let end = history.dropFirst().firstIndex { $0.role == .user } ?? history.endIndex
                size -= history[..<end].reduce(0) { $0 + TokenEstimate.tokens($1) }
                history.removeSubrange(..<end)
            }
        }

        mutating func cutLongResults(_ target: Int) {
            for index in turn.indices where size > target {
                let kept = turn[index].content.prefix(ContextBudget.lastResortCharacters)
                shorten(\.turn, index, to: kept + "\n[cut to save space; ask for a smaller part]")
            }
        }

        private mutating func shorten(
            _ messages: WritableKeyPath<Packing, [ChatMessage]>, _ index: Int, to text: String
        ) {
            let message = self[keyPath: messages][index]
            guard message.role == .tool, text.utf8.count < message.content.utf8.count else { return }
            self[keyPath: messages][index].content = text
            size += TokenEstimate.tokens(text) - TokenEstimate.tokens(message.content)
        }
    }
}
