// How many jobs wait, by user and by lane, from the names in queued/. Counting reads the whole folder, so between two
// counts what this process admits is added on; before somebody is refused it is counted anew. Any thread.

import Foundation
import Spool

final class QueueCensus: Sendable {
    struct Count: Sendable {
        var total = 0
        var users: [String: Int] = [:]
        var lanes: [Lane: Int] = [:]
        /// By lane: when the job that has been due longest became due.
        var oldestDue: [Lane: Date] = [:]
    }

    /// A folder with fewer names is counted anew for every question.
    private static let cheapCount = 2_000
    /// At most one part in this many of the time is spent counting.
    private static let restFactor = 20.0
    /// Seconds between two counts while nobody is refused.
    private static let shortestRest: TimeInterval = 2

    private struct Tally {
        var total = 0
        var users: [String: Int] = [:]

        mutating func add(_ user: String, _ number: Int) {
            total += number
            let sum = users[user, default: 0] + number
            users[user] = sum == 0 ? nil : sum
        }
    }

    private struct State {
        var count: Count?
        /// Admitted by this process since the count was begun.
        var added = Tally()
        /// Being admitted by this process: whether a listing sees them is anybody's guess, so they count in addition.
        var pending = Tally()
        var isCounting = false
        /// Read from the monotonic clock: a moved wall clock must not stop the counting.
        var countedAt: ContinuousClock.Instant?
        var cost: TimeInterval = 0
    }

    private let spool: JobSpool
    /// Taken with every submission: a thread that waits must sleep, and not spin while the holder waits for a core.
    private let lock = NSLock()
    /// Guarded by `lock`.
    nonisolated(unsafe) private var state = State()

    init(spool: JobSpool) { self.spool = spool }

    /// Takes one place in the queue for a job of `user`. Every call that returns is followed by one of `settle`.
    /// - Throws: `user_queue_full`, `queue_full`, `storage`.
    func reserve(_ user: String, userLimit: Int, totalLimit: Int) throws(JobError) {
        let now = ContinuousClock.now
        let isTaken = lock.withLock {
            !needsCount(rest: Self.shortestRest, now) && take(user, userLimit, totalLimit) == nil
        }
        if isTaken { return }
        // The count may be too high: jobs that have left the queue since are still in it.
        if lock.withLock({ needsCount(rest: 0, now) }) { try recount() }
        if let refusal = lock.withLock({ take(user, userLimit, totalLimit) }) { throw refusal }
    }

    /// Whether nobody's job would be taken. Counts anew where it seems so; before the first submission nothing is known.
    func isFull(totalLimit: Int) throws(JobError) -> Bool {
        func seemsFull() -> Bool { lock.withLock { totalLimit > 0 && total >= totalLimit } }
        guard seemsFull() else { return false }
        let now = ContinuousClock.now
        if lock.withLock({ needsCount(rest: Self.shortestRest, now) }) { try recount() }
        return seemsFull()
    }

    /// With the lock held.
    private var total: Int { (state.count?.total ?? 0) + state.added.total + state.pending.total }

    /// The job of a reserved place was admitted, or was not.
    func settle(_ user: String, isAdmitted: Bool) {
        lock.withLock {
            state.pending.add(user, -1)
            if isAdmitted { state.added.add(user, 1) }
        }
    }

    /// With the lock held.
    private func take(_ user: String, _ userLimit: Int, _ totalLimit: Int) -> JobError? {
        let own =
            (state.count?.users[user] ?? 0) + state.added.users[user, default: 0] + state.pending.users[user, default: 0]
        if userLimit > 0, own >= userLimit {
            return JobError(
                .userQueueFull, "the user has \(own) waiting jobs, the limit is \(userLimit); wait for some to end",
                retryAfter: 2)
        }
        let total = total
        if totalLimit > 0, total >= totalLimit {
            return JobError(
                .queueFull, "the queue has \(total) waiting jobs, the limit is \(totalLimit); try again later",
                retryAfter: 10)
        }
        state.pending.add(user, 1)
        return nil
    }

    // MARK: - Counting

    /// What waits now; for a very long queue, what waited some seconds ago.
    func count() throws(JobError) -> Count {
        if lock.withLock({ needsCount(rest: 0, ContinuousClock.now) }) { try recount() }
        return lock.withLock { state.count ?? Count() }
    }

    /// With the lock held.
    private func needsCount(rest: TimeInterval, _ now: ContinuousClock.Instant) -> Bool {
        guard let total = state.count?.total, let at = state.countedAt else { return true }
        let isCheap = total + state.added.total < Self.cheapCount
        let wait = isCheap ? rest : max(rest, state.cost * Self.restFactor)
        return at.duration(to: now) >= .seconds(wait)
    }

    /// One caller counts; others who come meanwhile go on with the last count, if there is one.
    private func recount() throws(JobError) {
        let mayCount = lock.withLock {
            if state.isCounting, state.count != nil { return false }
            state.isCounting = true
            return true
        }
        guard mayCount else { return }
        // What was admitted before is seen by the listing; what is admitted during it may count twice till the next.
        let before = lock.withLock { state.added }
        let start = ContinuousClock.now
        do throws(SpoolError) {
            let count = try count(spool)
            let end = ContinuousClock.now
            lock.withLock {
                state.count = count
                for (user, number) in before.users { state.added.add(user, -number) }
                state.countedAt = end
                state.cost = start.duration(to: end) / .seconds(1)
                state.isCounting = false
            }
        } catch {
            lock.withLock { state.isCounting = false }
            throw JobError(error, nil)
        }
    }

    private func count(_ spool: JobSpool) throws(SpoolError) -> Count {
        var count = Count()
        var oldest: [Lane: Int64] = [:]
        try spool.forEachName(in: .queued) { name in
            count.total += 1
            count.users[name.user, default: 0] += 1
            count.lanes[name.lane, default: 0] += 1
            oldest[name.lane] = min(oldest[name.lane] ?? .max, name.dueMilliseconds)
            return true
        }
        count.oldestDue = oldest.mapValues { Date(timeIntervalSince1970: Double($0) / 1000) }
        return count
    }
}
