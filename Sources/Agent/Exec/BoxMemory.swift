// How much memory the boxes of all commands may have for their files at one time. Any thread; a wait is on the caller's thread.
import Foundation
import Synchronization

final class BoxMemory: Sendable {
    private struct Waiter {
        var bytes: Int
        var granted: DispatchSemaphore
    }

    private struct State {
        var free: Int
        /// The first one is served first.
        var waiting: [Waiter] = []
    }

    /// Milliseconds between looks at `isStopped`.
    private static let tick = 50
    /// Bytes in all.
    let total: Int
    private let state: Mutex<State>

    init(total: Int) {
        self.total = total
        state = Mutex(State(free: total))
    }

    /// Runs `body` with its share taken, in the order of asking.
    /// - Parameters:
    ///   - bytes: at most `total`.
    ///   - isStopped: asked while it waits.
    /// - Returns: nil when it was stopped before there was room.
    func with<Value>(_ bytes: Int, isStopped: () -> Bool, _ body: () throws -> Value) rethrows -> Value? {
        let granted = DispatchSemaphore(value: 0)
        state.withLock { $0.waiting.append(Waiter(bytes: bytes, granted: granted)) }
        serve()
        while granted.wait(timeout: .now() + .milliseconds(Self.tick)) == .timedOut {
            guard isStopped() else { continue }
            let isWaiting = state.withLock { state in
                let index = state.waiting.firstIndex { $0.granted === granted }
                if let index { state.waiting.remove(at: index) }
                return index != nil
            }
            // Not waiting any more: granted at this moment.
            guard isWaiting else { break }
            serve()
            return nil
        }
        defer {
            state.withLock { $0.free += bytes }
            serve()
        }
        return try body()
    }

    /// Grants what there is room for.
    private func serve() {
        state.withLock { state in
            while let first = state.waiting.first, first.bytes <= state.free {
                state.waiting.removeFirst()
                state.free -= first.bytes
                first.granted.signal()
            }
        }
    }
}
