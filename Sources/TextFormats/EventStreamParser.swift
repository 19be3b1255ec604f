// Reads server-sent events from bytes as they arrive. A pure value: feed it, take the events. One thread at a time.
// Source: WHATWG HTML, "Server-sent events", parsing an event stream.

/// One event.
public struct ServerSentEvent: Sendable, Hashable {
    /// The `event` field; "message" where the stream names none.
    public var name: String
    /// The `data` lines joined by line feeds.
    public var data: String
    /// The `id` field; nil where the event has none of its own.
    public var id: String?

    public init(name: String = "message", data: String, id: String? = nil) {
        self.name = name
        self.data = data
        self.id = id
    }
}

/// Splits bytes, cut anywhere, into events.
public struct EventStreamParser: Sendable {
    /// A line, or the data of one event, longer than this ends the stream with `tooLong`.
    public static let maxEventBytes = 8 << 20

    public struct TooLong: Error, Sendable {}

    private var line: [UInt8] = []
    private var data: [UInt8] = []
    private var hasData = false
    private var name = ""
    private var id: String?
    /// The id of the last whole event, also of one without data: a client that comes back names it.
    public private(set) var lastID: String?
    /// Milliseconds the stream asks a client to wait before it comes back; nil where the stream has not said.
    public private(set) var retryMilliseconds: Int?
    private var afterCarriageReturn = false
    private var atStart = true
    private let marksHalves: Bool

    /// - Parameter marksHalves: bytes of an event's data that are no UTF-8 become marks instead of U+FFFD, since the rest of
    ///   their character may come with the next event (`PartialText`).
    public init(marksHalves: Bool = false) { self.marksHalves = marksHalves }

    /// Takes the next bytes and returns the events they complete. An event the stream's end cuts off never comes out.
    public mutating func feed(_ bytes: some Sequence<UInt8>) throws(TooLong) -> [ServerSentEvent] {
        var events: [ServerSentEvent] = []
        for byte in bytes {
            let isSecondOfPair = afterCarriageReturn && byte == 0x0a
            afterCarriageReturn = byte == 0x0d
            if isSecondOfPair { continue }
            if byte == 0x0a || byte == 0x0d {
                if let event = endLine() { events.append(event) }
            } else {
                line.append(byte)
            }
            guard line.count + data.count <= Self.maxEventBytes else { throw TooLong() }
        }
        return events
    }

    /// At the end of a stream that was not cut: the event that only lacks the empty line behind it. The standard drops it;
    /// servers that close right after their last event leave that line out.
    public mutating func finish() -> ServerSentEvent? {
        if let event = line.isEmpty ? nil : endLine() { return event }
        return endEvent()
    }

    private mutating func endLine() -> ServerSentEvent? {
        defer { line.removeAll(keepingCapacity: true) }
        if atStart {
            atStart = false
            if line.starts(with: [0xef, 0xbb, 0xbf]) { line.removeFirst(3) }
        }
        if line.isEmpty { return endEvent() }
        // A line that begins with a colon is a comment; servers send them to keep the connection open.
        let colon = line.firstIndex(of: 0x3a) ?? line.endIndex
        var value = line[colon...].dropFirst()
        if value.first == 0x20 { value = value.dropFirst() }
        switch String(decoding: line[..<colon], as: UTF8.self) {
        case "data":
            if hasData { data.append(0x0a) }
            data.append(contentsOf: value)
            hasData = true
        case "event": name = String(decoding: value, as: UTF8.self)
        // One with a NUL is ignored, as the standard says.
        case "id" where !value.contains(0): id = String(decoding: value, as: UTF8.self)
        case "retry" where !value.isEmpty && value.count <= 9 && value.allSatisfy { (0x30...0x39).contains($0) }:
            retryMilliseconds = Int(String(decoding: value, as: UTF8.self))
        default: break
        }
        return nil
    }

    private mutating func endEvent() -> ServerSentEvent? {
        defer {
            data.removeAll(keepingCapacity: true)
            hasData = false
            name = ""
            id = nil
        }
        // Only now: what was cut off before the event's end must come again.
        lastID = id ?? lastID
        guard hasData else { return nil }
        let text = marksHalves ? PartialText.decoding(data) : String(decoding: data, as: UTF8.self)
        return ServerSentEvent(name: name.isEmpty ? "message" : name, data: text, id: id)
    }
}
