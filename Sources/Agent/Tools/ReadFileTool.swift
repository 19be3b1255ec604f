// Reads a text file of the workspace, by lines, in pieces that fit a tool result. Stateless.
import DurableFiles
import Tenants
import TextFormats

struct ReadFileTool: Tool {
    /// Bytes of a file this tool opens.
    static let maxFileBytes = 8 << 20
    static let maxLines = 2_000
    /// Characters of content in one result: with JSON quoting it stays below the bound of a result.
    static let maxCharacters = 12_000

    let name = "read_file"
    let description = """
        Read a text file of the user's workspace. Returns JSON with the content and the number of lines; when there is \
        more, next_offset is the offset to go on with.
        """
    let isIdempotent = true
    let isReadOnly = true
    var parameters: JSON {
        ToolSchema.object(
            [
                "path": ToolSchema.text("Path in the workspace, such as memory/MEMORY.md"),
                "offset": ToolSchema.number("First line, counted from 1 (default 1)", min: 1, max: 10_000_000),
                "limit": ToolSchema.number("Lines at most (default 2000)", min: 1, max: Self.maxLines),
            ], required: ["path"])
    }

    func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
        var reader = try ObjectReader(arguments)
        let raw = try reader.require(reader.string("path", min: 1, max: WorkspacePath.maxLength), "path")
        let first = try reader.int("offset", in: 1...10_000_000) ?? 1
        let limit = try reader.int("limit", in: 1...Self.maxLines) ?? Self.maxLines
        try reader.finish()
        let path = try WorkspacePath.normal(raw)
        let text = try WorkspaceText.read(path, in: context, maxBytes: Self.maxFileBytes)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard first <= max(lines.count, 1) else {
            throw ToolFailure(code: "invalid_arguments", detail: "offset: the file has only \(lines.count) lines")
        }
        return page(lines[(first - 1)...].prefix(limit), path: path, first: first, total: lines.count)
    }

    private func page(_ lines: ArraySlice<Substring>, path: String, first: Int, total: Int) -> String {
        var content: [Substring] = []
        var used = 0
        for line in lines {
            let cost = line.count + 1
            if used + cost > Self.maxCharacters { break }
            used += cost
            content.append(line)
        }
        // A single line longer than a page is shown in part: showing nothing would never end.
        if content.isEmpty, let line = lines.first { content = [line.prefix(Self.maxCharacters)] }
        var fields: JSONObject = [
            "path": .string(path), "content": .string(content.joined(separator: "\n")),
            "first_line": JSON(first), "lines": JSON(content.count), "total_lines": JSON(total),
        ]
        let next = first + content.count
        if next <= total { fields["next_offset"] = JSON(next) }
        return JSON.object(fields).text()
    }
}

/// Reading a workspace file as text, with the failures a model can act on.
enum WorkspaceText {
    static func read(_ path: String, in context: ToolContext, maxBytes: Int) throws(ToolFailure) -> String {
        let bytes: [UInt8]
        do {
            bytes = try context.turn.workspace.directory.read(path, maxBytes: maxBytes, singleName: true)
        } catch {
            throw ToolFailure(error, path: path)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ToolFailure(code: "not_text", detail: "\"\(path.prefix(200))\" is not UTF-8 text")
        }
        return text
    }
}
