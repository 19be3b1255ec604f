// The one error of this room.
import TextFormats

/// Why a server of the Model Context Protocol gave no answer.
public struct MCPError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable, Hashable, CaseIterable {
        /// It cannot be started or reached, or it has ended.
        case unavailable = "mcp_unavailable"
        case timeout = "mcp_timeout"
        case cancelled
        /// What it says is not the protocol.
        case protocolError = "mcp_protocol_error"
        /// It answers with an error of its own.
        case refused = "mcp_error"
        /// All its connections are in use.
        case busy = "mcp_busy"
    }

    public var code: Code
    /// Never holds a key. May hold the server's own words, so it is for the operator; of `refused` it is those words alone.
    public var detail: String
    /// Whether the call may have been carried out all the same.
    public var mayHaveRun: Bool

    public init(_ code: Code, _ detail: String, mayHaveRun: Bool = false) {
        self.code = code
        self.detail = detail
        self.mayHaveRun = mayHaveRun
    }

    public var description: String { "\(code.rawValue): \(detail)" }

    /// Without the keys the server was given.
    func hidden(by secrets: SecretScrubber) -> MCPError {
        var error = self
        error.detail = secrets.withoutParts(detail)
        return error
    }
}
