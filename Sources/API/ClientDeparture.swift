// Notices that a client hung up while its request is still being answered. One handler per connection, on its event
// loop; listeners come and go from any thread.

import NIOCore
import Synchronization

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

    private func announce() {
        let listeners = state.withLock { state in
            state.isGone = true
            defer { state.listeners = [:] }
            return state.listeners
        }
        for listener in listeners.values { listener() }
    }
}
