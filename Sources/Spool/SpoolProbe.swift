// Whether a job would be taken in just now, found out by doing what an admission does: make, lock, write, sync and rename a
// file in the folders it uses, and write and sync a page of the shared log. One file serves all probes of a process and goes
// from folder to folder, so that no probe makes or frees an inode. At rest the file is a hidden one in tmp/.
//
// One thread at a time. It blocks as long as the disk does. Failure: SpoolError `storage`, its detail names the step.

import DurableFiles
import Foundation
import Synchronization

public final class SpoolProbe: Sendable {
    /// Bytes that must be free before new work is promised.
    public static let minimumFreeSpace = 16 << 20
    /// Bytes written; on some file systems the last bytes of a smaller file fit into the inode.
    private static let size = 4_096

    private let spool: JobSpool
    private let name = TemporaryNames.next(for: "ready")
    private let current = Mutex<String?>(nil)

    public init(_ spool: JobSpool) { self.spool = spool }

    /// What is being tried; nil between probes. Any thread: for whoever waits for a disk that does not answer.
    public var step: String? { current.withLock { $0 } }

    private var layout: SpoolLayout { spool.layout }
    private var files: any FileSystem { spool.files }

    public func run() throws(SpoolError) {
        defer { current.withLock { $0 = nil } }
        let home = layout.path(.tmp, name)
        try checkRoom()
        try tried("find its folders") { () throws(FileError) in
            for folder in [Folder.tmp, .queued, .status, .order, .keys] { try spool.restoreFolder(layout.path(folder)) }
        }
        let descriptor = try tried("make a file in tmp/") { () throws(FileError) in
            try files.open(home, [.read, .write, .append, .create], mode: 0o640)
        }
        defer { files.closeQuietly(descriptor) }
        try tried("lock a file") { () throws(FileError) in
            guard try files.tryLock(descriptor, path: home),
                try files.tryLockRange(descriptor, start: 0, length: 1, path: home)
            else { throw FileError(code: .wouldBlock, operation: "flock", path: home) }
        }
        try tried("write a file") { () throws(FileError) in
            // Given back first, so that room is asked for each time.
            try files.truncate(descriptor, to: 0, path: home)
            try files.writeAll(descriptor, [UInt8](repeating: 0, count: Self.size), path: home)
        }
        try tried("sync a file") { () throws(FileError) in
            try files.dataSync(descriptor, path: home)
            try files.sync(descriptor, path: home)
        }
        try moveAround(home)
        tryLog()
    }

    /// A clean end: nothing stays behind.
    public func end() {
        // A file that stays is swept with the other temporary files.
        try? files.remove(layout.path(.tmp, name))
    }

    private func tried<Value>(_ step: String, _ body: () throws(FileError) -> Value) throws(SpoolError) -> Value {
        current.withLock { $0 = step }
        do throws(FileError) {
            return try body()
        } catch {
            throw SpoolError(.storage, "the spool cannot \(step): \(error)", file: error)
        }
    }

    private func checkRoom() throws(SpoolError) {
        let (free, inodes) = try tried("be asked for its room") { () throws(FileError) in
            (try files.space(layout.root).free, try files.freeInodes(layout.root))
        }
        guard free >= Self.minimumFreeSpace else {
            throw SpoolError(.storage, "only \(free >> 20) MiB are free in the spool")
        }
        guard inodes != 0 else { throw SpoolError(.storage, "the spool's file system can hold no more files") }
    }

    /// Through all folders an admission writes to: one of them may be closed to us, or be another file system.
    private func moveAround(_ home: String) throws(SpoolError) {
        var here = home
        for (words, folder) in try folders() {
            let there = "\(folder)/\(name)"
            try tried("move a file into \(words)") { () throws(FileError) in
                try files.rename(here, there)
                try files.syncDirectory(folder)
            }
            here = there
        }
        try tried("move a file into tmp/") { () throws(FileError) in
            // As idempotency keys are made: a name that is taken is not replaced.
            try files.rename(here, home, replace: false)
        }
    }

    private func folders() throws(SpoolError) -> [(words: String, path: String)] {
        let day = JobID.make(now: spool.now()).day
        let today = "\(layout.path(.status))/\(day)"
        let isThere = try tried("find the folder of today's records") { () throws(FileError) in try files.exists(today) }
        return [
            ("queued/", layout.path(.queued)), ("status/", layout.path(.status)),
            isThere ? ("status/\(day)/", today) : nil, ("order/", layout.path(.order)), ("keys/", layout.path(.keys)),
        ].compactMap { $0 }
    }

    /// A log that refuses is no reason to say no: an admission then syncs its files one by one, as was just done. A log that
    /// does not answer is: an admission would wait for it.
    private func tryLog() {
        guard let log = spool.log else { return }
        current.withLock { $0 = "write the shared log" }
        try? log.probe()
    }
}
