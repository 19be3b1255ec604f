// What an operator sets for the HTTP side; every bound of this room has its name here. A plain value.

import Foundation
import Identity

/// Settings of the HTTP server.
public struct APIOptions: Sendable {
    /// Host name or address to bind; see `BindingPolicy`.
    public var host: String
    /// 0 lets the system choose; `onRunning` tells which it was.
    public var port: Int
    /// The operator's own token. nil or empty: none. Without it, tokens made or an identity provider the service is open,
    /// on loopback only, with Host and Origin checked.
    public var adminToken: String?
    /// Tokens of an identity provider; nil: none are taken.
    public var jwt: JWTVerifier?
    /// Whether tokens had been made when the server started: any address may be bound then.
    public var hasTokens = false
    /// Whether a caller who reaches one user may make tokens of that user. Such tokens end with the caller's own credential.
    public var userTokensMayMint = false
    /// The service's version, as in GET / and /health.
    public var version: String
    /// nil: plain HTTP.
    public var tls: CertificateFiles?
    /// Origins whose pages may call, as browsers write them; see `CrossOrigin.origin(_:)`.
    public var corsOrigins: [String] = []
    /// Proxies whose X-Forwarded-For is believed, and which may open any number of connections.
    public var trustedProxies: [AddressBlock] = []
    /// Requests a minute of one token that reaches one user; beyond it: 429. 0: no bound.
    public var requestsPerMinute = 0
    /// Most connections of one address that is neither this machine nor a trusted proxy; 0: no bound.
    public var connectionsPerAddress = 256
    /// Seconds a body may take to arrive; then the connection is closed.
    public var bodyTimeout: Int64 = 60
    /// Called for every call that changed something or was refused, on the request's task; must not block. nil: no audit.
    public var audit: (@Sendable (AuditEntry) -> Void)?
    /// Reads one file of the documentation assets by its path below drf-spectacular-sidecar's static folder, such as
    /// "swagger-ui-dist/swagger-ui-bundle.js"; nil for a file it does not have. Called once per file, on a pool thread.
    /// Without it /docs and /redoc are plain pages made from openapi.json.
    public var documentationAsset: (@Sendable (String) -> [UInt8]?)?
    /// Called once, when the socket is bound, with the port.
    public var onRunning: @Sendable (Int) -> Void
    /// Now; tests give their own.
    public var now: @Sendable () -> Date

    /// Largest body in bytes; beyond it: 413.
    public var maxBodyBytes = 1 << 20
    /// The same for the interfaces of other services, whose clients send the whole conversation with each question.
    public var maxClientBodyBytes = 4 << 20
    /// Bytes of the messages in front of a client's question, and of the application's texts beside them.
    public var maxHistoryBytes = 4 << 20
    public var maxInstructionBytes = 64 << 10
    /// Most jobs in one POST /jobs.
    public var maxBatchJobs = 1_000
    /// Seconds a chat is waited for when the request does not say.
    public var defaultChatWait = 30.0
    /// Longest `wait`, in seconds.
    public var maxWait = 60.0
    /// Most open event streams; beyond it: 503.
    public var maxStreams = 2_000
    /// Of one user's tokens.
    public var maxStreamsOfUser = 64
    /// Most open connections; beyond it the system's backlog holds new ones.
    public var maxConnections = 10_000
    /// Seconds after which a connection without a request in progress, or with one that no longer arrives, is closed.
    public var idleTimeout: Int64 = 75
    /// Seconds between heartbeats on a quiet event stream.
    public var heartbeatInterval = 15.0
    /// Seconds one write to an event stream, or one piece of a download, may take before its client counts as gone.
    public var writeTimeout: Int64 = 60
    /// Bytes of unfinished uploads and downloads in memory, in all; beyond it: 503.
    public var transferBytes = 256 << 20
    /// Of one user's tokens; beyond it: 429.
    public var transferBytesOfUser = 32 << 20
    /// Seconds an upload or download waits for its share of them.
    public var transferWait: Int64 = 10
    /// Seconds between looks at a job someone waits for, should a notification be lost; also how finely heartbeats
    /// are timed.
    public var safetyInterval: Int64 = 5
    /// Threads for calls that block, of one user; the pool has twice as many (`ThreadShares`). Submissions that wait for the
    /// log together share its syncs (a fifth more of them a second with 32 clients than with 8 threads), and an idle thread
    /// costs some KiB.
    public var blockingThreads = 32
    /// Most calls waiting for those threads; beyond it: 503. One user's wait in half of the free places; beyond it: 429.
    public var maxBlockingCalls = 4_096

    public init(
        host: String = "127.0.0.1", port: Int = 8_000, adminToken: String? = nil, version: String,
        documentationAsset: (@Sendable (String) -> [UInt8]?)? = nil,
        onRunning: @escaping @Sendable (Int) -> Void = { _ in },
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.host = host
        self.port = port
        self.adminToken = adminToken
        self.version = version
        self.documentationAsset = documentationAsset
        self.onRunning = onRunning
        self.now = now
    }
}

extension APIOptions {
    var clientMessageBounds: ClientMessages.Bounds {
        ClientMessages.Bounds(history: maxHistoryBytes, instructions: maxInstructionBytes)
    }
}
