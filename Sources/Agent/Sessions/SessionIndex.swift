// The places of a session's messages in its file, and the facts that a list of conversations shows. The file is read piece by piece:
// a long conversation costs some hundred bytes a message. Any thread; blocks. Failure: FileError. A line that cannot be read is counted.

import DurableFiles
import Foundation
import TextFormats

struct SessionIndex: Sendable {
    struct Place: SessionItem, Sendable {
        var id: String
        var jobID: String
        var isQuestion: Bool
        var isInterrupted: Bool
        var time: Date
        /// As `SessionEntry.stopped`, known for all messages of the turn.
        var stopped: String?
        /// Of the line in the file, without its end; in bytes.
        var line: Range<Int>
    }

    private static let piece = 256 << 10
    /// A longer line is none of ours.
    private static let maximumLine = 16 << 20

    private(set) var sessionID: String?
    private(set) var createdAt: Date?
    private(set) var title: String?
    /// As `SessionFile.entries`.
    private(set) var places: [Place] = []
    private(set) var badLines = 0

    init(_ file: SealedFile) throws(FileError) {
        var offset = 0
        // What is read of the line that begins at `start`.
        var line: [UInt8] = []
        var start = 0
        while true {
            let bytes = try file.read(from: offset, count: Self.piece)
            if bytes.isEmpty { break }
            var rest = bytes[...]
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                line += rest[..<end]
                let next = offset + end + 1
                if !line.isEmpty { read(line, at: start..<(next - 1)) }
                line.removeAll(keepingCapacity: line.capacity <= Self.piece)
                start = next
                rest = rest[(end + 1)...]
            }
            // One byte too many says that it is too long.
            line += rest.prefix(max(0, Self.maximumLine + 1 - line.count))
            offset += bytes.count
        }
        places = SessionOrder.arranged(places)
        let stops = Dictionary(
            places.compactMap { place in place.stopped.map { (place.jobID, $0) } }, uniquingKeysWith: { _, last in last })
        guard !stops.isEmpty else { return }
        for index in places.indices where places[index].isInterrupted { places[index].stopped = stops[places[index].jobID] }
    }

    private mutating func read(_ bytes: [UInt8], at line: Range<Int>) {
        if ClientHistory.isLine(bytes[...]) { return }
        guard let json = Self.json(bytes) else {
            badLines += 1
            return
        }
        if json["t"]?.string == "meta" {
            if let id = json["session_id"]?.string { sessionID = id }
            if createdAt == nil { createdAt = (json["created_at"]?.string).flatMap(RFC3339.date) }
            if let text = json["title"]?.string { title = text.isEmpty ? nil : text }
        } else if let entry = SessionEntry(json: json) {
            places.append(
                Place(
                    id: entry.id, jobID: entry.jobID, isQuestion: entry.isQuestion, isInterrupted: entry.isInterrupted,
                    time: entry.time, stopped: entry.stopped, line: line))
        } else {
            badLines += 1
        }
    }

    /// nil for what is no line of ours; what is wrong with it does not matter: it stays in the file for a person to look at.
    static func json(_ bytes: [UInt8]) -> JSON? { try? JSON.parse(bytes, limits: JSON.Limits(maxBytes: maximumLine)) }
}

/// Some messages of a conversation, read from its file when they are asked for. Any thread; blocks.
public struct SessionPage: Sendable {
    let places: [SessionIndex.Place]
    let file: SealedFile

    /// Of the messages, in order.
    public var ids: [String] { places.map(\.id) }
    /// Bytes of each one's line in the file.
    public var sizes: [Int] { places.map(\.line.count) }

    /// - Throws: `storage`, also when the file was changed by hand meanwhile.
    public func entries(_ range: Range<Int>) throws(AgentError) -> [SessionEntry] {
        var entries: [SessionEntry] = []
        for place in places[range] {
            let bytes: [UInt8]
            do throws(FileError) {
                bytes = try file.read(from: place.line.lowerBound, count: place.line.count)
            } catch {
                throw AgentError.storage(error, while: "reading a session")
            }
            guard var entry = SessionIndex.json(bytes).flatMap(SessionEntry.init(json:)), entry.id == place.id else {
                throw AgentError(code: "storage", detail: "the session was changed while it was read", isRetryable: true)
            }
            (entry.isInterrupted, entry.stopped) = (place.isInterrupted, place.stopped)
            entries.append(entry)
        }
        return entries
    }
}
