// The events of a job's server-sent event stream. Plain values; any thread.

import TextFormats

/// One event of GET /jobs/{id}/events, or of POST /chat with `stream: true`.
public struct StreamEvent: Sendable, Hashable {
    public enum Name: String, Sendable, CaseIterable {
        /// The job's state, run, attempt or progress changed.
        case status
        /// {text}: the next piece of the reply. A `status` with a new epoch voids what came before it.
        case delta
        /// {name, phase}: a tool begins or ends.
        case tool
        /// The whole reply, or the report's id: what counts if a delta was lost.
        case message
        /// {code, detail, job_id}
        case error
        /// {job_id, status}: nothing more will come.
        case done
        /// Discard the text of all deltas so far. The given Last-Event-ID fits no longer, and everything is sent again from the
        /// start; or a part of that text was the model's reasoning, and the text that counts follows.
        case reset
    }

    public var name: Name
    public var data: JSON

    public init(_ name: Name, _ data: JSON) {
        self.name = name
        self.data = data
    }

    /// The event in the text/event-stream format of the WHATWG HTML standard, section 9.2.
    /// - Parameter id: what a client sends back as Last-Event-ID; nil for an event that is not the last of its line.
    public func wireText(id: String?) -> String {
        let mark = id.map { "id: \($0)\n" } ?? ""
        return "event: \(name.rawValue)\n\(mark)data: \(data.text())\n\n"
    }

    /// A comment: keeps proxies and clients from taking a quiet stream for a dead one. No empty line follows it: an empty line ends
    /// an event, and some readers (httpx-sse) then deliver an event without data.
    public static let heartbeat = ": heartbeat\n"
}

/// Where a reader of a job's stream stands: which life of the status file, and how far into it.
public struct StreamPosition: Sendable, Hashable, CustomStringConvertible {
    public var epoch: String
    /// Bytes from the start of the status file.
    public var offset: Int

    public init(epoch: String, offset: Int) {
        self.epoch = epoch
        self.offset = offset
    }

    /// Bytes; no status file grows beyond. What a client sends is used as a size further down.
    public static let maxOffset = 256 << 20

    /// - Parameter text: "epoch:offset", as in an event's `id`; nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, parts[0].utf8.count <= 64 else { return nil }
        guard let offset = Int(parts[1]), (0...Self.maxOffset).contains(offset) else { return nil }
        self.init(epoch: String(parts[0]), offset: offset)
    }

    public var description: String { "\(epoch):\(offset)" }
}
