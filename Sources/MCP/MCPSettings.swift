// Which servers there are, as the operator configured them. Plain values; keys are looked up when they are needed.
import HTTPTransport

/// How a server is started.
public struct MCPCommand: Sendable {
    /// An absolute path.
    public var program: String
    public var arguments: [String]
    /// All the child gets; asked when it is started, so that keys are never kept.
    public var environment: @Sendable () -> [String: String]

    public init(program: String, arguments: [String], environment: @escaping @Sendable () -> [String: String]) {
        self.program = program
        self.arguments = arguments
        self.environment = environment
    }
}

/// Where a server listens.
public struct MCPAddress: Sendable {
    public var url: String
    /// Asked before every message. - Throws: `unavailable` where a key that is configured cannot be had.
    public var headers: @Sendable () throws(MCPError) -> [(name: String, value: String)]

    public init(
        url: String, headers: @escaping @Sendable () throws(MCPError) -> [(name: String, value: String)] = { [] }
    ) {
        self.url = url
        self.headers = headers
    }
}

public struct MCPServerSettings: Sendable {
    public enum Place: Sendable {
        case command(MCPCommand)
        case address(MCPAddress)
    }

    /// [a-z0-9]{1,20}
    public var name: String
    public var place: Place
    /// Seconds one call may take.
    public var timeout = 60.0
    /// One connection serves all users: only for servers that keep nothing of whoever asks.
    public var isShared = false
    /// Connections at once.
    public var maxConnections = 8
    /// Seconds after which a connection that nobody uses is closed.
    public var idleSeconds = 300.0
    /// nil: all it has.
    public var enabledTools: Set<String>?
    /// Tools that may be called again when a crash left their outcome unknown, whatever the server says of them.
    public var idempotentTools: Set<String> = []

    public init(name: String, place: Place) {
        self.name = name
        self.place = place
    }
}
