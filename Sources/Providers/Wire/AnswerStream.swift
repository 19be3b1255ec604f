// The text of one answer on its way from the wire to the caller: halves of characters are joined, reasoning is kept apart.
// Used by one call, on its thread.
import TextFormats

struct AnswerStream {
    private var joiner = PartialTextJoiner()
    private var filter: ReasoningFilter

    /// - Parameter startsInside: the model's answers begin inside their reasoning (`ReasoningFilter`).
    init(startsInside: Bool) { filter = ReasoningFilter(startsInside: startsInside) }

    /// - Returns: what the reader may see of it now.
    mutating func feed(_ piece: String) -> String { filter.feed(joiner.feed(piece)) }

    /// - Returns: the rest of what the reader may see.
    mutating func finish() -> String {
        let rest = filter.feed(joiner.finish())
        return rest + filter.finish()
    }

    /// The whole answer for the reader, after `finish`.
    var visible: String { filter.visible }
    var reasoning: String { filter.reasoning }
    var startedInside: Bool { filter.startedInside }
    var isRetracted: Bool { filter.isRetracted }
}

extension ChatMessage {
    /// The message with the words for the reader as its content and the reasoning beside them.
    mutating func take(_ answer: AnswerStream) {
        content = answer.visible
        let thoughts = (reasoning ?? "") + answer.reasoning
        reasoning = thoughts.isEmpty ? nil : thoughts
    }
}
