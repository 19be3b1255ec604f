// The skills of a workspace's skills/ folder, by name. Read anew for every turn: people add skills by hand. What is no
// valid skill is left out and named in `problems`. Any thread.
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
            if error.code == .notFound { return }
            throw error
        }
        for folder in folders where folder.kind == .directory && !folder.name.hasPrefix(".") {
            guard skills.count < Self.maxSkills else {
                problems.append("\(folder.name): only \(Self.maxSkills) skills are read")
                return
            }
            read(folder.name, in: directory)
        }
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
