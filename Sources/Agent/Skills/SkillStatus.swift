// The skills of a workspace as their owner sees them: which can be used, and what keeps the others from it. Any thread.
// Failure: FileError where the disk fails; what is wrong in a skill's file is part of the answer.
import DurableFiles
import Tenants

/// One skill, or a file that was meant to be one.
public struct SkillStatus: Sendable, Hashable {
    public var name: String
    /// nil: it could not be read.
    public var description: String?
    /// Its text is in every prompt.
    public var isAlways: Bool
    /// Why it cannot be used; nil when it can.
    public var obstacle: String?
    /// Each fault of its file, also those that leave it usable.
    public var problems: [String]
    /// Relative to the workspace.
    public var path: String
    public var isBuiltIn: Bool
    public var isAvailable: Bool { obstacle == nil }

    /// By name.
    /// - Parameter tools: which of the given tools, or more, a chat is offered; asked only where a skill requires tools.
    public static func all(
        of workspace: Workspace, tools: (Set<String>) -> Set<String>
    ) throws(FileError) -> [SkillStatus] {
        let shelf = try SkillShelf(directory: workspace.directory)
        let wanted = Set(shelf.skills.flatMap(\.requiredTools))
        let offered = wanted.isEmpty ? [] : tools(wanted)
        let usable = shelf.skills.map { skill in
            SkillStatus(
                name: skill.name, description: skill.description, isAlways: skill.isAlways,
                obstacle: skill.obstacle(tools: offered),
                problems: shelf.faults.filter { !$0.isFatal && $0.name == skill.name }.map(\.detail), path: skill.path,
                isBuiltIn: skill.isBuiltIn)
        }
        let broken = shelf.faults.filter(\.isFatal).map { fault in
            SkillStatus(
                name: fault.name, description: nil, isAlways: false, obstacle: fault.detail, problems: [fault.detail],
                path: fault.path, isBuiltIn: false)
        }
        return (usable + broken).sorted { ($0.name, $0.path) < ($1.name, $1.path) }
    }
}
