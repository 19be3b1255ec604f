// The system calls this program makes on files, one method each, so that a test can make any single one fail or stop
// the program there. Callers: every room that stores something, from any thread. Failure: FileError, never a crash.

import Foundation

/// How a file is opened. O_CLOEXEC is always added, and O_NOFOLLOW unless `followLinks` is given: no child process
/// inherits a lock, no link is followed as the last part of a path.
public struct OpenFlags: OptionSet, Sendable, Hashable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }

    public static let read = OpenFlags(rawValue: 1)
    public static let write = OpenFlags(rawValue: 2)
    public static let append = OpenFlags(rawValue: 4)
    public static let create = OpenFlags(rawValue: 8)
    /// With `create`: fails with `.exists` when the name is taken.
    public static let exclusive = OpenFlags(rawValue: 16)
    public static let directory = OpenFlags(rawValue: 32)
    /// Do not wait, as for a FIFO without a writer.
    public static let nonBlocking = OpenFlags(rawValue: 64)
    public static let truncate = OpenFlags(rawValue: 128)
    /// Follow a link as the last part of the path: for the system's own files, never for a user's.
    public static let followLinks = OpenFlags(rawValue: 256)
    /// Past the page cache (O_DIRECT): memory, offsets and sizes must be those of whole pages. Refused by some file systems.
    public static let direct = OpenFlags(rawValue: 512)
    public static let readWrite: OpenFlags = [.read, .write]
}

public enum FileKind: String, Sendable {
    case regular, directory, symlink, fifo, other
}

/// What lstat tells.
public struct FileStatus: Sendable, Hashable {
    public var kind: FileKind
    /// Bytes.
    public var size: Int
    public var modified: Date
    public var inode: UInt64
    public var device: UInt64
    public var links: Int
    public var owner: UInt32
    public var mode: UInt32
    /// When the kernel last saw a change of the content or of these facts (st_ctime): no program can set it.
    public var changed: Date

    public init(
        kind: FileKind, size: Int, modified: Date, inode: UInt64, device: UInt64, links: Int, owner: UInt32,
        mode: UInt32, changed: Date = Date(timeIntervalSince1970: 0)
    ) {
        self.kind = kind
        self.size = size
        self.modified = modified
        self.inode = inode
        self.device = device
        self.links = links
        self.owner = owner
        self.mode = mode
        self.changed = changed
    }
}

public struct DirectoryEntry: Sendable, Hashable {
    public var name: String
    /// `.other` where the file system does not say: ask `status` then.
    public var kind: FileKind

    public init(name: String, kind: FileKind) {
        self.name = name
        self.kind = kind
    }
}

/// Paths are absolute or relative to the working folder; names that are not UTF-8 cannot be expressed and are not listed.
public protocol FileSystem: Sendable {
    func open(_ path: String, _ flags: OpenFlags, mode: UInt32) throws(FileError) -> Int32
    /// openat2 with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS.
    func openBeneath(_ directory: Int32, _ path: String, _ flags: OpenFlags, mode: UInt32) throws(FileError) -> Int32
    /// Closes; the descriptor is gone even when this throws.
    func close(_ descriptor: Int32, path: String) throws(FileError)
    /// - Returns: bytes read; 0 at the end. Interrupted calls are repeated.
    func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: Int, path: String)
        throws(FileError) -> Int
    /// - Returns: bytes written, possibly fewer than given. `offset` nil: where the descriptor stands (or appends).
    func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int?, path: String)
        throws(FileError) -> Int
    func sync(_ descriptor: Int32, path: String) throws(FileError)
    func dataSync(_ descriptor: Int32, path: String) throws(FileError)
    /// Begins to write all of `bytes`, which must stay as they are until `endSyncedWrite`, durably as with O_DSYNC: no other
    /// write is covered. The caller must call `endSyncedWrite`, on any thread, before the descriptor is closed.
    ///
    /// - Throws: an error that does not pass where there are no such writes; whatever it is, nothing whole was written.
    func beginSyncedWrite(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int, path: String)
        throws(FileError) -> SyncedWrite
    /// Waits until it is on disk. - Throws: after which nobody knows whether it is.
    func endSyncedWrite(_ write: SyncedWrite, path: String) throws(FileError)
    /// syncfs: all files and folders of the file system the path is on, whoever wrote them.
    func syncAll(_ path: String) throws(FileError)
    /// The same by a descriptor: it is told of every failure to write since it was opened, or since it was told last, whoever
    /// else was told of it.
    func syncAll(_ descriptor: Int32, path: String) throws(FileError)
    func truncate(_ descriptor: Int32, to size: Int, path: String) throws(FileError)
    /// lstat.
    func status(_ path: String) throws(FileError) -> FileStatus
    func status(of descriptor: Int32, path: String) throws(FileError) -> FileStatus
    /// fstatat of a name in an open folder; follows no link and needs no right to read the file.
    func status(in directory: Int32, _ name: String) throws(FileError) -> FileStatus
    /// The folder an open folder is in (".."). The caller compares inode and device with those it expects.
    func openParent(of directory: Int32, path: String) throws(FileError) -> Int32
    /// - Parameter replace: false fails with `.exists` when the new name is taken.
    func rename(_ from: String, _ to: String, replace: Bool) throws(FileError)
    func rename(in directory: Int32, _ from: String, to otherDirectory: Int32, _ to: String, replace: Bool)
        throws(FileError)
    /// Two names of one folder change their files, in one step. - Throws: `.unsupported` where there is no such call.
    func exchange(in directory: Int32, _ name: String, _ other: String) throws(FileError)
    func remove(_ path: String) throws(FileError)
    func remove(in directory: Int32, _ name: String, isDirectory: Bool) throws(FileError)
    func makeDirectory(_ path: String, mode: UInt32) throws(FileError)
    func makeDirectory(in directory: Int32, _ name: String, mode: UInt32) throws(FileError)
    func removeDirectory(_ path: String) throws(FileError)
    /// The entries but "." and "..", in the file system's order.
    func list(_ path: String) throws(FileError) -> [DirectoryEntry]
    /// The same of an open folder, and how many more entries have names that are not UTF-8.
    func entries(descriptor: Int32, path: String) throws(FileError) -> (named: [DirectoryEntry], unreadable: Int)
    /// Gives entries whose names are not UTF-8 names that are: ".unreadable-" and something unique.
    func nameUnreadable(in directory: Int32, path: String) throws(FileError)
    /// As `list`, one entry at a time as it is read: for folders with a million of them. `body` returns false to stop.
    func forEachEntry(_ path: String, _ body: (DirectoryEntry) -> Bool) throws(FileError)
    /// How many entries have names that are not UTF-8: `list` leaves those out.
    func unreadableNames(_ path: String) throws(FileError) -> Int
    func setMode(_ path: String, _ mode: UInt32) throws(FileError)
    /// Follows no link.
    func setMode(in directory: Int32, _ name: String, _ mode: UInt32) throws(FileError)
    /// Sets the modification time to now.
    func touch(_ path: String) throws(FileError)
    func setModified(_ descriptor: Int32, _ time: Date, path: String) throws(FileError)
    /// Other hosts change its files too, and a client remembers sizes for a while (GlusterFS: a second). Then `tryLock` and
    /// `tryLockRange` end with a change of the file's times, whose answer tells the size as it is: who holds a lock sees what
    /// its last holder wrote. Names may still be old: only calls that change a name are judged by the server.
    var isShared: Bool { get }
    /// flock, exclusive; never blocks (`waitForLock` waits). - Returns: false when another open file holds it.
    func tryLock(_ descriptor: Int32, path: String) throws(FileError) -> Bool
    /// An exclusive open-file-description lock of a byte range. - Returns: as `tryLock`.
    func tryLockRange(_ descriptor: Int32, start: Int64, length: Int64, path: String) throws(FileError) -> Bool
    func unlockRange(_ descriptor: Int32, start: Int64, length: Int64, path: String) throws(FileError)
    /// Bytes free to this process, and in all.
    func space(_ path: String) throws(FileError) -> (free: Int, total: Int)
    /// Bytes and inodes in use on the whole file system of an open file, those of open files without a name too.
    func usage(of descriptor: Int32, path: String) throws(FileError) -> (bytes: Int, inodes: Int)
    /// Files that can still be made on the file system the path is on; nil where it has no such bound.
    func freeInodes(_ path: String) throws(FileError) -> Int?
}

extension FileSystem {
    public var isShared: Bool { false }

    public func exchange(in directory: Int32, _ name: String, _ other: String) throws(FileError) {
        throw FileError(code: .unsupported, operation: "exchange", path: name)
    }
    public func freeInodes(_ path: String) throws(FileError) -> Int? { nil }

    public func list(descriptor: Int32, path: String) throws(FileError) -> [DirectoryEntry] {
        try entries(descriptor: descriptor, path: path).named
    }

    public func syncAll(_ descriptor: Int32, path: String) throws(FileError) { try syncAll(path) }

    public func forEachEntry(_ path: String, _ body: (DirectoryEntry) -> Bool) throws(FileError) {
        for entry in try list(path) where !body(entry) { return }
    }

    public func open(_ path: String, _ flags: OpenFlags) throws(FileError) -> Int32 {
        try open(path, flags, mode: 0o600)
    }

    public func rename(_ from: String, _ to: String) throws(FileError) { try rename(from, to, replace: true) }
}
