// The real file system. The only file in the project that makes file system calls.
// Stateless; any thread. EINTR is repeated here, every other failure becomes a FileError.

import CLinux
import Foundation
import Glibc
import Synchronization

public struct LinuxFileSystem: FileSystem {
    public let isShared: Bool

    /// - Parameter isShared: other hosts write there too (see `FileSystem.isShared`).
    public init(isShared: Bool = false) { self.isShared = isShared }

    /// For a folder that exists: shared unless it is on a local file system of this kernel.
    public static func suited(to folder: String) -> LinuxFileSystem {
        if case .local = FileSystemKind.of(folder) { return LinuxFileSystem() }
        return LinuxFileSystem(isShared: true)
    }

    private func flags(_ flags: OpenFlags) -> Int32 {
        var raw: Int32 = flags.contains(.followLinks) ? O_CLOEXEC : O_CLOEXEC | O_NOFOLLOW
        if flags.contains(.readWrite) { raw |= O_RDWR } else if flags.contains(.write) { raw |= O_WRONLY }
        if flags.contains(.append) { raw |= O_APPEND }
        if flags.contains(.create) { raw |= O_CREAT }
        if flags.contains(.exclusive) { raw |= O_EXCL }
        if flags.contains(.directory) { raw |= O_DIRECTORY }
        if flags.contains(.nonBlocking) { raw |= O_NONBLOCK }
        if flags.contains(.truncate) { raw |= O_TRUNC }
        if flags.contains(.direct) { raw |= nb_o_direct() }
        return raw
    }

    /// Repeats a call that a signal cut short; any other -1 becomes an error.
    private func check(
        _ operation: String, _ path: String, _ call: () -> Int
    ) throws(FileError) -> Int {
        while true {
            let result = call()
            if result >= 0 { return result }
            let code = errno
            if code != EINTR { throw FileError(errno: code, operation: operation, path: path) }
        }
    }

    @discardableResult
    private func check(_ operation: String, _ path: String, _ call: () -> Int32) throws(FileError) -> Int32 {
        Int32(try check(operation, path) { Int(call()) })
    }

    private func checkedName(_ path: String, _ operation: String) throws(FileError) {
        // A NUL would silently end the path for the kernel.
        let hasNUL = path.utf8.withContiguousStorageIfAvailable { memchr($0.baseAddress!, 0, $0.count) != nil }
        if hasNUL ?? path.utf8.contains(0) { throw FileError(code: .invalid, operation: operation, path: path) }
    }

    public func open(_ path: String, _ flags: OpenFlags, mode: UInt32) throws(FileError) -> Int32 {
        try checkedName(path, "open")
        let raw = self.flags(flags)
        return try check("open", path) { Glibc.open(path, raw, mode_t(mode)) }
    }

    public func openBeneath(
        _ directory: Int32, _ path: String, _ flags: OpenFlags, mode: UInt32
    ) throws(FileError) -> Int32 {
        try checkedName(path, "openat2")
        let raw = self.flags(flags)
        do {
            return try check("openat2", path) { nb_open_beneath(directory, path, raw, mode) }
        } catch {
            // The kernel answers EXDEV for a path that would leave the folder.
            if error.errno == EXDEV { throw FileError(code: .escapes, operation: "openat2", path: path, errno: EXDEV) }
            throw error
        }
    }

    public func close(_ descriptor: Int32, path: String) throws(FileError) {
        // Never repeated: on Linux the descriptor is gone even after EINTR.
        if Glibc.close(descriptor) != 0, errno != EINTR {
            throw FileError(errno: errno, operation: "close", path: path)
        }
    }

    public func read(
        _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: Int, path: String
    ) throws(FileError) -> Int {
        try check("read", path) { () -> Int in pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset)) }
    }

    public func write(
        _ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int?, path: String
    ) throws(FileError) -> Int {
        try check("write", path) { () -> Int in
            guard let offset else { return Glibc.write(descriptor, bytes.baseAddress, bytes.count) }
            return pwrite(descriptor, bytes.baseAddress, bytes.count, off_t(offset))
        }
    }

    public func sync(_ descriptor: Int32, path: String) throws(FileError) {
        try check("fsync", path) { fsync(descriptor) }
    }

    public func dataSync(_ descriptor: Int32, path: String) throws(FileError) {
        try check("fdatasync", path) { fdatasync(descriptor) }
    }

    /// Queues of the kernel's asynchronous I/O that are not in use: making one costs more than a write.
    private static let queues = Mutex<[UInt]>([])

    public func beginSyncedWrite(
        _ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int, path: String
    ) throws(FileError) -> SyncedWrite {
        var queue = Self.queues.withLock { $0.popLast() } ?? 0
        do throws(FileError) {
            if queue == 0 { try check("io_setup", path) { nb_io_setup(&queue) } }
            try check("io_submit", path) {
                nb_io_submit_write(queue, descriptor, bytes.baseAddress, UInt(bytes.count), Int64(offset))
            }
        } catch {
            if queue != 0 { Self.queues.withLock { $0.append(queue) } }
            throw error
        }
        return SyncedWrite(descriptor: descriptor, count: bytes.count, queue: queue)
    }

    public func endSyncedWrite(_ write: SyncedWrite, path: String) throws(FileError) {
        defer { Self.queues.withLock { $0.append(write.queue) } }
        let written = try check("write", path) { nb_io_wait(write.queue) }
        guard written == write.count else { throw FileError(code: .io, operation: "write", path: path) }
    }

    public func syncAll(_ path: String) throws(FileError) {
        let descriptor = try open(path, [.read, .directory], mode: 0)
        defer { Glibc.close(descriptor) }
        try check("syncfs", path) { nb_syncfs(descriptor) }
    }

    public func syncAll(_ descriptor: Int32, path: String) throws(FileError) {
        try check("syncfs", path) { nb_syncfs(descriptor) }
    }

    public func truncate(_ descriptor: Int32, to size: Int, path: String) throws(FileError) {
        try check("ftruncate", path) { ftruncate(descriptor, off_t(size)) }
    }

    public func status(_ path: String) throws(FileError) -> FileStatus {
        try checkedName(path, "lstat")
        var raw = stat()
        try check("lstat", path) { lstat(path, &raw) }
        return FileStatus(raw)
    }

    public func status(of descriptor: Int32, path: String) throws(FileError) -> FileStatus {
        var raw = stat()
        try check("fstat", path) { fstat(descriptor, &raw) }
        return FileStatus(raw)
    }

    public func status(in directory: Int32, _ name: String) throws(FileError) -> FileStatus {
        try checkedName(name, "fstatat")
        var raw = stat()
        try check("fstatat", name) { fstatat(directory, name, &raw, AT_SYMLINK_NOFOLLOW) }
        return FileStatus(raw)
    }

    public func openParent(of directory: Int32, path: String) throws(FileError) -> Int32 {
        try check("open ..", path) { openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    }

    public func rename(_ from: String, _ to: String, replace: Bool) throws(FileError) {
        try rename(in: AT_FDCWD, from, to: AT_FDCWD, to, replace: replace)
    }

    public func exchange(in directory: Int32, _ name: String, _ other: String) throws(FileError) {
        try checkedName(name, "exchange")
        try checkedName(other, "exchange")
        do {
            try check("exchange", name) { nb_rename_exchange(directory, name, other) }
        } catch {
            guard error.code == .invalid else { throw error }
            throw FileError(code: .unsupported, operation: "exchange", path: name, errno: error.errno)
        }
    }

    public func rename(
        in directory: Int32, _ from: String, to otherDirectory: Int32, _ to: String, replace: Bool
    ) throws(FileError) {
        try checkedName(from, "rename")
        try checkedName(to, "rename")
        try check("rename", from) {
            replace
                ? renameat(directory, from, otherDirectory, to)
                : nb_rename_noreplace(directory, from, otherDirectory, to)
        }
    }

    public func remove(_ path: String) throws(FileError) {
        try checkedName(path, "unlink")
        try check("unlink", path) { unlink(path) }
    }

    public func remove(in directory: Int32, _ name: String, isDirectory: Bool) throws(FileError) {
        try checkedName(name, "unlinkat")
        try check("unlinkat", name) { unlinkat(directory, name, isDirectory ? AT_REMOVEDIR : 0) }
    }

    public func makeDirectory(_ path: String, mode: UInt32) throws(FileError) {
        try checkedName(path, "mkdir")
        try check("mkdir", path) { mkdir(path, mode_t(mode)) }
    }

    public func makeDirectory(in directory: Int32, _ name: String, mode: UInt32) throws(FileError) {
        try checkedName(name, "mkdirat")
        try check("mkdirat", name) { mkdirat(directory, name, mode_t(mode)) }
    }

    public func removeDirectory(_ path: String) throws(FileError) {
        try check("rmdir", path) { rmdir(path) }
    }

    public func list(_ path: String) throws(FileError) -> [DirectoryEntry] {
        let descriptor = try open(path, [.read, .directory], mode: 0)
        return try entries(owned: descriptor, path: path).named
    }

    public func unreadableNames(_ path: String) throws(FileError) -> Int {
        let descriptor = try open(path, [.read, .directory], mode: 0)
        return try entries(owned: descriptor, path: path).unreadable
    }

    public func entries(descriptor: Int32, path: String) throws(FileError) -> (named: [DirectoryEntry], unreadable: Int) {
        try entries(owned: try openedAnew(descriptor, path), path: path)
    }

    /// A fresh open of the same folder: a shared descriptor would share its reading position between threads.
    private func openedAnew(_ descriptor: Int32, _ path: String) throws(FileError) -> Int32 {
        try check("open", path) { openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    }

    public func nameUnreadable(in directory: Int32, path: String) throws(FileError) {
        let own = try openedAnew(directory, path)
        guard let stream = fdopendir(own) else {
            let code = errno
            Glibc.close(own)
            throw FileError(errno: code, operation: "opendir", path: path)
        }
        defer { closedir(stream) }
        // Renaming while reading may show an entry again: under its new name it is none of those.
        while let entry = readdir(stream) {
            let size = MemoryLayout.size(ofValue: entry.pointee.d_name)
            try withUnsafePointer(to: &entry.pointee.d_name) { (pointer) throws(FileError) in
                try pointer.withMemoryRebound(to: CChar.self, capacity: size) {
                    (name) throws(FileError) in
                    guard String(validatingCString: name) == nil else { return }
                    let readable = ".unreadable-" + String(UInt64.random(in: .min ... .max), radix: 36)
                    try check("renameat", path) { renameat(directory, name, directory, readable) }
                }
            }
        }
    }

    public func forEachEntry(_ path: String, _ body: (DirectoryEntry) -> Bool) throws(FileError) {
        let descriptor = try open(path, [.read, .directory], mode: 0)
        try read(owned: descriptor, path: path) { $0.map(body) ?? true }
    }

    private func entries(owned descriptor: Int32, path: String) throws(FileError)
        -> (named: [DirectoryEntry], unreadable: Int)
    {
        var entries: [DirectoryEntry] = []
        var unreadable = 0
        try read(owned: descriptor, path: path) { entry in
            if let entry { entries.append(entry) } else { unreadable += 1 }
            return true
        }
        return (entries, unreadable)
    }

    /// - Parameter body: gets nil for a name that is not UTF-8; returns false to stop.
    private func read(owned descriptor: Int32, path: String, _ body: (DirectoryEntry?) -> Bool) throws(FileError) {
        guard let stream = fdopendir(descriptor) else {
            let code = errno
            Glibc.close(descriptor)
            throw FileError(errno: code, operation: "opendir", path: path)
        }
        defer { closedir(stream) }
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                let code = errno
                if code != 0 { throw FileError(errno: code, operation: "readdir", path: path) }
                return
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(validating: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name != ".", name != ".." else { continue }
            let found = name.map {
                DirectoryEntry(name: $0, kind: FileKind(directoryType: Int(entry.pointee.d_type)))
            }
            guard body(found) else { return }
        }
    }

    public func setMode(_ path: String, _ mode: UInt32) throws(FileError) {
        try check("chmod", path) { chmod(path, mode_t(mode)) }
    }

    public func setMode(in directory: Int32, _ name: String, _ mode: UInt32) throws(FileError) {
        try checkedName(name, "fchmodat")
        try check("fchmodat", name) { fchmodat(directory, name, mode_t(mode), AT_SYMLINK_NOFOLLOW) }
    }

    public func touch(_ path: String) throws(FileError) {
        try check("utimensat", path) { utimensat(AT_FDCWD, path, nil, AT_SYMLINK_NOFOLLOW) }
    }

    public func setModified(_ descriptor: Int32, _ time: Date, path: String) throws(FileError) {
        let whole = time.timeIntervalSince1970.rounded(.down)
        let part = timespec(tv_sec: Int(whole), tv_nsec: Int((time.timeIntervalSince1970 - whole) * 1e9))
        let times = [part, part]
        try check("futimens", path) { futimens(descriptor, times) }
    }

    public func tryLock(_ descriptor: Int32, path: String) throws(FileError) -> Bool {
        do {
            try check("flock", path) { flock(descriptor, LOCK_EX | LOCK_NB) }
        } catch {
            if error.code == .wouldBlock { return false }
            throw error
        }
        if isShared { try look(descriptor, path) }
        return true
    }

    /// Whoever may write may set both times to now.
    private func look(_ descriptor: Int32, _ path: String) throws(FileError) {
        try check("futimens", path) { futimens(descriptor, nil) }
    }

    public func tryLockRange(
        _ descriptor: Int32, start: Int64, length: Int64, path: String
    ) throws(FileError) -> Bool {
        do {
            try check("lock range", path) { nb_ofd_lock(descriptor, 1, start, length) }
        } catch {
            if error.errno == EAGAIN || error.errno == EACCES { return false }
            throw error
        }
        if isShared { try look(descriptor, path) }
        return true
    }

    public func unlockRange(_ descriptor: Int32, start: Int64, length: Int64, path: String) throws(FileError) {
        try check("unlock range", path) { nb_ofd_lock(descriptor, 0, start, length) }
    }

    public func space(_ path: String) throws(FileError) -> (free: Int, total: Int) {
        var raw = statvfs()
        try check("statvfs", path) { statvfs(path, &raw) }
        return (Int(raw.f_bavail) * Int(raw.f_frsize), Int(raw.f_blocks) * Int(raw.f_frsize))
    }

    public func usage(of descriptor: Int32, path: String) throws(FileError) -> (bytes: Int, inodes: Int) {
        var raw = statvfs()
        try check("fstatvfs", path) { fstatvfs(descriptor, &raw) }
        return (Int(raw.f_blocks - raw.f_bfree) * Int(raw.f_frsize), Int(raw.f_files - raw.f_ffree))
    }

    public func freeInodes(_ path: String) throws(FileError) -> Int? {
        var raw = statvfs()
        try check("statvfs", path) { statvfs(path, &raw) }
        // Btrfs and others make inodes as they need them, and say 0 of 0.
        return raw.f_files == 0 ? nil : Int(raw.f_favail)
    }
}

extension FileStatus {
    init(_ raw: stat) {
        self.init(
            kind: FileKind(mode: raw.st_mode), size: Int(raw.st_size), modified: Date(raw.st_mtim),
            inode: UInt64(raw.st_ino), device: UInt64(raw.st_dev), links: Int(raw.st_nlink), owner: raw.st_uid,
            mode: UInt32(raw.st_mode & 0o7777), changed: Date(raw.st_ctim))
    }
}

extension Date {
    fileprivate init(_ time: timespec) {
        self.init(timeIntervalSince1970: Double(time.tv_sec) + Double(time.tv_nsec) / 1e9)
    }
}

extension FileKind {
    init(mode: mode_t) {
        switch mode & S_IFMT {
        case S_IFREG: self = .regular
        case S_IFDIR: self = .directory
        case S_IFLNK: self = .symlink
        case S_IFIFO: self = .fifo
        default: self = .other
        }
    }

    init(directoryType: Int) {
        switch directoryType {
        case Int(DT_REG): self = .regular
        case Int(DT_DIR): self = .directory
        case Int(DT_LNK): self = .symlink
        case Int(DT_FIFO): self = .fifo
        default: self = .other
        }
    }
}
