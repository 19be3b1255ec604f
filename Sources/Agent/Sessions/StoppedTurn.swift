// The turn of a chat that ended without its whole answer: cancelled, out of time, failed. Its question stays in the
// session; behind it stand the turn's last words, an assistant's message: what was streamed and a note, or the note
// alone. A later turn therefore meets no open question, and answers none again. A question whose turn has left no
// such words (the process died, and the job was ended by another) gets them for the model when the session is
// replayed. Any thread; `open` and `close` block and throw AgentError `storage`, `lock_timeout` or `session_full`.

import Foundation
import Providers
import Tenants
import TextFormats

public struct StoppedTurn: Sendable {
    private let job: String
    private let question: String
    private let texts: HouseTexts
    private let time: Date

    /// - Parameters:
    ///   - job: the job's id.
    ///   - question: the user's own words.
    ///   - language: as for a turn: the language of the words counts more.
    ///   - time: now, or when the turn began.
    public init(job: String, question: String, language: String, time: Date) {
        self.job = job
        self.question = question
        self.time = time
        texts = HouseTexts(language: language, userMessage: question, kind: .chat)
    }

    /// Code of a job that its user ended.
    public static let cancelledCode = TurnStop.cancelled.error.code

    /// Puts the question into the session before its turn begins: it is there whatever becomes of the process. Not
    /// synced: a power cut may take it away, and then the turn begins again.
    public func open(in session: SessionID, of workspace: Workspace) throws(AgentError) {
        let store = SessionStore(workspace: workspace)
        try store.requireRoom(session)
        try store.append(session, [early], isDurable: false)
    }

    /// Leaves the question and the last words of a job that has ended for good. A session that has its whole turn, or
    /// its last words already, stays as it is. Durable.
    /// - Parameter code: why there is no answer.
    public func close(_ session: SessionID, of workspace: Workspace, because code: String) throws(AgentError) {
        let store = SessionStore(workspace: workspace)
        try store.requireRoom(session)
        let own = try store.entries(session, of: job)
        if own.contains(where: { !$0.isInterrupted }) { return }
        if let last = own.last, Self.isAnswer(last) { return }
        let hasQuestion = own.contains { $0.isQuestion }
        try store.append(session, (hasQuestion ? [] : [early]) + [lastWords(after: "", because: code)])
    }

    private var early: SessionEntry {
        SessionEntry(
            id: job + SessionOrder.earlyQuestion, jobID: job, message: .user(question), time: time, isInterrupted: true)
    }

    /// - Parameter streamed: the beginning of the answer, as the user has seen it.
    func lastWords(after streamed: String, because code: String) -> SessionEntry {
        let beginning = streamed.trimmingCharacters(in: .whitespacesAndNewlines)
        let isCancelled = code == Self.cancelledCode
        let text =
            beginning.isEmpty
            ? (isCancelled ? texts.stoppedUnanswered : texts.failedUnanswered)
            : beginning + "\n\n" + (isCancelled ? texts.stoppedHere : texts.failedHere)
        let hash = Fingerprint.sha256Hex(Array("\(code)\0\(text)".utf8)).prefix(12)
        return SessionEntry(
            id: "\(job)\(Self.stop)\(hash)", jobID: job, message: .assistant(text), time: time, isInterrupted: true, stopped: code)
    }

    private static let stop = ":s"

    static func isStop(_ id: String, of job: String) -> Bool {
        id.utf8.count > job.utf8.count + stop.utf8.count && id.hasPrefix(job + stop)
    }

    private static func isAnswer(_ entry: SessionEntry) -> Bool {
        entry.message.role == .assistant && entry.message.toolCalls.isEmpty
    }

    /// The same entries, and behind each turn that has no answer the words that say so.
    static func closed(_ entries: [SessionEntry]) -> [SessionEntry] {
        let last = Dictionary(entries.enumerated().map { ($1.jobID, $0) }, uniquingKeysWith: { _, last in last })
        var all: [SessionEntry] = []
        var question = ""
        for (index, entry) in entries.enumerated() {
            all.append(entry)
            if entry.isQuestion { question = entry.message.content }
            guard entry.isInterrupted, last[entry.jobID] == index, !isAnswer(entry) else { continue }
            let turn = StoppedTurn(job: entry.jobID, question: question, language: "en", time: entry.time)
            all.append(turn.lastWords(after: "", because: TurnStop.timeout.error.code))
        }
        return all
    }
}
