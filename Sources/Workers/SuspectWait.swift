// When this process may start jobs with a counted crash. Usually at once; where the last two processes died within 10 s of
// their start, only after it has lived for 10 s itself: a supervisor that restarts a broken process again and again then
// buries no job that only happened to run, and a job that does kill its process is still found out.
//
// Any thread. Never fails: where the file of the process cannot be made or read, suspects wait.

import Foundation
import Logging
import Spool

final class SuspectWait: Sendable {
    private struct State {
        var process: ProcessStart?
        /// Uptime at which the process has lived long enough; nil: `settle` was called, or nothing was begun.
        var settlesAt: TimeInterval?
        var isSettled = false
        /// False: a suspect need not wait for `settlesAt`.
        var isWaiting = false
    }

    private let state = Monitor(State())
    private let spool: JobSpool
    private let options: WorkerOptions
    private let logger: Logger
    private let now: @Sendable () -> Date

    init(spool: JobSpool, options: WorkerOptions, logger: Logger, now: @escaping @Sendable () -> Date) {
        self.spool = spool
        self.options = options
        self.logger = logger
        self.now = now
    }

    /// Before the first job is claimed.
    func begin() {
        var process: ProcessStart?
        do throws(SpoolError) {
            process = try spool.recordStart()
        } catch {
            logger.warning(
                "the start of this process cannot be noted: jobs with a counted crash wait",
                metadata: ["seconds": "\(Int(ProcessStart.youth))", "error": "\(error.detail)"])
        }
        let isWaiting = process?.followsEarlyDeaths ?? true
        if isWaiting, process != nil {
            logger.warning(
                "the last two processes died soon after their start: jobs with a counted crash wait",
                metadata: ["seconds": "\(Int(ProcessStart.youth))"])
        }
        let time = options.uptime()
        state.withLock { state in
            state = State(process: process, settlesAt: time + ProcessStart.youth, isWaiting: isWaiting)
        }
    }

    /// Uptime at which `settle` is due; nil: not any more.
    var settlesAt: TimeInterval? { state.withLock { $0.settlesAt } }

    /// When it is due: notes that this process has lived long enough, then lets suspects start. To be called by one thread.
    func settleIfDue() {
        let time = options.uptime()
        let (isDue, process) = state.withLock { state in
            let isDue = state.settlesAt.map { $0 <= time } ?? false
            if isDue { state.settlesAt = nil }
            return (isDue, state.process)
        }
        guard isDue else { return }
        do throws(SpoolError) {
            // First of all: a suspect that kills the process now must not look like one more early death.
            try process?.settle(now: now())
        } catch {
            logger.warning("the life of this process cannot be noted", metadata: ["error": "\(error.detail)"])
        }
        state.withLock { state in
            state.isSettled = true
            state.isWaiting = false
        }
    }

    /// Seconds a suspect has to wait from now on; nil: it may start.
    func seconds() -> TimeInterval? {
        let time = options.uptime()
        return state.withLock { state in
            guard state.isWaiting else { return nil }
            // Due, and its thread has not come to it yet.
            return max(SuspectWait.shortest, (state.settlesAt ?? time) - time)
        }
    }

    private static let shortest: TimeInterval = 0.05

    /// A clean end of the pool.
    func end() {
        let (process, isSettled) = state.withLock { state in
            defer { state = State() }
            return (state.process, state.isSettled)
        }
        process?.end(isSettled: isSettled)
    }
}
