// A place in a tree of folders that moves one folder down or up at a time, by descriptors. No path is ever given to the kernel, so
// the tree may be deeper than any path is long. At most ten folders of the way are open at once.
// One thread at a time. Failure: FileError; after a failed `leave` the cursor is of no more use.

public final class FolderCursor {
    private struct Level {
        var name: String
        var inode: UInt64
        var device: UInt64
        /// Nil: closed, because the cursor is far below. ".." leads back.
        var descriptor: Int32?
    }

    /// Folders above the current one that stay open.
    private static let keptOpen = 8

    public let files: any FileSystem
    private var levels: [Level] = []
    /// The current folder, relative to where the cursor began; "" there.
    public private(set) var path = ""

    /// - Parameter root: an open folder, which the cursor closes in the end.
    init(files: any FileSystem, root: Int32) throws(FileError) {
        self.files = files
        do throws(FileError) {
            try push("", root)
        } catch {
            files.closeQuietly(root)
            throw error
        }
    }

    deinit {
        for level in levels { level.descriptor.map(files.closeQuietly) }
    }

    /// The current folder.
    public var descriptor: Int32 { levels[levels.count - 1].descriptor! }
    /// Folders between the beginning and the current one.
    public var depth: Int { levels.count - 1 }

    private func push(_ name: String, _ descriptor: Int32) throws(FileError) {
        let status = try files.status(of: descriptor, path: name)
        levels.append(Level(name: name, inode: status.inode, device: status.device, descriptor: descriptor))
        let distant = levels.count - 1 - Self.keptOpen
        guard distant > 0, let open = levels[distant].descriptor else { return }
        files.closeQuietly(open)
        levels[distant].descriptor = nil
    }

    /// Goes into a folder of the current one.
    /// - Parameter creating: makes the folder if there is none.
    public func enter(_ name: String, creating: Bool = false) throws(FileError) {
        guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(UInt8(ascii: "/")) else {
            throw FileError(code: .escapes, operation: "open", path: name)
        }
        let inner = try open(folder: name, creating: creating)
        do throws(FileError) {
            try push(name, inner)
        } catch {
            files.closeQuietly(inner)
            throw error
        }
        path += path.isEmpty ? name : "/" + name
    }

    private func open(folder name: String, creating: Bool) throws(FileError) -> Int32 {
        do throws(FileError) {
            return try files.openBeneath(descriptor, name, [.read, .directory], mode: 0)
        } catch {
            guard creating, error.code == .notFound else { throw error }
        }
        do throws(FileError) {
            try files.makeDirectory(in: descriptor, name, mode: 0o700)
        } catch {
            // Another thread was first: as good as made by us.
            guard error.code == .exists else { throw error }
        }
        return try files.openBeneath(descriptor, name, [.read, .directory], mode: 0)
    }

    /// Goes back up.
    /// - Throws: `.notFound` when the folder was moved meanwhile: ".." would lead elsewhere.
    public func leave() throws(FileError) {
        precondition(depth > 0, "the cursor is where it began")
        let child = levels.removeLast()
        let descriptor = child.descriptor!
        defer { files.closeQuietly(descriptor) }
        path.removeLast(levels.count == 1 ? path.count : child.name.count + 1)
        guard levels[levels.count - 1].descriptor == nil else { return }
        let parent = try files.openParent(of: descriptor, path: child.name)
        do throws(FileError) {
            let status = try files.status(of: parent, path: child.name)
            let expected = levels[levels.count - 1]
            guard status.inode == expected.inode, status.device == expected.device else {
                throw FileError(code: .notFound, operation: "open ..", path: child.name)
            }
        } catch {
            files.closeQuietly(parent)
            // The level has no descriptor: nothing can be opened by this cursor any more.
            levels[levels.count - 1].descriptor = -1
            throw error
        }
        levels[levels.count - 1].descriptor = parent
    }

    // MARK: What is in the current folder

    public func status(_ name: String) throws(FileError) -> FileStatus { try files.status(in: descriptor, name) }

    public func open(_ name: String, _ flags: OpenFlags, mode: UInt32 = 0o600) throws(FileError) -> Int32 {
        try files.openBeneath(descriptor, name, flags, mode: mode)
    }

    public func remove(_ name: String, isDirectory: Bool) throws(FileError) {
        try files.remove(in: descriptor, name, isDirectory: isDirectory)
    }

    /// Runs `body` with a regular file opened for reading.
    public func reading<Value>(
        _ name: String, _ body: (Int32, FileStatus) throws(FileError) -> Value
    ) throws(FileError) -> Value {
        let file = try open(name, [.read, .nonBlocking])
        defer { files.closeQuietly(file) }
        let status = try files.status(of: file, path: name)
        guard status.kind == .regular else { throw FileError(code: .invalid, operation: "read", path: name) }
        return try body(file, status)
    }
}
