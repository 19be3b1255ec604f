// memory/MEMORY.md: what is remembered about a user, as Markdown that people may edit too. Entries are bullet lines
// ("- 2026-11-24: text"); everything else in the file stays as it is. Language neutral. Each change takes the
// workspace's memory lock and replaces the file at once. Any thread. Throws AgentError `storage`, `memory_full` or `invalid_text`.
import DurableFiles
import Foundation
import Tenants
import TextFormats

public final class MemoryStore: Sendable {
    public static let maxEntryCharacters = 2_000
    /// Bytes of the whole file.
    public static let maxBytes = 64 << 10
    /// What `forget` is given must be longer than a letter, else half the memory would contain it.
    static let minForgetCharacters = 2

    private let workspace: Workspace
    private var directory: SealedDirectory { workspace.directory }
    private let path = Workspace.memory

    public init(workspace: Workspace) { self.workspace = workspace }

    /// The whole text; empty when there is none.
    public func show() throws(AgentError) -> String { String(decoding: try bytes(), as: UTF8.self) }

    private func bytes() throws(AgentError) -> [UInt8] {
        do {
            return try directory.read(path, maxBytes: Self.maxBytes * 4)
        } catch {
            if error.code == .notFound { return [] }
            throw AgentError.storage(error, while: "reading the memory")
        }
    }

    /// Adds one entry at the end of the file.
    /// - Parameter makesRoom: where the file is full, the oldest entries go to MEMORY.old.md instead of the new one being refused.
    /// - Returns: false when it is remembered already.
    public func remember(_ text: String, on date: Date, makesRoom: Bool = false) throws(AgentError) -> Bool {
        let entry = Self.oneLine(text)
        guard !entry.isEmpty, entry.count <= Self.maxEntryCharacters else {
            throw AgentError(
                code: "invalid_text", detail: "text: 1 to \(Self.maxEntryCharacters) characters are remembered at once",
                isRetryable: false)
        }
        return try change { (memory) throws(AgentError) in
            let key = Self.key(entry)
            let lines = memory.split(separator: "\n", omittingEmptySubsequences: false)
            if lines.contains(where: { Self.entry(in: $0).map { Self.key($0) } == key }) { return (memory, false) }
            let gap = memory.isEmpty || memory.hasSuffix("\n") ? "" : "\n"
            let day = RFC3339.string(date).prefix(10)
            var new = memory + gap + "- \(day): \(entry)\n"
            if makesRoom, new.utf8.count > Self.maxBytes { new = try withoutOldest(new) }
            guard new.utf8.count <= Self.maxBytes else {
                throw AgentError(
                    code: "memory_full",
                    detail: "the memory holds at most \(Self.maxBytes) bytes; forget something old first",
                    isRetryable: false)
            }
            return (new, true)
        }
    }

    /// Removes the entries that contain `text`, letter case ignored.
    /// - Returns: the removed entries, without their dates.
    public func forget(_ text: String) throws(AgentError) -> [String] {
        let wanted = Self.key(Self.oneLine(text))
        guard wanted.count >= Self.minForgetCharacters else {
            throw AgentError(
                code: "invalid_text",
                detail: "text: name at least \(Self.minForgetCharacters) characters of what to forget",
                isRetryable: false)
        }
        return try change { (memory) throws(AgentError) in
            var removed: [String] = []
            let kept = memory.split(separator: "\n", omittingEmptySubsequences: false).filter { line in
                guard let entry = Self.entry(in: line), Self.key(entry).contains(wanted) else { return true }
                removed.append(entry)
                return false
            }
            return (removed.isEmpty ? memory : kept.joined(separator: "\n"), removed)
        }
    }

    /// Puts a new text in the place of the one that was read, unless somebody has changed it since: then theirs stays. The
    /// one before is kept beside it (MEMORY.old.md).
    /// - Returns: whether it was replaced.
    public func replace(_ old: String, with new: String) throws(AgentError) -> Bool {
        try change { (memory) throws(AgentError) in
            guard memory == old, new.utf8.count <= Self.maxBytes else { return (memory, false) }
            do throws(FileError) {
                try directory.write(Self.before, Array(old.utf8))
            } catch {
                throw AgentError.storage(error, while: "keeping the memory as it was")
            }
            return (new, true)
        }
    }

    static let before = "memory/MEMORY.old.md"

    /// Takes the oldest entries away until a quarter of the file is free. Commit point of what was taken: its own append.
    private func withoutOldest(_ memory: String) throws(AgentError) -> String {
        var lines = memory.split(separator: "\n", omittingEmptySubsequences: false)
        var excess = memory.utf8.count - Self.maxBytes * 3 / 4
        var oldest = ""
        var index = 0
        while excess > 0, index < lines.count {
            guard Self.entry(in: lines[index]) != nil else {
                index += 1
                continue
            }
            let line = lines.remove(at: index)
            excess -= line.utf8.count + 1
            oldest += line + "\n"
        }
        do throws(FileError) {
            try directory.append(Self.before, Array(oldest.utf8), durable: true)
        } catch {
            throw AgentError.storage(error, while: "keeping the oldest entries of the memory")
        }
        return lines.joined(separator: "\n")
    }

    /// What a model's answer makes of a memory that is too long; nil: nothing that may take its place.
    /// - Parameter limit: characters.
    public static func tidied(_ memory: String, by answer: String, limit: Int) -> String? {
        TidiedMemory(of: memory).text(from: answer, limit: limit)
    }

    // MARK: - Changing

    private func change<Value>(
        _ body: (String) throws(AgentError) -> (String, Value)
    ) throws(AgentError) -> Value {
        do {
            return try workspace.withLock(.memory) {
                let bytes = try bytes()
                let before = String(decoding: bytes, as: UTF8.self)
                let (after, value) = try body(before)
                guard after != before else { return value }
                // Bytes that are no UTF-8 would be lost with the change. The name follows from them: one copy of each.
                if !before.utf8.elementsEqual(bytes) {
                    try directory.write("\(path).corrupt-\(Fingerprint.sha256Hex(bytes).prefix(16))", bytes)
                }
                try directory.write(path, Array(after.utf8))
                return value
            }
        } catch let error as AgentError {
            throw error
        } catch let error as FileError {
            throw AgentError.storage(error, while: "changing the memory")
        } catch {
            throw AgentError(code: "storage", detail: "changing the memory: \(error)", isRetryable: true, cause: error)
        }
    }

    // MARK: - Lines

    /// A line break or control character inside an entry would end its bullet.
    private static func oneLine(_ text: String) -> String {
        let words = text.unicodeScalars.split { scalar in
            scalar.properties.isWhitespace || scalar.properties.generalCategory == .control
        }
        return words.map { String($0) }.joined(separator: " ")
    }

    /// The text of a bullet line without its date; nil for any other line.
    private static func entry(in line: Substring) -> String? {
        let trimmed = line.drop(while: \.isWhitespace)
        guard trimmed.hasPrefix("- ") || trimmed.hasPrefix("* ") else { return nil }
        var text = trimmed.dropFirst(2)
        if let colon = text.firstIndex(of: ":"), isDate(text[..<colon]) { text = text[text.index(after: colon)...] }
        return oneLine(String(text))
    }

    private static func isDate(_ text: Substring) -> Bool {
        text.utf8.count == 10 && RFC3339.date(text + "T00:00:00Z") != nil
    }

    private static func key(_ entry: String) -> String { entry.lowercased() }
}
