// The conversations of one workspace, a file of JSON lines each: sessions/<SessionID.fileName>. Only appended to; a
// torn last line is cut at the next append, everything else stays for ever. Changes take the workspace's session lock,
// so any thread and any process may call. Throws AgentError `storage`, `lock_timeout`, `session_not_found` or `session_full`.
import DurableFiles
import Foundation
import Providers
import Tenants
import TextFormats

public final class SessionStore: Sendable {
    /// A session of this size, in bytes, takes no further turn.
    public static let maxBytes = 64 << 20
    /// Characters of a title.
    public static let maxTitleCharacters = 80
    /// The last turn may go beyond `maxBytes`; more than this is not read.
    private static let readBytes = 128 << 20

    private let workspace: Workspace
    var directory: SealedDirectory { workspace.directory }

    public init(workspace: Workspace) { self.workspace = workspace }

    // MARK: - Reading

    /// What a new turn of the session begins with.
    struct Replay: Sendable {
        var messages: [ChatMessage] = []
        var summary: String?
        var badLines = 0
        /// Messages before these that no summary has.
        var hidden = 0
        /// When the job's own question was written, if it is there already.
        var asked: Date?
    }

    /// - Parameters:
    ///   - job: entries of this job are left out: it is about to make them (again).
    ///   - last: the job whose answer the turn follows: entries of later ones are left out too. nil, or a job whose entries are
    ///     only in a summary: none are.
    /// - Throws: also `history_missing`.
    func replay(_ session: SessionID, excluding job: String, through last: String? = nil) throws(AgentError) -> Replay {
        guard let bytes = try read(path(session)) else {
            if last != nil { throw Self.missingHistory(session) }
            return Replay()
        }
        guard bytes.count < Self.maxBytes else { throw Self.full(session, bytes.count) }
        let file = SessionFile(replaying: bytes)
        if file.lacksBase { throw Self.missingHistory(session) }
        var open = file.open
        if let last, let end = open.lastIndex(where: { $0.jobID == last }) { open = open[...end] }
        let older = StoppedTurn.closed(open.filter { $0.jobID != job })
        return Replay(
            messages: ReplayWindow.paired((file.base?.messages ?? []) + ReplayWindow.messages(older)), summary: file.summary,
            badLines: file.badLines, hidden: file.unreadLines,
            asked: file.open.first { $0.jobID == job && $0.isQuestion }?.time)
    }

    /// - Throws: `session_full` where no further turn may be written.
    func requireRoom(_ session: SessionID) throws(AgentError) {
        let size: Int
        do throws(FileError) {
            size = try directory.status(path(session)).size
        } catch {
            if error.code == .notFound { return }
            throw AgentError.storage(error, while: "looking at the session")
        }
        if size >= Self.maxBytes { throw Self.full(session, size) }
    }

    /// Messages in order, oldest first.
    /// - Parameters:
    ///   - limit: at most so many.
    ///   - after: the id of the entry before the first wanted one; nil: from the start.
    /// - Throws: `session_not_found`; `message_not_found` when `after` names none.
    public func messages(
        _ session: SessionID, limit: Int, after: String? = nil
    ) throws(AgentError) -> [SessionEntry] {
        let page = try page(session, limit: limit, after: after)
        return try page.entries(page.places.indices)
    }

    /// The same, read when they are asked for.
    /// - Parameter isNewestFirst: in the other order; `after` is then the id of the entry that follows the first wanted one.
    public func page(
        _ session: SessionID, limit: Int, after: String? = nil, isNewestFirst: Bool = false
    ) throws(AgentError) -> SessionPage {
        guard let (file, index) = try index(path(session)) else { throw Self.notFound(session) }
        let places = isNewestFirst ? index.places.reversed() : index.places
        var start = 0
        if let after {
            guard let place = places.firstIndex(where: { $0.id == after }) else {
                throw AgentError(
                    code: "message_not_found", detail: "there is no message \"\(after.prefix(80))\" in the session",
                    isRetryable: false)
            }
            start = place + 1
        }
        return SessionPage(places: Array(places[start...].prefix(max(0, limit))), file: file)
    }

    /// The last messages, oldest first.
    public func lastMessages(_ session: SessionID, limit: Int) throws(AgentError) -> [SessionEntry] {
        Array(try existing(session).entries.suffix(max(0, limit)))
    }

    /// All sessions, the one used last first. Files whose session cannot be told are left out.
    public func list() throws(AgentError) -> [SessionSummary] {
        let files: [SealedEntry]
        do {
            files = try directory.list(Workspace.sessions)
        } catch {
            if error.code == .notFound { return [] }
            throw AgentError.storage(error, while: "listing the sessions")
        }
        var summaries: [SessionSummary] = []
        for entry in files where entry.kind == .regular && entry.name.hasSuffix(".jsonl") {
            // Deleted since it was listed: as if it had never been there.
            guard let (_, index) = try index(entry.path) else { continue }
            if let summary = Self.summary(index, of: entry) { summaries.append(summary) }
        }
        return summaries.sorted { ($0.updatedAt, $0.id) > ($1.updatedAt, $1.id) }
    }

    /// - Throws: `session_not_found`.
    public func summary(_ session: SessionID) throws(AgentError) -> SessionSummary {
        guard let (_, index) = try index(path(session)) else { throw Self.notFound(session) }
        return Self.summary(index, id: session.rawValue, modified: Date(timeIntervalSince1970: 0))
    }

    // MARK: - Changing

    /// Appends what is not there yet, in one durable write; appending the same entries again changes nothing.
    /// Commit point: the fsync of the append.
    /// - Parameter isDurable: false where a power cut may take the entries away again.
    public func append(
        _ session: SessionID, _ entries: [SessionEntry], isDurable: Bool = true
    ) throws(AgentError) {
        guard let first = entries.first else { return }
        try locked("appending to the session") { () throws(AgentError) in
            let bytes = try trimmed(session)
            var present: Set<String> = []
            for job in Set(entries.map(\.jobID)) { present.formUnion(SessionFile.ids(of: job, in: bytes)) }
            let new = entries.filter { entry in
                let isThere = entry.isQuestion && present.contains(entry.jobID + SessionOrder.earlyQuestion)
                return !isThere && !present.contains(entry.id)
            }
            guard !new.isEmpty else {
                // A question that was written early may not be on the disk yet.
                if isDurable, entries.contains(where: \.isInterrupted) { try write([], to: session) }
                return
            }
            var lines = new.map(\.json)
            if bytes.isEmpty {
                let title = entries.first { $0.message.role == .user }.flatMap { Self.title(from: $0.message.content) }
                let meta = SessionFile.metaLine(session: session.rawValue, createdAt: first.time, title: title)
                lines.insert(meta, at: 0)
            }
            // The name of a new file is synced with its first lines; later appends sync the file alone.
            try write(lines, to: session, isDurable: isDurable || bytes.isEmpty)
        }
    }

    /// All messages of one job, in order; none where there is no such session.
    func entries(_ session: SessionID, of job: String) throws(AgentError) -> [SessionEntry] {
        guard let bytes = try read(path(session)) else { return [] }
        return SessionFile(bytes).entries.filter { $0.jobID == job }
    }

    /// - Parameter title: cut to 80 characters; empty to have none.
    public func setTitle(_ session: SessionID, _ title: String, at time: Date) throws(AgentError) -> SessionSummary {
        try locked("setting the title") { () throws(AgentError) in
            guard try !trimmed(session).isEmpty else { throw Self.notFound(session) }
            let line: JSON = [
                "t": "meta", "session_id": .string(session.rawValue), "title": .string(Self.title(from: title) ?? ""),
                "updated_at": .string(RFC3339.string(time)),
            ]
            try write([line], to: session)
        }
        return try summary(session)
    }

    /// Begins the conversation anew: later turns see nothing of what was said, people still do. Doing it again changes
    /// nothing. Commit point: the fsync of the append.
    /// - Parameter job: the job that does it.
    public func reset(_ session: SessionID, by job: String, at time: Date) throws(AgentError) {
        try locked("beginning the session anew") { () throws(AgentError) in
            guard try !trimmed(session).isEmpty else { return }
            try write(
                [
                    [
                        "t": "meta", "session_id": .string(session.rawValue), "reset": .string(job),
                        "updated_at": .string(RFC3339.string(time)),
                    ]
                ], to: session)
        }
    }

    /// What of the conversation is due for the history; nil: nothing, or there is no such conversation.
    public func backlog(
        _ session: SessionID, _ rule: BacklogRule = BacklogRule()
    ) throws(AgentError) -> SessionBacklog? {
        guard let bytes = try read(path(session)), !SessionFile.hasNoBacklog(bytes, rule) else { return nil }
        return SessionFile(bytes).backlog(rule)
    }

    /// The part up to an entry that was due when a job for it was made; nil: the history has it, or it is gone.
    public func backlog(_ session: SessionID, through id: String) throws(AgentError) -> SessionBacklog? {
        guard let bytes = try read(path(session)) else { return nil }
        return SessionFile(bytes).backlog(through: id)
    }

    /// The history has the conversation up to this entry. Doing it again changes nothing.
    /// - Parameter summary: of all before it, for later turns; nil: none of theirs.
    public func markConsolidated(
        _ session: SessionID, through entry: String, summary: String?, at time: Date
    ) throws(AgentError) {
        try locked("marking what is in the history") { () throws(AgentError) in
            guard try !trimmed(session).isEmpty else { return }
            var line: JSONObject = [
                "t": "meta", "session_id": .string(session.rawValue), "consolidated": .string(entry),
                "updated_at": .string(RFC3339.string(time)),
            ]
            if let summary { line["summary"] = .string(summary) }
            try write([.object(line)], to: session)
        }
    }

    /// Messages since the conversation was last begun anew. - Throws: `session_not_found`.
    public func currentMessages(_ session: SessionID) throws(AgentError) -> Int { try existing(session).current.count }

    /// - Returns: false when there was none.
    @discardableResult
    public func delete(_ session: SessionID) throws(AgentError) -> Bool {
        try locked("deleting the session") { () throws(AgentError) in
            do throws(FileError) {
                try directory.remove(path(session))
                return true
            } catch {
                if error.code == .notFound { return false }
                throw AgentError.storage(error, while: "deleting the session")
            }
        }
    }

    /// Removes the conversations of spawned tasks whose jobs have been removed. One at a time, each under the lock.
    /// - Parameter isOver: whether the job with this id has been removed.
    /// - Returns: how many.
    public func removeSpawned(if isOver: (_ job: String) -> Bool) throws(AgentError) -> Int {
        let files: [SealedEntry]
        do {
            files = try directory.list(Workspace.sessions)
        } catch {
            if error.code == .notFound { return 0 }
            throw AgentError.storage(error, while: "listing the sessions")
        }
        var removed = 0
        for entry in files where entry.kind == .regular {
            guard let session = SessionID(fileName: entry.name), SpawnedSession.isName(session.rawValue) else { continue }
            let isRemoved = try locked("removing the session of a task") { () throws(AgentError) in
                guard let bytes = try read(entry.path) else { return false }
                let entries = SessionFile(bytes).entries
                guard SpawnedSession.isOne(session.rawValue, entries.map(\.jobID)), entries.allSatisfy({ isOver($0.jobID) }) else {
                    return false
                }
                do throws(FileError) {
                    try directory.remove(entry.path)
                } catch {
                    throw AgentError.storage(error, while: "removing the session of a task")
                }
                return true
            }
            if isRemoved { removed += 1 }
        }
        return removed
    }

    // MARK: - Files

    func path(_ session: SessionID) -> String { "\(Workspace.sessions)/\(session.fileName)" }

    func read(_ path: String) throws(AgentError) -> [UInt8]? {
        do {
            return try directory.read(path, maxBytes: Self.readBytes)
        } catch {
            if error.code == .notFound { return nil }
            throw AgentError.storage(error, while: "reading a session")
        }
    }

    /// nil: there is no such file.
    private func index(_ path: String) throws(AgentError) -> (SealedFile, SessionIndex)? {
        do throws(FileError) {
            let file = try directory.openFile(path)
            return (file, try SessionIndex(file))
        } catch {
            if error.code == .notFound { return nil }
            throw AgentError.storage(error, while: "reading a session")
        }
    }

    private func existing(_ session: SessionID) throws(AgentError) -> SessionFile {
        guard let bytes = try read(path(session)) else { throw Self.notFound(session) }
        return SessionFile(bytes)
    }

    /// The file's whole lines, after cutting a torn last one. Under the lock.
    func trimmed(_ session: SessionID) throws(AgentError) -> [UInt8] {
        guard let bytes = try read(path(session)) else { return [] }
        let size = SessionFile.wholeSize(bytes)
        guard size < bytes.count else { return bytes }
        do {
            try directory.truncate(path(session), to: size)
        } catch {
            throw AgentError.storage(error, while: "cutting a torn line of the session")
        }
        return Array(bytes[..<size])
    }

    func write(_ lines: [JSON], to session: SessionID, isDurable: Bool = true) throws(AgentError) {
        let bytes = lines.flatMap { $0.bytes() + [UInt8(ascii: "\n")] }
        do {
            try directory.append(path(session), bytes, durable: isDurable)
        } catch {
            throw AgentError.storage(error, while: "writing the session")
        }
    }

    func locked<Value>(
        _ doing: String, _ body: () throws(AgentError) -> Value
    ) throws(AgentError) -> Value {
        do {
            return try workspace.withLock(.sessions, body)
        } catch let error as AgentError {
            throw error
        } catch let error as FileError {
            throw AgentError.storage(error, while: doing)
        } catch {
            throw AgentError(code: "storage", detail: "\(doing): \(error)", isRetryable: true, cause: error)
        }
    }

    // MARK: - Summaries

    static func notFound(_ session: SessionID) -> AgentError {
        AgentError(code: "session_not_found", detail: "there is no session \"\(session)\"", isRetryable: false)
    }

    private static func full(_ session: SessionID, _ bytes: Int) -> AgentError {
        AgentError(
            code: "session_full", detail: "the session \"\(session)\" holds \(bytes >> 20) MiB; begin a new one, or delete it",
            isRetryable: false)
    }

    static func title(from text: String) -> String? {
        let line = text.split(whereSeparator: \.isNewline).first ?? ""
        let clean = line.trimmingCharacters(in: .whitespaces)
        guard !clean.isEmpty else { return nil }
        return clean.count <= maxTitleCharacters ? clean : clean.prefix(maxTitleCharacters - 1) + "…"
    }

    private static func summary(_ index: SessionIndex, of entry: SealedEntry) -> SessionSummary? {
        // A damaged first line: readable names still tell the session.
        guard let id = index.sessionID ?? SessionID(fileName: entry.name)?.rawValue else { return nil }
        // A file copied to another name by hand is not a second session of that id.
        guard (try? SessionID(id))?.fileName == entry.name else { return nil }
        return summary(index, id: id, modified: entry.modified)
    }

    private static func summary(_ index: SessionIndex, id: String, modified: Date) -> SessionSummary {
        let created = index.createdAt ?? index.places.first?.time ?? modified
        return SessionSummary(
            id: id, title: index.title, createdAt: created, updatedAt: index.places.last?.time ?? created,
            messageCount: index.places.count, badLines: index.badLines,
            isSpawned: SpawnedSession.isOne(id, index.places.map(\.jobID)))
    }
}
