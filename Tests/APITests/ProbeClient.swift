// A small HTTP/1.1 client that sends exactly what a test says: any Host, any path. Over NIO, loopback only.

import NIOCore
import NIOHTTP1
import NIOPosix
import TextFormats

/// One answer, whole.
struct Reply {
    var status: Int
    var headers: HTTPHeaders
    var body: String

    var json: JSON {
        get throws { try JSON.parse(body) }
    }

    /// The problem's code; nil when the answer is none.
    var code: String? {
        guard headers.first(name: "content-type") == "application/problem+json" else { return nil }
        return (try? json)?["code"]?.string
    }

    func header(_ name: String) -> String? { headers.first(name: name) }
}

struct ProbeClient: Sendable {
    typealias Channel = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    let port: Int

    /// Sends one request on a connection of its own and reads the whole answer.
    func send(
        _ method: String, _ path: String, _ headers: [(String, String)] = [], body: String? = nil
    ) async throws -> Reply {
        try await open(method, path, headers, body: body) { stream in
            var text = ""
            while let piece = try await stream.next() { text += piece }
            return Reply(status: stream.status, headers: stream.headers, body: text)
        }
    }

    func get(_ path: String, _ headers: [(String, String)] = []) async throws -> Reply {
        try await send("GET", path, headers)
    }

    /// Sends a JSON body.
    func send(
        _ method: String, _ path: String, json: JSON, _ headers: [(String, String)] = []
    ) async throws -> Reply {
        try await send(method, path, headers + [("Content-Type", "application/json")], body: json.text())
    }

    /// Sends one request and gives its answer piece by piece; leaving `body` closes the connection.
    func open<Value: Sendable>(
        _ method: String, _ path: String, _ headers: [(String, String)] = [], body: String? = nil,
        _ use: (inout Stream) async throws -> Value
    ) async throws -> Value {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    return try Channel(wrappingChannelSynchronously: channel)
                }
            }
        var fields = HTTPHeaders(headers)
        if !fields.contains(name: "host") { fields.add(name: "Host", value: "127.0.0.1:\(port)") }
        if fields.first(name: "host") == "" { fields.remove(name: "host") }
        if let body, !fields.contains(name: "content-length") {
            fields.add(name: "Content-Length", value: "\(body.utf8.count)")
        }
        let head = HTTPRequestHead(version: .http1_1, method: HTTPMethod(rawValue: method), uri: path, headers: fields)
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(.head(head))
            if let body { try await outbound.write(.body(.byteBuffer(ByteBuffer(string: body)))) }
            try await outbound.write(.end(nil))
            var stream = Stream(parts: inbound.makeAsyncIterator())
            try await stream.readHead()
            return try await use(&stream)
        }
    }

    /// A connection that says what a test says, when it says so.
    struct Conversation {
        fileprivate var pieces: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
        fileprivate let output: NIOAsyncChannelOutboundWriter<ByteBuffer>
        /// All that has come.
        private(set) var heard = ""

        fileprivate init(
            _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ output: NIOAsyncChannelOutboundWriter<ByteBuffer>
        ) {
            pieces = inbound.makeAsyncIterator()
            self.output = output
        }

        func say(_ text: String) async throws { try await output.write(ByteBuffer(string: text)) }

        /// Reads on until `text` has come. - Returns: false when the server closes first.
        mutating func hear(_ text: String) async throws -> Bool {
            while !heard.contains(text) {
                guard let piece = try await pieces.next() else { return false }
                heard += String(buffer: piece)
            }
            return true
        }
    }

    /// Leaving `body` closes the connection.
    func converse<Value: Sendable>(_ body: (inout Conversation) async throws -> Value) async throws -> Value {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            var conversation = Conversation(inbound, outbound)
            return try await body(&conversation)
        }
    }

    /// Sends bytes as they are. - Returns: all that comes back until the server closes the connection.
    func exchange(_ text: String) async throws -> String {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: text))
            var answer = ""
            do {
                for try await piece in inbound { answer += String(buffer: piece) }
            } catch is IOError {
                // Reset: the server closed while there was more to read.
            }
            return answer
        }
    }

    /// An answer being read.
    struct Stream {
        fileprivate var parts: NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator
        private(set) var status = 0
        private(set) var headers = HTTPHeaders()

        fileprivate init(parts: NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator) {
            self.parts = parts
        }

        fileprivate mutating func readHead() async throws {
            while let part = try await parts.next() {
                guard case .head(let head) = part else { continue }
                (status, headers) = (Int(head.status.code), head.headers)
                return
            }
        }

        /// The next piece of the body; nil at its end.
        mutating func next() async throws -> String? {
            while let part = try await parts.next() {
                switch part {
                case .head: continue
                case .body(let buffer): return String(buffer: buffer)
                case .end: return nil
                }
            }
            return nil
        }
    }
}
