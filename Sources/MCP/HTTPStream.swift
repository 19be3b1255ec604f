// Reads the answer of one HTTP exchange: a body of JSON, or a stream of events, of which it remembers how to come back to it. Used
// by one thread. Failure: MCPError `protocolError`, at once, where an answer cannot be read.
import HTTPTransport
import TextFormats

final class HTTPStream {
    /// The message that was waited for is there: the rest of the stream is not.
    struct Found: Error {}

    private let server: String
    private let take: (JSON) -> Bool
    private var parser = EventStreamParser()
    private(set) var isStream = false
    /// Of an answer that is no stream.
    private(set) var body: [UInt8] = []
    private(set) var isFound = false
    private(set) var hasMessages = false
    /// Of this stream, or of the one it goes on with.
    private(set) var lastID: String?
    private var retry: Double?

    /// - Parameter take: gets each message of a stream; true: that is all.
    init(server: String, after lastID: String? = nil, take: @escaping (JSON) -> Bool) {
        self.server = server
        self.lastID = lastID
        self.take = take
    }

    /// Seconds to wait before coming back, as the server has asked, within bounds.
    func pause(otherwise seconds: Double) -> Double { min(300, max(0.1, retry ?? seconds)) }

    /// At the head of each answer: what was read of the stream before is forgotten, but not its last id.
    func begin(_ head: HTTPResponse) {
        isStream = head.isSuccess && (head.header("content-type")?.lowercased().hasPrefix("text/event-stream") ?? false)
        parser = EventStreamParser()
        body = []
        hasMessages = false
    }

    func read(_ bytes: [UInt8]) throws {
        guard isStream else {
            body += bytes
            return
        }
        let events = try parser.feed(bytes)
        // An empty one takes the last one back, as the standard says.
        if let id = parser.lastID { lastID = id.isEmpty ? nil : id }
        retry = parser.retryMilliseconds.map { Double($0) / 1_000 } ?? retry
        for event in events { try receive(event) }
        if isFound { throw Found() }
    }

    /// At a clean end: some servers close right after their last event.
    func end() throws(MCPError) {
        if isStream, let event = parser.finish() { try receive(event) }
    }

    private func receive(_ event: ServerSentEvent) throws(MCPError) {
        switch MCPReading(Array(event.data.utf8)) {
        // An event that is no message is skipped, as a line of a log would be.
        case .noise: break
        case .unreadable(let reason): throw Self.unreadable(server, reason)
        case .messages(let messages):
            hasMessages = true
            for message in messages where take(message) { isFound = true }
        }
    }

    static func unreadable(_ server: String, _ reason: String) -> MCPError {
        MCPError(.protocolError, "\(server) sent an answer that is no JSON: \(reason)", mayHaveRun: true)
    }
}
