// How messages reach a server and answers come back: a child process, or HTTP. One exchange at a time, on the caller's
// thread, which blocks; `listen` runs beside the exchanges on a thread of its own. Failure: MCPError, after which the channel may
// still be usable only if its code is `timeout`, `cancelled` or `refused`.
import HTTPTransport
import TextFormats

protocol MCPChannel: AnyObject, Sendable {
    /// Sends a request and waits for the message with its id.
    /// - Parameter other: gets every other message that comes meanwhile; what it returns is sent back.
    func exchange(
        _ request: JSON, id: Int, seconds: Double, cancellation: CancellationToken?, other: @escaping (JSON) -> JSON?
    ) throws(MCPError) -> JSON
    /// Sends what gets no answer.
    func notify(_ message: JSON) throws(MCPError)
    /// The revision both sides speak, once it is known.
    func agreed(on version: String)
    /// Receives what the server says between exchanges, until the channel is closed or there is nothing more to be heard. Blocks.
    /// - Parameter other: as in `exchange`.
    func listen(other: @escaping (JSON) -> JSON?) -> MCPListening
    /// Ends `listen` too. Any thread.
    func close()
}

/// How listening ended.
enum MCPListening: Sendable {
    case closed
    /// The server says nothing by itself.
    case noStream
    /// The server has ended, or has forgotten the session.
    case gone
}

enum MCPBounds {
    /// Bytes of one message.
    static let message = 8 << 20
}
