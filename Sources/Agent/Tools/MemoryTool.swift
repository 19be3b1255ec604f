// The user's long-term memory, for the model: what to remember beyond a conversation. Stateless.
import Foundation
import TextFormats

struct MemoryTool: Tool {
    enum Action: String, CaseIterable { case show, remember, forget }

    let name = "memory"
    let description = """
        Long-term memory about the user. remember: keep one fact or wish, in the user's words and language. forget: \
        remove the entries that contain the text. show: everything that is remembered.
        """
    let isIdempotent = true
    var isReadOnly = false
    var readingForm: (any Tool)? { MemoryTool(isReadOnly: true) }
    private var actions: [Action] { isReadOnly ? [.show] : Action.allCases }
    var parameters: JSON {
        ToolSchema.object(
            [
                "action": ToolSchema.choice(actions.map(\.rawValue), "What to do"),
                "text": ToolSchema.text("What to remember, or a part of what to forget"),
            ], required: ["action"])
    }

    func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
        var reader = try ObjectReader(arguments)
        let action = try reader.require(reader.choice("action", of: Action.self), "action")
        let text = try reader.string("text", max: MemoryStore.maxEntryCharacters)
        try reader.finish()
        guard actions.contains(action) else { throw ToolFailure.readingOnly(action.rawValue) }
        let store = MemoryStore(workspace: context.turn.workspace)
        var removed: [String] = []
        var isChanged = false
        switch action {
        case .show: break
        case .remember:
            isChanged = try store.remember(try reader.require(text, "text"), on: context.turn.now)
        case .forget:
            removed = try store.forget(try reader.require(text, "text"))
            isChanged = !removed.isEmpty
        }
        var fields: JSONObject = ["memory": .string(try store.show()), "changed": .bool(isChanged)]
        if action == .forget { fields["removed"] = JSON(removed) }
        return JSON.object(fields).text()
    }
}
