// Histories that clients send along (`ClientHistory`), in the files of the sessions they belong to. A history is written before its
// job is admitted, and changes nothing yet: the job's own turn puts the line that bases the session on it. Any thread and any
// process; blocks. Throws AgentError `storage`, `lock_timeout`, `session_full` or `history_missing`.
import DurableFiles
import Foundation
import Providers
import Tenants
import TextFormats

extension SessionStore {
    /// How a client's history and a session are related; nil: there is no such session.
    /// - Parameter endIsEnough: whether the end of the conversation counts as the whole of it.
    public func match(
        _ history: ClientHistory, with session: SessionID, endIsEnough: Bool = false
    ) throws(AgentError) -> HistoryMatch? {
        guard let bytes = try read(path(session)) else { return nil }
        let file = SessionFile(bytes)
        return file.lacksBase ? .other : Self.conversation(file).match(history, endIsEnough: endIsEnough)
    }

    /// The sessions that may hold the history, by their names: the newest first, and no more than `limit`.
    public func candidates(for history: ClientHistory, limit: Int) throws(AgentError) -> [SessionID] {
        let keys = history.sessionKeys
        return try clientSessions().filter { ClientHistory.isSessionName($0.session.rawValue, keys: keys) }
            .sorted { ($0.modified, $0.session.rawValue) > ($1.modified, $1.session.rawValue) }
            .prefix(limit).map(\.session)
    }

    /// The conversation up to a job's answer, as its clients have it; nil: the session, or the job's answer in it, is not there,
    /// or the session goes on from another history since.
    public func conversation(_ session: SessionID, through job: String) throws(AgentError) -> [ChatMessage]? {
        guard let bytes = try read(path(session)) else { return nil }
        let conversation = Self.conversation(SessionFile(bytes), through: job)
        return conversation.lastJob == job ? conversation.plain : nil
    }

    /// Whether the job's answer is the last in the session.
    public func isLast(_ job: String, in session: SessionID) throws(AgentError) -> Bool {
        guard let bytes = try read(path(session)) else { return false }
        let conversation = Self.conversation(SessionFile(bytes))
        return !conversation.isOpen && conversation.lastJob == job
    }

    /// A history that was stored; nil: the session does not have it.
    public func history(_ digest: String, in session: SessionID) throws(AgentError) -> ClientHistory? {
        guard let bytes = try read(path(session)) else { return nil }
        return SessionFile.history(digest, in: SessionFile.wholeLines(bytes))
    }

    /// Writes a history into the session's file, which is made if it is not there. A history that the file has is not written again.
    /// Commit point: the fsync of the append.
    /// - Parameter question: the words the history came with: a new session is named by the first words said.
    public func keep(
        _ history: ClientHistory, in session: SessionID, question: String, at time: Date
    ) throws(AgentError) {
        try requireRoom(session)
        try locked("storing a client's history") { () throws(AgentError) in
            let bytes = try trimmed(session)
            let isThere = SessionFile.history(history.digest, in: SessionFile.wholeLines(bytes)) != nil
            var lines = isThere ? [] : [history.line]
            if bytes.isEmpty {
                let first = history.messages.first { $0.role == .user }?.content ?? question
                lines.insert(SessionFile.metaLine(session: session.rawValue, createdAt: time, title: Self.title(from: first)), at: 0)
            }
            // With nothing to write it syncs: an earlier writer may not have come to that.
            try write(lines, to: session)
        }
    }

    /// Bases the session on a stored history: the turns of this job and later ones go on from it, and what the session had said
    /// before stays readable. Doing it again for the same job changes nothing. Before the job's question is written.
    public func base(_ session: SessionID, on digest: String, by job: String, at time: Date) throws(AgentError) {
        try locked("changing to a client's history") { () throws(AgentError) in
            let lines = SessionFile.wholeLines(try trimmed(session))
            let isDone = lines.contains { line in
                // A line that cannot be read bases nothing.
                let json = SessionFile.isMeta(line) ? try? JSON.parse(Array(line), limits: SessionFile.lineLimits) : nil
                return json?["based_on"] != nil && json?["by"]?.string == job
            }
            if isDone { return }
            guard SessionFile.history(digest, in: lines) != nil else { throw Self.missingHistory(session) }
            let line: JSON = [
                "t": "meta", "session_id": .string(session.rawValue), "based_on": .string(digest), "by": .string(job),
                "updated_at": .string(RFC3339.string(time)),
            ]
            try write([line], to: session)
        }
    }

    /// Removes the oldest of the sessions that clients did not name: the bound of what they leave behind.
    /// - Parameters:
    ///   - count: so many stay.
    ///   - age: those that were last changed before it go in any case.
    ///   - isBusy: whether a session has a job that has not ended; it stays.
    /// - Returns: how many were removed.
    public func removeClientSessions(
        keeping count: Int, changedBefore age: Date, except isBusy: (SessionID) throws -> Bool
    ) throws -> Int {
        let all = try clientSessions().sorted { $0.modified > $1.modified }
        var removed = 0
        for (place, one) in all.enumerated() where place >= count || one.modified < age {
            guard try !isBusy(one.session) else { continue }
            if try delete(one.session) { removed += 1 }
        }
        return removed
    }

    /// Removes a session in which nothing has been said.
    public func removeUnused(_ session: SessionID) throws(AgentError) {
        guard let bytes = try read(path(session)), SessionFile(bytes).entries.isEmpty else { return }
        try delete(session)
    }

    private func clientSessions() throws(AgentError) -> [(session: SessionID, modified: Date)] {
        let files: [SealedEntry]
        do {
            files = try directory.list(Workspace.sessions)
        } catch {
            if error.code == .notFound { return [] }
            throw AgentError.storage(error, while: "listing the sessions")
        }
        return files.compactMap { entry in
            guard entry.kind == .regular, let session = SessionID(fileName: entry.name), ClientHistory.isSessionName(session.rawValue)
            else { return nil }
            return (session, entry.modified)
        }
    }

    private static func conversation(_ file: SessionFile, through job: String? = nil) -> VisibleConversation {
        VisibleConversation(base: file.base, file.current[...], through: job)
    }

    static func missingHistory(_ session: SessionID) -> AgentError {
        AgentError(
            code: "history_missing",
            detail: "the messages that came with this question are no longer in the session \"\(session)\": send them again",
            isRetryable: false)
    }
}
