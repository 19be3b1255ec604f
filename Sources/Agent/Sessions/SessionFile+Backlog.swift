// Which part of a conversation is due for the history: what was said before it was begun anew, or the older part of one that
// has grown long. Until the history has a part, requests carry it: the summary comes into the prompt with the turn in which the
// words leave it. Pure.
import Providers
import TextFormats

/// When the older part of a conversation is due, and what stays.
public struct BacklogRule: Sendable, Hashable {
    /// Messages that are not in the history yet, from which on a part is due, and those that stay. The fewer stay, the longer
    /// the next part takes to become due, and so long the beginning of the prompt stays the same.
    public var messages = 80
    public var keptMessages = 20
    /// The same in estimated tokens.
    public var tokens = Int.max
    public var keptTokens = Int.max

    public init() {}

    /// - Parameter room: for a request in the window of the conversation's model, in tokens.
    public init(room: Int) {
        // Prompt and tools take about 6,000; a narrow window leaves them a fifth for the conversation, and no more.
        tokens = max(room / 5, (room - 6_000) * 7 / 10)
        keptTokens = tokens / 5
    }
}

/// Entries that are not in the history yet and should be.
public struct SessionBacklog: Sendable {
    public var entries: [SessionEntry]
    /// The summary of what came before them in the same conversation.
    public var summary: String?
    /// Of a conversation that was begun anew since: its summary is of no use to the one that followed.
    public var isClosed: Bool

    public var last: SessionEntry? { entries.last }
}

extension SessionFile {
    /// Whether a look at the whole file can be spared: little behind the message of the last mark, and no new beginning.
    static func hasNoBacklog(_ bytes: [UInt8], _ rule: BacklogRule) -> Bool {
        var messages = 0
        // A token has at least one byte.
        var size = 0
        var wanted: [UInt8]?
        for line in wholeLines(bytes).reversed() where !ClientHistory.isLine(line) {
            if isMeta(line) {
                // A line that cannot be read says neither.
                let json = try? JSON.parse(Array(line))
                if json?["reset"] != nil { return false }
                if wanted == nil, let id = json?["consolidated"]?.string { wanted = beginning(of: id) }
                continue
            }
            if let wanted, line.starts(with: wanted) { return true }
            messages += 1
            size += line.count
            if messages >= rule.messages || size >= rule.tokens { return false }
        }
        return wanted == nil
    }

    /// - Returns: nil: nothing is due.
    func backlog(_ rule: BacklogRule) -> SessionBacklog? {
        let start = firstOpen
        if closedCount > start {
            return SessionBacklog(entries: Array(entries[start..<closedCount]), summary: nil, isClosed: true)
        }
        let open = entries[start...]
        guard open.count >= rule.messages || TokenEstimate.tokens(open.lazy.map(\.message)) >= rule.tokens else { return nil }
        // Turns in front of a change to a client's history: their summary is of no use to the turns behind it.
        let left = entries.count - current.count
        if left > start { return SessionBacklog(entries: Array(entries[start..<left]), summary: nil, isClosed: true) }
        var end = entries.endIndex
        var tokens = 0
        while end > start, entries.endIndex - end < rule.keptMessages, tokens < rule.keptTokens {
            end -= 1
            tokens += TokenEstimate.tokens(entries[end].message)
        }
        // Turns are kept whole.
        let turn = entries[start...end].lastIndex { $0.message.role == .user } ?? start
        guard turn > start else { return nil }
        return SessionBacklog(entries: Array(entries[start..<turn]), summary: summary, isClosed: false)
    }

    /// - Returns: nil where the history has the entry already, or there is none of that id.
    func backlog(through id: String) -> SessionBacklog? {
        let start = firstOpen
        guard let last = entries.lastIndex(where: { $0.id == id }), last >= start else { return nil }
        let isClosed = last < entries.count - current.count
        return SessionBacklog(entries: Array(entries[start...last]), summary: isClosed ? nil : summary, isClosed: isClosed)
    }

    private var firstOpen: Int {
        consolidated.flatMap { id in entries.firstIndex { $0.id == id } }.map { $0 + 1 } ?? 0
    }
}
