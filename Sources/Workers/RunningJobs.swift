// The jobs this process runs right now: how each can be told to stop, and when its time is over. Any thread.

import Foundation
import Spool

/// What `RunningJobs` found when it looked at the clock.
struct Overdue: Sendable {
    /// Just told to stop for their time is over.
    var timedOut: [JobID] = []
    /// Told long ago and still running: named once.
    var wedged: [JobID] = []
    /// Uptime at which to look again; nil: when a job comes.
    var nextLook: TimeInterval?
}

final class RunningJobs: Sendable {
    private struct Entry {
        let flag: CancellationFlag
        let run: Int
        /// Uptime in seconds.
        let deadline: TimeInterval
        var isTold = false
        var isWedged = false
    }

    private struct State {
        var entries: [JobID: Entry] = [:]
        var isDraining = false
        /// Jobs whose ending could not be written down: their next recovery counts no crash.
        var uncounted: Set<JobID> = []
    }

    private let monitor = Monitor(State())
    /// Seconds a job that was told to stop has before its worker counts as wedged.
    private let grace: TimeInterval
    private let uptime: @Sendable () -> TimeInterval

    init(grace: TimeInterval, uptime: @escaping @Sendable () -> TimeInterval) {
        self.grace = grace
        self.uptime = uptime
    }

    /// - Returns: the flag of the job; already set to `drain` when the process is stopping.
    func begin(_ id: JobID, run: Int = 1, timeout: TimeInterval) -> CancellationFlag {
        let flag = CancellationFlag()
        let deadline = uptime() + timeout
        let isDraining = monitor.withLock { state in
            state.entries[id] = Entry(flag: flag, run: run, deadline: deadline)
            state.uncounted.remove(id)
            return state.isDraining
        }
        if isDraining { flag.set(.drain) }
        return flag
    }

    func end(_ id: JobID) {
        monitor.withLock { _ = $0.entries.removeValue(forKey: id) }
        monitor.broadcast()
    }

    func endingFailed(_ id: JobID) { monitor.withLock { _ = $0.uncounted.insert(id) } }

    var ids: Set<JobID> { monitor.withLock { Set($0.entries.keys) } }
    var uncounted: Set<JobID> { monitor.withLock { $0.uncounted } }
    var count: Int { monitor.withLock { $0.entries.count } }
    var wedged: Int { monitor.withLock { $0.entries.values.count(where: \.isWedged) } }

    /// - Parameter run: the run that is meant; nil: whichever runs.
    func cancel(_ id: JobID, run: Int? = nil) {
        let entry = monitor.withLock { $0.entries[id] }
        guard let entry, run == nil || run == entry.run else { return }
        entry.flag.set(.cancelled)
    }

    /// Tells what is past its time to stop, and names what did not.
    func look() -> Overdue {
        let now = uptime()
        var overdue = Overdue()
        var told: [CancellationFlag] = []
        monitor.withLock { state in
            for (id, var entry) in state.entries {
                if now >= entry.deadline, !entry.isTold {
                    entry.isTold = true
                    told.append(entry.flag)
                    overdue.timedOut.append(id)
                }
                if now >= entry.deadline + grace, !entry.isWedged {
                    entry.isWedged = true
                    overdue.wedged.append(id)
                }
                state.entries[id] = entry
                guard !entry.isWedged else { continue }
                let next = entry.isTold ? entry.deadline + grace : entry.deadline
                overdue.nextLook = min(overdue.nextLook ?? next, next)
            }
        }
        for flag in told { flag.set(.timeout) }
        return overdue
    }

    /// Tells all to reach their next step, and waits for them.
    /// - Parameter patience: seconds.
    /// - Returns: how many are still running.
    func drain(patience: TimeInterval) -> Int {
        let flags = monitor.withLock { state in
            state.isDraining = true
            return state.entries.values.map(\.flag)
        }
        for flag in flags { flag.set(.drain) }
        let end = uptime() + patience
        return monitor.wait { state in
            let left = end - self.uptime()
            guard !state.entries.isEmpty, left > 0 else { return .done(state.entries.count) }
            return .wait(left)
        }
    }
}
