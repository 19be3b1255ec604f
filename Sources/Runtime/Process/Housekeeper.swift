// Removes what is old: finished jobs past their retention, idempotency keys past theirs, leftovers of crashes.
// One thread that wakes once an hour. Failures are logged and tried again an hour later.

import Foundation
import Jobs
import Logging
import Spool

final class Housekeeper: Sendable {
    private let services: NanobotServices
    private let condition = NSCondition()
    /// Guarded by `condition`.
    nonisolated(unsafe) private var isStopping = false
    nonisolated(unsafe) private var isRunning = false

    /// Seconds.
    static let interval: TimeInterval = 3_600

    init(_ services: NanobotServices) { self.services = services }

    func start() {
        condition.withLock {
            isStopping = false
            isRunning = true
        }
        let thread = Thread { [self] in loop() }
        thread.name = "housekeeper"
        thread.start()
    }

    func stop() {
        condition.withLock {
            isStopping = true
            condition.broadcast()
            while isRunning { condition.wait() }
        }
    }

    private func loop() {
        services.finishWhatCrashesLeft()
        while true {
            pass()
            let goesOn = condition.withLock { () -> Bool in
                let until = Date().addingTimeInterval(Housekeeper.interval)
                while !isStopping, condition.wait(until: until) {}
                if isStopping {
                    isRunning = false
                    condition.broadcast()
                }
                return !isStopping
            }
            guard goesOn else { return }
        }
    }

    private func pass() {
        let logger = services.logger
        // Before the records go that say how the jobs ended.
        LeftoverReports(
            workspaces: services.workspaces, client: services.client, now: services.now, logger: logger
        ).remove()
        do throws(SpoolError) {
            let pruned = try services.spool.prune(olderThanDays: services.settings.retentionDays)
            if pruned.jobs > 0 { logger.info("finished jobs removed", metadata: ["count": "\(pruned.jobs)"]) }
        } catch {
            logger.error("finished jobs are not removed", metadata: ["error": "\(error.detail)"])
        }
        do throws(JobError) {
            try services.client.pruneKeys()
            try services.client.pruneReceipts(olderThanDays: services.settings.retentionDays)
        } catch {
            logger.error("old keys and receipts are not removed", metadata: ["error": "\(error.detail)"])
        }
    }
}
