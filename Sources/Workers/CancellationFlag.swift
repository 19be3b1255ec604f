// How a running job learns that it should stop. Set from any thread, once: the first reason stays.
// Handlers registered with `onSet` run on the thread that sets the flag and must be quick.

import Synchronization

public final class CancellationFlag: Sendable {
    public enum Reason: String, Sendable {
        /// Somebody cancelled the job: stop as soon as possible.
        case cancelled
        /// It ran longer than its policy allows: stop as soon as possible.
        case timeout
        /// The service is going down: reach the next step, journal it, return `.released`.
        case drain
        /// The time for that is nearly over: return `.released` as soon as possible.
        case halt

        /// A stronger reason replaces a weaker one: a cancel still cancels a job that is being timed out.
        var strength: Int {
            switch self {
            case .drain: 0
            case .halt: 1
            case .timeout: 2
            case .cancelled: 3
            }
        }
    }

    private struct State {
        var reason: Reason?
        var handlers: [@Sendable (Reason) -> Void] = []
    }

    private let state = Mutex(State())

    public init() {}

    /// Why the job should stop; nil while it may go on.
    public var reason: Reason? { state.withLock { $0.reason } }
    public var isSet: Bool { reason != nil }

    /// Sets the flag and calls the handlers. A second reason is ignored unless it is stronger: handlers are called again.
    public func set(_ reason: Reason) {
        let handlers = state.withLock { state -> [@Sendable (Reason) -> Void] in
            guard (state.reason?.strength ?? -1) < reason.strength else { return [] }
            state.reason = reason
            return state.handlers
        }
        for handler in handlers { handler(reason) }
    }

    /// Calls `handler` when the flag is set: at once if it is already. Handlers live as long as the flag.
    public func onSet(_ handler: @escaping @Sendable (Reason) -> Void) {
        let reason = state.withLock { state -> Reason? in
            state.handlers.append(handler)
            return state.reason
        }
        if let reason { handler(reason) }
    }
}
