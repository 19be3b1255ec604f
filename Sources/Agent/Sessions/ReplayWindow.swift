// The stored conversation in a form every provider accepts: it begins with a user's message, and every tool call has exactly
// one result. Nothing is left out for its length here: what leaves the prompt leaves with its summary (`SessionBacklog`), or
// where a window has no room (`ContextBudget`). Pure.
import Providers

enum ReplayWindow {
    static func messages(_ entries: [SessionEntry]) -> [ChatMessage] {
        var contexts: [String: String] = [:]
        for entry in entries { if let context = entry.context { contexts[entry.jobID] = context } }
        let all = entries.filter { $0.message.role != .system }.map { entry in
            var message = entry.message
            if entry.isQuestion, let context = contexts[entry.jobID] { message.content += ContextBuilder.told(context, at: entry.time) }
            return message
        }
        guard let start = all.firstIndex(where: { $0.role == .user }) else { return [] }
        return paired(all[start...])
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
