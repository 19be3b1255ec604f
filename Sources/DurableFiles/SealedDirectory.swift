// A folder nothing can be reached outside of: every path is resolved by the kernel beneath its descriptor, links refused.
// Used for users' workspaces, from any thread. Paths are relative ("memory/MEMORY.md"). Failure: FileError with
// .escapes (absolute, "..", out of the folder), .symlink, .invalid (NUL, empty part), or the kernel's reason.

import Foundation

public struct SealedEntry: Sendable, Hashable {
    public var name: String
    /// Relative to the sealed folder.
    public var path: String
    public var kind: FileKind
    /// Bytes.
    public var size: Int
    public var modified: Date
}

public final class SealedDirectory: Sendable {
    /// Where it stands, for messages only: the folder may have been renamed since.
    public let path: String
    let files: any FileSystem
    private let root: Int32

    public init(path: String, files: any FileSystem = LinuxFileSystem()) throws(FileError) {
        self.path = path
        self.files = files
        root = try files.open(path, [.read, .directory], mode: 0)
    }

    deinit { files.closeQuietly(root) }

    // MARK: Paths

    /// The path without "." parts and doubled slashes; `nil` parts mean the root itself.
    func checked(_ path: String, _ operation: String) throws(FileError) -> String {
        guard !path.utf8.contains(0) else { throw FileError(code: .invalid, operation: operation, path: path) }
        guard !path.hasPrefix("/") else { throw FileError(code: .escapes, operation: operation, path: path) }
        let parts = path.split(separator: "/").filter { $0 != "." }
        guard !parts.contains("..") else { throw FileError(code: .escapes, operation: operation, path: path) }
        return parts.joined(separator: "/")
    }

    /// Bytes of a path the kernel takes at once: longer ones are opened in several steps.
    private static let longestStep = 4_000

    func open(_ path: String, _ flags: OpenFlags, mode: UInt32 = 0o600) throws(FileError) -> Int32 {
        let path = try checked(path, "open")
        guard path.utf8.count > Self.longestStep else {
            return try files.openBeneath(root, path.isEmpty ? "." : path, flags, mode: mode)
        }
        var folder = root
        defer { if folder != root { files.closeQuietly(folder) } }
        var rest = path[...]
        while rest.utf8.count > Self.longestStep {
            let reach = rest.utf8.index(rest.startIndex, offsetBy: Self.longestStep)
            guard let slash = rest[..<reach].lastIndex(of: "/") else {
                throw FileError(code: .nameTooLong, operation: "open", path: String(path.prefix(200)))
            }
            let inner = try files.openBeneath(folder, String(rest[..<slash]), [.read, .directory], mode: 0)
            if folder != root { files.closeQuietly(folder) }
            folder = inner
            rest = rest[rest.index(after: slash)...]
        }
        return try files.openBeneath(folder, String(rest), flags, mode: mode)
    }

    /// Runs `body` with the opened parent folder and the last part of the path.
    func withParent<Value>(
        _ path: String, create: Bool, _ body: (Int32, String) throws(FileError) -> Value
    ) throws(FileError) -> Value {
        let clean = try checked(path, "open")
        let (folder, name) = PathParts.split(clean)
        guard !name.isEmpty else { throw FileError(code: .isDirectory, operation: "open", path: path) }
        if create, folder != "." { try makeDirectories(folder) }
        let parent = try open(folder, [.read, .directory])
        defer { files.closeQuietly(parent) }
        return try body(parent, name)
    }

    // MARK: Reading

    /// - Parameter singleName: refuse (`.escapes`) a file that has other names too. The kernel resolves names beneath
    ///   the folder, but a hard link is no name of another place: the file itself may belong elsewhere. Off for what
    ///   nanobot reads for itself, so that a backup that links files instead of copying them stops nothing.
    public func read(
        _ path: String, maxBytes: Int = 16 << 20, singleName: Bool = false
    ) throws(FileError) -> [UInt8] {
        let descriptor = try open(path, [.read, .nonBlocking])
        defer { files.closeQuietly(descriptor) }
        if singleName {
            let status = try files.status(of: descriptor, path: path)
            guard status.kind != .regular || status.links <= 1 else {
                throw FileError(code: .escapes, operation: "read", path: path)
            }
        }
        return try files.readAll(descriptor, maxBytes: maxBytes, path: path)
    }

    /// A regular file, for reading piece by piece; see `SealedFile`.
    public func openFile(_ path: String, maxBytes: Int = .max, singleName: Bool = false) throws(FileError) -> SealedFile {
        let descriptor = try open(path, [.read, .nonBlocking])
        return try SealedFile(taking: descriptor, path: path, files: files, maxBytes: maxBytes, singleName: singleName)
    }

    /// Up to `count` bytes from `offset`.
    public func read(_ path: String, from offset: Int, count: Int) throws(FileError) -> [UInt8] {
        let descriptor = try open(path, [.read, .nonBlocking])
        defer { files.closeQuietly(descriptor) }
        guard try files.status(of: descriptor, path: path).kind == .regular else {
            throw FileError(code: .invalid, operation: "read", path: path)
        }
        return try files.readRange(descriptor, from: offset, count: count, path: path)
    }

    public func status(_ path: String) throws(FileError) -> FileStatus {
        let descriptor = try open(path, [.read, .nonBlocking])
        defer { files.closeQuietly(descriptor) }
        return try files.status(of: descriptor, path: path)
    }

    /// Bytes and inodes in use on the whole file system the folder is on.
    public func usage() throws(FileError) -> (bytes: Int, inodes: Int) { try files.usage(of: root, path: path) }

    /// False also for what cannot be looked at: links, escapes.
    public func exists(_ path: String) -> Bool {
        // "Cannot be opened inside" is the answer "no"; callers that need the reason call `status`.
        (try? status(path)) != nil
    }

    // MARK: Writing

    /// Atomic and durable; makes missing folders. Commit point: the rename. When the sync after it fails the old content is put
    /// back, so that a refused write has changed nothing; where that fails too, the error says `mayHaveHappened`.
    public func write(_ path: String, _ bytes: [UInt8]) throws(FileError) {
        try withParent(path, create: true) { (parent, name) throws(FileError) in
            let temporary = TemporaryNames.next(for: name)
            let swap: Swap
            do throws(FileError) {
                try create(temporary, bytes, in: parent, for: path)
                try refuseSpecial(parent, name, path)
                swap = try put(temporary, name, parent)
            } catch {
                // Best effort: the leftover is a dot file.
                try? files.remove(in: parent, temporary, isDirectory: false)
                throw error
            }
            do throws(FileError) {
                try files.sync(parent, path: path)
            } catch {
                throw takeBack(swap, temporary, name, parent, error)
            }
            // As above; it holds the old content.
            if swap == .exchanged { try? files.remove(in: parent, temporary, isDirectory: false) }
        }
    }

    /// How a new file got its name.
    private enum Swap {
        /// Nothing had that name.
        case added
        /// The old file has the temporary name now.
        case exchanged
        /// The old file is gone: the file system cannot exchange names.
        case replaced
    }

    private func put(_ temporary: String, _ name: String, _ parent: Int32) throws(FileError) -> Swap {
        do throws(FileError) {
            try files.exchange(in: parent, temporary, name)
            return .exchanged
        } catch {
            guard error.code == .notFound || error.code == .unsupported else { throw error }
            // Another writer without a lock may have been first: then its file is replaced, as by any later write.
            try files.rename(in: parent, temporary, to: parent, name, replace: true)
            return error.code == .notFound ? .added : .replaced
        }
    }

    /// - Returns: the error to throw.
    private func takeBack(
        _ swap: Swap, _ temporary: String, _ name: String, _ parent: Int32, _ error: FileError
    ) -> FileError {
        var failure = error
        do throws(FileError) {
            switch swap {
            case .added: try files.remove(in: parent, name, isDirectory: false)
            case .exchanged: try files.exchange(in: parent, temporary, name)
            case .replaced: failure.mayHaveHappened = true
            }
        } catch {
            failure.mayHaveHappened = true
        }
        // Best effort: the leftover is a dot file.
        if swap == .exchanged, !failure.mayHaveHappened { try? files.remove(in: parent, temporary, isDirectory: false) }
        return failure
    }

    /// Removes what writes of this file have left whose process died. Only for a caller who keeps all other writers of the file
    /// out. Best effort.
    public func sweepTemporaries(of path: String) {
        // What cannot be listed is swept another time.
        _ = try? withParent(path, create: false) { (parent, name) throws(FileError) in
            for entry in try files.list(descriptor: parent, path: path)
            where TemporaryNames.isTemporary(entry.name, of: name) {
                try? files.remove(in: parent, entry.name, isDirectory: false)
            }
        }
    }

    /// Files of one folder, each atomic, all durable when this returns, for one sync of the folder; makes missing folders.
    /// They get their names in the order given. Commit point: the last rename; after a power cut before the return any of
    /// them may be there.
    public func write(_ contents: [(name: String, bytes: [UInt8])], in folder: String) throws(FileError) {
        let paths = contents.map { folder == "." ? $0.name : "\(folder)/\($0.name)" }
        guard let first = paths.first else { return }
        try withParent(first, create: true) { (parent, _) throws(FileError) in
            let temporaries = contents.map { TemporaryNames.next(for: $0.name) }
            do throws(FileError) {
                for (index, content) in contents.enumerated() {
                    try create(temporaries[index], content.bytes, in: parent, for: paths[index])
                    try refuseSpecial(parent, content.name, paths[index])
                }
                for (index, content) in contents.enumerated() {
                    try files.rename(in: parent, temporaries[index], to: parent, content.name, replace: true)
                }
            } catch {
                // Best effort: the leftover is a dot file.
                for temporary in temporaries { try? files.remove(in: parent, temporary, isDirectory: false) }
                throw error
            }
            try files.sync(parent, path: first)
        }
    }

    /// A new file with these bytes, on disk but for its name.
    private func create(_ name: String, _ bytes: [UInt8], in parent: Int32, for path: String) throws(FileError) {
        let descriptor = try files.openBeneath(parent, name, [.write, .create, .exclusive], mode: 0o600)
        do throws(FileError) {
            try files.writeAll(descriptor, bytes, path: path)
            try files.sync(descriptor, path: path)
        } catch {
            files.closeQuietly(descriptor)
            throw error
        }
        try files.close(descriptor, path: path)
    }

    /// A rename would replace a link or a special file silently: refuse, so that nothing is lost by surprise.
    private func refuseSpecial(_ parent: Int32, _ name: String, _ path: String) throws(FileError) {
        let descriptor: Int32
        do {
            descriptor = try files.openBeneath(parent, name, [.read, .nonBlocking], mode: 0)
        } catch {
            if error.code == .notFound { return }
            throw error
        }
        defer { files.closeQuietly(descriptor) }
        let kind = try files.status(of: descriptor, path: path).kind
        guard kind == .regular else {
            throw FileError(code: kind == .directory ? .isDirectory : .invalid, operation: "write", path: path)
        }
    }

    /// Appends in one write; makes missing folders. `durable`: fsynced, with the folder entry.
    public func append(_ path: String, _ bytes: [UInt8], durable: Bool = true) throws(FileError) {
        try withParent(path, create: true) { (parent, name) throws(FileError) in
            let descriptor = try files.openBeneath(
                parent, name, [.read, .write, .append, .create, .nonBlocking], mode: 0o600)
            do throws(FileError) {
                let before = try files.status(of: descriptor, path: path)
                guard before.kind == .regular else {
                    throw FileError(code: .invalid, operation: "append", path: path)
                }
                try files.writeAll(descriptor, bytes, path: path)
                if durable {
                    try files.dataSync(descriptor, path: path)
                    if before.size == 0 { try files.sync(parent, path: path) }
                }
            } catch {
                files.closeQuietly(descriptor)
                throw error
            }
            try files.close(descriptor, path: path)
        }
    }

    /// Cuts a file to `size` bytes, durably: for a torn last line.
    public func truncate(_ path: String, to size: Int) throws(FileError) {
        let descriptor = try open(path, [.read, .write, .nonBlocking])
        defer { files.closeQuietly(descriptor) }
        try files.truncate(descriptor, to: size, path: path)
        try files.sync(descriptor, path: path)
    }

    public func makeDirectory(_ path: String) throws(FileError) {
        try makeDirectories(try checked(path, "mkdir"))
    }

    private func makeDirectories(_ path: String) throws(FileError) {
        guard !path.isEmpty else { return }
        do {
            files.closeQuietly(try open(path, [.read, .directory]))
            return
        } catch {
            guard error.code == .notFound else { throw error }
        }
        let (folder, name) = PathParts.split(path)
        if folder != "." { try makeDirectories(folder) }
        let parent = try open(folder, [.read, .directory])
        defer { files.closeQuietly(parent) }
        do {
            try files.makeDirectory(in: parent, name, mode: 0o700)
        } catch {
            // Another thread was first: as good as made by us.
            guard error.code == .exists else { throw error }
        }
        try files.sync(parent, path: path)
    }

    /// A file or an empty folder; durable.
    public func remove(_ path: String) throws(FileError) {
        try withParent(path, create: false) { (parent, name) throws(FileError) in
            do throws(FileError) {
                try files.remove(in: parent, name, isDirectory: false)
            } catch {
                guard error.code == .isDirectory else { throw error }
                try files.remove(in: parent, name, isDirectory: true)
            }
            try files.sync(parent, path: path)
        }
    }

    /// Durable; replaces a file of the new name unless `replace` is false.
    public func rename(_ from: String, _ to: String, replace: Bool = true) throws(FileError) {
        try withParent(from, create: false) { (parent, name) throws(FileError) in
            try withParent(to, create: true) { (otherParent, otherName) throws(FileError) in
                try files.rename(in: parent, name, to: otherParent, otherName, replace: replace)
                try files.sync(otherParent, path: to)
                try files.sync(parent, path: from)
            }
        }
    }

    /// Holds an exclusive lock on a hidden file of the folder (made if missing) while `body` runs; waits for it as
    /// `LockWait.current` says. Excludes other threads and other processes.
    /// - Parameter name: a dot file of the folder itself. What lies deeper, or can be seen, may be shown to a command of the
    ///   user, and whoever can open a file can lock it.
    /// - Throws: FileError `.invalid` for another name, `.busy`.
    public func withLock<Value>(_ name: String, _ body: () throws -> Value) throws -> Value {
        guard name.hasPrefix("."), !name.contains("/") else {
            throw FileError(code: .invalid, operation: "lock", path: name)
        }
        let lock = "\(path)/\(name)"
        let descriptor = try open(name, [.read, .write, .create, .nonBlocking])
        defer {
            files.closeQuietly(descriptor)
            files.released(lock)
        }
        try files.waitForLock(lock, path: name) { () throws(FileError) in try files.tryLock(descriptor, path: name) }
        return try body()
    }
}
