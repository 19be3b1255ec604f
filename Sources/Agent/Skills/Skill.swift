// One skill: a SKILL.md whose YAML front matter says what it is for and whose body says how. Parsing is pure.
import Foundation
import Yams

struct Skill: Sendable, Hashable {
    static let maxNameLength = 64
    static let maxDescriptionCharacters = 1_024
    static let maxFrontMatterBytes = 8 << 10

    var name: String
    var description: String
    /// The body belongs into every prompt.
    var isAlways: Bool
    var body: String

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
