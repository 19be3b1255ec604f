// Notices that a client hung up while its request is still being answered. One handler per connection, on its event
// loop; listeners come and go, and questions are asked, from any thread.

import NIOCore
import Synchronization
import WireTypes

/// Calls its listeners once, when the client closes its side of the connection (also when only its sending side: a
/// client that will send no more is not worth waiting for, but it still gets the answer as things stand).
final class ClientDeparture: ChannelInboundHandler, RemovableChannelHandler, Sendable {
    // It never looks at what passes, only at events.
    typealias InboundIn = NIOAny
    typealias InboundOut = NIOAny

    private struct State {
        var isGone = false
        var lastKey = 0
        var listeners: [Int: @Sendable () -> Void] = [:]
    }

    private let state = Mutex(State())

    /// The client closed the connection, or its side of it.
    var isGone: Bool { state.withLock { $0.isGone } }

    /// - Parameter listener: called at most once, at once if the client is gone already.
    /// - Returns: the key for `remove`.
    func add(_ listener: @escaping @Sendable () -> Void) -> Int {
        let key = state.withLock { state -> Int? in
            if state.isGone { return nil }
            state.lastKey += 1
            state.listeners[state.lastKey] = listener
            return state.lastKey
        }
        if let key { return key }
        listener()
        return 0
    }

    func remove(_ key: Int) {
        state.withLock { _ = $0.listeners.removeValue(forKey: key) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        announce()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { announce() }
        context.fireUserInboundEventTriggered(event)
    }

    func announce() {
        let listeners = state.withLock { state in
            state.isGone = true
            defer { state.listeners = [:] }
            return state.listeners
        }
        for listener in listeners.values { listener() }
    }
}

extension BlockingBridge {
    /// Long work for one client, which ends when the client leaves: work that still waits for a thread is then not begun.
    /// - Parameter body: asks its parameter every few hundredths of a millisecond whether the client has gone.
    /// - Throws: what `body` throws; `ProblemDetails.clientGone`
    func run<Value: Sendable>(
        for owner: CallOwner, of client: ClientDeparture,
        _ body: @escaping @Sendable (_ isGone: @escaping @Sendable () -> Bool) throws -> Value
    ) async throws -> Value {
        try await run(for: owner) {
            guard !client.isGone else { throw ProblemDetails.clientGone }
            return try body { client.isGone }
        }
    }
}

extension APIContext {
    /// The connection's own.
    var departure: ClientDeparture {
        get async throws { try await channel.pipeline.handler(type: ClientDeparture.self).get() }
    }
}

extension ProblemDetails {
    /// Read by the access log and the metrics; the client is not there to read it. 499 as in nginx.
    public static var clientGone: ProblemDetails {
        ProblemDetails(status: 499, code: "client_gone", detail: "the client closed the connection before the answer")
    }
}
