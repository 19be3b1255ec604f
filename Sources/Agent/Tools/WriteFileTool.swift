// Writes a whole text file of the workspace, durably and at once: a reader sees the old or the new content. Stateless.
import DurableFiles
import Tenants
import TextFormats

struct WriteFileTool: Tool {
    /// Characters of a file a model may write.
    static let maxCharacters = 1_000_000

    let name = "write_file"
    let description = """
        Write a text file in the user's workspace: creates it, with its folders, or replaces its whole content. \
        To change a part of a file use edit_file.
        """
    let isIdempotent = true
    let isReadOnly = false
    var parameters: JSON {
        ToolSchema.object(
            [
                "path": ToolSchema.text("Path in the workspace, such as data/notes.md"),
                "content": ToolSchema.text("The whole new content"),
            ], required: ["path", "content"])
    }

    func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
        var reader = try ObjectReader(arguments)
        let raw = try reader.require(reader.string("path", min: 1, max: WorkspacePath.maxLength), "path")
        let content = try reader.require(reader.string("content", max: Self.maxCharacters), "content")
        try reader.finish()
        let path = try WorkspacePath.writable(raw)
        let bytes = Array(content.utf8)
        try context.checkSpace(for: bytes.count)
        do {
            try context.turn.workspace.directory.write(path, bytes)
        } catch {
            throw ToolFailure(error, path: path)
        }
        return JSON.object(["path": .string(path), "bytes": JSON(bytes.count), "written": true]).text()
    }
}
