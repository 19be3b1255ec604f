// Removes what is old: finished jobs past their retention with their order files and the sessions of spawned tasks,
// idempotency keys past theirs, leftovers of crashes.
// One thread that wakes once an hour. Failures are logged and tried again an hour later.

import Agent
import DurableFiles
import Foundation
import Identity
import Jobs
import Logging
import Spool
import Tenants

final class Housekeeper: Sendable {
    private let services: NanobotServices
    private let condition = NSCondition()
    /// Guarded by `condition`.
    nonisolated(unsafe) private var isStopping = false
    nonisolated(unsafe) private var isRunning = false

    /// Seconds.
    static let interval: TimeInterval = 3_600
    /// Passes between two looks at every order file and session: once a day.
    static let passesBetweenLooks = 24

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
        var passes = 0
        while true {
            pass()
            if passes % Housekeeper.passesBetweenLooks == 0 { lookAtEverything() }
            passes += 1
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
            for name in pruned.users { if let user = try? UserID(name) { removeTaskSessions(of: user) } }
        } catch {
            logger.error("finished jobs are not removed", metadata: ["error": "\(error.detail)"])
        }
        do throws(JobError) {
            try services.client.pruneKeys()
            try services.client.pruneReceipts(olderThanDays: services.settings.retentionDays)
        } catch {
            logger.error("old keys and receipts are not removed", metadata: ["error": "\(error.detail)"])
        }
        do throws(IdentityError) {
            try services.tokens.store.removeExpiredTickets()
        } catch {
            logger.warning("expired tickets were not removed", metadata: ["error": "\(error.detail)"])
        }
        do throws(SpoolError) {
            try services.spool.sweepTemporaries()
        } catch {
            logger.warning("old temporary files were not removed", metadata: ["error": "\(error.detail)"])
        }
    }

    /// What an earlier version or a crash has left of jobs that were removed.
    private func lookAtEverything() {
        let (logger, days) = (services.logger, services.settings.retentionDays)
        do throws(SpoolError) {
            let removed = try services.spool.pruneOrderFiles(olderThanDays: days)
            if removed > 0 { logger.info("order files without jobs removed", metadata: ["count": "\(removed)"]) }
        } catch {
            logger.error("order files are not removed", metadata: ["error": "\(error.detail)"])
        }
        do throws(TenantError) {
            for user in try services.workspaces.list() {
                removeTaskSessions(of: user)
                removeClientSessions(of: user)
            }
        } catch {
            logger.error("old sessions are not removed", metadata: ["error": "\(error)"])
        }
    }

    private func removeClientSessions(of user: UserID) {
        do {
            guard try services.workspaces.exists(user) else { return }
            let removed = try SessionStore(workspace: try services.workspaces.open(user)).removeClientSessions(
                keeping: .max, changedBefore: services.spool.retentionLimit(days: services.settings.retentionDays)
            ) { [client = services.client] in try client.isBusy($0, of: user) }
            guard removed > 0 else { return }
            services.logger.info("sessions of clients removed", metadata: ["user.id": "\(user)", "count": "\(removed)"])
        } catch {
            services.logger.error(
                "sessions of clients are not removed", metadata: ["user.id": "\(user)", "error": "\(error)"])
        }
    }

    private func removeTaskSessions(of user: UserID) {
        let spool = services.spool
        let age = spool.retentionLimit(days: services.settings.retentionDays)
        do {
            // Deleted since: with all that was theirs.
            guard try services.workspaces.exists(user) else { return }
            let removed = try SessionStore(workspace: try services.workspaces.open(user)).removeSpawned { job in
                guard let id = JobID(job), id.time < age else { return false }
                // A record that cannot be asked about counts as there.
                return (try? spool.files.exists(spool.statusPath(id))) == false
            }
            guard removed > 0 else { return }
            services.logger.info(
                "sessions of tasks removed", metadata: ["user.id": "\(user)", "count": "\(removed)"])
        } catch {
            services.logger.error(
                "sessions of tasks are not removed", metadata: ["user.id": "\(user)", "error": "\(error)"])
        }
    }
}
