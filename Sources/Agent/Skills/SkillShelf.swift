// The skills of a turn, by name: those of the workspace's skills/ folder over the built-in ones. The folder is read
// anew for every turn: people add skills by hand. What is no valid skill is left out and named in `problems`; a broken one
// does not bring back the built-in one it stands in front of, so its owner notices. Any thread.
import DurableFiles
import Tenants

struct SkillShelf: Sendable {
    /// Skills taken from one workspace, by name.
    static let maxSkills = 100
    static let maxFileBytes = 64 << 10

    private(set) var skills: [Skill] = []
    /// `<folder>: <what is wrong>`, in the order of the folders.
    private(set) var problems: [String] = []

    init(directory: SealedDirectory) throws(FileError) {
        let folders: [SealedEntry]
        do {
            folders = try directory.list(Workspace.skills)
        } catch {
            skills = BuiltInSkills.all
            if error.code == .notFound { return }
            throw error
        }
        defer { addBuiltIns(besides: Set(folders.map(\.name))) }
        for folder in folders where folder.kind == .directory && !folder.name.hasPrefix(".") {
            guard skills.count < Self.maxSkills else {
                problems.append("\(folder.name): only \(Self.maxSkills) skills are read")
                return
            }
            read(folder.name, in: directory)
        }
    }

    private mutating func addBuiltIns(besides own: Set<String>) {
        skills = (skills + BuiltInSkills.all.filter { !own.contains($0.name) }).sorted { $0.name < $1.name }
    }

    /// Skills one message can ask for with `$name`.
    static let maxAskedFor = 3

    /// The skills a message names as `$name`, in its order, each once. `$AAPL` and `$5` are no skills: only names that
    /// are on the shelf count.
    func askedFor(in message: String) -> [Skill] {
        let byName = Dictionary(skills.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var asked: [Skill] = []
        for piece in message.split(separator: "$", omittingEmptySubsequences: false).dropFirst() {
            var name = piece.prefix { Skill.isName(String($0)) || $0 == "-" }
            while name.hasSuffix("-") { name = name.dropLast() }
            guard let skill = byName[String(name)], !asked.contains(skill) else { continue }
            asked.append(skill)
            if asked.count == Self.maxAskedFor { break }
        }
        return asked
    }

    private mutating func read(_ name: String, in directory: SealedDirectory) {
        do {
            let bytes = try directory.read("\(Workspace.skills)/\(name)/SKILL.md", maxBytes: Self.maxFileBytes)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                problems.append("\(name): SKILL.md is not UTF-8 text")
                return
            }
            skills.append(try Skill(text: text, folder: name))
        } catch let fault as Skill.Fault {
            problems.append("\(name): \(fault.detail)")
        } catch {
            problems.append("\(name): \(error)")
        }
    }
}
