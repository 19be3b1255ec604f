// Bounds how many calls an account carries out at once. Callers wait in the order they came; a cancellation ends a wait
// at once. Any thread.
import HTTPTransport
import Synchronization

/// The places of one account.
public final class AccountLimiter: Sendable {
    private struct State {
        var free: Int
        var waiting: [(id: Int, signal: WakeSignal)] = []
        var nextID = 0
    }

    private let account: String
    private let limit: Int
    private let state: Mutex<State>

    /// - Parameter maxConcurrent: calls at once, at least 1.
    public init(account: String, maxConcurrent: Int) {
        self.account = account
        limit = max(maxConcurrent, 1)
        state = Mutex(State(free: limit))
    }

    /// Runs `call` on the calling thread when a place is free.
    ///
    /// - Parameter timeout: the longest wait for a place, in seconds; then `rateLimited`.
    func run<Value>(
        timeout: Double, cancellation: CancellationToken?, _ call: () throws(ProviderError) -> Value
    ) throws(ProviderError) -> Value {
        try enter(timeout: timeout, cancellation: cancellation)
        defer { leave() }
        return try call()
    }

    private func enter(timeout: Double, cancellation: CancellationToken?) throws(ProviderError) {
        let signal = WakeSignal()
        let place = state.withLock { state -> Int? in
            if state.free > 0, state.waiting.isEmpty {
                state.free -= 1
                return nil
            }
            state.nextID += 1
            state.waiting.append((state.nextID, signal))
            return state.nextID
        }
        guard let place else { return }
        let handler = cancellation?.onCancel { signal.signal() }
        _ = signal.wait(seconds: timeout)
        if let handler { cancellation?.removeHandler(handler) }

        let wasGranted = state.withLock { state -> Bool in
            guard let index = state.waiting.firstIndex(where: { $0.id == place }) else { return true }
            state.waiting.remove(at: index)
            return false
        }
        if cancellation?.isCancelled == true {
            if wasGranted { leave() }
            throw ProviderError(code: .cancelled, detail: "cancelled while waiting for a place at \(account)")
        }
        guard wasGranted else {
            throw ProviderError(
                code: .rateLimited,
                detail: "all \(limit) places of \(account) were taken for \(Int(timeout)) s — raise max_concurrent")
        }
    }

    /// Hands the place to whoever waits longest: it never becomes free in between, so nobody can overtake.
    private func leave() {
        let next = state.withLock { state -> WakeSignal? in
            if state.waiting.isEmpty {
                state.free += 1
                return nil
            }
            return state.waiting.removeFirst().signal
        }
        next?.signal()
    }
}
