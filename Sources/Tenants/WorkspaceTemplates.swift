// The files a new workspace begins with, in the user's language. The user owns them from then on: nothing here is read
// again after creation. Texts are built by interpolation, never by replacing marks in a template, so nothing a user
// enters can stand for anything but itself. Pure; any thread.

struct WorkspaceTemplates: Sendable {
    /// How the assistant works.
    var agents: String
    /// What it is like.
    var soul: String
    /// What it looks after without being asked.
    var heartbeat: String
    /// An empty long-term memory.
    var memory: String
    /// What is known about the user from the start.
    var profile: @Sendable (UserConfig) -> String

    /// Chinese for "zh" and its variants, English for all other languages.
    static func forLanguage(_ tag: String) -> WorkspaceTemplates {
        tag.lowercased().split(separator: "-").first == "zh" ? .chinese : .english
    }

    /// A user's texts in one line; `none` when there are none.
    static func joined(_ entries: [String], separator: String, none: String) -> String {
        entries.isEmpty ? none : entries.joined(separator: separator)
    }
}
