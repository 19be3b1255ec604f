// The locked shell of `DispatchIndex`: workers wait here for a name; everybody who learns of one brings it here.
// Any thread. Nothing here touches files.
//
// The waiting worker that knows of the earliest due time, the leader, sleeps until then; the others sleep until signalled.
// A worker that is signalled, finds nothing to take and knows of an earlier time than the leader does becomes the leader
// itself: a signal wakes anybody, not the leader. Who takes a job signals the next, so a burst wakes one after the other.

import Foundation
import Spool

final class Dispatcher: Sendable {
    private struct State {
        var index: DispatchIndex
        var idle = 0
        /// When the leader wakes by itself (ms since 1970); `max`: there is none.
        var leaderWakes = Int64.max
        var isStopped = false
        /// Consecutive refusals of the file system.
        var failures = 0
        /// Refusals of each job in a row.
        var refusals: [JobID: Int] = [:]
        /// What the clock showed last, ms.
        var lastTime: Int64 = 0

        /// Called first whenever the lock is held for a decision.
        mutating func notice(_ now: Int64) {
            if lastTime - now > Dispatcher.clockTolerance { index.clockSetBack(by: lastTime - now, now: now) }
            // Threads read the clock before they get the lock: a little older is no step back.
            if now > lastTime || lastTime - now > Dispatcher.clockTolerance { lastTime = now }
        }
    }

    private static func doubled(_ first: Int64, _ times: Int, longest: Int64) -> Int64 {
        min(first << Int64(min(max(times, 0), 16)), longest)
    }

    private let monitor: Monitor<State>
    private let clock: @Sendable () -> Date

    /// Milliseconds in which a busy lock is tried again.
    static let busyWait: Int64 = 10
    /// Milliseconds nothing is handed out after a storage error, doubling from the first to the longest.
    static let firstBrake: Int64 = 250
    static let longestBrake: Int64 = 5_000
    /// The same for the one job whose claim failed; the longest, and how many jobs this is remembered of.
    static let longestRefusal: Int64 = 60_000
    static let rememberedRefusals = 1_024
    /// Milliseconds by which the clock may go back without having been set.
    static let clockTolerance: Int64 = 1_000
    /// Names inserted, or rows swept, per turn of the lock while a scan runs.
    static let chunk = 1_000

    private let longestSleep: TimeInterval

    /// - Parameter longestSleep: bounds the leader's sleep in seconds: due times are wall-clock times, and that clock
    ///   may be set.
    init(
        shares: LaneShares, userLimit: @escaping @Sendable (String) -> Int, now: @escaping @Sendable () -> Date,
        longestSleep: TimeInterval = 1
    ) {
        monitor = Monitor(State(index: DispatchIndex(shares: shares, userLimit: userLimit)))
        clock = now
        self.longestSleep = longestSleep
    }

    private var now: Int64 { Milliseconds.since1970(clock()) }

    // MARK: - For workers

    /// Waits for a job to claim.
    /// - Returns: nil once `stop` was called.
    func take() -> JobFileName? {
        var isWaiting = false
        var ownWake = Int64.max
        let name = monitor.wait { state -> Monitor<State>.Step<JobFileName?> in
            if isWaiting { state.idle -= 1 }
            // Only the leader's own time is in the state: somebody with an earlier one has replaced it.
            if ownWake < .max, state.leaderWakes == ownWake { state.leaderWakes = .max }
            (isWaiting, ownWake) = (false, .max)
            if state.isStopped { return .done(nil) }
            let now = self.now
            state.notice(now)
            if let name = state.index.next(now: now) { return .done(name) }
            isWaiting = true
            state.idle += 1
            guard let wake = state.index.nextWake(now: now), wake < state.leaderWakes else { return .wait(nil) }
            ownWake = wake
            state.leaderWakes = wake
            return .wait(min(TimeInterval(max(1, wake - now)) / 1000, longestSleep))
        }
        monitor.signal()
        return name
    }

    func finished(_ id: JobID, notBefore: Date? = nil) {
        let earliest = notBefore.map(Milliseconds.since1970) ?? 0
        let now = self.now
        let isLast = monitor.withLock { state in
            state.index.finished(id, now: now, notBefore: earliest)
            return state.isStopped && state.index.handedOut == 0
        }
        if isLast { monitor.broadcast() }
    }

    func busy(_ id: JobID) {
        change { $0.returned(id, wake: $1 + Dispatcher.busyWait, now: $1) }
    }

    func postponed(_ id: JobID, until date: Date) {
        change { $0.returned(id, wake: Milliseconds.since1970(date), now: $1) }
    }

    func blocked(_ id: JobID, by head: JobID) {
        change { $0.blocked(id, head: head == id ? nil : head, now: $1) }
    }

    /// The file system refused the claim: this job waits, longer each time.
    /// - Parameter isPassing: the fault may be the disk's and not this job's (full, no descriptors): after two of those
    ///   in a row nobody tries for a moment, so a full disk costs no CPU and no flood of log lines.
    func refused(_ id: JobID, isPassing: Bool) {
        if isPassing { brake() }
        let now = self.now
        monitor.withLock { state in
            if state.refusals.count >= Dispatcher.rememberedRefusals { state.refusals.removeAll() }
            let count = state.refusals[id, default: 0]
            state.refusals[id] = count + 1
            let wait = Dispatcher.doubled(Dispatcher.firstBrake, count, longest: Dispatcher.longestRefusal)
            state.index.returned(id, wake: now + wait, now: now)
        }
        monitor.signal()
    }

    /// Something on the disk failed: from the second time on hands nothing out for a while that doubles until `worked`.
    func brake() {
        let now = self.now
        monitor.withLock { state in
            state.failures += 1
            guard state.failures > 1 else { return }
            state.index.brake =
                now + Dispatcher.doubled(Dispatcher.firstBrake, state.failures - 2, longest: Dispatcher.longestBrake)
        }
    }

    /// The file system works (again): this job was claimed.
    func worked(_ id: JobID) {
        monitor.withLock { state in
            state.failures = 0
            state.refusals[id] = nil
        }
    }

    // MARK: - For those who learn of jobs

    /// - Parameter isCertain: this process put the file there itself just now; a notification or a listing may be old.
    func insert(_ name: JobFileName, isCertain: Bool = true) {
        change { $0.insert(name, isCertain: isCertain, now: $1) }
    }
    func remove(_ id: JobID) { change { $0.remove(id, now: $1) } }
    func hold(_ account: String, until date: Date) {
        change { index, _ in index.hold(account, until: Milliseconds.since1970(date)) }
    }
    func setPaused(_ isPaused: Bool) { change { index, _ in index.isPaused = isPaused } }

    func beginScan() { change { index, _ in index.beginScan() } }

    func insert(_ names: ArraySlice<JobFileName>) {
        let now = self.now
        monitor.withLock { state in
            for name in names { state.index.insert(name, isCertain: false, now: now) }
        }
        monitor.signal()
    }

    /// Forgets the jobs the scan did not find; the lock is let go between chunks.
    func endScan() {
        var row: Int32? = 0
        while let from = row {
            let now = self.now
            row = monitor.withLock { $0.index.endScan(from: from, limit: Dispatcher.chunk, now: now) }
        }
        monitor.signal()
    }

    /// Whether a worker of this process has the job in hand.
    func isHandedOut(_ id: JobID) -> Bool { monitor.withLock { $0.index.isHandedOut(id) } }

    /// The clock was moved: for tests, and for whoever set it.
    func clockChanged() { monitor.broadcast() }

    var isStopped: Bool { monitor.withLock { $0.isStopped } }

    /// Waits until no worker has a job in hand, at most `patience` seconds. After `stop`.
    /// - Returns: how many still have one.
    func waitUntilAllReturned(patience: TimeInterval) -> Int {
        let end = Uptime.now() + max(0, patience)
        return monitor.wait { state in
            let left = end - Uptime.now()
            let count = state.index.handedOut
            return count == 0 || left <= 0 ? .done(count) : .wait(left)
        }
    }

    /// Hands nothing out any more; `take` returns nil.
    func stop() {
        monitor.withLock { $0.isStopped = true }
        monitor.broadcast()
    }

    struct Counts: Sendable {
        var waiting: PerLane<Int>
        var handedOut: Int
        var idle: Int
        var holds: [String: Date]
        var isPaused: Bool
    }

    var counts: Counts {
        let now = self.now
        return monitor.withLock { state in
            Counts(
                waiting: state.index.waiting, handedOut: state.index.handedOut, idle: state.idle,
                holds: state.index.holds(now: now).mapValues(Milliseconds.date), isPaused: state.index.isPaused)
        }
    }

    private func change(_ body: (inout DispatchIndex, Int64) -> Void) {
        let now = self.now
        monitor.withLock { state in
            state.notice(now)
            body(&state.index, now)
        }
        monitor.signal()
    }
}
