// One skill: a SKILL.md whose YAML front matter says what it is for and whose body says how. Parsing is pure; it calls Yams
// only for what FrontMatterCheck lets pass.
import Foundation
import Tenants
import Yams

struct Skill: Sendable, Hashable {
    static let maxNameLength = 64
    static let maxDescriptionCharacters = 1_024
    static let maxFrontMatterBytes = 8 << 10
    /// Names of one kind of requirement.
    static let maxRequirements = 32

    var name: String
    var description: String
    /// The body belongs into every prompt.
    var isAlways: Bool
    var body: String
    /// Tools without which the skill is of no use, by name.
    var requiredTools: [String] = []
    /// Requirements of kinds nobody here can check, such as "env": never met, so that the model is not sent along a
    /// way that ends nowhere.
    var unknownRequirements: [String] = []
    /// Comes with nanobot; one of the same name in the workspace stands in its place.
    var isBuiltIn = false
    /// What in the file was not understood although the skill can be used, for its owner.
    var problems: [String] = []

    /// Relative to the workspace; `read_file` gives the built-in text where the workspace has none.
    var path: String { "\(Workspace.skills)/\(name)/SKILL.md" }

    /// Why a file is no skill.
    struct Fault: Error, Sendable, Hashable {
        var detail: String
    }

    /// Strict YAML is tried first. Where YAML fails, the keys a skill needs are read line by line (`FrontMatterLines`).
    /// - Parameter folder: the folder the file lies in, which must be the skill's name.
    init(text: String, folder: String) throws(Fault) {
        guard Self.isName(folder) else {
            throw Fault(detail: "the folder's name must be a-z, 0-9 and single dashes, at most \(Self.maxNameLength)")
        }
        var parts = try SkillText(text)
        var yaml = try Self.yaml(parts.matter)
        if yaml.mapping == nil, parts.endsBeforeFence() { yaml = try Self.yaml(parts.matter) }
        let lines = FrontMatterLines(parts.matter)
        // The lines have the bounds of the YAML they stand for, but for texts, whose signs mean nothing there.
        if yaml.mapping == nil { try FrontMatterCheck.check(lines.others.joined(separator: "\n")) }
        name = folder
        description = ""
        isAlways = false
        body = parts.body.joined(separator: "\n").trimmedBlanks
        problems = parts.problems + (yaml.mapping == nil ? lines.problems : [])
        try check(name: yaml.mapping?["name"]?.string ?? lines.text("name"))
        try read(description: yaml.mapping?["description"]?.scalar?.string, lines, fault: yaml.fault)
        let metadata = yaml.mapping?["metadata"] ?? lines.node("metadata")
        let own = metadata?.mapping?["nanobot"]?.mapping
        readAlways(yaml.mapping?["always"] ?? lines.node("always") ?? own?["always"])
        let requirements = yaml.mapping?["requires"] ?? lines.node("requires")
        guard requirements != nil || !lines.has("requires") else {
            throw Fault(detail: "requires cannot be read; write it as requires: {tools: [quotes]}")
        }
        try readRequirements(requirements ?? own?["requires"])
    }

    /// The front matter as YAML reads it, or why YAML does not.
    private static func yaml(_ lines: [String]) throws(Fault) -> (mapping: Node.Mapping?, fault: String?) {
        let matter = lines.joined(separator: "\n")
        guard matter.utf8.count <= maxFrontMatterBytes else {
            throw Fault(detail: "the front matter is longer than \(maxFrontMatterBytes) bytes")
        }
        do {
            try FrontMatterCheck.check(matter)
            let mapping = try Yams.compose(yaml: matter)?.mapping
            return (mapping, mapping == nil ? "the front matter is no YAML mapping" : nil)
        } catch let fault as Fault {
            return (nil, fault.detail)
        } catch {
            return (nil, "the front matter is not valid YAML: \(error)")
        }
    }

    /// A title in place of the folder's name is the same name with other letters and blanks.
    private func check(name given: String?) throws(Fault) {
        guard let given = given?.trimmedBlanks, !given.isEmpty else { return }
        let plain = given.lowercased().map { $0.isWhitespace || $0 == "_" ? "-" : $0 }
        guard String(plain) == name else { throw Fault(detail: "name must be the folder's name, \(name)") }
    }

    private mutating func read(description given: String?, _ lines: FrontMatterLines, fault: String?) throws(Fault) {
        let strict = lines.isPlainText("description") ? nil : given?.trimmedBlanks
        let text = strict.flatMap { $0.isEmpty ? nil : $0 } ?? lines.text("description") ?? ""
        guard (1...Self.maxDescriptionCharacters).contains(text.count) else {
            let detail = "description must have 1 to \(Self.maxDescriptionCharacters) characters"
            throw Fault(detail: detail + (fault.map { "; \($0)" } ?? ""))
        }
        description = text.split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    private mutating func readAlways(_ node: Node?) {
        guard let node else { return }
        switch node.scalar?.string.trimmedBlanks.lowercased() {
        case "true"?, "yes"?, "on"?, "1"?, "y"?: isAlways = true
        case "false"?, "no"?, "off"?, "0"?, "n"?, "null"?, "~"?, ""?: isAlways = false
        default: problems.append("always must be true or false")
        }
    }

    private mutating func readRequirements(_ node: Node?) throws(Fault) {
        guard let node, !Self.isNothing(node) else { return }
        guard let mapping = node.mapping else {
            // A list, or words: tools are what a skill can require.
            requiredTools = try Self.names(node, "tools")
            return
        }
        for (key, value) in mapping {
            guard let kind = key.string else { throw Fault(detail: "requires: each kind must have a list of names") }
            let names = try Self.names(value, kind)
            if kind == "tools" { requiredTools = names } else if !names.isEmpty { unknownRequirements.append(kind) }
        }
    }

    private static func isNothing(_ node: Node) -> Bool {
        ["", "null", "~"].contains(node.scalar?.string.trimmedBlanks.lowercased() ?? "-")
    }

    private static func names(_ node: Node, _ kind: String) throws(Fault) -> [String] {
        guard !isNothing(node) else { return [] }
        let items =
            node.sequence?.map { $0.scalar?.string }
            ?? node.scalar?.string.split { $0 == "," || $0.isWhitespace }.map { String($0) }
        guard let items else { throw Fault(detail: "requires: each kind must have a list of names") }
        let names = items.compactMap { $0 }.filter { !$0.isEmpty && $0.count <= maxNameLength }
        guard names.count == items.count, names.count <= maxRequirements else {
            throw Fault(
                detail: "requires.\(kind.prefix(maxNameLength)): at most \(maxRequirements) names of 1 to \(maxNameLength) characters")
        }
        return names
    }

    /// Why the skill cannot be used in a turn that offers these tools; nil when it can.
    func obstacle(tools: Set<String>) -> String? {
        let missing = requiredTools.filter { !tools.contains($0) }
        if !missing.isEmpty { return "needs the tools \(missing.joined(separator: ", ")), not offered here" }
        if !unknownRequirements.isEmpty {
            return "requires \(unknownRequirements.joined(separator: ", ")), which cannot be checked; only tools can"
        }
        return nil
    }

    static func isName(_ name: String) -> Bool {
        (1...maxNameLength).contains(name.utf8.count) && !name.contains("--")
            && name.utf8.allSatisfy {
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "-")
            }
    }
}
