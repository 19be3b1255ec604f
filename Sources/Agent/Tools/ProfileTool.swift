// What the house knows about the user from its configuration. Stateless.
import Tenants
import TextFormats

struct ProfileTool: Tool {
    let name = "profile"
    let description = "Who the user is: persona, preferences and watchlist as they are now."
    let isIdempotent = true
    let isReadOnly = true
    var parameters: JSON { ToolSchema.object([:]) }

    func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
        let reader = try ObjectReader(arguments)
        try reader.finish()
        do {
            let config = try context.services.configs.get(context.turn.user)
            return JSON.object([
                "user_id": .string(config.userID.rawValue), "persona": config.persona.json,
                "preferences": config.preferences.json, "watchlist": config.watchlist.json,
            ]).text()
        } catch {
            throw ToolFailure(error)
        }
    }
}
