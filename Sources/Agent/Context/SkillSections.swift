// What a prompt says of skills: the bodies of the always-on ones, the list of the others with those that cannot be used
// here, and the bodies a message asked for. Pure; the same skills and tools give the same bytes.

struct SkillSections {
    /// Characters of one skill's body in a prompt, and of all always-on bodies.
    static let maxBodyCharacters = 8_000
    static let maxBodiesCharacters = 24_000
    /// Characters of the list of skills.
    static let maxListCharacters = 8_000
    /// Faults named in a prompt; the rest is counted.
    static let maxFaults = 10

    let skills: [Skill]
    /// What the turn may call.
    let tools: Set<String>
    var faults: [SkillShelf.Fault] = []

    var alwaysOn: String {
        ContextBuilder.cut(bodies(skills.filter { $0.isAlways && isUsable($0) }), to: Self.maxBodiesCharacters)
    }

    /// One line each: a body costs its tokens only when it is read.
    var list: String {
        let lines = skills.map { skill in
            let line = "- \(skill.name): \(skill.description)"
            if let obstacle = skill.obstacle(tools: tools) { return "\(line) [unavailable: \(obstacle)]" }
            return "\(line) (\(skill.path))"
        }
        let intro = "Read a skill's file with read_file before doing what it describes.\n\n"
        let list = lines.isEmpty ? "" : ContextBuilder.cut(intro + lines.joined(separator: "\n"), to: Self.maxListCharacters)
        return [list, faultList].filter { !$0.isEmpty }.joined(separator: "\n\n")
    }

    /// The owner reads no log: the assistant is what can tell.
    private var faultList: String {
        guard !faults.isEmpty else { return "" }
        let lines = faults.prefix(Self.maxFaults).map { fault in
            "- \(fault.name) (\(fault.path)): \(fault.isFatal ? "" : "usable, but ")\(fault.detail)"
        }
        let more = faults.count > lines.count ? ["- and \(faults.count - lines.count) more"] : []
        let intro =
            "Faults in the user's skills. In a conversation with the user, unless it has been said there, say once in a "
            + "short sentence which skill has which fault, and offer to correct the file.\n\n"
        return intro + (lines + more).joined(separator: "\n")
    }

    /// For the end of the user's message: what changes each turn does not belong into the cached prompt.
    func askedFor(_ asked: [Skill], broken: [SkillShelf.Fault] = []) -> String {
        guard !asked.isEmpty || !broken.isEmpty else { return "" }
        let unusable = asked.compactMap { skill in
            skill.obstacle(tools: tools).map { "The skill \(skill.name) cannot be used: it \($0). Tell the user." }
        }
        let faulty = broken.map { "The skill \($0.name) cannot be used: \($0.path): \($0.detail). Tell the user." }
        let texts = [bodies(asked.filter(isUsable))].filter { !$0.isEmpty } + unusable + faulty
        return "\n\n[skills the user asked for]\n\(texts.joined(separator: "\n"))"
    }

    private func isUsable(_ skill: Skill) -> Bool { skill.obstacle(tools: tools) == nil }

    private func bodies(_ skills: [Skill]) -> String {
        skills.map { skill in
            "## \(skill.name)\n\n" + ContextBuilder.cut(skill.body, to: Self.maxBodyCharacters, path: skill.path)
        }.joined(separator: "\n\n")
    }
}
