// Acts on deadlines: a job past its timeout is told to stop; of one past timeout and grace the owner of the process hears,
// so that it exits and its supervisor starts it anew. On a thread of its own, because a watcher that waits for a hanging
// disk must not keep it from seeing that the workers hang too. Never fails.

import Logging
import Spool

struct Watchdog: Sendable {
    let running: RunningJobs
    let logger: Logger
    let onWedged: @Sendable (JobID) -> Void

    /// Until `running` is stopped.
    func run() {
        while let overdue = running.nextOverdue() {
            for (id, flag) in overdue.timedOut {
                logger.warning("a job's time is over", metadata: ["job.id": "\(id)"])
                flag.set(.timeout)
            }
            for id in overdue.wedged { onWedged(id) }
        }
    }
}
