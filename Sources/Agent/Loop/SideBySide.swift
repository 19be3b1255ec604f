// Runs the calls of one step that only read at the same time, on a few threads; their results are then recorded and given
// to the model in the order of the calls, by the turn's own thread. Blocks until all have ended. Never fails: a tool's
// failure is its result.
import Dispatch
import Synchronization

enum SideBySide {
    /// Threads at once for one turn: a page and a feed are waited for together, and no turn takes the machine.
    static let width = 4

    /// - Parameter body: called on several threads at once; for each key once.
    /// - Returns: the results by key.
    static func run(_ calls: [PlannedCall], _ body: @escaping @Sendable (PlannedCall) -> String) -> [String: String] {
        let work = Work(calls)
        let group = DispatchGroup()
        for _ in 1..<min(width, calls.count) {
            DispatchQueue.global().async(group: group) { work.carryOut(body) }
        }
        // Our own thread works too: where the others are busy elsewhere, it does all of it.
        work.carryOut(body)
        group.wait()
        return work.results
    }

    private final class Work: Sendable {
        private let calls: [PlannedCall]
        private let state = Mutex((next: 0, results: [String: String]()))

        init(_ calls: [PlannedCall]) { self.calls = calls }

        var results: [String: String] { state.withLock { $0.results } }

        func carryOut(_ body: (PlannedCall) -> String) {
            while let call = next() {
                let text = body(call)
                state.withLock { $0.results[call.key] = text }
            }
        }

        private func next() -> PlannedCall? {
            state.withLock { state in
                guard state.next < calls.count else { return nil }
                defer { state.next += 1 }
                return calls[state.next]
            }
        }
    }
}
