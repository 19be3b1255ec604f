// Leaves a message in the user's default conversation: for turns whose answer nobody looks at as it comes (heartbeats,
// spawned tasks). It is there durably when the tool says so; the same call leaves one message, however often it is run.
import Foundation
import Providers
import Tenants
import TextFormats

struct MessageTool: Tool {
    let name = "message"
    let description = """
        Leave a message for the user in their default conversation, where they find it when they look next. Nobody is \
        called or mailed. Not for answering the user you are talking with: just answer.
        """
    let isIdempotent = true
    let isReadOnly = false
    static let maximumText = 4_000
    var parameters: JSON {
        ToolSchema.object(["text": ToolSchema.text("The message, in the user's language")], required: ["text"])
    }

    func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
        var reader = try ObjectReader(arguments)
        let text = try reader.require(reader.string("text", min: 1, max: Self.maximumText), "text")
        try reader.finish()
        let isOwnSession = context.turn.session == .standard && !context.turn.ephemeralSession
        guard !isOwnSession else {
            throw ToolFailure(
                code: "answer_instead", detail: "this is the user's default conversation: say it in your answer")
        }
        let entry = SessionEntry(
            id: "\(context.callID):m", jobID: context.turn.jobID, message: .assistant(text), time: context.services.now())
        try SessionStore(workspace: context.turn.workspace).append(.standard, [entry])
        return JSON.object(["left_in_session": .string(SessionID.standard.rawValue)]).text()
    }
}
