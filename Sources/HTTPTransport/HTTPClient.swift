// Blocking HTTP exchanges over libcurl. Any number of threads may call one client; each exchange has a pair of handles
// (one easy on its own one-transfer multi) to itself while it runs. Pairs are kept and handed to the next exchange,
// with their open connections, last used first. Keeping them in a stack rather than one per thread means that 1,000
// threads of which 20 talk at a time hold 20 connections, and that a body handler may itself start an exchange.
// A client has one policy and its own pairs, so a connection never changes policy.
// Fails with TransportError only; nothing is retried here and redirects are answers like any other.
import Synchronization

/// Sends requests and waits for the answers.
public final class HTTPClient: Sendable {
    /// Pairs kept between exchanges. Each may hold up to `Transfer.maxConnections` connections open.
    public static let maxIdleTransfers = 64
    /// The largest response head accepted, in bytes.
    public static let maxHeadBytes = 256 << 10

    public let policy: EgressPolicy
    /// Places the policy would refuse and that are open all the same.
    public let exceptions: [EgressException]
    private let idle = Mutex<[Transfer]>([])
    /// Stands in for the resolver: see `TransferOptions.setNames`. Asked anew for every exchange.
    private let names: (@Sendable () -> [String])?
    private let sockets = Mutex(0)

    public init(policy: EgressPolicy, exceptions: [EgressException] = []) {
        self.policy = policy
        self.exceptions = exceptions
        names = nil
    }

    init(policy: EgressPolicy, exceptions: [EgressException] = [], names: @escaping @Sendable () -> [String]) {
        self.policy = policy
        self.exceptions = exceptions
        self.names = names
    }

    /// Attempts to connect made so far: sockets made by exchanges that have ended.
    public var connectionAttempts: Int { sockets.withLock { $0 } }

    /// Carries out one exchange on the calling thread.
    ///
    /// - Parameters:
    ///   - cancellation: ends the exchange within milliseconds with `cancelled`, whatever it is doing.
    ///   - onHead: gets status and headers before the first byte of the body. May throw to abort.
    ///   - onBody: gets the body of a 2xx response piece by piece, on the calling thread. May throw to abort. Other
    ///     responses are explanations, not the content asked for: their bodies are always in `HTTPResponse.body`.
    ///   - patience: seconds of silence in which the exchange may still come to its clean end (which keeps the connection), once
    ///     `onBody` has had all that matters; nil as long as it has not. How the exchange ends then is no error any more.
    public func send(
        _ request: HTTPRequest, cancellation: CancellationToken? = nil, onHead: ((HTTPResponse) throws -> Void)? = nil,
        onBody: (([UInt8]) throws -> Void)? = nil, patience: (() -> Double?)? = nil
    ) throws(TransportError) -> HTTPResponse {
        try request.check()
        let transfer = try take()
        defer { giveBack(transfer) }
        let exchange = Exchange(
            policy: policy, exceptions: exceptions, maxResponseBytes: request.maxResponseBytes, onHead: onHead,
            onBody: onBody, patience: patience)
        defer { sockets.withLock { $0 += exchange.socketsMade } }
        return try transfer.run(
            request, exchange: exchange, policy: policy, names: names?() ?? [], cancellation: cancellation)
    }

    private func take() throws(TransportError) -> Transfer {
        if let transfer = idle.withLock({ $0.popLast() }) { return transfer }
        return try Transfer()
    }

    private func giveBack(_ transfer: Transfer) {
        transfer.reset()
        idle.withLock { idle in
            if idle.count < Self.maxIdleTransfers { idle.append(transfer) }
        }
    }
}
