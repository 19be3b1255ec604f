// Replaces a piece of text in a workspace file. Not idempotent: the new text may contain the old one, so after a crash
// nobody can tell whether it ran. Stateless.
import DurableFiles
import Foundation
import Tenants
import TextFormats

struct EditFileTool: Tool {
    let name = "edit_file"
    let description = """
        Replace a piece of text in a file of the user's workspace. old_text must occur exactly as given, and once, \
        unless replace_all is true.
        """
    let isIdempotent = false
    let isReadOnly = false
    var parameters: JSON {
        ToolSchema.object(
            [
                "path": ToolSchema.text("Path in the workspace"),
                "old_text": ToolSchema.text("The text to replace, with enough around it to occur only once"),
                "new_text": ToolSchema.text("What stands there afterwards; empty to delete"),
                "replace_all": ToolSchema.flag("Replace every occurrence (default false)"),
            ], required: ["path", "old_text", "new_text"])
    }

    func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
        var reader = try ObjectReader(arguments)
        let raw = try reader.require(reader.string("path", min: 1, max: WorkspacePath.maxLength), "path")
        let longest = WriteFileTool.maxCharacters
        let old = try reader.require(reader.string("old_text", min: 1, max: longest), "old_text")
        let new = try reader.require(reader.string("new_text", max: longest), "new_text")
        let replacesAll = try reader.bool("replace_all") ?? false
        try reader.finish()
        let path = try WorkspacePath.writable(raw)
        let text = try WorkspaceText.read(path, in: context, maxBytes: ReadFileTool.maxFileBytes)
        let bytes = Array(text.utf8)
        let pattern = BytePattern(old)
        // Linear in a text of 8 MiB at most. Not cancelled half-way: a call that may change a file has one result.
        let steps = StepCounter()
        let count = pattern.ranges(in: bytes, steps).count
        try check(count, old: old, path: path, replacesAll: replacesAll)
        let growth = count * (new.utf8.count - old.utf8.count)
        guard bytes.count + growth <= ReadFileTool.maxFileBytes else {
            throw ToolFailure(code: "too_large", detail: "the file would become larger than 8 MiB; nothing was changed")
        }
        let changed = pattern.replacing(in: bytes, with: Array(new.utf8), steps)
        try context.checkSpace(for: changed.count)
        do {
            try context.turn.workspace.directory.write(path, changed)
        } catch {
            throw ToolFailure(error, path: path)
        }
        return JSON.object(["path": .string(path), "replacements": JSON(count)]).text()
    }

    private func check(_ count: Int, old: String, path: String, replacesAll: Bool) throws(ToolFailure) {
        guard count > 0 else {
            throw ToolFailure(
                code: "text_not_found",
                detail: "old_text does not occur in \(path); read_file shows the exact text, blanks included")
        }
        guard count == 1 || replacesAll else {
            throw ToolFailure(
                code: "text_not_unique",
                detail: "old_text occurs \(count) times in \(path); give more text around it, or set replace_all")
        }
    }
}
