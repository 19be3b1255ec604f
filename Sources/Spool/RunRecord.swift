// The open status file of a job that is being run: progress, stream events and the journal.
// Stays on the thread that claimed the job. Failure: SpoolError.storage; the line is then not there.

import Foundation
import TextFormats

/// Journal lines in order, as a resumed job replays them.
public struct JournalLine: Sendable {
    public var kind: JournalKind
    public var fields: JSONObject
}

public enum JournalKind: String, Sendable {
    case model, intent, result

    var lineType: LineType {
        switch self {
        case .model: return .model
        case .intent: return .intent
        case .result: return .result
        }
    }
}

public final class RunRecord {
    private let file: StatusFile
    /// The state lines of this claim are written from it.
    private(set) var status: StatusRecord
    private let now: @Sendable () -> Date
    /// What earlier claims of this run have recorded, in order.
    public let replay: [JournalLine]
    /// Text deltas waiting to be joined into one line.
    private var pendingDelta = ""
    private var lastEvent = Date(timeIntervalSince1970: 0)
    /// True once this claim has completed a step: a crash after it does not count.
    public private(set) var hasCompletedStep = false

    /// Seconds in which text deltas are joined into one line.
    static let joinInterval = 0.03
    /// Bytes of a status file past which stream events are left out, and past which the journal is refused.
    static let eventLimit = 64 << 20
    static let journalLimit = 192 << 20

    init(file: StatusFile, status: StatusRecord, replay: [JournalLine], now: @escaping @Sendable () -> Date) {
        self.file = file
        self.status = status
        self.replay = replay
        self.now = now
    }

    /// A state line for pollers. Not synced.
    /// - Parameter percent: 0–99; larger values count as 99, for 100 is the final line's.
    public func progress(_ percent: Int, note: String? = nil) throws(SpoolError) {
        try flush()
        status.progress = min(max(percent, status.progress), 99)
        status.note = note
        status.at = now()
        try file.append(status.line, .none)
    }

    /// An event for streams. Not synced; text deltas that follow each other within 30 ms become one line.
    public func event(_ fields: JSONObject) throws(SpoolError) {
        if fields["event"] == "delta", let text = fields["text"]?.string {
            pendingDelta += text
            if now().timeIntervalSince(lastEvent) >= RunRecord.joinInterval { try flush() }
            return
        }
        try flush()
        try write(fields)
    }

    /// Writes text that waits to be joined.
    public func flush() throws(SpoolError) {
        guard !pendingDelta.isEmpty else { return }
        let text = pendingDelta
        pendingDelta = ""
        try write(["event": "delta", "text": .string(text)])
    }

    private func write(_ fields: JSONObject) throws(SpoolError) {
        lastEvent = now()
        // A run that streams without end keeps its states and its journal; only the stream has a gap.
        guard file.size < RunRecord.eventLimit else { return }
        try file.append(StatusLine(.event, fields), .none)
    }

    /// A line of the journal, on disk before this returns: only then may it be acted on.
    ///
    /// - Parameter isRepeatable: the step may be done again without harm, so it is enough that the line is on disk before
    ///   the next one that says what came of it.
    /// - Throws: `.recordFull` past 192 MiB; `.storage`.
    public func journal(
        _ kind: JournalKind, _ fields: JSONObject, isRepeatable: Bool = false
    ) throws(SpoolError) {
        try flush()
        var fields = fields
        fields["epoch"] = JSON(status.epoch)
        guard file.size < RunRecord.journalLimit else {
            throw SpoolError(
                .recordFull, "The job's record has more than \(RunRecord.journalLimit) bytes.", id: file.id)
        }
        try file.append(StatusLine(kind.lineType, fields), isRepeatable ? .withNext : .now)
        if kind != .intent { hasCompletedStep = true }
    }
}
