// The text of one model call as those who watch have heard it. What a provider delivered piece by piece can turn out to be
// the model's reasoning; then the watchers are told to begin again. Used on the turn's thread.

final class StreamedText {
    private let events: any TurnEvents
    private(set) var text = ""

    init(_ events: any TurnEvents) { self.events = events }

    func add(_ piece: String) {
        text += piece
        events.delta(piece)
    }

    /// - Parameters:
    ///   - content: the call's text as it counts.
    ///   - earlier: what was told of the turn's earlier calls.
    /// - Returns: what the watchers now know of this call.
    func corrected(to content: String, after earlier: String) -> String {
        guard !text.isEmpty, text != content else { return text }
        events.restart()
        if !earlier.isEmpty { events.delta(earlier) }
        if !content.isEmpty { events.delta(content) }
        return content
    }
}
