// Finds workspace files by name. Stateless.
import DurableFiles
import HTTPTransport
import Tenants
import TextFormats

struct FindFilesTool: Tool {
    /// Entries looked at in one call.
    static let maxWalked = 20_000
    static let maxFound = 300

    let name = "find_files"
    let description = """
        Find files of the user's workspace by name pattern: * and ? within a name, ** for any folders, [abc]. \
        A pattern without a slash is matched against names in all folders.
        """
    let isIdempotent = true
    let isReadOnly = true
    var parameters: JSON {
        ToolSchema.object(
            [
                "pattern": ToolSchema.text("Such as *.csv or reports/**/*.md"),
                "path": ToolSchema.text("Folder to search in (default: the workspace)"),
            ], required: ["pattern"])
    }

    func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
        var reader = try ObjectReader(arguments)
        let pattern = try reader.require(reader.string("pattern", min: 1, max: 256), "pattern")
        let raw = try reader.string("path", max: WorkspacePath.maxLength) ?? ""
        try reader.finish()
        let found = try WorkspaceWalk.files(under: raw, matching: GlobPattern(pattern), in: context)
        let shown = found.files.prefix(Self.maxFound)
        var fields: JSONObject = ["files": JSON(shown.map(\.path))]
        if found.files.count > shown.count { fields["not_shown"] = JSON(found.files.count - shown.count) }
        if found.isPartial { fields["note"] = "the folder is too large to be searched whole; search in a subfolder" }
        return JSON.object(fields).text()
    }
}

/// The files below a folder that a model may know of.
enum WorkspaceWalk {
    static func files(
        under raw: String, matching pattern: GlobPattern?, in context: ToolContext
    ) throws(ToolFailure) -> (files: [SealedEntry], isPartial: Bool) {
        let folder = try WorkspacePath.normal(raw)
        let found: SealedDirectory.Findings
        do {
            found = try context.turn.workspace.directory.walk(
                folder, maxEntries: FindFilesTool.maxWalked, isCancelled: { context.cancellation.isCancelled })
        } catch {
            throw ToolFailure(error, path: folder)
        }
        let steps = context.steps()
        let files = found.entries.filter { entry in
            steps.add(entry.path.utf8.count)
            guard !steps.isStopped else { return false }
            guard entry.kind == .regular, !entry.path.split(separator: "/").contains(where: { $0.hasPrefix(".") })
            else { return false }
            guard let pattern else { return true }
            return pattern.matches(relative(entry.path, to: folder), steps)
        }
        try context.checkCancelled()
        return (files, !found.isComplete)
    }

    private static func relative(_ path: String, to folder: String) -> String {
        guard !folder.isEmpty, path.hasPrefix(folder + "/") else { return path }
        return String(path.dropFirst(folder.count + 1))
    }
}
