// Reading and changing users' settings. Any thread, any number of processes: every change is read, made and written
// under the lock of that user's config, so none is lost. Reads come from a cache as long as the file is the one that
// was read. Failure: TenantError.
import DurableFiles
import Foundation
import Synchronization
import TextFormats

public final class UserConfigManager: Sendable {
    /// Most configs kept in memory; beyond it the cache starts anew.
    static let maximumCached = 4_096
    /// A file that changed less than this before it was read, in seconds, is not cached: within one tick of the file
    /// system's clock it could change again with the same size and a reused inode, and look unchanged.
    static let settlingTime: TimeInterval = 2

    private struct Cached {
        var status: FileStatus
        var config: UserConfig
    }

    private let workspaces: WorkspaceManager
    private let cache = Mutex<[UserID: Cached]>([:])

    public init(workspaces: WorkspaceManager) {
        self.workspaces = workspaces
    }

    /// Makes the user; see `WorkspaceManager.create`.
    @discardableResult
    public func create(_ id: UserID, initial: InitialUserData? = nil) throws(TenantError) -> UserConfig {
        try workspaces.create(id, initial: initial)
    }

    // MARK: - Reading

    /// The user's settings. One lstat when they are cached.
    /// - Throws: `.userNotFound`, `.configCorrupt` (the file was set aside or left for repair), `.storage`.
    public func get(_ id: UserID) throws(TenantError) -> UserConfig {
        let path = "\(workspaces.path(of: id))/\(ConfigFile.name)"
        // No status, no cache: opening the workspace then says what is wrong.
        let status = try? workspaces.files.status(path)
        if let status, let cached = cache.withLock({ $0[id] }), cached.status == status { return cached.config }
        let config = try workspaces.open(id).readConfig()
        if let status { remember(config, status, path: path) }
        return config
    }

    private func remember(_ config: UserConfig, _ status: FileStatus, path: String) {
        // The file must be the same after reading as before, or the status is not that of what was read.
        guard workspaces.now().timeIntervalSince(status.modified) > Self.settlingTime,
            let after = try? workspaces.files.status(path), after == status  // gone: nothing to remember
        else { return }
        cache.withLock { cache in
            if cache.count >= Self.maximumCached, cache[config.userID] == nil { cache.removeAll() }
            cache[config.userID] = Cached(status: status, config: config)
        }
    }

    // MARK: - Changing

    /// - Parameter ifMatch: the version the change is meant for; nil takes any.
    /// - Throws: `.invalidField`, `.versionConflict`, and what `get` throws. Nothing is changed then.
    @discardableResult
    public func updateWatchlist(
        _ id: UserID, _ change: WatchlistChange, ifMatch: Int? = nil
    ) throws(TenantError) -> UserConfig {
        try update(id, ifMatch: ifMatch) { (config) throws(FieldError) in
            config.watchlist.apply(try change.validated())
        }
    }

    @discardableResult
    public func updatePreferences(
        _ id: UserID, _ change: PreferencesChange, ifMatch: Int? = nil
    ) throws(TenantError) -> UserConfig {
        try update(id, ifMatch: ifMatch) { (config) throws(FieldError) in
            // The path is empty: callers know the field by the name they sent.
            config.preferences.apply(
                try change.validated(
                    path: "", storedChannels: config.preferences.notificationChannels,
                    isKnownTimeZone: self.workspaces.isKnownTimeZone))
        }
    }

    @discardableResult
    public func updatePersona(
        _ id: UserID, _ change: PersonaChange, ifMatch: Int? = nil
    ) throws(TenantError) -> UserConfig {
        try update(id, ifMatch: ifMatch) { (config) throws(FieldError) in
            config.persona.apply(try change.validated())
        }
    }

    /// Merges `patch` into the custom data (RFC 7396): objects are merged member by member, null removes a member, all
    /// else replaces what is there.
    @discardableResult
    public func updateCustomData(
        _ id: UserID, _ patch: JSONObject, ifMatch: Int? = nil
    ) throws(TenantError) -> UserConfig {
        try update(id, ifMatch: ifMatch) { (config) throws(FieldError) in
            config.customData = CustomData.merged(patch, into: config.customData)
        }
    }

    /// Adds entries to one list of the watchlist, whatever else changes it at the same time.
    /// - Returns: the config and the entries that were not there before.
    @discardableResult
    public func addToWatchlist(
        _ id: UserID, _ kind: WatchlistKind, _ entries: [String], ifMatch: Int? = nil
    ) throws(TenantError) -> (config: UserConfig, changed: [String]) {
        var changed: [String] = []
        let config = try update(id, ifMatch: ifMatch) { (config) throws(FieldError) in
            changed = try config.watchlist.add(entries, to: kind)
        }
        return (config, changed)
    }

    /// Removes entries of one list of the watchlist, whatever their case.
    /// - Returns: the config and the entries that were removed.
    @discardableResult
    public func removeFromWatchlist(
        _ id: UserID, _ kind: WatchlistKind, _ entries: [String], ifMatch: Int? = nil
    ) throws(TenantError) -> (config: UserConfig, changed: [String]) {
        var changed: [String] = []
        let config = try update(id, ifMatch: ifMatch) { (config) throws(FieldError) in
            changed = try config.watchlist.remove(entries, from: kind)
        }
        return (config, changed)
    }

    /// Any change that depends on what is there. `body` runs under the lock: short, and no call back into this class.
    /// What it leaves is checked by the same rules as input. A change that changes nothing writes nothing and keeps
    /// the version.
    @discardableResult
    public func update(
        _ id: UserID, ifMatch: Int? = nil, _ body: (inout UserConfig) throws(FieldError) -> Void
    ) throws(TenantError) -> UserConfig {
        let workspace = try workspaces.open(id)
        return try workspace.configFile.locked { () throws(TenantError) in
            // Deleted while this waited for the lock, which then belongs to a folder without a name.
            guard try workspace.isInPlace() else { throw .notFound(id) }
            let current = try workspace.configFile.readLocked()
            if let ifMatch, ifMatch != current.version {
                throw TenantError(
                    .versionConflict,
                    "The settings of \"\(id)\" are at version \(current.version), the change was made for version "
                        + "\(ifMatch). Read them again and repeat the change.")
            }
            var changed = current
            do throws(FieldError) {
                try body(&changed)
                changed = try changed.validated(before: current, isKnownTimeZone: workspaces.isKnownTimeZone)
            } catch {
                throw TenantError(error)
            }
            guard changed != current else { return current }
            changed.version = current.version + 1
            // Never before the last change, even when the clock was set back.
            changed.updatedAt = max(workspaces.now().roundedToMilliseconds, current.updatedAt)
            try workspace.configFile.write(changed)
            return changed
        }
    }
}
