// One entry of GET /users/{id}/skills. Plain value; any thread.

import TextFormats

/// A skill of one user's assistant, or a file that was meant to be one.
public struct SkillAnswer: Sendable, Hashable {
    public enum Source: String, Sendable, Hashable { case builtIn = "built_in", workspace }

    public var name: String
    /// nil: the file could not be read as a skill.
    public var description: String?
    /// Its text is in every prompt.
    public var isAlways: Bool
    /// Why it cannot be used in a chat; nil when it can.
    public var obstacle: String?
    /// Every fault of its file, also those that leave it usable.
    public var problems: [String]
    /// Relative to the workspace.
    public var path: String
    public var source: Source

    public init(
        name: String, description: String?, isAlways: Bool, obstacle: String?, problems: [String], path: String, source: Source
    ) {
        self.name = name
        self.description = description
        self.isAlways = isAlways
        self.obstacle = obstacle
        self.problems = problems
        self.path = path
        self.source = source
    }

    public var json: JSON {
        [
            "name": .string(name), "description": JSON(description), "always": .bool(isAlways),
            "available": .bool(obstacle == nil), "obstacle": JSON(obstacle), "problems": JSON(problems),
            "path": .string(path), "source": .string(source.rawValue),
        ]
    }
}
