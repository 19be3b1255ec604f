// Chooses the tools of a request when its window has no room for all tools: the most used ones first, until the room is full.
// Pure; the same tools and room give the same choice, in the order given.
import Providers

enum ToolSelection {
    /// Those that are named first. Tools of servers, and all others, come after them in the order of their names.
    private static let ranking = [
        "watchlist", "quotes", "memory", "feeds", "read_file", "schedule", "preferences", "write_file", "web_search",
        "web_fetch", "profile", "edit_file", "list_dir", "grep", "find_files", "message", "spawn", "exec",
    ]

    static func fitting(_ tools: [ToolDefinition], within limit: Int) -> [ToolDefinition] {
        var left = limit - TokenEstimate.tokens(tools)
        guard left < 0 else { return tools }
        left = limit
        var chosen: Set<String> = []
        for tool in tools.sorted(by: { (rank($0), $0.name) < (rank($1), $1.name) }) {
            let size = TokenEstimate.tokens(tool)
            guard size <= left else { continue }
            left -= size
            chosen.insert(tool.name)
        }
        return tools.filter { chosen.contains($0.name) }
    }

    private static func rank(_ tool: ToolDefinition) -> Int { ranking.firstIndex(of: tool.name) ?? ranking.count }
}
