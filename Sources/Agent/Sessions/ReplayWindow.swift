// Which part of a stored conversation goes back to the model, in a form every provider accepts: it begins with a user's
// message, and every tool call has exactly one result. Pure.
import Providers

enum ReplayWindow {
    /// Messages of older turns a request carries at most, before compaction.
    static let maxMessages = 50

    static func messages(_ entries: [SessionEntry], limit: Int = maxMessages) -> [ChatMessage] {
        let all = entries.map(\.message).filter { $0.role != .system }
        let window = all.suffix(limit)
        if let start = window.firstIndex(where: { $0.role == .user }) { return paired(all[start...]) }
        // One turn is longer than the window: its question and its end.
        guard let question = all.lastIndex(where: { $0.role == .user }) else { return [] }
        return paired([all[question]] + all[(question + 1)...].suffix(limit - 1))
    }

    /// Drops results that answer no call before them and fills in those that are missing.
    static func paired(_ messages: some Sequence<ChatMessage>) -> [ChatMessage] {
        var result: [ChatMessage] = []
        var open: [ToolCall] = []
        var answers: [String: ChatMessage] = [:]
        func close() {
            for call in open { result.append(answers[call.id] ?? missing(call)) }
            open = []
            answers = [:]
        }
        for message in messages {
            if message.role == .tool {
                guard let id = message.toolCallID, open.contains(where: { $0.id == id }), answers[id] == nil
                else { continue }
                answers[id] = message
            } else {
                close()
                result.append(message)
                open = message.role == .assistant ? message.toolCalls : []
            }
        }
        close()
        return result
    }

    private static func missing(_ call: ToolCall) -> ChatMessage {
        let failure = ToolFailure(code: "result_missing", detail: "the result of this call was not kept")
        return .tool(failure.text, callID: call.id, name: call.name)
    }
}
