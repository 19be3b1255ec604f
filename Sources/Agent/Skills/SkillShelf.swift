// The skills of a turn, by name: those of the workspace's skills/ folder over the built-in ones. The folder is read
// anew for every turn: people add skills by hand. What is no valid skill is left out and named in `faults`; a broken one
// does not bring back the built-in one it stands in front of, so its owner notices. Any thread.
import DurableFiles
import Tenants

struct SkillShelf: Sendable {
    /// Folders read in one workspace.
    static let maxSkills = 100
    static let maxFileBytes = 64 << 10
    /// Characters of a folder's name, and of one fault, as they are shown.
    static let maxNameCharacters = 80
    static let maxFaultCharacters = 400

    /// What is wrong with a skill's file, in words for its owner.
    struct Fault: Sendable, Hashable {
        /// The folder's name, of visible characters.
        var name: String
        /// Relative to the workspace.
        var path: String
        /// One line.
        var detail: String
        /// The skill cannot be used.
        var isFatal: Bool
    }

    private(set) var skills: [Skill] = []
    /// In the order of the folders.
    private(set) var faults: [Fault] = []

    /// `<folder>: <what is wrong>`.
    var problems: [String] { faults.map { "\($0.name): \($0.detail)" } }

    init(directory: SealedDirectory) throws(FileError) {
        let entries: [SealedEntry]
        do {
            entries = try directory.list(Workspace.skills).sorted { $0.name < $1.name }
        } catch {
            skills = BuiltInSkills.all
            if error.code == .notFound { return }
            throw error
        }
        let shown = entries.filter { !$0.name.hasPrefix(".") }
        let folders = shown.filter { $0.kind == .directory }
        for folder in folders.prefix(Self.maxSkills) { read(folder.name, in: directory) }
        for folder in folders.dropFirst(Self.maxSkills).prefix(1) {
            let more = folders.count - Self.maxSkills - 1
            let others = more > 0 ? "; \(more) more are left out" : ""
            add(folder.name, "only \(Self.maxSkills) skills are read\(others)")
        }
        for entry in shown.filter({ $0.kind != .directory }).prefix(Self.maxSkills) { readNoFolder(entry) }
        let taken = Set(shown.filter { $0.kind == .directory || $0.kind == .symlink }.map(\.name))
        skills = (skills + BuiltInSkills.all.filter { !taken.contains($0.name) }).sorted { $0.name < $1.name }
    }

    /// Skills one message can ask for with `$name`.
    static let maxAskedFor = 3

    /// The skills a message names as `$name`, in its order, each once. `$AAPL` and `$5` are no skills: only names that
    /// are on the shelf count.
    func askedFor(in message: String) -> [Skill] {
        let byName = Dictionary(skills.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        return Array(Self.names(in: message).compactMap { byName[$0] }.prefix(Self.maxAskedFor))
    }

    /// What is wrong with the skills a message names that cannot be used.
    func brokenAskedFor(in message: String) -> [Fault] {
        let broken = Dictionary(faults.filter(\.isFatal).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        return Array(Self.names(in: message).compactMap { broken[$0] }.prefix(Self.maxAskedFor))
    }

    /// What could be names of skills behind a "$", in order, each once.
    private static func names(in message: String) -> [String] {
        var names: [String] = []
        var known: Set<String> = []
        for piece in message.split(separator: "$", omittingEmptySubsequences: false).dropFirst() {
            var name = piece.prefix { Skill.isName(String($0)) || $0 == "-" }
            while name.hasSuffix("-") { name = name.dropLast() }
            if !name.isEmpty, known.insert(String(name)).inserted { names.append(String(name)) }
        }
        return names
    }

    // MARK: - Reading

    private mutating func read(_ name: String, in directory: SealedDirectory) {
        let path = "\(Workspace.skills)/\(name)/SKILL.md"
        do {
            let bytes = try directory.read(path, maxBytes: Self.maxFileBytes)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                let isWide = bytes.starts(with: [0xff, 0xfe]) || bytes.starts(with: [0xfe, 0xff])
                add(name, "SKILL.md is \(isWide ? "UTF-16" : "not UTF-8 text"); save it as UTF-8")
                return
            }
            let skill = try Skill(text: text, folder: name)
            skills.append(skill)
            for problem in skill.problems { add(name, problem, isFatal: false) }
        } catch let fault as Skill.Fault {
            add(name, fault.detail)
        } catch let error as FileError {
            add(name, reason(error, name, in: directory))
        } catch {
            add(name, "\(error)")
        }
    }

    private func reason(_ error: FileError, _ name: String, in directory: SealedDirectory) -> String {
        switch error.code {
        case .tooLarge: return "SKILL.md has more than \(Self.maxFileBytes) bytes"
        case .symlink, .escapes: return "SKILL.md is a link; only a file of its own is read"
        case .isDirectory, .invalid: return "SKILL.md is no regular file"
        case .notFound:
            // A folder that cannot be listed has no better name to offer.
            let names = (try? directory.list("\(Workspace.skills)/\(name)"))?.map(\.name) ?? []
            let near = names.first { $0.lowercased() == "skill.md" || $0.lowercased() == "skills.md" }
            return "there is no SKILL.md in the folder" + (near.map { "; rename \($0)" } ?? "")
        default: return "\(error)"
        }
    }

    /// A skill that was put down as a file, or as a link, which is followed nowhere.
    private mutating func readNoFolder(_ entry: SealedEntry) {
        if entry.kind == .symlink {
            add(entry.name, "is a link; only a folder of the workspace itself is read", path: entry.path)
        } else if entry.kind == .regular, entry.name.lowercased().hasSuffix(".md"), entry.name.lowercased() != "readme.md" {
            let name = entry.name.dropLast(3)
            let place = name.lowercased() == "skill" ? "NAME" : String(name)
            add(
                entry.name, "is a file; a skill is a folder: move it to \(Workspace.skills)/\(place)/SKILL.md",
                path: entry.path)
        }
    }

    private mutating func add(_ name: String, _ detail: String, path: String? = nil, isFatal: Bool = true) {
        let path = path ?? "\(Workspace.skills)/\(name)/SKILL.md"
        faults.append(
            Fault(
                name: Self.line(name, Self.maxNameCharacters), path: Self.line(path, 2 * Self.maxNameCharacters),
                detail: Self.line(detail, Self.maxFaultCharacters), isFatal: isFatal))
    }

    /// One line of visible characters: names and texts are the owner's, or those of a page the owner copied.
    private static func line(_ text: String, _ limit: Int) -> String {
        let words = UntrustedContent.visible(text).split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return words.count > limit ? words.prefix(limit) + "…" : words
    }
}
