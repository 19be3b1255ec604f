// Changes the user's preferences; the report schedule moves with them, which is the ScheduleBook's doing. Stateless.
import Tenants
import TextFormats

struct PreferencesTool: Tool {
    let name = "preferences"
    let description = """
        Change the user's preferences: report_frequency (daily, weekly, both, realtime, off), report_time ("09:00"), \
        report_weekday, timezone (IANA), report_format (markdown, html, json, text), language, max_report_length. \
        The report schedule follows. An empty changes object shows the preferences.
        """
    let isIdempotent = true
    let isReadOnly = false
    var parameters: JSON {
        ToolSchema.object(
            [
                "changes": [
                    "type": "object", "description": "Only what is to change, such as {\"report_time\": \"08:30\"}",
                ]
            ], required: ["changes"])
    }

    func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
        var reader = try ObjectReader(arguments)
        let changes = try reader.require(reader.json("changes"), "changes")
        try reader.finish()
        let change = try PreferencesChange(json: changes, path: "changes")
        let user = context.turn.user
        do {
            let config =
                changes.object?.isEmpty == true
                ? try context.services.configs.get(user)
                : try context.services.schedules.updatePreferences(user: user, change)
            return JSON.object(["preferences": config.preferences.json]).text()
        } catch let error as TenantError {
            throw ToolFailure(error)
        }
    }
}
