// A user's skills as the API and the command line show them. Blocks on files, and up to MCPToolbox's bound where a skill
// requires a tool of an MCP server that has not answered yet. Any thread.

import API
import Agent
import DurableFiles
import Synchronization
import Tenants
import WireTypes

public final class WorkspaceSkills: SkillDirectory {
    private let workspaces: WorkspaceManager
    private let makeTools: @Sendable () -> ToolRegistry
    private let toolbox: MCPToolbox?
    /// The tools of this process are the same for as long as the process lives; made when they are first asked for.
    private let names = Mutex<Set<String>?>(nil)

    init(workspaces: WorkspaceManager, toolbox: MCPToolbox?, tools: @escaping @Sendable () -> ToolRegistry) {
        self.workspaces = workspaces
        self.toolbox = toolbox
        makeTools = tools
    }

    public func skills(of user: UserID) throws -> [SkillAnswer] {
        let workspace = try workspaces.open(user)
        do throws(FileError) {
            return try SkillStatus.all(of: workspace) { offered($0) }.map { skill in
                SkillAnswer(
                    name: skill.name, description: skill.description, isAlways: skill.isAlways, obstacle: skill.obstacle,
                    problems: skill.problems, path: skill.path, source: skill.isBuiltIn ? .builtIn : .workspace)
            }
        } catch {
            throw TenantError(.storage, "the skills of \(user) cannot be read: \(error)")
        }
    }

    /// Servers are asked only where one of the tools wanted is a server's.
    private func offered(_ wanted: Set<String>) -> Set<String> {
        let own = names.withLock { names in
            if let names { return names }
            let found = makeTools().names(for: .chat)
            names = found
            return found
        }
        guard let toolbox, wanted.contains(where: { $0.hasPrefix(MCPToolbox.prefix) && !own.contains($0) }) else { return own }
        return own.union(toolbox.names())
    }
}
