// The path rules of the file tools, on top of what the kernel enforces (SealedDirectory resolves every name beneath the
// workspace): which files the tools may change. Pure, but for the names it is given.
import DurableFiles
import Foundation
import TextFormats

enum WorkspacePath {
    /// Characters of a path argument.
    static let maxLength = 1_024
    /// Owned by other parts of the house: changed by their own tools and calls, never as text.
    private static let protectedFiles: Set<String> = ["config.json", "account.json", "schedules.json", "usage.jsonl"]
    private static let protectedFolders: Set<String> = ["sessions"]

    /// The path without redundant parts; "" is the root. `..` and absolute paths are left for the kernel to refuse, but
    /// are refused here too, so that the model reads what is wrong with them.
    static func normal(_ path: String) throws(ToolFailure) -> String {
        let parts = path.split(separator: "/", omittingEmptySubsequences: true).map(String.init).filter { $0 != "." }
        guard !path.hasPrefix("/"), !parts.contains(".."), !path.unicodeScalars.contains("\0") else {
            throw ToolFailure(
                code: "path_not_allowed",
                detail: "\"\(path.prefix(200))\" leads out of the workspace; use a relative path such as data/notes.md")
        }
        return parts.joined(separator: "/")
    }

    /// - Throws: unless the file tools may write there.
    static func writable(_ path: String) throws(ToolFailure) -> String {
        let normal = try normal(path)
        guard !normal.isEmpty else {
            throw ToolFailure(code: "invalid_arguments", detail: "path: must name a file")
        }
        let parts = normal.split(separator: "/").map(String.init)
        // Compared without case, so that the rule also holds on file systems that ignore case.
        let first = parts[0].lowercased()
        let isProtected =
            parts.contains { $0.hasPrefix(".") } || protectedFolders.contains(first)
            || (parts.count == 1 && protectedFiles.contains(first))
        guard !isProtected else {
            throw ToolFailure(
                code: "protected_file",
                detail: "\(normal) is kept by nanobot and is not written as a file; use the tools watchlist, "
                    + "preferences, schedule and memory for what they keep, and another path for notes")
        }
        return normal
    }
}
