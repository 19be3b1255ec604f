// The user's own schedules: recurring or single messages to the assistant. The ids of new ones come from job and step,
// so running the call again after a crash adds nothing. Stateless.
import Foundation
import Tenants
import TextFormats

struct ScheduleTool: Tool {
    enum Action: String, CaseIterable { case list, add, remove }

    let name = "schedule"
    let description = """
        The user's schedules. add: send a message to the assistant at set times; expression is "09:00" (daily), \
        "monday 09:00" (weekly), five cron fields, "PT15M" (every), or once "2026-12-24T18:00", a time of the \
        timezone unless it names an offset or Z. The answers come into this conversation. remove: by id, list shows \
        the ids. The daily and weekly report follow the preferences: change those with the tool preferences.
        """
    let isIdempotent = true
    let isReadOnly = false
    var parameters: JSON {
        ToolSchema.object(
            [
                "action": ToolSchema.choice(Action.allCases.map(\.rawValue), "What to do"),
                "expression": ToolSchema.text("When (add)"),
                "timezone": ToolSchema.text("IANA name (add; default: the user's)"),
                "message": ToolSchema.text("What the assistant is asked at that time (add)"),
                "id": ToolSchema.text("Which schedule (remove)"),
            ], required: ["action"])
    }

    func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
        var reader = try ObjectReader(arguments)
        let action = try reader.require(reader.choice("action", of: Action.self), "action")
        let expression = try reader.string("expression", min: 1, max: 256)
        let timeZone = try reader.string("timezone", min: 1, max: 64)
        let message = try reader.string("message", min: 1, max: 10_000)
        let id = try reader.string("id", min: 1, max: 128)
        try reader.finish()
        let book = context.services.schedules
        let user = context.turn.user
        do {
            switch action {
            case .list:
                return try book.schedules(user: user).text()
            case .add:
                return try book.addSchedule(
                    user: user, expression: try reader.require(expression, "expression"), timezone: timeZone,
                    message: try reader.require(message, "message"), session: Self.session(of: context.turn),
                    id: Self.id(for: context.callID)
                ).text()
            case .remove:
                let wanted = try reader.require(id, "id")
                guard try book.removeSchedule(user: user, id: wanted) else {
                    throw ToolFailure(
                        code: "not_found", detail: "there is no schedule \"\(wanted)\"; action list shows the ids")
                }
                return JSON.object(["removed": .string(wanted)]).text()
            }
        } catch let error as TenantError {
            throw ToolFailure(error)
        }
    }

    /// A spawned task's own conversation goes with the task; a turn that keeps none has none to come back to.
    private static func session(of turn: Turn) -> SessionID? {
        turn.ephemeralSession || turn.isSpawned ? nil : turn.session
    }

    /// The same call gives the same id in every run.
    static func id(for callID: String) -> String {
        "chat-" + Fingerprint.sha256Hex(Array(callID.utf8)).prefix(16)
    }
}
