// Which part of a conversation is due for the history: what was said before it was begun anew, or what no request will
// carry any more. Pure.
import Providers
import TextFormats

/// Entries that are not in the history yet and should be.
public struct SessionBacklog: Sendable {
    public var entries: [SessionEntry]
    /// The summary of what came before them in the same conversation.
    public var summary: String?
    /// Of a conversation that was begun anew since: its summary is of no use to the one that followed.
    public var isClosed: Bool

    public var last: SessionEntry? { entries.last }

    /// The part up to an entry; nil if it is not among them.
    public func upTo(_ id: String) -> SessionBacklog? {
        guard let end = entries.lastIndex(where: { $0.id == id }) else { return nil }
        var part = self
        part.entries = Array(entries[...end])
        return part
    }
}

extension SessionFile {
    /// Whether a look at the whole file can be spared: few lines since the last mark, and none that begins anew.
    static func hasNoBacklog(_ bytes: [UInt8]) -> Bool {
        // Behind a mark's line there were `backlogKeep` messages in front of it already.
        var messages = 0
        for line in bytes[..<wholeSize(bytes)].split(separator: UInt8(ascii: "\n")).reversed() {
            guard isMeta(line) else {
                messages += 1
                if messages >= backlogKeep + backlogSize { return false }
                continue
            }
            // A line that cannot be read says neither.
            let json = try? JSON.parse(Array(line))
            if json?["consolidated"] != nil { return messages < backlogSize }
            if json?["reset"] != nil { return false }
        }
        return true
    }

    /// Messages that may lie between the replayed ones and the history before it is worth a model call.
    static let backlogSize = 30
    /// Of the messages that a request carries, so many stay out of the history: they may be cut soon, but are not yet.
    static let backlogKeep = ReplayWindow.maxMessages - 10

    /// - Returns: nil: nothing is due.
    var backlog: SessionBacklog? {
        let start = consolidated.flatMap { id in entries.firstIndex { $0.id == id } }.map { $0 + 1 } ?? 0
        let closed = entries.count - current.count
        if closed > start {
            return SessionBacklog(entries: Array(entries[start..<closed]), summary: nil, isClosed: true)
        }
        guard entries.count - start >= Self.backlogKeep + Self.backlogSize else { return nil }
        // Turns are kept whole.
        let end = entries.count - Self.backlogKeep
        let turn = entries[start..<end].lastIndex { $0.message.role == .user } ?? start
        guard turn > start else { return nil }
        return SessionBacklog(entries: Array(entries[start..<turn]), summary: summary, isClosed: false)
    }
}
