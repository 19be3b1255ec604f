// Reads what a server sent as messages of JSON-RPC. Servers write what their JSON library writes: NaN, half a surrogate pair, a
// name twice. A message is read as far as its meaning is plain; a message that cannot be read is told apart from a line of a
// log, so that a caller gets an error at once instead of waiting for an answer that has come. Pure; any thread.
import Foundation
import TextFormats

enum MCPReading: Sendable, Hashable {
    case messages([JSON])
    /// Text that belongs into a log.
    case noise
    /// A message without a doubt, but of no use: why.
    case unreadable(String)

    /// Messages in one line: some servers lose a line's end.
    static let maxMessages = 64
    private static let limits: JSON.Limits = {
        var limits = JSON.Limits(maxBytes: MCPBounds.message, maxDepth: 128, maxMembers: 100_000)
        limits.isLenient = true
        return limits
    }()
    private static let mark = BytePattern("\"jsonrpc\"")
    private static let method = BytePattern("\"method\"")
    private static let result = BytePattern("\"result\"")
    private static let error = BytePattern("\"error\"")

    /// - Parameter bytes: a line, the data of an event, or the body of an answer.
    init(_ bytes: [UInt8]) {
        let text = Self.withoutMark(bytes)
        // Something may have been printed in front of the message without a line's end.
        guard let start = text.firstIndex(where: { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "[") }) else {
            self = .noise
            return
        }
        let found = Self.messages(text)
        if let found {
            self = found.isEmpty ? .noise : .messages(found)
            return
        }
        guard let place = Self.mark.ranges(in: text).first?.lowerBound else {
            self = .noise
            return
        }
        // The brace before the mark: brackets of a log's line come earlier.
        let opening = text[..<place].lastIndex(of: UInt8(ascii: "{")) ?? start
        if let found = Self.messages(Array(text[opening...])), !found.isEmpty {
            self = .messages(found)
            return
        }
        do throws(JSONError) {
            _ = try JSON.parse(Array(text[opening...]), limits: Self.limits)
            self = .noise
        } catch {
            let isAsking = Self.method.isIn(text) && !Self.result.isIn(text) && !Self.error.isIn(text)
            // What the server says by itself nobody waits for.
            self = isAsking ? .noise : .unreadable(error.description)
        }
    }

    /// Whether a message answers the request with that id. An error without an id says that our last message was not understood.
    static func answers(_ message: JSON, _ id: Int) -> Bool {
        guard message["method"] == nil else { return false }
        switch message["id"] {
        case .string(let text)?: return text == "\(id)"
        case nil, .null?: return message["jsonrpc"] != nil && message["error"]?.object != nil
        case let given?: return given.int == id
        }
    }

    // MARK: -

    /// Objects only, those of lists too (revision 2025-03-26 sends several in one). nil: the bytes are no JSON.
    private static func messages(_ bytes: [UInt8]) -> [JSON]? {
        guard let values = JSON.sequence(bytes, limits: limits, maxValues: maxMessages) else { return nil }
        return values.flatMap { $0.array ?? [$0] }.filter { $0.object != nil }
    }

    private static func withoutMark(_ bytes: [UInt8]) -> [UInt8] {
        bytes.starts(with: [0xef, 0xbb, 0xbf]) ? Array(bytes.dropFirst(3)) : bytes
    }
}

/// Lines of a child's output, of which a message takes one. Some servers write a message over many lines, which the protocol
/// forbids: from a lone brace to the brace at the beginning of a line that closes the message.
struct MCPLines: Sendable {
    private var block: [UInt8]?

    mutating func take(_ line: [UInt8]) -> MCPReading {
        guard let begun = block else {
            guard Self.words(line) == [UInt8(ascii: "{")] else { return MCPReading(line) }
            block = line
            return .noise
        }
        // A message of its own in the middle: the brace was the log's.
        if line.first != UInt8(ascii: " "), case .messages(let found) = MCPReading(line), found.contains(where: { $0["jsonrpc"] != nil }) {
            block = nil
            return .messages(found)
        }
        let joined = begun + [UInt8(ascii: "\n")] + line
        let isEnd = line.first == UInt8(ascii: "}") && Self.words(line).count == 1
        block = isEnd || joined.count > MCPBounds.message ? nil : joined
        return isEnd ? MCPReading(joined) : .noise
    }

    private static func words(_ line: [UInt8]) -> [UInt8] {
        line.count > 16 ? line : line.filter { $0 > 0x20 && $0 < 0x80 }
    }
}

extension BytePattern {
    fileprivate func isIn(_ text: [UInt8]) -> Bool { text.withUnsafeBufferPointer { first(in: $0) } != nil }
}
