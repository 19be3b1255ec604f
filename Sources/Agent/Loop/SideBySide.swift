// Runs the calls of one step that only read at the same time, on a few threads; their results are then recorded and given
// to the model in the order of the calls, by the turn's own thread. Blocks until all that were begun have ended. Never
// fails: a tool's failure is its result.
import Dispatch
import DurableFiles
import Synchronization

enum SideBySide {
    /// Threads at once for one turn: a page and a feed are waited for together, and no turn takes the machine.
    static let width = 4

    /// - Parameters:
    ///   - goesOn: asked before each call, on several threads; false: no further one is begun.
    ///   - body: called on several threads at once; for each key once.
    /// - Returns: the results by key, without those never begun.
    static func run(
        _ calls: [PlannedCall], while goesOn: @escaping @Sendable () -> Bool = { true },
        _ body: @escaping @Sendable (PlannedCall) -> String
    ) -> [String: String] {
        let work = Work(calls, goesOn)
        // These threads work for the turn as well: what bounds its waits bounds theirs.
        let wait = LockWait.current
        for _ in 1..<max(1, min(width, calls.count)) {
            DispatchQueue.global().async { wait.bounding { work.carryOut(body) } }
        }
        // Our own thread works too: where the others are busy elsewhere, it does all of it.
        work.carryOut(body)
        return work.wait()
    }

    private final class Work: Sendable {
        private struct State {
            var next = 0
            var isOver = false
            var results: [String: String] = [:]
        }

        private let calls: [PlannedCall]
        private let goesOn: @Sendable () -> Bool
        private let state = Mutex(State())
        /// Signalled once for each call that has ended.
        private let ended = DispatchSemaphore(value: 0)

        init(_ calls: [PlannedCall], _ goesOn: @escaping @Sendable () -> Bool) {
            self.calls = calls
            self.goesOn = goesOn
        }

        func carryOut(_ body: (PlannedCall) -> String) {
            while let call = next() {
                let text = body(call)
                state.withLock { $0.results[call.key] = text }
                ended.signal()
            }
        }

        /// Waits for the calls that were begun, not for threads that never came to one.
        func wait() -> [String: String] {
            let begun = state.withLock { state -> Int in
                state.isOver = true
                return state.next
            }
            for _ in 0..<begun { ended.wait() }
            return state.withLock { $0.results }
        }

        private func next() -> PlannedCall? {
            guard goesOn() else { return nil }
            return state.withLock { state in
                guard !state.isOver, state.next < calls.count else { return nil }
                defer { state.next += 1 }
                return calls[state.next]
            }
        }
    }
}
