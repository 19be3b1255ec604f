// All that is below a folder, one entry at a time, at any depth, with bounded descriptors (FolderCursor). An entry that vanishes
// meanwhile is left out. One thread at a time. Failure: FileError; what cannot be looked at below the beginning is no error but
// makes `isComplete` false.

public struct FolderEntry: Sendable, Hashable {
    public var name: String
    public var status: FileStatus
    public var kind: FileKind { status.kind }
}

public final class FolderWalk {
    public enum Step: Sendable {
        /// In the folder where the cursor is. A folder is entered by the next step, unless `skip` is called.
        case entry(FolderEntry)
        /// All of this folder was seen; the cursor is in the folder that holds it.
        case left(FolderEntry)
    }

    public let cursor: FolderCursor
    /// False: there is more, of which nothing is known but that it is there.
    public var isComplete: Bool { failure == nil && !hasUnreadable }
    /// The first reason why something could not be looked at.
    public private(set) var failure: FileError?
    /// There are names that are no text.
    private var hasUnreadable = false
    private let isMending: Bool
    /// What is still to come of each folder on the way, the next one last.
    private var pending: [[DirectoryEntry]] = []
    private var way: [FolderEntry] = []
    private var entered: FolderEntry?

    /// - Parameter mending: what its owner has made unreadable (rights taken away, names that are no text) is made readable.
    public init(_ cursor: FolderCursor, mending: Bool = false) throws(FileError) {
        self.cursor = cursor
        isMending = mending
        pending = [try entries()]
    }

    /// The path of an entry of the current folder, relative to where the cursor began.
    public func path(of entry: FolderEntry) -> String {
        cursor.path.isEmpty ? entry.name : "\(cursor.path)/\(entry.name)"
    }

    /// Does not go into the folder that the last step told of.
    public func skip() { entered = nil }

    /// - Returns: nil at the end. Entries of a folder come by name, a folder before what is in it.
    public func next() throws(FileError) -> Step? {
        if let folder = entered {
            entered = nil
            try enter(folder)
        }
        while true {
            guard let next = pending[pending.count - 1].popLast() else {
                guard let folder = way.popLast() else { return nil }
                pending.removeLast()
                do throws(FileError) {
                    try cursor.leave()
                } catch {
                    failure = failure ?? error
                    throw error
                }
                return .left(folder)
            }
            guard let entry = try entry(next) else { continue }
            if entry.kind == .directory { entered = entry }
            return .entry(entry)
        }
    }

    private func enter(_ folder: FolderEntry) throws(FileError) {
        do throws(FileError) {
            try cursor.enter(folder.name)
        } catch {
            // Removed or replaced since it was listed: left out, as if it had never been seen.
            if error.code != .notFound, error.code != .symlink, error.code != .notDirectory { failure = failure ?? error }
            return
        }
        way.append(folder)
        do throws(FileError) {
            pending.append(try entries())
        } catch {
            pending.append([])
            failure = failure ?? error
        }
    }

    private func entries() throws(FileError) -> [DirectoryEntry] {
        var found = try cursor.files.entries(descriptor: cursor.descriptor, path: cursor.path)
        if found.unreadable > 0, isMending {
            try cursor.files.nameUnreadable(in: cursor.descriptor, path: cursor.path)
            found = try cursor.files.entries(descriptor: cursor.descriptor, path: cursor.path)
        }
        if found.unreadable > 0 { hasUnreadable = true }
        return found.named.sorted { $0.name > $1.name }
    }

    private func entry(_ listed: DirectoryEntry) throws(FileError) -> FolderEntry? {
        do throws(FileError) {
            var status = try cursor.status(listed.name)
            let wanted: UInt32 = status.kind == .directory ? 0o700 : 0o400
            if isMending, status.kind == .directory || status.kind == .regular, status.mode & wanted != wanted {
                // Somebody else's stays as it is: it can still be counted, and removed.
                try? cursor.files.setMode(in: cursor.descriptor, listed.name, wanted | 0o600)
                status = try cursor.status(listed.name)
            }
            return FolderEntry(name: listed.name, status: status)
        } catch {
            if error.code != .notFound { failure = failure ?? error }
            return nil
        }
    }
}
