// Removing a folder with all that is in it, as somebody may have left it who wanted it to stay: deeper than any path is long,
// with rights taken away, with names that are no text. Follows no link. Any thread; blocks.
//
// The walk goes down by descriptors and removes on its way back. Moving what is deep up to the top needs no walk, but took three
// times as long (20,000 folders in one another).

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
        try makeReadable(name, in: parent)
        let top = try openBeneath(parent, name, [.read, .directory], mode: 0)
        guard try removeContent(top, isCancelled) else { return false }
        try remove(in: parent, name, isDirectory: true)
        return true
    }

    /// Whoever owns it may have taken the rights from himself. Somebody else's is tried as it is.
    private func makeReadable(_ name: String, in parent: Int32) throws(FileError) {
        guard try status(in: parent, name).mode & 0o700 != 0o700 else { return }
        try? setMode(in: parent, name, 0o700)
    }

    /// - Parameter top: an open folder, which is closed.
    private func removeContent(_ top: Int32, _ isCancelled: () -> Bool) throws(FileError) -> Bool {
        let walk = try FolderWalk(try FolderCursor(files: self, root: top), mending: true)
        var failure: FileError?
        while let step = try nextStep(of: walk) {
            if isCancelled() { return false }
            let entry: FolderEntry
            let isDirectory: Bool
            switch step {
            case .entry(let found):
                if found.kind == .directory { continue }
                entry = found
                isDirectory = false
            case .left(let found):
                entry = found
                isDirectory = true
            }
            do throws(FileError) {
                try walk.cursor.remove(entry.name, isDirectory: isDirectory)
            } catch {
                // Somebody else was faster.
                if error.code != .notFound { failure = failure ?? error }
            }
        }
        // The first is the reason of those that follow: a folder that is not empty.
        if let failure = walk.failure ?? failure { throw failure }
        return true
    }

    private func nextStep(of walk: FolderWalk) throws(FileError) -> FolderWalk.Step? {
        do throws(FileError) {
            return try walk.next()
        } catch {
            guard error.code == .notFound else { throw error }
            // Somebody else moved or removed the folder the walk is in. What is left is removed by another walk.
            throw FileError(code: .notEmpty, operation: "rmdir", path: walk.cursor.path)
        }
    }
}
