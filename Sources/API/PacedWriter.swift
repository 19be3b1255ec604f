// Writes an answer's body in pieces, the next one only when the kernel has taken the one before: what a client does not take is not
// held in memory. On the request's task. Fails when the client has gone, or takes no piece for too long: then the connection is
// closed, and a body that was cut short is seen to be.

import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTPTypes

struct PacedWriter: ResponseBodyWriter {
    /// Bytes of one piece: what an unfinished download costs.
    static let piece = 256 << 10

    let channel: any Channel
    /// Seconds one piece may take.
    let seconds: Int64
    /// Ends the body; what it wrote before this writer was made is on its way already.
    let parent: any ResponseBodyWriter

    mutating func write(_ buffer: ByteBuffer) async throws {
        var rest = buffer
        while let part = rest.readSlice(length: min(Self.piece, rest.readableBytes)), part.readableBytes > 0 {
            try await send(part)
        }
    }

    private func send(_ part: ByteBuffer) async throws {
        let channel = channel
        let deadline = channel.eventLoop.scheduleTask(in: .seconds(seconds)) { channel.close(promise: nil) }
        defer { deadline.cancel() }
        // Hummingbird's own writer returns as soon as the bytes wait in the connection's buffer; this future, when they have left it.
        try await channel.writeAndFlush(HTTPResponsePart.body(part)).get()
    }

    consuming func finish(_ trailingHeaders: HTTPFields?) async throws { try await parent.finish(trailingHeaders) }
}
