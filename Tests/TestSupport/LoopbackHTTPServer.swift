// An HTTP/1.1 server on 127.0.0.1 that answers what a test wrote down: status, headers, pieces of the body with flush
// points, stalls that last until released, connections cut in the middle. It reads and writes the real bytes through
// blocking sockets, one thread per connection, so that a client meets what a network gives it.
import Foundation
import Glibc
import HTTPTransport
import Synchronization

/// One request as it came in.
public struct RecordedRequest: Sendable {
    public var method: String
    public var target: String
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]
    /// Which connection it came on, counted from 1.
    public var connection: Int

    public func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
    public var text: String { String(decoding: body, as: UTF8.self) }
}

/// What the server says.
public struct ScriptedAnswer: Sendable {
    public enum Piece: Sendable {
        /// Sent at once, in a write of its own.
        case bytes([UInt8])
        /// Tells the test that everything before was sent.
        case reached(WakeSignal)
        /// Waits until the test signals, or the server stops.
        case hold(WakeSignal)
        /// Waits until the server stops or the client leaves.
        case stall
    }

    public enum Framing: Sendable {
        case contentLength, chunked
        /// Exactly these bytes instead of a head made from status and headers; then the pieces.
        case raw(String)
    }

    public var status: Int
    public var headers: [(String, String)]
    public var pieces: [Piece]
    public var framing: Framing
    /// Close without finishing the body.
    public var cut: Bool

    public init(
        status: Int = 200, headers: [(String, String)] = [], pieces: [Piece] = [], framing: Framing = .contentLength,
        cut: Bool = false
    ) {
        self.status = status
        self.headers = headers
        self.pieces = pieces
        self.framing = framing
        self.cut = cut
    }

    public static func json(_ text: String, status: Int = 200, headers: [(String, String)] = []) -> ScriptedAnswer {
        ScriptedAnswer(
            status: status, headers: [("Content-Type", "application/json")] + headers,
            pieces: [.bytes(Array(text.utf8))])
    }

    /// A stream of server-sent events, each piece flushed by itself.
    public static func events(_ pieces: [String], cut: Bool = false) -> ScriptedAnswer {
        ScriptedAnswer(
            headers: [("Content-Type", "text/event-stream")], pieces: pieces.map { .bytes(Array($0.utf8)) },
            framing: .chunked, cut: cut)
    }
}

/// Listens until it is released or stopped.
public final class LoopbackHTTPServer: Sendable {
    private let core: ServerCore

    /// - Parameter answer: called on the connection's thread for every request.
    public init(_ answer: @escaping @Sendable (RecordedRequest) -> ScriptedAnswer) throws {
        core = try ServerCore(answer)
        core.start()
    }

    /// Gives the answers in order; a request too many gets status 599.
    public convenience init(answers: [ScriptedAnswer]) throws {
        let left = Mutex(answers)
        try self.init { _ in
            left.withLock { $0.isEmpty ? .json("\"the script has ended\"", status: 599) : $0.removeFirst() }
        }
    }

    deinit { core.stop() }

    public var port: Int { core.port }
    public var url: String { "http://127.0.0.1:\(core.port)" }
    public var requests: [RecordedRequest] { core.requests.withLock { $0 } }
    public var connections: Int { core.sockets.withLock(\.count) }
    public func stop() { core.stop() }

    /// Blocks until that many requests came in, at most 30 s; true if they did.
    public func waitForRequests(_ count: Int) -> Bool {
        let signal = WakeSignal()
        core.requestCount.withLock { $0.append((count, signal)) }
        core.tellRequestCount()
        return signal.wait(seconds: 30)
    }
}

/// Everything the threads share; lives until the last of them has ended.
private final class ServerCore: Sendable {
    struct Sockets {
        var open: Set<Int32> = []
        var count = 0
        var stopped = false
    }

    static let maxRequestBytes = 64 << 20

    let listener: Int32
    let port: Int
    let answer: @Sendable (RecordedRequest) -> ScriptedAnswer
    let requests = Mutex<[RecordedRequest]>([])
    let requestCount = Mutex<[(Int, WakeSignal)]>([])
    let sockets = Mutex(Sockets())
    let stopping = WakeSignal()

    init(_ answer: @escaping @Sendable (RecordedRequest) -> ScriptedAnswer) throws {
        self.answer = answer
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.bind(listener, $0, size) }
        }
        guard listener >= 0, bound == 0, listen(listener, 128) == 0 else { throw POSIXError(.EADDRNOTAVAIL) }
        var actual = sockaddr_in()
        var length = size
        withUnsafeMutablePointer(to: &actual) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(listener, $0, &length) }
        }
        self.listener = listener
        port = Int(UInt16(bigEndian: actual.sin_port))
    }

    deinit { close(listener) }

    func start() {
        Thread.detachNewThread { [self] in
            while true {
                let socket = accept(listener, nil, nil)
                if socket < 0 {
                    if errno == EINTR { continue }
                    return
                }
                let number = sockets.withLock { sockets -> Int? in
                    guard !sockets.stopped else { return nil }
                    sockets.open.insert(socket)
                    sockets.count += 1
                    return sockets.count
                }
                guard let number else {
                    close(socket)
                    return
                }
                Thread.detachNewThread { [self] in
                    serve(socket, number)
                    sockets.withLock { sockets in
                        sockets.open.remove(socket)
                        close(socket)
                    }
                }
            }
        }
    }

    func stop() {
        stopping.signal()
        sockets.withLock { sockets in
            sockets.stopped = true
            for socket in sockets.open { shutdown(socket, Int32(SHUT_RDWR)) }
        }
        shutdown(listener, Int32(SHUT_RDWR))
    }

    func tellRequestCount() {
        let count = requests.withLock(\.count)
        requestCount.withLock { waiting in
            for (_, signal) in waiting.filter({ $0.0 <= count }) { signal.signal() }
            waiting.removeAll { $0.0 <= count }
        }
    }

    private func serve(_ socket: Int32, _ number: Int) {
        var buffer: [UInt8] = []
        while let request = readRequest(socket, &buffer, number) {
            requests.withLock { $0.append(request) }
            tellRequestCount()
            guard send(answer(request), to: socket, isHead: request.method == "HEAD") else { return }
        }
    }

    private func readRequest(_ socket: Int32, _ buffer: inout [UInt8], _ number: Int) -> RecordedRequest? {
        var end = Self.headEnd(buffer)
        while end == nil {
            guard receive(socket, &buffer) else { return nil }
            end = Self.headEnd(buffer)
        }
        guard let end else { return nil }
        let lines = String(decoding: buffer[..<end], as: UTF8.self).split(separator: "\r\n")
        let words = (lines.first ?? "").split(separator: " ")
        guard words.count == 3 else { return nil }
        let headers = lines.dropFirst().map { line -> (name: String, value: String) in
            let parts = line.split(separator: ":", maxSplits: 1)
            return (String(parts[0]), parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : "")
        }
        let length = headers.first { $0.name.lowercased() == "content-length" }.flatMap { Int($0.value) } ?? 0
        while buffer.count < end + 4 + length {
            guard receive(socket, &buffer) else { return nil }
        }
        let body = Array(buffer[(end + 4)..<(end + 4 + length)])
        buffer.removeFirst(end + 4 + length)
        return RecordedRequest(
            method: String(words[0]), target: String(words[1]), headers: headers, body: body, connection: number)
    }

    private static func headEnd(_ buffer: [UInt8]) -> Int? {
        guard buffer.count >= 4 else { return nil }
        let end: [UInt8] = [13, 10, 13, 10]
        return (0...(buffer.count - 4)).first { buffer[$0] == 13 && Array(buffer[$0..<($0 + 4)]) == end }
    }

    private func receive(_ socket: Int32, _ buffer: inout [UInt8]) -> Bool {
        guard buffer.count < Self.maxRequestBytes else { return false }
        var chunk = [UInt8](repeating: 0, count: 16_384)
        let count = recv(socket, &chunk, chunk.count, 0)
        guard count > 0 else { return false }
        buffer += chunk[..<count]
        return true
    }

    /// False when the connection is to be closed.
    private func send(_ answer: ScriptedAnswer, to socket: Int32, isHead: Bool) -> Bool {
        var chunked = false
        switch answer.framing {
        case .raw(let text):
            guard write(Array(text.utf8), to: socket) else { return false }
        case .contentLength:
            let length = answer.pieces.reduce(0) { total, piece in
                if case .bytes(let bytes) = piece { return total + bytes.count }
                return total
            }
            // A cut answer promises a byte it does not send.
            let head = Self.head(answer, "Content-Length: \(answer.cut ? length + 1 : length)")
            guard write(head, to: socket) else { return false }
        case .chunked:
            chunked = true
            guard write(Self.head(answer, "Transfer-Encoding: chunked"), to: socket) else { return false }
        }
        if isHead { return true }
        for piece in answer.pieces {
            guard send(piece, to: socket, chunked: chunked) else { return false }
        }
        if answer.cut { return false }
        if case .raw = answer.framing { return false }
        return !chunked || write(Array("0\r\n\r\n".utf8), to: socket)
    }

    private static func head(_ answer: ScriptedAnswer, _ framing: String) -> [UInt8] {
        let lines = answer.headers.map { "\($0.0): \($0.1)\r\n" }.joined()
        return Array("HTTP/1.1 \(answer.status) Scripted\r\n\(framing)\r\n\(lines)\r\n".utf8)
    }

    private func send(_ piece: ScriptedAnswer.Piece, to socket: Int32, chunked: Bool) -> Bool {
        switch piece {
        case .bytes(let bytes):
            if bytes.isEmpty { return true }
            guard chunked else { return write(bytes, to: socket) }
            return write(Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + [13, 10], to: socket)
        case .reached(let signal):
            signal.signal()
            return true
        case .hold(let signal): return signal.wait(seconds: 30)
        case .stall:
            // The client leaving ends the read; so does `stop`.
            var byte: UInt8 = 0
            _ = recv(socket, &byte, 1, 0)
            return false
        }
    }

    private func write(_ bytes: [UInt8], to socket: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { raw -> Int in
                guard let base = raw.baseAddress else { return -1 }
                return Glibc.send(socket, base + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}
