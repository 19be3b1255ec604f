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

    /// Relative to the workspace; `read_file` gives the built-in text where the workspace has none.
    var path: String { "\(Workspace.skills)/\(name)/SKILL.md" }

    /// Why a file is no skill.
    struct Fault: Error, Sendable, Hashable {
        var detail: String
    }

    /// - Parameter folder: the folder the file lies in, which must be the skill's name.
    init(text: String, folder: String) throws(Fault) {
        guard Self.isName(folder) else {
            throw Fault(detail: "the folder's name must be a-z, 0-9 and single dashes, at most \(Self.maxNameLength)")
        }
        let (matter, body) = try Self.split(text)
        try FrontMatterCheck.check(matter)
        let node: Node?
        do {
            node = try Yams.compose(yaml: matter)
        } catch {
            throw Fault(detail: "the front matter is not valid YAML: \(error)")
        }
        guard let mapping = node?.mapping else { throw Fault(detail: "the front matter must be a YAML mapping") }
        guard mapping["name"]?.string == folder else {
            throw Fault(detail: "name must be the folder's name, \(folder)")
        }
        let description = (mapping["description"]?.string ?? "").trimmingCharacters(in: .whitespacesAndNewlines)
        guard (1...Self.maxDescriptionCharacters).contains(description.count) else {
            throw Fault(detail: "description must have 1 to \(Self.maxDescriptionCharacters) characters")
        }
        let own = mapping["metadata"]?.mapping?["nanobot"]?.mapping
        self.name = folder
        self.description = description.split(whereSeparator: \.isNewline).joined(separator: " ")
        self.isAlways = mapping["always"]?.bool ?? own?["always"]?.bool ?? false
        self.body = body.trimmingCharacters(in: .whitespacesAndNewlines)
        try readRequirements(mapping["requires"] ?? own?["requires"])
    }

    private mutating func readRequirements(_ node: Node?) throws(Fault) {
        guard let node else { return }
        guard let mapping = node.mapping else {
            throw Fault(detail: "requires must be a mapping, such as {tools: [quotes]}")
        }
        for (key, value) in mapping {
            guard let kind = key.string, let items = value.sequence?.map(\.string) ?? value.string.map({ [$0] }) else {
                throw Fault(detail: "requires: each kind must have a list of names")
            }
            let names = items.compactMap { $0 }.filter { !$0.isEmpty && $0.count <= Self.maxNameLength }
            guard names.count == items.count, names.count <= Self.maxRequirements else {
                let bound = "at most \(Self.maxRequirements) names of 1 to \(Self.maxNameLength) characters"
                throw Fault(detail: "requires.\(kind): \(bound)")
            }
            if kind == "tools" { requiredTools = names } else if !names.isEmpty { unknownRequirements.append(kind) }
        }
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

    private static func split(_ text: String) throws(Fault) -> (matter: String, body: String) {
        let lines = text.replacingOccurrences(of: "\r\n", with: "\n")
            .split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.first == "---", let end = lines.dropFirst().firstIndex(of: "---") else {
            throw Fault(detail: "it must begin with YAML front matter between two lines of ---")
        }
        let matter = lines[1..<end].joined(separator: "\n")
        guard matter.utf8.count <= maxFrontMatterBytes else {
            throw Fault(detail: "the front matter is longer than \(maxFrontMatterBytes) bytes")
        }
        return (matter, lines[(end + 1)...].joined(separator: "\n"))
    }
}
