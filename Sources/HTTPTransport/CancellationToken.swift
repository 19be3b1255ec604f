// Carries "stop now" from whoever decides it (a cancel request, a timeout, a drain) into blocking calls. Cancelling is
// final and happens once. Any thread may call anything here; nothing blocks and nothing fails.
import Synchronization

/// A one-way switch that blocking exchanges and waits listen to.
public final class CancellationToken: Sendable {
    private struct State {
        var reason: String?
        var wish: String?
        var handlers: [Int: @Sendable () -> Void] = [:]
        var nextID = 1
    }

    private let state = Mutex(State())

    public init() {}

    public var isCancelled: Bool { state.withLock { $0.reason != nil } }

    /// Why it was cancelled: the text of the first `cancel`, nil before.
    public var reason: String? { state.withLock { $0.reason } }

    /// Why it should stop at the next good place, while whoever waits for something (and may have paid for it) goes on
    /// waiting; nil: it need not.
    public var wish: String? { state.withLock { $0.wish } }

    /// Asks for a stop at the next good place.
    public func ask(reason: String) { state.withLock { $0.wish = reason } }

    /// Cancels. The first call wins, later ones change nothing. Runs the handlers on the calling thread before it
    /// returns, with no lock held.
    public func cancel(reason: String = "cancelled") {
        let handlers = state.withLock { state -> [@Sendable () -> Void] in
            guard state.reason == nil else { return [] }
            state.reason = reason
            defer { state.handlers = [:] }
            return state.handlers.sorted { $0.key < $1.key }.map(\.value)
        }
        for handler in handlers { handler() }
    }

    /// Calls `handler` when the token is cancelled: on the cancelling thread, or, if that has happened, at once on the
    /// calling thread. Handlers must be quick and must not block. Take one back with `removeHandler` when it is not
    /// needed any more; a handler may still be running on another thread while `removeHandler` returns.
    @discardableResult
    public func onCancel(_ handler: @escaping @Sendable () -> Void) -> Int {
        let id = state.withLock { state -> Int? in
            guard state.reason == nil else { return nil }
            let id = state.nextID
            state.nextID += 1
            state.handlers[id] = handler
            return id
        }
        if let id { return id }
        handler()
        return 0
    }

    /// Takes back a handler; unknown ids (also those of handlers that were called) are ignored.
    public func removeHandler(_ id: Int) {
        _ = state.withLock { $0.handlers.removeValue(forKey: id) }
    }

    /// Blocks for `seconds`, or until cancelled; true if it is cancelled.
    public func wait(seconds: Double) -> Bool {
        let signal = WakeSignal()
        let id = onCancel { signal.signal() }
        defer { removeHandler(id) }
        return signal.wait(seconds: seconds)
    }
}
