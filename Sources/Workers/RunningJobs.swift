// The jobs this process runs right now: how each can be told to stop, and when its time is over. Any thread.

import Foundation
import Spool

/// What `RunningTable` found when it looked at the clock.
struct Overdue {
    /// Their time is over: to be told to stop.
    var timedOut: [(id: JobID, flag: CancellationFlag)] = []
    /// Told long ago and still running: named once.
    var wedged: [JobID] = []
    var isEmpty: Bool { timedOut.isEmpty && wedged.isEmpty }
}

/// The decisions, without lock or clock.
struct RunningTable {
    struct Entry {
        let flag: CancellationFlag
        let run: Int
        /// Uptime in seconds.
        let deadline: TimeInterval
        var isTold = false
        var isWedged = false
    }

    /// Seconds a job that was told to stop has before its worker counts as wedged.
    let grace: TimeInterval
    private(set) var entries: [JobID: Entry] = [:]

    init(grace: TimeInterval) {
        self.grace = grace
    }

    mutating func begin(_ id: JobID, run: Int, deadline: TimeInterval, flag: CancellationFlag) {
        entries[id] = Entry(flag: flag, run: run, deadline: deadline)
    }

    mutating func end(_ id: JobID) {
        entries[id] = nil
    }

    /// What is past its time and was not named before.
    mutating func overdue(at time: TimeInterval) -> Overdue {
        var overdue = Overdue()
        for (id, entry) in entries {
            if !entry.isTold, time >= entry.deadline {
                entries[id]?.isTold = true
                overdue.timedOut.append((id, entry.flag))
            }
            if !entry.isWedged, time >= entry.deadline + grace {
                entries[id]?.isWedged = true
                overdue.wedged.append(id)
            }
        }
        return overdue
    }

    /// Uptime at which to look again; nil: when a job comes.
    var nextLook: TimeInterval? {
        entries.values.compactMap { entry in
            entry.isWedged ? nil : (entry.isTold ? entry.deadline + grace : entry.deadline)
        }.min()
    }
}

final class RunningJobs: Sendable {
    private struct State {
        var table: RunningTable
        var isDraining = false
        var isStopped = false
        /// Uptime until which the thread in `nextOverdue` sleeps.
        var sleepsUntil = TimeInterval.infinity
        /// Jobs whose ending could not be written down: their next recovery counts no crash.
        var uncounted: Set<JobID> = []
    }

    private let monitor: Monitor<State>
    private let uptime: @Sendable () -> TimeInterval

    init(grace: TimeInterval, uptime: @escaping @Sendable () -> TimeInterval) {
        monitor = Monitor(State(table: RunningTable(grace: grace)))
        self.uptime = uptime
    }

    /// - Returns: the flag of the job; already set to `drain` when the process is stopping.
    func begin(_ id: JobID, run: Int, timeout: TimeInterval) -> CancellationFlag {
        let flag = CancellationFlag()
        let deadline = uptime() + timeout
        let (isDraining, isEarlier) = monitor.withLock { state in
            state.table.begin(id, run: run, deadline: deadline, flag: flag)
            state.uncounted.remove(id)
            return (state.isDraining, deadline < state.sleepsUntil)
        }
        if isEarlier { monitor.broadcast() }
        if isDraining { flag.set(.drain) }
        return flag
    }

    func end(_ id: JobID) { monitor.withLock { $0.table.end(id) } }

    func endingFailed(_ id: JobID) { monitor.withLock { _ = $0.uncounted.insert(id) } }

    var ids: Set<JobID> { monitor.withLock { Set($0.table.entries.keys) } }
    var runs: [JobID: Int] { monitor.withLock { $0.table.entries.mapValues(\.run) } }
    var uncounted: Set<JobID> { monitor.withLock { $0.uncounted } }
    var count: Int { monitor.withLock { $0.table.entries.count } }
    var wedged: Int { monitor.withLock { $0.table.entries.values.count(where: \.isWedged) } }

    /// - Parameter run: the run that is meant; nil: whichever runs.
    /// - Returns: whether it runs here.
    @discardableResult
    func cancel(_ id: JobID, run: Int? = nil) -> Bool {
        let entry = monitor.withLock { $0.table.entries[id] }
        guard let entry, run == nil || run == entry.run else { return false }
        entry.flag.set(.cancelled)
        return true
    }

    /// Tells all jobs, also those begun from now on, to reach their next step and stop there.
    func drain() {
        let flags = monitor.withLock { state in
            state.isDraining = true
            return state.table.entries.values.map(\.flag)
        }
        for flag in flags { flag.set(.drain) }
    }

    /// The time of a drain is nearly over: what has not reached its next step stops now.
    func halt() {
        let flags = monitor.withLock { $0.table.entries.values.map(\.flag) }
        for flag in flags { flag.set(.halt) }
    }

    /// Waits until the time of a job is over. For one thread.
    /// - Returns: nil once `stop` was called.
    func nextOverdue() -> Overdue? {
        monitor.wait { state in
            if state.isStopped { return .done(nil) }
            let time = self.uptime()
            let overdue = state.table.overdue(at: time)
            if !overdue.isEmpty { return .done(overdue) }
            let next = state.table.nextLook
            state.sleepsUntil = next ?? .infinity
            return .wait(next.map { max(0, $0 - time) })
        }
    }

    func stop() {
        monitor.withLock { $0.isStopped = true }
        monitor.broadcast()
    }

    /// The clock was moved. For tests.
    func clockChanged() { monitor.broadcast() }
}
