// What a prompt says of skills: the bodies of the always-on ones, the list of the others with those that cannot be used
// here, and the bodies a message asked for. Pure; the same skills and tools give the same bytes.

struct SkillSections {
    /// Characters of one skill's body in a prompt, and of all always-on bodies.
    static let maxBodyCharacters = 8_000
    static let maxBodiesCharacters = 24_000
    /// Characters of the list of skills.
    static let maxListCharacters = 8_000

    let skills: [Skill]
    /// What the turn may call.
    let tools: Set<String>

    var alwaysOn: String {
        ContextBuilder.cut(bodies(skills.filter { $0.isAlways && isUsable($0) }), to: Self.maxBodiesCharacters)
    }

    /// One line each: a body costs its tokens only when it is read.
    var list: String {
        guard !skills.isEmpty else { return "" }
        let lines = skills.map { skill in
            let line = "- \(skill.name): \(skill.description)"
            if let obstacle = skill.obstacle(tools: tools) { return "\(line) [unavailable: \(obstacle)]" }
            return "\(line) (\(skill.path))"
        }
        let intro = "Read a skill's file with read_file before doing what it describes.\n\n"
        return ContextBuilder.cut(intro + lines.joined(separator: "\n"), to: Self.maxListCharacters)
    }

    /// For the end of the user's message: what changes each turn does not belong into the cached prompt.
    func askedFor(_ asked: [Skill]) -> String {
        guard !asked.isEmpty else { return "" }
        let unusable = asked.compactMap { skill in
            skill.obstacle(tools: tools).map { "The skill \(skill.name) cannot be used: it \($0). Tell the user." }
        }
        let texts = [bodies(asked.filter(isUsable))].filter { !$0.isEmpty } + unusable
        return "\n\n[skills the user asked for]\n\(texts.joined(separator: "\n"))"
    }

    private func isUsable(_ skill: Skill) -> Bool { skill.obstacle(tools: tools) == nil }

    private func bodies(_ skills: [Skill]) -> String {
        skills.map { skill in
            "## \(skill.name)\n\n" + ContextBuilder.cut(skill.body, to: Self.maxBodyCharacters, path: skill.path)
        }.joined(separator: "\n\n")
    }
}
