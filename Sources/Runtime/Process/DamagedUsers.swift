// Holds back the jobs of users whose config.json or account.json is damaged: they wait in queued/ without being claimed, use no
// attempt, and go on within seconds after the repair. Asked by worker threads before each claim, many at once: two lstat
// for a user known to be well, and for one whose damaged files are the same as at the last look. Never fails.

import DurableFiles
import Foundation
import Logging
import Spool
import Synchronization
import Tenants
import Workers

final class DamagedUsers: Admission {
    /// Seconds until a job that waits for a repair is asked about again.
    static let wait: TimeInterval = 2
    /// Seconds after which damaged files are read again although they look the same: two changes within one tick of the
    /// file system's clock cannot be told apart.
    static let memory: TimeInterval = 10

    private struct Damage {
        /// What the files looked like before they were read.
        var stamp: Stamp
        var readAt: Date
    }

    private struct Stamp: Equatable {
        var config: FileStatus?
        var account: FileStatus?
    }

    private let workspaces: WorkspaceManager
    private let configs: UserConfigManager
    private let now: @Sendable () -> Date
    private let logger: Logger
    private let damaged = Mutex<[UserID: Damage]>([:])

    init(
        workspaces: WorkspaceManager, configs: UserConfigManager, now: @escaping @Sendable () -> Date, logger: Logger
    ) {
        self.workspaces = workspaces
        self.configs = configs
        self.now = now
        self.logger = logger
    }

    func mayStart(_ name: JobFileName) -> AdmissionAnswer {
        // A name that is none: the handler says so.
        guard let user = try? UserID(name.user) else { return .start }
        let stamp = Stamp(
            config: workspaces.status(of: Workspace.config, user), account: workspaces.status(of: Workspace.account, user))
        let now = now()
        let known = damaged.withLock { $0[user] }
        if let known, known.stamp == stamp, (0..<Self.memory).contains(now.timeIntervalSince(known.readAt)) {
            return .notBefore(now + Self.wait)
        }
        do throws(TenantError) {
            _ = try configs.get(user)
            if stamp.account != nil { _ = try workspaces.open(user).standing() }
        } catch {
            // Everything else the job itself meets, and ends or is tried again with.
            guard error.code == .configCorrupt else { return .start }
            damaged.withLock { $0[user] = Damage(stamp: stamp, readAt: now) }
            if known == nil {
                logger.error(
                    "a user's jobs wait until the user's settings are repaired",
                    metadata: ["user.id": "\(user)", "error": "\(error.detail)"])
            }
            return .notBefore(now + Self.wait)
        }
        if known != nil, damaged.withLock({ $0.removeValue(forKey: user) }) != nil {
            logger.notice("a user's settings can be read again", metadata: ["user.id": "\(user)"])
        }
        return .start
    }
}
