// Lists one folder of the workspace. Stateless.
import DurableFiles
import Foundation
import HTTPTransport
import Tenants
import TextFormats

struct ListDirTool: Tool {
    static let maxEntries = 300

    let name = "list_dir"
    let description = "List a folder of the user's workspace: names, kinds, sizes in bytes and times of change."
    let isIdempotent = true
    let isReadOnly = true
    var parameters: JSON {
        ToolSchema.object(["path": ToolSchema.text("Folder in the workspace (default: the workspace itself)")])
    }

    func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
        var reader = try ObjectReader(arguments)
        let raw = try reader.string("path", max: WorkspacePath.maxLength) ?? ""
        try reader.finish()
        let path = try WorkspacePath.normal(raw)
        let entries: [SealedEntry]
        do {
            entries = try context.turn.workspace.directory.list(path, isCancelled: { context.cancellation.isCancelled })
        } catch {
            throw ToolFailure(error, path: path)
        }
        try context.checkCancelled()
        let shown = entries.filter { !$0.name.hasPrefix(".") }
        let rows: [JSON] = shown.prefix(Self.maxEntries).map { entry in
            [
                "name": .string(entry.name), "kind": .string(entry.kind.word), "size": JSON(Int(entry.size)),
                "modified": .string(RFC3339.string(entry.modified)),
            ]
        }
        var fields: JSONObject = ["path": .string(path.isEmpty ? "." : path), "entries": .array(rows)]
        if shown.count > rows.count { fields["not_shown"] = JSON(shown.count - rows.count) }
        return JSON.object(fields).text()
    }
}

extension FileKind {
    var word: String {
        switch self {
        case .regular: "file"
        case .directory: "folder"
        case .symlink: "link"
        default: "other"
        }
    }
}
