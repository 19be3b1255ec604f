// Fills the folder of a user being created, in a place where nobody looks yet. Everything is fsynced when `fill`
// returns, so that the rename that follows publishes a whole workspace. One thread, under the folder's config lock.
import DurableFiles
import Foundation

struct WorkspaceBuilder {
    /// Bounds of what a clone copies of its pattern's skills: entries, and bytes in all.
    static let maximumSkillEntries = 10_000
    static let maximumSkillBytes = 64 << 20

    private let staging: String
    private let files: any FileSystem
    private let config: UserConfig
    /// The folder as a workspace, still under its temporary name.
    let workspace: Workspace

    init(
        staging: String, files: any FileSystem, config: UserConfig, now: @escaping @Sendable () -> Date
    ) throws(FileError) {
        self.staging = staging
        self.files = files
        self.config = config
        do {
            workspace = try Workspace(
                user: config.userID, path: staging, files: files, defaultTimeZone: config.defaultTimeZone, now: now)
        } catch {
            throw error.file ?? FileError(code: .notFound, operation: "open", path: staging)
        }
    }

    func fill(from pattern: Workspace?) throws(TenantError) {
        let templates = WorkspaceTemplates.forLanguage(config.preferences.language)
        var texts = [
            Workspace.agents: templates.agents,
            Workspace.soul: templates.soul,
            Workspace.heartbeat: templates.heartbeat,
            Workspace.memory: templates.memory,
            Workspace.user: templates.profile(config),
        ]
        if let pattern {
            for name in [Workspace.agents, Workspace.soul, Workspace.heartbeat] {
                texts[name] = try pattern.readText(name) ?? texts[name]
            }
        }
        do {
            for folder in Workspace.folders { try files.makeDirectory("\(staging)/\(folder)", mode: 0o700) }
            for (path, text) in texts { try files.createSynced("\(staging)/\(path)", Array(text.utf8)) }
            try files.createSynced("\(staging)/\(ConfigFile.name)", ConfigFile.bytes(config))
            if let pattern { try copySkills(of: pattern) }
            try files.syncDirectory("\(staging)/memory")
            try files.syncDirectory(staging)
        } catch {
            throw TenantError(error, doing: "fill the workspace of \"\(config.userID)\"")
        }
    }

    private func copySkills(of pattern: Workspace) throws(FileError) {
        let entries: [SealedEntry]
        do throws(FileError) {
            entries = try pattern.directory.walk(Workspace.skills, maxEntries: Self.maximumSkillEntries + 1).entries
        } catch {
            // The pattern's owner removed the folder.
            if error.code == .notFound { return }
            throw error
        }
        let size = entries.reduce(0) { $0 + ($1.kind == .regular ? $1.size : 0) }
        guard entries.count <= Self.maximumSkillEntries, size <= Self.maximumSkillBytes else {
            throw FileError(code: .tooLarge, operation: "copy", path: "\(pattern.path)/\(Workspace.skills)")
        }
        // Links and special files are never followed, so never copied.
        for entry in entries where entry.kind == .regular {
            let bytes = try pattern.directory.read(entry.path, maxBytes: Self.maximumSkillBytes)
            try workspace.directory.write(entry.path, bytes)
        }
    }
}
