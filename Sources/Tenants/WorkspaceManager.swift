// All users' folders: making, finding, listing, copying them. Any thread, any number of processes on the same root.
// Failure: TenantError; looking never makes anything.
//
//     <root>/<user id>/                      a user
//     <root>/.creating-<random>/             a user being built; its `.config.lock` is held by whoever builds it
//     <root>/.deleting-<user id>.<random>/   a user being removed
//
// Creating: the tree is built and fsynced aside, then renamed in without replacing, then the root is fsynced. Commit
// point: the rename. Deleting is in WorkspaceManager+Deleting.swift.
import DurableFiles
import Foundation
import TextFormats

public final class WorkspaceManager: Sendable {
    static let creatingPrefix = ".creating-"
    /// How often creation begins anew when a sweep of another process took the folder before it was locked.
    private static let creationAttempts = 10

    public let root: String
    /// The time zone of users who chose none.
    public let defaultTimeZone: String
    let files: any FileSystem
    let now: @Sendable () -> Date
    let isKnownTimeZone: @Sendable (String) -> Bool
    private let random: @Sendable () -> UInt64

    /// - Parameters:
    ///   - root: the folder of all workspaces; made with the first user.
    ///   - random: 64 random bits for incarnations and temporary names.
    public init(
        root: String, files: any FileSystem = LinuxFileSystem(), defaultTimeZone: String = "UTC",
        now: @escaping @Sendable () -> Date = { Date() },
        random: @escaping @Sendable () -> UInt64 = { UInt64.random(in: .min ... .max) },
        isKnownTimeZone: @escaping @Sendable (String) -> Bool = TimeZoneName.isInstalled
    ) {
        self.root = root
        self.files = files
        self.defaultTimeZone = defaultTimeZone
        self.now = now
        self.random = random
        self.isKnownTimeZone = isKnownTimeZone
    }

    // MARK: - Finding

    /// Where a user's folder is or would be.
    public func path(of id: UserID) -> String { "\(root)/\(id.rawValue)" }

    /// Whether the user exists. - Throws: `.storage` when the disk does not say, which is not the same as "no".
    public func exists(_ id: UserID) throws(TenantError) -> Bool {
        do {
            return try files.status(path(of: id)).kind == .directory
        } catch {
            if error.code == .notFound || error.code == .notDirectory { return false }
            throw TenantError(error, doing: "look for the user \"\(id)\"")
        }
    }

    /// What a file of a workspace is, by one lstat; nil when that cannot be told.
    /// - Parameter name: a name of `Workspace`'s, never one that came from outside.
    public func status(of name: String, _ id: UserID) -> FileStatus? { try? files.status("\(path(of: id))/\(name)") }

    /// - Throws: `.userNotFound`.
    public func open(_ id: UserID) throws(TenantError) -> Workspace {
        try Workspace(user: id, path: path(of: id), files: files, defaultTimeZone: defaultTimeZone, now: now)
    }

    /// Users in ascending order of their ids. Costs one listing of the root and no sorting beyond the page.
    /// - Parameters: `limit` nil for all; `after` the last id of the page before.
    public func list(limit: Int? = nil, after: UserID? = nil) throws(TenantError) -> [UserID] {
        var page: [String] = []
        for entry in try entries() where after.map({ entry.name > $0.rawValue }) ?? true {
            guard UserID.isValid(entry.name), isDirectory(entry) else { continue }
            guard let limit else {
                page.append(entry.name)
                continue
            }
            if page.count >= limit {
                guard let last = page.last, entry.name < last else { continue }
                page.removeLast()
            }
            page.insert(entry.name, at: page.partitioningIndex { $0 > entry.name })
        }
        if limit == nil { page.sort() }
        // Every name passed `isValid`, so none is lost here.
        return page.compactMap { try? UserID($0) }
    }

    func entries() throws(TenantError) -> [DirectoryEntry] {
        do {
            return try files.list(root)
        } catch {
            // No user was ever made.
            if error.code == .notFound { return [] }
            throw TenantError(error, doing: "list the users")
        }
    }

    private func isDirectory(_ entry: DirectoryEntry) -> Bool {
        // Some file systems do not tell the kind while listing; what is gone meanwhile is no user.
        entry.kind == .directory
            || entry.kind == .other && (try? files.status("\(root)/\(entry.name)"))?.kind == .directory
    }

    // MARK: - Creating

    /// Makes a user with the default settings, the initial data laid over them, all of it or nothing.
    /// - Throws: `.userExists`, `.invalidField`, `.storage` (then there is no such user).
    @discardableResult
    public func create(_ id: UserID, initial: InitialUserData? = nil) throws(TenantError) -> UserConfig {
        var config = newConfig(id)
        if let initial {
            do {
                config.apply(try initial.validated(isKnownTimeZone: isKnownTimeZone))
            } catch {
                throw TenantError(error)
            }
        }
        try publish(config, from: nil)
        return config
    }

    /// Makes a user after another's pattern: AGENTS.md, SOUL.md, HEARTBEAT.md, the skills, the watchlist and the
    /// preferences. What belongs to the person stays behind: persona, custom data, USER.md, memory, sessions, reports,
    /// data, schedules of their own and usage.
    /// - Throws: `.userNotFound` for the source, `.userExists` for the target, `.configCorrupt`, `.storage`.
    @discardableResult
    public func clone(from source: UserID, to target: UserID) throws(TenantError) -> UserConfig {
        let pattern = try open(source)
        let settings = try pattern.readConfig()
        var config = newConfig(target)
        config.watchlist = settings.watchlist
        config.preferences = settings.preferences
        // A new user gets only channels that exist; the source may have others from earlier versions.
        config.preferences.notificationChannels.removeAll { !Preferences.channels.contains($0) }
        try publish(config, from: pattern)
        return config
    }

    private func newConfig(_ id: UserID) -> UserConfig {
        UserConfig(
            userID: id, incarnation: token(), defaultTimeZone: defaultTimeZone, now: now().roundedToMilliseconds)
    }

    /// 16 random hex digits.
    func token() -> String {
        let hex = String(random(), radix: 16)
        return String(repeating: "0", count: Incarnation.length - hex.count) + hex
    }

    private func publish(_ config: UserConfig, from pattern: Workspace?) throws(TenantError) {
        guard try !exists(config.userID) else { throw .exists(config.userID) }
        for _ in 0..<Self.creationAttempts where try build(config, from: pattern) { return }
        throw TenantError(
            .storage, "Could not create \"\(config.userID)\": its unfinished folder was removed each time. Try again.")
    }

    /// - Returns: false when a sweep took the folder before it was locked.
    private func build(_ config: UserConfig, from pattern: Workspace?) throws(TenantError) -> Bool {
        let staging = "\(root)/\(Self.creatingPrefix)\(token())"
        let builder: WorkspaceBuilder
        do {
            try files.ensureDirectory(root)
            try files.makeDirectory(staging, mode: 0o700)
            builder = try WorkspaceBuilder(staging: staging, files: files, config: config, now: now)
        } catch {
            // Swept away before it was opened.
            if error.code == .notFound { return false }
            // Best effort, as below.
            try? files.removeTree(staging)
            throw TenantError(error, doing: "create the user \"\(config.userID)\"")
        }
        do {
            return try builder.workspace.configFile.locked { () throws(TenantError) in
                guard try builder.workspace.isInPlace() else { return false }
                try builder.fill(from: pattern)
                try commit(staging, config.userID)
                return true
            }
        } catch {
            // Best effort: what cannot be removed now is swept at the next start.
            try? files.removeTree(staging)
            // Swept away before it was locked.
            if error.code == .userNotFound { return false }
            throw error
        }
    }

    private func commit(_ staging: String, _ id: UserID) throws(TenantError) {
        do {
            try renameIn(staging, path(of: id))
        } catch {
            if error.code == .exists || error.code == .notEmpty { throw .exists(id) }
            throw TenantError(error, doing: "create the user \"\(id)\"")
        }
        do {
            try files.syncDirectory(root)
        } catch {
            // Not known to be durable, so it must not stay: taken out again before anybody is told of it. Where that fails the
            // user stays, visible and whole.
            var failure = error
            if (try? files.rename(path(of: id), staging)) == nil { failure.mayHaveHappened = true }
            throw TenantError(failure, doing: "create the user \"\(id)\"")
        }
    }

    private func renameIn(_ staging: String, _ path: String) throws(FileError) {
        do {
            try files.rename(staging, path, replace: false)
        } catch {
            // A file system without RENAME_NOREPLACE falls back to links, which folders cannot have. A plain rename
            // replaces nothing but an empty folder, and no workspace is empty.
            guard error.code == .permission || error.code == .unsupported, try !files.exists(path) else { throw error }
            try files.rename(staging, path, replace: true)
        }
    }
}

extension Date {
    /// The time as our JSON forms keep it, so that what is written equals what is read back.
    var roundedToMilliseconds: Date { RFC3339.date(RFC3339.string(self)) ?? self }
}

extension Array {
    /// The first index whose element satisfies `predicate`, in an array where all that do stand behind the others.
    fileprivate func partitioningIndex(_ predicate: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if predicate(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
