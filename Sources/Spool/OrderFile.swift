// The order of one key: the ids admitted under it, and which of them have ended. docs/spool-format.md has the format.
// Two byte ranges of the file are locks: 0 is the append lock (brief), 1 the run lock (held while a job of the key runs).
// A file whose ids are all over is removed by somebody who holds both locks (`remove`): whoever gets a lock looks whether the
// path still names its file, and opens the new one where it does not.
// An OrderFile stays on the thread that opened it. Failure: SpoolError.storage.

import DurableFiles
import Foundation
import TextFormats

final class OrderFile {
    private let files: any FileSystem
    private let path: String
    private var descriptor: Int32
    private var isRunning = false

    private static let appendByte: Int64 = 0
    private static let runByte: Int64 = 1
    /// Bytes past which an order file without live entries is emptied.
    private static let emptyAbove = 4 << 10
    static let maximumSize = 64 << 20
    private static let flags: OpenFlags = [.read, .write, .append, .create]
    /// Times that a file is looked for which others keep removing.
    private static let looks = 100

    private init(path: String, descriptor: Int32, files: any FileSystem) {
        self.path = path
        self.descriptor = descriptor
        self.files = files
    }

    deinit { close() }

    /// Closing drops both locks.
    func close() {
        guard descriptor >= 0 else { return }
        files.closeQuietly(descriptor)
        descriptor = -1
    }

    static func open(_ path: String, _ files: any FileSystem) throws(SpoolError) -> OrderFile {
        try stored { () throws(FileError) in
            do throws(FileError) {
                return try opened(path, files)
            } catch {
                guard error.code == .notFound else { throw error }
                try files.ensureDirectory(PathParts.split(path).folder, mode: 0o750)
                return try opened(path, files)
            }
        }
    }

    /// - Parameter isNew: made if it is missing.
    /// - Throws: `.notFound` also when the folder is missing.
    static func opened(_ path: String, _ files: any FileSystem, isNew: Bool = true) throws(FileError) -> OrderFile {
        let flags = isNew ? flags : flags.subtracting(.create)
        return OrderFile(path: path, descriptor: try files.open(path, flags, mode: 0o640), files: files)
    }

    /// What is open is a file, and no larger than one that is read.
    func isReadable() throws(FileError) -> Bool {
        let status = try files.status(of: descriptor, path: path)
        return status.kind == .regular && status.size <= OrderFile.maximumSize
    }

    /// Whether the path still names the open file.
    private func isInPlace() throws(FileError) -> Bool {
        let mine = try files.status(of: descriptor, path: path)
        do throws(FileError) {
            let named = try files.status(path)
            return named.inode == mine.inode && named.device == mine.device
        } catch {
            if error.code == .notFound || error.code == .notDirectory { return false }
            throw error
        }
    }

    /// The file that the path names now. Drops the locks.
    private func reopen() throws(FileError) {
        files.closeQuietly(descriptor)
        descriptor = -1
        do throws(FileError) {
            descriptor = try files.open(path, OrderFile.flags, mode: 0o640)
        } catch {
            guard error.code == .notFound else { throw error }
            try files.ensureDirectory(PathParts.split(path).folder, mode: 0o750)
            descriptor = try files.open(path, OrderFile.flags, mode: 0o640)
        }
    }

    /// - Returns: false when a job of this key is running somewhere.
    func takeRunLock() throws(SpoolError) -> Bool {
        try stored { () throws(FileError) in
            for _ in 0..<OrderFile.looks {
                guard try files.tryLockRange(descriptor, start: OrderFile.runByte, length: 1, path: path) else {
                    return false
                }
                if try isInPlace() {
                    isRunning = true
                    return true
                }
                try reopen()
            }
            throw FileError(code: .wouldBlock, operation: "lock range", path: path)
        }
    }

    private func withAppendLock<Value>(_ body: () throws(FileError) -> Value) throws(SpoolError) -> Value {
        try stored { () throws(FileError) in
            try takeAppendLock()
            defer { files.released(path) }
            let value: Value
            do throws(FileError) {
                value = try body()
            } catch {
                // Closing would drop it as well; the error of `body` is the one that matters.
                try? files.unlockRange(descriptor, start: OrderFile.appendByte, length: 1, path: path)
                throw error
            }
            try files.unlockRange(descriptor, start: OrderFile.appendByte, length: 1, path: path)
            return value
        }
    }

    private func takeAppendLock() throws(FileError) {
        for _ in 0..<OrderFile.looks {
            try files.waitForLock(path) { () throws(FileError) in
                try files.tryLockRange(descriptor, start: OrderFile.appendByte, length: 1, path: path)
            }
            // Nobody removes the file of a key that has a running job, but by hand: the lock of that job is on this one.
            if isRunning { return }
            if try isInPlace() { return }
            try reopen()
        }
        throw FileError(code: .wouldBlock, operation: "lock range", path: path)
    }

    struct Content {
        /// Have not ended, in order.
        var live: [JobID]
        /// Also those that have ended.
        var mentioned: Set<JobID>
        /// When the file was last written to.
        var changed: Date
    }

    /// Without a lock: it may change at once.
    func look() throws(SpoolError) -> Content { try stored { () throws(FileError) in try content() } }

    private func content() throws(FileError) -> Content {
        let changed = try files.status(of: descriptor, path: path).modified
        let entries = try read()
        return Content(live: entries.live, mentioned: entries.mentioned, changed: changed)
    }

    /// Removes the file if its ids are over and no job of the key runs. Under both locks, so no id that comes meanwhile is lost.
    func remove(if isOver: (Content) throws(FileError) -> Bool) throws(SpoolError) -> Bool {
        guard try takeRunLock() else { return false }
        return try withAppendLock { () throws(FileError) in
            guard try isOver(content()) else { return false }
            try files.remove(path)
            return true
        }
    }

    /// The lines that admit these ids.
    static func lines(_ ids: [JobID]) -> [UInt8] {
        ids.flatMap { (["id": .string($0.description)] as JSON).bytes() + [0x0A] }
    }

    /// Puts the id at the end, unless it stands there already.
    /// - Parameter sync: on disk when this returns, with the folder's entry of a new file.
    /// - Returns: where its line begins; nil when it stood there.
    @discardableResult
    func admit(_ id: JobID, sync: Bool = true) throws(SpoolError) -> Int? {
        try withAppendLock { () throws(FileError) in
            let entries = try read()
            guard !entries.live.contains(id) else { return nil }
            try write(["id": .string(id.description)], after: entries)
            if sync { try synced(isNew: entries.size == 0) }
            return entries.size
        }
    }

    private func synced(isNew: Bool) throws(FileError) {
        try files.dataSync(descriptor, path: path)
        if isNew { try files.syncDirectory(PathParts.split(path).folder) }
    }

    /// As `admit` does by itself, for an id that was put there without.
    func sync() throws(SpoolError) {
        try stored { () throws(FileError) in try synced(isNew: true) }
    }

    /// After a power cut: puts back ids that are not mentioned any more, in the order given.
    func restore(_ ids: [JobID]) throws(SpoolError) {
        try withAppendLock { () throws(FileError) in
            var entries = try read()
            for id in ids where !entries.mentioned.contains(id) {
                try write(["id": .string(id.description)], after: entries)
                entries = try read()
            }
        }
    }

    /// The ids that have not ended, in the order they were admitted.
    func live() throws(SpoolError) -> [JobID] {
        try withAppendLock { () throws(FileError) in try read().live }
    }

    /// Notes that these ids no longer count. Not synced: who finds an id that has ended by its status file skips it.
    func end(_ ids: [JobID]) throws(SpoolError) {
        try withAppendLock { () throws(FileError) in
            var entries = try read()
            for id in ids where entries.live.contains(id) {
                try write(["end": .string(id.description)], after: entries)
                entries = try read()
            }
            if entries.live.isEmpty, entries.size > OrderFile.emptyAbove {
                try files.truncate(descriptor, to: 0, path: path)
            }
        }
    }

    private struct Entries {
        var live: [JobID]
        /// Also those that have ended.
        var mentioned: Set<JobID>
        var size: Int
        var isTorn: Bool
    }

    private func read() throws(FileError) -> Entries {
        let bytes = try files.readAll(descriptor, maxBytes: OrderFile.maximumSize, path: path)
        // Zeros are content that this client of a shared file system has not got yet: ids would be missing.
        if files.isShared, bytes.contains(0) {
            throw FileError(code: .wouldBlock, operation: "read up to date", path: path)
        }
        var live: [JobID] = []
        var mentioned: Set<JobID> = []
        StatusFile.eachLine(in: bytes[...]) { range in
            // A torn or foreign line names no id and is skipped.
            guard let json = try? JSON.parse(Array(bytes[range])) else { return }
            if let id = json["id"]?.string.flatMap(JobID.init) {
                mentioned.insert(id)
                if !live.contains(id) { live.append(id) }
            } else if let id = json["end"]?.string.flatMap(JobID.init) {
                mentioned.insert(id)
                live.removeAll { $0 == id }
            }
        }
        return Entries(live: live, mentioned: mentioned, size: bytes.count, isTorn: !bytes.isEmpty && bytes.last != 0x0A)
    }

    private func write(_ object: JSON, after entries: Entries) throws(FileError) {
        let newline: [UInt8] = [0x0A]
        try files.writeAll(
            descriptor, (entries.isTorn ? newline : []) + object.bytes() + newline, path: path)
    }
}
