// Reads the bytes of sessions/<session>.jsonl: one JSON object a line, the first {"t":"meta","session_id","created_at",
// "title"}; later meta lines replace what they name. One with "reset" ends the conversation: no model is shown what is before
// it. One with "based_on" ends it too: the next turn goes on from a client's history (`ClientHistory`). Pure. Nothing makes it
// fail: a line it cannot read is counted, and what stands after the last newline was never acknowledged.
import Foundation
import Providers
import TextFormats

struct SessionFile: Sendable {
    private(set) var sessionID: String?
    private(set) var createdAt: Date?
    private(set) var title: String?
    /// Of the conversation's older part, if something has written one.
    private(set) var summary: String?
    /// In the order of the file, each id once, without what a later whole turn of the same job replaces.
    private(set) var entries: [SessionEntry] = []
    /// Those since the last reset or the last change to a client's history.
    private(set) var current: [SessionEntry] = []
    /// How many entries had been read when that was.
    private var beforeCurrent = 0
    /// Entries in front of the last reset.
    private(set) var closedCount = 0
    private var beforeReset = 0
    /// The history that `current` goes on from, and whether its line is missing or damaged.
    private(set) var base: ClientHistory?
    private(set) var lacksBase = false
    private var baseDigest: String?
    private(set) var badLines = 0
    /// Id of the last entry that the history has.
    private(set) var consolidated: String?

    private static let newline = UInt8(ascii: "\n")
    /// Messages and the members of one meta line are bounded far below this.
    static let lineLimits = JSON.Limits(maxBytes: 16 << 20)

    /// Lines in front of a replay that were not read although no summary has them.
    private(set) var unreadLines = 0

    init(_ bytes: [UInt8]) {
        let lines = Self.wholeLines(bytes)
        for line in lines where !ClientHistory.isLine(line) { read(line) }
        removeRepeated()
        readBase(lines)
    }

    /// Reads what a new turn needs: the meta lines, and the messages behind the last one that the history has.
    init(replaying bytes: [UInt8]) {
        let lines = Self.wholeLines(bytes)
        let start = Self.replayStart(lines)
        // In steps: what is read begins at the same line for many turns.
        let beyond = max(0, lines.count - start - Self.replayLines)
        let first = start + (beyond + Self.replayStep - 1) / Self.replayStep * Self.replayStep
        unreadLines = first - start
        for (index, line) in lines.enumerated() where index >= first || Self.isMeta(line) {
            if !ClientHistory.isLine(line) { read(line) }
        }
        removeRepeated()
        readBase(lines)
    }

    /// Lines read for a replay at most, and lines that are left unread at once beyond them.
    private static let replayLines = 2_000
    private static let replayStep = 500

    /// The line of the last message that the history has, or of the last reset or change to a client's history if that came later;
    /// 0 where there is none of these.
    private static func replayStart(_ lines: [ArraySlice<UInt8>]) -> Int {
        var wanted: [UInt8]?
        for index in lines.indices.reversed() {
            if isMeta(lines[index]) {
                // A line that cannot be read says neither.
                guard wanted == nil, let json = try? JSON.parse(Array(lines[index]), limits: lineLimits) else { continue }
                if json["reset"] != nil || json["based_on"] != nil { return index }
                if let id = json["consolidated"]?.string { wanted = beginning(of: id) }
            } else if let wanted, lines[index].starts(with: wanted) {
                return index
            }
        }
        return 0
    }

    /// Of a message's line.
    static func beginning(of id: String) -> [UInt8] { Array("{\"id\":\(JSON.string(id).text()),".utf8) }

    /// Messages of the conversation that the history does not have yet: what requests carry.
    var open: ArraySlice<SessionEntry> {
        guard let consolidated, let last = current.lastIndex(where: { $0.id == consolidated }) else { return current[...] }
        return current[(last + 1)...]
    }

    /// Bytes up to and including the last newline.
    static func wholeSize(_ bytes: [UInt8]) -> Int {
        (bytes.lastIndex(of: newline) ?? -1) + 1
    }

    /// The ids of one job's lines, found without reading the others.
    static func ids(of job: String, in bytes: [UInt8]) -> Set<String> {
        let beginning = Array("{\"id\":\(JSON.string(job + ":").text().dropLast())".utf8)
        var ids: Set<String> = []
        for line in wholeLines(bytes) where line.starts(with: beginning) {
            // A damaged line of the job counts as not written: it is written again.
            guard let json = try? JSON.parse(Array(line), limits: lineLimits), let entry = SessionEntry(json: json)
            else { continue }
            ids.insert(entry.id)
        }
        return ids
    }

    static func metaLine(session: String, createdAt: Date, title: String?) -> JSON {
        [
            "t": "meta", "session_id": .string(session), "created_at": .string(RFC3339.string(createdAt)),
            "title": JSON(title),
        ]
    }

    static func wholeLines(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        bytes[..<wholeSize(bytes)].split(separator: newline)
    }

    private static let metaBeginning = Array("{\"t\":\"meta\"".utf8)

    static func isMeta(_ line: ArraySlice<UInt8>) -> Bool { line.starts(with: metaBeginning) }

    private mutating func read(_ line: ArraySlice<UInt8>) {
        // What is wrong with the line does not matter: it stays in the file for a person to look at.
        guard let json = try? JSON.parse(Array(line), limits: Self.lineLimits) else {
            badLines += 1
            return
        }
        if json["t"]?.string == "meta" {
            readMeta(json)
        } else if let entry = SessionEntry(json: json) {
            entries.append(entry)
        } else {
            badLines += 1
        }
    }

    private mutating func readMeta(_ json: JSON) {
        if let id = json["session_id"]?.string { sessionID = id }
        if createdAt == nil { createdAt = (json["created_at"]?.string).flatMap(RFC3339.date) }
        if let text = json["title"]?.string { title = text.isEmpty ? nil : text }
        if let id = json["consolidated"]?.string { consolidated = id }
        if let text = json["summary"]?.string { summary = text }
        let digest = json["based_on"]?.string
        guard json["reset"] != nil || digest != nil else { return }
        beforeCurrent = entries.count
        if digest == nil { beforeReset = entries.count }
        baseDigest = digest
        summary = nil
    }

    private mutating func removeRepeated() {
        let old = Set(entries.prefix(beforeCurrent).map(\.id))
        let closed = Set(entries.prefix(beforeReset).map(\.id))
        entries = SessionOrder.arranged(entries)
        current = entries.filter { !old.contains($0.id) }
        closedCount = entries.count { closed.contains($0.id) }
    }

    private mutating func readBase(_ lines: [ArraySlice<UInt8>]) {
        guard let baseDigest else { return }
        base = Self.history(baseDigest, in: lines)
        lacksBase = base == nil
    }

    /// The client's history of this digest, if the file has it whole.
    static func history(_ digest: String, in lines: [ArraySlice<UInt8>]) -> ClientHistory? {
        lines.last { ClientHistory.isLine($0, of: digest) }.flatMap(ClientHistory.init(line:))
    }
}
