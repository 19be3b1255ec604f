// Finds text in workspace files. Plain text only: a regular expression a model writes can take exponential time. A file
// costs a fixed number of steps for each of its bytes, whatever is looked for (BytePattern), and the search ends when the
// call is cancelled. Stateless.
import DurableFiles
import HTTPTransport
import Tenants
import TextFormats

struct GrepTool: Tool {
    static let maxMatches = 100
    /// Characters of a matching line that are shown.
    static let maxLine = 300
    static let maxFileBytes = 8 << 20
    /// Bytes read in one call.
    static let maxTotalBytes = 32 << 20

    let name = "grep"
    let description = """
        Search the text files of the user's workspace for a piece of plain text (no regular expression). Returns path, \
        line number and line of each match.
        """
    let isIdempotent = true
    let isReadOnly = true
    var parameters: JSON {
        ToolSchema.object(
            [
                "pattern": ToolSchema.text("The text to look for"),
                "path": ToolSchema.text("Folder or file to search in (default: the workspace)"),
                "files": ToolSchema.text("Name pattern of the files to search, such as *.md"),
                "ignore_case": ToolSchema.flag("Default true"),
            ], required: ["pattern"])
    }

    func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
        var reader = try ObjectReader(arguments)
        let text = try reader.require(reader.string("pattern", min: 1, max: 512), "pattern")
        let raw = try reader.string("path", max: WorkspacePath.maxLength) ?? ""
        let glob = try reader.string("files", min: 1, max: 256).map(GlobPattern.init)
        let ignoresCase = try reader.bool("ignore_case") ?? true
        try reader.finish()
        let (paths, isPartial) = try files(under: raw, matching: glob, in: context)
        var search = TextSearch(text, ignoresCase: ignoresCase, context.steps())
        for path in paths {
            try context.checkCancelled()
            if search.isFull { break }
            search.scan(path, in: context.turn.workspace.directory)
        }
        try context.checkCancelled()
        var fields: JSONObject = ["matches": .array(search.matches), "files_searched": JSON(search.files)]
        if search.isFull || isPartial { fields["note"] = "there may be more; search a subfolder or a longer text" }
        if search.skipped > 0 { fields["files_skipped"] = JSON(search.skipped) }
        return JSON.object(fields).text()
    }

    private func files(
        under raw: String, matching glob: GlobPattern?, in context: ToolContext
    ) throws(ToolFailure) -> (paths: [String], isPartial: Bool) {
        let path = try WorkspacePath.normal(raw)
        do {
            if !path.isEmpty, try context.turn.workspace.directory.status(path).kind == .regular {
                return ([path], false)
            }
        } catch {
            throw ToolFailure(error, path: path)
        }
        let found = try WorkspaceWalk.files(under: path, matching: glob, in: context)
        return (found.files.map(\.path), found.isPartial)
    }
}
