// Which servers there are, as the operator configured them. Plain values; keys are looked up when they are needed.
import HTTPTransport
import TextFormats

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

    /// The values in the address's query, by name.
    public var queryParts: [(name: String, value: String)] {
        let parts = url.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return [] }
        return parts[1].prefix { $0 != "#" }.split(separator: "&").compactMap { part in
            let pair = part.split(separator: "=", maxSplits: 1)
            return pair.count == 2 ? (String(pair[0]), String(pair[1])) : nil
        }
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
    /// Takes the keys the server was given out of what it says, which goes to models, users and logs. Asked before each use, so
    /// that keys are never kept.
    public var secrets: @Sendable () -> SecretScrubber

    /// `secrets` begins with the headers, the variables and the parts of the address that are named like credentials.
    public init(name: String, place: Place) {
        self.name = name
        self.place = place
        secrets = {
            let given: [(name: String, value: String)]
            switch place {
            case .command(let command): given = command.environment().map { ($0.key, $0.value) }
            // Headers that cannot be had were not sent.
            case .address(let address): given = ((try? address.headers()) ?? []) + address.queryParts
            }
            return SecretScrubber(headers: given.filter { SecretScrubber.isCredential(name: $0.name) })
        }
    }
}
