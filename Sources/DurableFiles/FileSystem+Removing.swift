// Removing a folder with all that is in it, as somebody may have left it who wanted it to stay: deeper than any path is long,
// with rights taken away, with names that are no text. Follows no link. Any thread; blocks.
//
// Folders are not gone down into: what is found in one is moved up into the topmost one, under a name of ours, and looked at in
// the next round. So two descriptors are enough, and no path is longer than its last part.

extension FileSystem {
    /// Removes a file, or a folder with all that is in it. Nothing there: no error.
    /// - Throws: the first reason why something could not be removed; what could be is gone.
    public func removeTree(_ path: String) throws(FileError) {
        let (folder, name) = PathParts.split(path)
        let parent: Int32
        do throws(FileError) {
            parent = try open(folder, [.read, .directory, .followLinks])
        } catch {
            if error.code == .notFound { return }
            throw error
        }
        defer { closeQuietly(parent) }
        _ = try removeTree(in: parent, name)
    }

    /// The same beneath an open folder.
    /// - Parameter isCancelled: asked between removals; true leaves the rest.
    /// - Returns: false when it was cancelled.
    public func removeTree(
        in parent: Int32, _ name: String, isCancelled: () -> Bool = { false }
    ) throws(FileError) -> Bool {
        do throws(FileError) {
            guard try status(in: parent, name).kind == .directory else {
                try remove(in: parent, name, isDirectory: false)
                return true
            }
        } catch {
            if error.code == .notFound { return true }
            throw error
        }
        let top: Int32
        do throws(FileError) {
            top = try openBeneath(parent, name, [.read, .directory], mode: 0)
        } catch {
            guard error.code == .permission else { throw error }
            try setMode(in: parent, name, 0o700)
            top = try openBeneath(parent, name, [.read, .directory], mode: 0)
        }
        defer { closeQuietly(top) }
        let removal = TreeRemoval(files: self, top: top, path: name)
        var isDone: Bool
        do throws(FileError) {
            isDone = try removal.run(isCancelled)
        } catch {
            guard error.code == .permission else { throw error }
            try setMode(in: parent, name, 0o700)
            isDone = try removal.run(isCancelled)
        }
        if isDone { try remove(in: parent, name, isDirectory: true) }
        return isDone
    }
}

private struct TreeRemoval {
    let files: any FileSystem
    let top: Int32
    let path: String

    /// - Returns: false when it was cancelled.
    func run(_ isCancelled: () -> Bool) throws(FileError) -> Bool {
        while true {
            let entries = try readableEntries(of: top)
            if entries.isEmpty { return true }
            var done = 0
            var failure: FileError?
            for entry in entries {
                if isCancelled() { return false }
                do throws(FileError) {
                    try remove(entry, &done)
                } catch {
                    failure = failure ?? error
                }
            }
            // A round that has moved nothing would be followed by others like it.
            if let failure, done == 0 { throw failure }
        }
    }

    private func remove(_ entry: DirectoryEntry, _ done: inout Int) throws(FileError) {
        if entry.kind != .directory, try removeFile(entry.name, in: top) {
            done += 1
            return
        }
        // Whoever owns it may have taken the rights from himself. Somebody else's is tried as it is.
        try? files.setMode(in: top, entry.name, 0o700)
        let folder = try files.openBeneath(top, entry.name, [.read, .directory], mode: 0)
        defer { files.closeQuietly(folder) }
        var failure: FileError?
        for inner in try readableEntries(of: folder) {
            do throws(FileError) {
                let isGone = inner.kind == .directory ? false : try removeFile(inner.name, in: folder)
                if !isGone { try moveUp(inner.name, from: folder) }
                done += 1
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        try files.remove(in: top, entry.name, isDirectory: true)
        done += 1
    }

    private func moveUp(_ name: String, from folder: Int32) throws(FileError) {
        // A folder that moves is written to: its ".." changes.
        try? files.setMode(in: folder, name, 0o700)
        let unique = ".removing-" + String(UInt64.random(in: .min ... .max), radix: 36)
        try files.rename(in: folder, name, to: top, unique, replace: true)
    }

    /// - Returns: false when it is a folder.
    private func removeFile(_ name: String, in folder: Int32) throws(FileError) -> Bool {
        do throws(FileError) {
            try files.remove(in: folder, name, isDirectory: false)
        } catch {
            if error.code == .isDirectory { return false }
            // Somebody else was faster.
            guard error.code == .notFound else { throw error }
        }
        return true
    }

    private func readableEntries(of folder: Int32) throws(FileError) -> [DirectoryEntry] {
        let found = try files.entries(descriptor: folder, path: path)
        guard found.unreadable > 0 else { return found.named }
        try files.nameUnreadable(in: folder, path: path)
        return try files.entries(descriptor: folder, path: path).named
    }
}
