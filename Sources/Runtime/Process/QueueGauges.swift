// The queue in numbers for /metrics, at a bounded cost: a scrape reads the folders itself only while that is cheap. A long
// queue is counted by a thread in the background, which takes at most one part in a hundred of the time. Any thread.

import Foundation
import Jobs
import Synchronization

final class QueueGauges: Sendable {
    struct Look: Sendable {
        /// nil: the queue could not be read.
        var queue: QueueSummary?
        var at: ContinuousClock.Instant
        /// What the look took.
        var cost: Duration
    }

    /// A scrape waits for a look that took no longer than this the last time.
    static let cheap: Duration = .milliseconds(20)
    /// A look of this cost · `restFactor` is the time between two of them.
    static let restFactor = 100
    /// The shortest time between two looks in the background.
    static let shortestRest: Duration = .seconds(10)

    private struct State {
        var last: Look?
        var isLooking = false
    }

    private let state = Mutex(State())
    private let read: @Sendable () -> QueueSummary?
    private let clock: @Sendable () -> ContinuousClock.Instant
    private let inBackground: @Sendable (@escaping @Sendable () -> Void) -> Void

    /// - Parameters:
    ///   - read: blocks; nil where the queue cannot be read.
    ///   - inBackground: runs a body that blocks on a thread of its own.
    init(
        read: @escaping @Sendable () -> QueueSummary?,
        clock: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now },
        inBackground: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void = { Thread.detachNewThread($0) }
    ) {
        self.read = read
        self.clock = clock
        self.inBackground = inBackground
    }

    /// The first call blocks for one look, whatever the look takes.
    func current() -> Look {
        let last = state.withLock { $0.last }
        guard let last, last.cost > Self.cheap else { return look() }
        let rest = max(Self.shortestRest, last.cost * Self.restFactor)
        guard last.at.duration(to: clock()) >= rest else { return last }
        let isFirst = state.withLock { state in
            defer { state.isLooking = true }
            return !state.isLooking
        }
        if isFirst {
            inBackground { [self] in
                _ = look()
                state.withLock { $0.isLooking = false }
            }
        }
        return last
    }

    private func look() -> Look {
        let start = clock()
        let queue = read()
        let end = clock()
        let look = Look(queue: queue, at: end, cost: start.duration(to: end))
        state.withLock { $0.last = look }
        return look
    }
}
