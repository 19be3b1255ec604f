// Waits for a job by its status file, whether the workers are in this process, in another or not there at all.
// One caller on one thread, blocking. Failure: JobError.

import Foundation
import Jobs
import Spool

struct JobFollower {
    /// Seconds after which the caller is shown the job again though nothing changed: clocks on screen move.
    private static let tick: TimeInterval = 1

    private let client: JobClient
    private let watcher: StatusWatcher
    private let isGivenUp: @Sendable () -> Bool

    /// - Parameter isGivenUp: asked at each tick; true ends the wait.
    init(client: JobClient, isGivenUp: @escaping @Sendable () -> Bool = { false }) {
        self.client = client
        watcher = StatusWatcher(spool: client.spool)
        self.isGivenUp = isGivenUp
    }

    /// Shows the job at once, after each change and at each tick, until it ended or `deadline` passed.
    /// - Returns: the job as shown last. - Throws: `not_found`, what `look` throws.
    func follow(_ id: JobID, until deadline: Date?, _ look: (JobView) throws -> Void) throws -> JobView {
        let bell = Bell()
        let handle = watcher.watch(id) { bell.ring() }
        defer { handle.cancel() }
        while true {
            let rings = bell.rings
            guard let view = try client.view(id) else {
                throw JobError(.notFound, "there is no job \(id) (any more)", jobID: id)
            }
            try look(view)
            let now = Date()
            if view.state.isFinal || isGivenUp() || deadline.map({ $0 <= now }) ?? false { return view }
            bell.wait(after: rings, until: min(deadline ?? .distantFuture, now.addingTimeInterval(JobFollower.tick)))
        }
    }

    func stop() { watcher.stop() }
}

/// Rings that happen while nobody waits are not lost.
private final class Bell: Sendable {
    private let condition = NSCondition()
    /// Guarded by `condition`.
    nonisolated(unsafe) private var count = 0

    var rings: Int { condition.withLock { count } }

    func ring() {
        condition.withLock {
            count += 1
            condition.broadcast()
        }
    }

    func wait(after known: Int, until limit: Date) {
        condition.withLock {
            while count == known, condition.wait(until: limit) {}
        }
    }
}
