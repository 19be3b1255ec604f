// Every half hour: a heartbeat job for each user whose HEARTBEAT.md has tasks, spread over the interval. A file is read
// again only when it has changed, so a round over users without tasks costs one stat each; between rounds nothing is done.
// One thread. Ids are derived from user and round: a second server, or a crash in between, makes none twice. A user whose
// heartbeat of the round before has not ended gets no other. Failures are logged; the next round tries again.

import DurableFiles
import Foundation
import Jobs
import Logging
import Spool
import Tenants
import TextFormats

final class HeartbeatRounds: Sendable {
    private let workspaces: WorkspaceManager
    private let configs: UserConfigManager
    private let client: JobClient
    private let now: @Sendable () -> Date
    private let logger: Logger
    /// Seconds.
    private let interval: TimeInterval
    private let condition = NSCondition()
    /// Guarded by `condition`.
    nonisolated(unsafe) private var isStopping = false
    nonisolated(unsafe) private var isRunning = false
    /// What each user's file was when it was read, and whether it had tasks; used by the one thread that makes rounds.
    nonisolated(unsafe) private var known: [UserID: (status: FileStatus, hasTasks: Bool)] = [:]

    /// Seconds at the end of an interval in which no heartbeat begins: it should be over before the next round.
    private static let margin = 60.0

    init(
        workspaces: WorkspaceManager, configs: UserConfigManager, client: JobClient, minutes: Int,
        now: @escaping @Sendable () -> Date, logger: Logger
    ) {
        self.workspaces = workspaces
        self.configs = configs
        self.client = client
        self.now = now
        self.logger = logger
        interval = TimeInterval(minutes) * 60
    }

    func start() {
        condition.withLock {
            isStopping = false
            isRunning = true
        }
        let thread = Thread { [self] in loop() }
        thread.name = "heartbeats"
        thread.start()
    }

    func stop() {
        condition.withLock {
            isStopping = true
            condition.broadcast()
            while isRunning { condition.wait() }
        }
    }

    /// The first round begins with the next whole interval, so that a service that restarts often asks nobody oftener.
    private func loop() {
        while true {
            let rounds = (now().timeIntervalSince1970 / interval).rounded(.down)
            let next = Date(timeIntervalSince1970: (rounds + 1) * interval)
            let goesOn = condition.withLock { () -> Bool in
                while !isStopping, now() < next {
                    // A wall clock that was set is noticed after a minute.
                    _ = condition.wait(until: Date().addingTimeInterval(min(60, next.timeIntervalSince(now()))))
                }
                guard isStopping else { return true }
                isRunning = false
                condition.broadcast()
                return false
            }
            guard goesOn else { return }
            round(at: next)
        }
    }

    /// One round. - Parameter begin: a whole multiple of the interval. - Returns: the jobs that were made.
    @discardableResult
    func round(at begin: Date) -> [JobID] {
        let users: [UserID]
        do throws(TenantError) {
            users = try workspaces.list()
        } catch {
            logger.error("heartbeats are not made", metadata: ["error": "\(error.detail)"])
            return []
        }
        for user in Set(known.keys).subtracting(users) { known[user] = nil }
        return users.compactMap { user in
            guard hasTasks(user) else { return nil }
            return submit(user, begin)
        }
    }

    private func hasTasks(_ user: UserID) -> Bool {
        // Nothing that can be looked at, no tasks.
        guard let status = workspaces.status(of: Workspace.heartbeat, user) else { return false }
        if let known = known[user], known.status == status { return known.hasTasks }
        do throws(TenantError) {
            let text = try workspaces.open(user).readText(
                Workspace.heartbeat, maxBytes: HeartbeatJobHandler.maximumFile)
            let found = !HeartbeatJobHandler.tasks(in: text ?? "").isEmpty
            known[user] = (status, found)
            return found
        } catch {
            // The job would fail with the same reason, where its user can see it.
            return true
        }
    }

    private func submit(_ user: UserID, _ begin: Date) -> JobID? {
        do {
            let config = try configs.get(user)
            let digest = Fingerprint.sha256(Array("heartbeat \(user) \(config.incarnation)".utf8))
            let id = JobID.derived(from: digest, time: begin)
            let before = JobID.derived(from: digest, time: begin - interval)
            if let job = try client.view(before), !job.state.isFinal { return nil }
            let share = Double(digest[0]) / 256
            let due = begin.addingTimeInterval(share * max(0, interval - Self.margin))
            let request = try JobRequest.parse(
                [
                    "kind": "heartbeat", "user_id": .string(user.rawValue), "id": .string(id.description),
                    "run_at": .string(RFC3339.string(due)), "expires_at": .string(RFC3339.string(begin + interval)),
                ], now: now(), allowAnyID: true)
            return try client.submit(request, source: .schedule).id
        } catch let error as JobError where error.kind == .conflict {
            // Another server has made it.
            return nil
        } catch {
            logger.warning(
                "a heartbeat is not made", metadata: ["user.id": "\(user)", "error": "\(error)"])
            return nil
        }
    }
}
