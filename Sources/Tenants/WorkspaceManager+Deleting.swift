// Removing users, and clearing what creations and deletions cut short by a crash left in the root. Any thread, any
// process. A deletion renames the folder out (commit point), fsyncs the root and only then removes the tree: a user is
// there whole or not at all. Failure: TenantError.
import DurableFiles

extension WorkspaceManager {
    static let deletingPrefix = ".deleting-"
    /// How often a removal is tried while somebody still puts files into the folder.
    private static let removalAttempts = 5

    /// Removes a user and everything in the workspace; also finishes a deletion that was cut short.
    /// The caller ends the user's jobs first.
    /// - Throws: `.userNotFound`; `.storage`. When only the removal of the renamed folder fails, the user is gone
    ///   already: calling again, or the next `sweep`, removes the rest.
    public func delete(_ id: UserID) throws(TenantError) {
        let workspace: Workspace
        do {
            workspace = try open(id)
        } catch {
            guard error.code == .userNotFound else { throw error }
            let leftovers = try entries().filter { Self.deletedUser($0.name) == id }
            guard !leftovers.isEmpty else { throw error }
            for entry in leftovers { try remove("\(root)/\(entry.name)") }
            return
        }
        let grave = "\(root)/\(Self.deletingPrefix)\(id).\(token())"
        // Under the config's lock, so that no change is acknowledged that the deletion then takes along.
        try workspace.configFile.locked { () throws(TenantError) in
            guard try workspace.isInPlace() else { throw .notFound(id) }
            do throws(FileError) {
                try files.rename(path(of: id), grave)
            } catch {
                throw TenantError(error, doing: "delete the user \"\(id)\"")
            }
            do throws(FileError) {
                try files.syncDirectory(root)
            } catch {
                // Not known to be durable, so the user comes back; where that fails, the outcome is open.
                var failure = error
                if (try? files.rename(grave, path(of: id), replace: false)) == nil { failure.mayHaveHappened = true }
                throw TenantError(failure, doing: "delete the user \"\(id)\"")
            }
        }
        try remove(grave)
    }

    private func remove(_ path: String) throws(TenantError) {
        var attempt = 1
        while true {
            do {
                return try files.removeTree(path)
            } catch {
                // Somebody else removes it too, or a turn still writes into it: its descriptors outlive the name.
                let isRace = error.code == .notEmpty || error.code == .notFound
                guard isRace, attempt < Self.removalAttempts else {
                    throw TenantError(error, doing: "remove \(path)")
                }
                attempt += 1
            }
        }
    }

    /// The user a name in the root is being removed of; nil for the remains of a creation.
    private static func deletedUser(_ name: String) -> UserID? {
        guard name.hasPrefix(deletingPrefix) else { return nil }
        // Not an id: a folder made by hand, which belongs to nobody.
        return try? UserID(String(name.dropFirst(deletingPrefix.count).prefix { $0 != "." }))
    }

    /// Users whose folder was renamed out but not removed yet: a deletion under way, or cut short by a crash.
    public func halfDeleted() throws(TenantError) -> [UserID] {
        Set(try entries().compactMap { Self.deletedUser($0.name) }).sorted()
    }

    /// Clears what creations and deletions that were cut short left in the root. For the start of a process; waits for
    /// creations that are under way in other processes and leaves them alone.
    /// - Returns: the users whose deletion it finished.
    /// - Throws: the first removal that failed, after trying all.
    @discardableResult
    public func sweep() throws(TenantError) -> [UserID] {
        var finished: Set<UserID> = []
        var failure: TenantError?
        for entry in try entries() {
            do {
                if entry.name.hasPrefix(Self.deletingPrefix) {
                    try remove("\(root)/\(entry.name)")
                    if let user = Self.deletedUser(entry.name) { finished.insert(user) }
                } else if entry.name.hasPrefix(Self.creatingPrefix) {
                    try sweepCreation("\(root)/\(entry.name)")
                }
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return finished.sorted()
    }

    private func sweepCreation(_ staging: String) throws(TenantError) {
        // The lock file must not vanish from under its name while others wait for it, or two could hold "the" lock:
        // so the folder is renamed out under the lock, and removed when nobody can find it any more.
        let grave = "\(root)/\(Self.deletingPrefix).\(token())"
        do {
            let directory = try SealedDirectory(path: staging, files: files)
            try directory.withLock(ConfigFile.lockName) {
                // Whoever was building it is done: renamed in (then this path is gone) or dead.
                try files.rename(staging, grave)
            }
        } catch let error as FileError {
            if error.code == .notFound { return }
            throw TenantError(error, doing: "remove \(staging)")
        } catch {
            throw TenantError(.storage, "Could not remove \(staging): \(error)")
        }
        try remove(grave)
    }
}
