// memory/history.jsonl: what older parts of conversations came to, one JSON line each, for the assistant's prompt and for
// people who read the file. {"id","timestamp","session","from","to","content","raw"}. Changes take the workspace's memory
// lock. Any thread, any process. Throws AgentError `storage`.
import DurableFiles
import Foundation
import Tenants
import TextFormats

public struct HistoryEntry: Sendable, Hashable {
    /// From the session and its last message: writing it twice changes nothing.
    public var id: String
    public var session: SessionID
    /// When the first and the last of its messages were said.
    public var from: Date
    public var to: Date
    public var content: String
    /// The messages themselves, shortened, since no model has summarised them.
    public var isRaw: Bool

    public init(id: String, session: SessionID, from: Date, to: Date, content: String, isRaw: Bool) {
        self.id = id
        self.session = session
        self.from = from
        self.to = to
        self.content = content
        self.isRaw = isRaw
    }

    var json: JSON {
        [
            "id": .string(id), "timestamp": .string(RFC3339.string(to)), "session": .string(session.rawValue),
            "from": .string(RFC3339.string(from)), "to": .string(RFC3339.string(to)), "content": .string(content),
            "raw": .bool(isRaw),
        ]
    }
}

public struct HistoryLog: Sendable {
    /// Bytes of the file; the older half goes when it grows beyond.
    static let maxBytes = 4 << 20
    static let maxCharacters = 4_000

    private let workspace: Workspace
    private var directory: SealedDirectory { workspace.directory }

    public init(workspace: Workspace) { self.workspace = workspace }

    /// Adds an entry that is not there yet. Commit point: the fsync of the append.
    public func append(_ entry: HistoryEntry) throws(AgentError) {
        try locked { () throws(FileError) in
            let bytes = try read()
            let mark = Array("\"id\":\(JSON.string(entry.id).text())".utf8)
            let isThere = bytes.split(separator: Self.newline).contains { line in
                line.starts(with: [UInt8(ascii: "{")] + mark)
            }
            guard !isThere else { return }
            var entry = entry
            entry.content = String(entry.content.prefix(Self.maxCharacters))
            let isTorn = !bytes.isEmpty && bytes.last != Self.newline
            let line = (isTorn ? [Self.newline] : []) + entry.json.bytes() + [Self.newline]
            guard bytes.count + line.count > Self.maxBytes else {
                return try directory.append(Workspace.history, line, durable: true)
            }
            let kept = bytes.suffix(Self.maxBytes / 2).drop { $0 != Self.newline }.dropFirst()
            try directory.write(Workspace.history, Array(kept) + line)
        }
    }

    /// Removes what came from a conversation that is deleted.
    public func forget(_ session: SessionID) throws(AgentError) {
        try locked { () throws(FileError) in
            let lines = try read().split(separator: Self.newline)
            let kept = lines.filter { line in
                // What cannot be read belongs to nobody, and stays for a person to look at.
                (try? JSON.parse(Array(line)))?["session"]?.string != session.rawValue
            }
            guard kept.count < lines.count else { return }
            try directory.write(Workspace.history, kept.flatMap { $0 + [Self.newline] })
        }
    }

    private static let newline = UInt8(ascii: "\n")

    private func read() throws(FileError) -> [UInt8] {
        do throws(FileError) {
            return try directory.read(Workspace.history, maxBytes: 4 * Self.maxBytes)
        } catch {
            if error.code == .notFound { return [] }
            throw error
        }
    }

    private func locked(_ body: () throws(FileError) -> Void) throws(AgentError) {
        do {
            try workspace.withLock(.memory) { try body() }
        } catch let error as FileError {
            throw AgentError.storage(error, while: "changing the history")
        } catch {
            throw AgentError(code: "storage", detail: "changing the history: \(error)", isRetryable: true, cause: error)
        }
    }
}
