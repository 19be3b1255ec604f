// The one door to a user's life: creating, changing, cloning and deleting users, with what follows from it: schedules
// move with the preferences, jobs go with their user. For the API, the command line and the agent's tools; any thread,
// also in a process without workers or a running scheduler; blocking. Failure: TenantError, with nothing changed,
// except where a method says otherwise.

import Dispatch
import Identity
import Jobs
import Scheduler
import Tenants
import TextFormats

public final class Accounts: Sendable {
    private let workspaces: WorkspaceManager
    private let configs: UserConfigManager
    private let scheduler: ReportScheduler
    private let client: JobClient
    private let tokens: TokenDesk
    private let pause: @Sendable (Double) -> Void

    /// Running jobs of a user being deleted were told to end, which takes about a second; they are looked at this
    /// often, with so many seconds between.
    private static let looks = 100
    private static let betweenLooks = 0.1

    /// - Parameters:
    ///   - scheduler: need not be started.
    ///   - pause: blocks for that many seconds.
    public init(
        workspaces: WorkspaceManager, configs: UserConfigManager, scheduler: ReportScheduler, client: JobClient,
        tokens: TokenDesk,
        pause: @escaping @Sendable (Double) -> Void = {
            _ = DispatchSemaphore(value: 0).wait(timeout: .now() + $0)
        }
    ) {
        self.pause = pause
        self.workspaces = workspaces
        self.configs = configs
        self.scheduler = scheduler
        self.client = client
        self.tokens = tokens
    }

    // MARK: - Coming

    /// Makes a user with the default settings and the initial data over them: all of it or nothing.
    /// - Throws: `.userExists`, `.invalidField`, `.storage`.
    @discardableResult
    public func create(_ id: UserID, initial: InitialUserData? = nil) throws(TenantError) -> UserConfig {
        try announced(id) { () throws(TenantError) in try configs.create(id, initial: initial) }
    }

    /// Makes a user after another's pattern, without what belongs to that person; own schedules are not taken over.
    /// - Throws: `.userNotFound` for the source, `.userExists` for the target, `.storage`.
    @discardableResult
    public func clone(from source: UserID, to target: UserID) throws(TenantError) -> UserConfig {
        try announced(target) { () throws(TenantError) in try workspaces.clone(from: source, to: target) }
    }

    // MARK: - Changing

    /// The report schedules move with it: they are worked out from the preferences, so no crash can leave them behind.
    /// - Parameter ifMatch: the version the change is meant for; nil takes any.
    /// - Throws: `.userNotFound`, `.invalidField`, `.versionConflict`, `.configCorrupt`, `.storage`.
    @discardableResult
    public func updatePreferences(
        _ id: UserID, _ change: PreferencesChange, ifMatch: Int? = nil
    ) throws(TenantError) -> UserConfig {
        let config = try announced(id) { () throws(TenantError) in
            try configs.updatePreferences(id, change, ifMatch: ifMatch)
        }
        scheduler.preferencesChanged(config)
        return config
    }

    // Nothing below moves a schedule, so no scheduler is told.

    @discardableResult
    public func updateWatchlist(
        _ id: UserID, _ change: WatchlistChange, ifMatch: Int? = nil
    ) throws(TenantError) -> UserConfig {
        try configs.updateWatchlist(id, change, ifMatch: ifMatch)
    }

    /// - Returns: the config and the entries that were not there before.
    public func addToWatchlist(
        _ id: UserID, _ kind: WatchlistKind, _ entries: [String], ifMatch: Int? = nil
    ) throws(TenantError) -> (config: UserConfig, changed: [String]) {
        try configs.addToWatchlist(id, kind, entries, ifMatch: ifMatch)
    }

    /// - Returns: the config and the entries that were removed.
    public func removeFromWatchlist(
        _ id: UserID, _ kind: WatchlistKind, _ entries: [String], ifMatch: Int? = nil
    ) throws(TenantError) -> (config: UserConfig, changed: [String]) {
        try configs.removeFromWatchlist(id, kind, entries, ifMatch: ifMatch)
    }

    @discardableResult
    public func updatePersona(
        _ id: UserID, _ change: PersonaChange, ifMatch: Int? = nil
    ) throws(TenantError) -> UserConfig {
        try configs.updatePersona(id, change, ifMatch: ifMatch)
    }

    /// Merges `patch` into the custom data (RFC 7396).
    @discardableResult
    public func updateCustomData(
        _ id: UserID, _ patch: JSONObject, ifMatch: Int? = nil
    ) throws(TenantError) -> UserConfig {
        try configs.updateCustomData(id, patch, ifMatch: ifMatch)
    }

    // MARK: - Going

    /// Cancels the user's jobs, erases them, then the workspace. Commit point: the workspace is renamed out; before it
    /// the user is still there and deleting can be repeated, after it the user is gone and repeating, or
    /// `finishDeletions` at the next start, removes what a crash left.
    /// - Throws: `.userNotFound`, `.storage` when nothing was touched, `.outcomeUnknown` when the deletion has begun: repeat it.
    public func delete(_ id: UserID) throws(TenantError) {
        if try !workspaces.exists(id), try !workspaces.halfDeleted().contains(id) {
            // Somebody's misspelled id is not worth a search through the queue.
            throw TenantError(.userNotFound, "There is no user \"\(id)\".")
        }
        do throws(TenantError) {
            if try workspaces.exists(id) { try eraseJobs(of: id) }
            try announced(id) { () throws(TenantError) in try workspaces.delete(id) }
            // Jobs that came in while the others were being erased; from here on none can.
            try eraseJobs(of: id)
            try eraseTokens(of: id)
        } catch {
            guard error.code == .storage else { throw error }
            throw TenantError(
                .outcomeUnknown, "The deletion of \"\(id)\" has begun and is not finished; repeat it: \(error.detail)",
                file: error.file)
        }
    }

    /// Finishes deletions that a crash cut short. For the start of a process.
    /// - Returns: the users they were of.
    @discardableResult
    public func finishDeletions() throws(TenantError) -> [UserID] {
        for id in try workspaces.halfDeleted() {
            // A new user of that id owns the jobs there are now; those of the old one can't run for it.
            if try !workspaces.exists(id) {
                try eraseJobs(of: id)
                try eraseTokens(of: id)
            }
        }
        return try workspaces.sweep()
    }

    /// They let nobody in any more, since they name the life that has ended; what is left are names and times.
    private func eraseTokens(of id: UserID) throws(TenantError) {
        do throws(IdentityError) {
            try tokens.revokeAll(of: id)
        } catch {
            throw TenantError(
                .storage, "The tokens of \"\(id)\" could not be removed, repeat the deletion: \(error.detail)")
        }
    }

    private func eraseJobs(of id: UserID) throws(TenantError) {
        do {
            for look in 0..<Self.looks {
                if look > 0 { pause(Self.betweenLooks) }
                try client.cancelAll(user: id)
                if try client.erase(user: id) == 0 { return }
            }
        } catch {
            throw TenantError(
                .storage, "The jobs of \"\(id)\" could not be removed, repeat the deletion: \(error.detail)")
        }
        throw TenantError(.storage, "A job of \"\(id)\" does not end; repeat the deletion when it has.")
    }

    /// Marks the change before and after, see `ChangeMarks`, and tells the scheduler of this process.
    private func announced<Value>(
        _ id: UserID, _ change: () throws(TenantError) -> Value
    ) throws(TenantError) -> Value {
        scheduler.changes.mark(id)
        let value = try change()
        scheduler.changes.mark(id)
        scheduler.userChanged(id)
        return value
    }
}
