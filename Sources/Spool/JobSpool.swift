// The durable queue: a directory. Any number of processes may open the same one; every method may be called from any
// thread and blocks for the disk only. States, commit points and recovery rules: docs/job-states.md.

import DurableFiles
import Foundation
import Synchronization

/// What happened in this process; other processes are heard through inotify and scans.
public enum SpoolEvent: Sendable {
    case queued(JobFileName)
    case finished(JobID)
    case cancelRequested(JobID)
    case paused
    case resumed
}

public final class JobSpool: Sendable {
    public let layout: SpoolLayout
    public let files: any FileSystem
    public let now: @Sendable () -> Date
    let syncer: DirectorySyncer
    let ownNews = OwnNews()
    private let knownFolders = Mutex<Set<String>>([])
    /// Folders inside queued/, as scans have seen them: looking a file up must not list a million others.
    private let queuedShards = Mutex<Set<String>>([])
    private let listeners = Mutex<[@Sendable (SpoolEvent) -> Void]>([])

    /// Crashes a suspect may have while it runs alone among suspects; with the one that made it a suspect, the next buries.
    public static let countedCrashesToBury = 3

    /// Opens a spool, making what folders are missing, and checks that file locks exclude each other there.
    ///
    /// - Parameter root: the spool directory.
    /// - Throws: `.unusable` when locks do not work; `.storage`.
    public init(
        root: String, files: any FileSystem = LinuxFileSystem(), now: @escaping @Sendable () -> Date = { Date() }
    ) throws(SpoolError) {
        layout = SpoolLayout(root: root)
        self.files = files
        self.now = now
        syncer = DirectorySyncer(files: files)
        try stored { () throws(FileError) in
            for folder in Folder.allCases { try files.ensureDirectory(layout.path(folder), mode: 0o750) }
            try files.ensureDirectory(layout.cancelFolder, mode: 0o750)
        }
        try checkLocks()
    }

    /// Two opens of one file must exclude each other by both kinds of lock, in one process.
    private func checkLocks() throws(SpoolError) {
        let path = layout.path(.tmp, TemporaryNames.next(for: "lock-check"))
        let works = try stored { () throws(FileError) -> Bool in
            defer {
                // Leftovers of a crash are swept with the other temporary files.
                try? files.remove(path)
            }
            let first = try files.open(path, [.read, .write, .create])
            defer { files.closeQuietly(first) }
            let second = try files.open(path, [.read, .write])
            defer { files.closeQuietly(second) }
            guard try files.lock(first, wait: false, path: path) else { return false }
            guard try !files.lock(second, wait: false, path: path) else { return false }
            guard try files.lockRange(first, start: 0, length: 1, wait: false, path: path) else { return false }
            return try !files.lockRange(second, start: 0, length: 1, wait: false, path: path)
        }
        guard works else {
            throw SpoolError(
                .unusable,
                "File locks do not exclude each other in \(layout.root); use a local file system, or "
                    + "mount the shared one with cluster-wide locks (docs/operations.md).")
        }
    }

    // MARK: Listeners

    /// Called on the thread where it happened, without any lock held; must be quick.
    public func addListener(_ listener: @escaping @Sendable (SpoolEvent) -> Void) {
        listeners.withLock { $0.append(listener) }
    }

    /// Whether this name, heard of by inotify, is in queued/ because this process put it there: its listeners are told
    /// when it can be claimed. Asked once per notification.
    public func isOwnNews(_ name: JobFileName) -> Bool { ownNews.take(name) }

    func notify(_ event: SpoolEvent) {
        for listener in listeners.withLock({ $0 }) { listener(event) }
    }

    // MARK: Folders made on demand

    private static let knownFoldersBound = 4_096

    /// mkdir -p with each new entry fsynced; remembers what it has seen.
    func ensureFolder(_ path: String) throws(FileError) {
        if path == layout.root || knownFolders.withLock({ $0.contains(path) }) { return }
        let parent = PathParts.split(path).folder
        try ensureFolder(parent)
        try files.ensureDirectory(path, mode: 0o750)
        // Who made it may not have synced its entry yet, or have died before.
        try syncer.sync(parent)
        knownFolders.withLock {
            if $0.count >= JobSpool.knownFoldersBound { $0.removeAll() }
            $0.insert(path)
        }
    }

    func noteShard(_ path: String) { queuedShards.withLock { _ = $0.insert(path) } }
    var shards: Set<String> { queuedShards.withLock { $0 } }

    /// A folder that was there is gone (pruned, removed by hand).
    func forgetFolder(_ path: String) {
        knownFolders.withLock { _ = $0.remove(path) }
    }
}
