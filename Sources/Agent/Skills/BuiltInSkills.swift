// The skills that come with nanobot, from Sources/Agent/Assets, embedded in the binary. Parsed once; any thread. They
// are part of the program: a test reads each, so a broken one is never built into a release; here it would be left out.

enum BuiltInSkills {
    static let sources: [(name: String, bytes: [UInt8])] = [
        ("reminders", PackageResources.reminders_md), ("report-writing", PackageResources.report_writing_md),
        ("watchlist-research", PackageResources.watchlist_research_md),
    ]

    /// By name.
    static let all: [Skill] = sources.compactMap { source in
        // See above: the test `SkillTests.builtIns` stands for what is ignored here.
        guard var skill = try? Skill(text: String(decoding: source.bytes, as: UTF8.self), folder: source.name) else {
            return nil
        }
        skill.isBuiltIn = true
        return skill
    }

    /// What `read_file` gives for a path that the workspace does not have.
    static func text(at path: String) -> String? {
        guard let skill = all.first(where: { $0.path == path }),
            let source = sources.first(where: { $0.name == skill.name })
        else { return nil }
        return String(decoding: source.bytes, as: UTF8.self)
    }
}
