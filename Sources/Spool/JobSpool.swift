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
    /// The shared log cannot be checkpointed, which is tried again: nothing is lost, the log grows.
    case checkpointFailed(FileError)
}

public final class JobSpool: Sendable {
    public let layout: SpoolLayout
    public let files: any FileSystem
    public let now: @Sendable () -> Date
    let syncer: DirectorySyncer
    let folders: SpoolFolders
    /// What opening the spool has found in the way.
    public let setAsideAtStart: [SetAside]
    let ownNews = OwnNews()
    /// nil: every file is synced by itself.
    let log: SharedLog?
    /// What the last start found in the logs of processes that had died.
    public let replayed: ReplayReport
    private let knownFolders = Mutex<Set<String>>([])
    private let shardFolders = ShardFolders()
    /// Shards of order/ that were missing when no job of theirs waited or ran: made without a look at all names.
    let emptyOrderShards = Mutex<Set<String>>([])
    /// Folders inside queued/, as scans have seen them: looking a file up must not list a million others.
    private let queuedShards = Mutex<Set<String>>([])
    private let listeners = Mutex<[@Sendable (SpoolEvent) -> Void]>([])

    /// Crashes a suspect may have while it runs alone among suspects; with the one that made it a suspect, the next buries.
    public static let countedCrashesToBury = 3

    /// How what is acknowledged becomes durable.
    public enum Durability: Sendable {
        /// Each file and folder is synced by itself: for short-lived processes and file systems without syncfs.
        case files
        /// One log for all threads of the process; `close` ends it.
        case sharedLog
    }

    /// Opens a spool, making what folders are missing, checks that file locks exclude each other there, and replays the
    /// logs of processes that have died: before this returns nothing of it can be claimed.
    ///
    /// - Parameter root: the spool directory.
    /// - Throws: `.unusable` when locks do not work; `.storage`.
    public convenience init(
        root: String, files: any FileSystem = LinuxFileSystem(), durability: Durability = .files,
        now: @escaping @Sendable () -> Date = { Date() }
    ) throws(SpoolError) {
        try self.init(root: root, files: files, durability: durability, bounds: SharedLog.Bounds(), now: now)
    }

    init(
        root: String, files: any FileSystem, durability: Durability, bounds: SharedLog.Bounds,
        now: @escaping @Sendable () -> Date
    ) throws(SpoolError) {
        let layout = SpoolLayout(root: root)
        self.layout = layout
        self.files = files
        self.now = now
        syncer = DirectorySyncer(files: files)
        let folders = SpoolFolders(layout: layout, files: files)
        self.folders = folders
        try stored { () throws(FileError) in
            for folder in Folder.allCases { try folders.restore(layout.path(folder)) }
            try folders.restore(layout.cancelFolder)
        }
        try JobSpool.checkLocks(layout, files)
        let opened = try LogReplay(layout: layout, files: files, folders: folders, now: now).run(opening: durability, bounds)
        log = opened.log
        replayed = opened.report
        setAsideAtStart = folders.unheard
        if let log, bounds.isAutomatic {
            JobSpool.startCheckpoints(of: log) { [weak self] error in self?.notify(.checkpointFailed(error)) }
        }
    }

    /// Ends the shared log: what it holds is made durable in the files themselves. Nothing may be submitted or claimed any
    /// more. Without this the next process to open the spool does it.
    public func close() throws(SpoolError) {
        try stored { () throws(FileError) in try log?.close() }
    }

    /// The thread lives as long as the log.
    private static func startCheckpoints(of log: SharedLog, _ onFailure: @escaping @Sendable (FileError) -> Void) {
        let thread = Thread {
            var isFailing = false
            while true {
                let due = log.waitForCheckpoint()
                guard due != .never else { return }
                do throws(FileError) {
                    if due == .segment { try log.prepare() } else { try log.checkpoint(scrubbing: due == .time) }
                    isFailing = false
                } catch {
                    // The segments stay: nothing is lost, and the next try may succeed. Said once.
                    if !isFailing { onFailure(error) }
                    isFailing = true
                    log.rest(until: Date().addingTimeInterval(1))
                }
            }
        }
        thread.name = "spool-log"
        thread.start()
    }

    /// Two opens of one file must exclude each other by both kinds of lock, in one process.
    private static func checkLocks(_ layout: SpoolLayout, _ files: any FileSystem) throws(SpoolError) {
        let path = layout.path(.tmp, TemporaryNames.next(for: "lock-check"))
        var reason = "File locks do not exclude each other"
        do throws(FileError) {
            if try doLocksExclude(path, files) { return }
        } catch {
            // ENOSYS, ENOLCK and their like are this file system's answer to the lock, not trouble with a file.
            guard error.operation == "flock" || error.operation == "lock range" else { throw SpoolError(error) }
            reason = "File locks do not work (\(error))"
        }
        throw SpoolError(
            .unusable,
            "\(reason) in \(layout.root); use a local file system, or mount the shared one with cluster-wide locks "
                + "(docs/operations.md).")
    }

    private static func doLocksExclude(_ path: String, _ files: any FileSystem) throws(FileError) -> Bool {
        defer {
            // Leftovers of a crash are swept with the other temporary files.
            try? files.remove(path)
        }
        let first = try files.open(path, [.read, .write, .create])
        defer { files.closeQuietly(first) }
        let second = try files.open(path, [.read, .write])
        defer { files.closeQuietly(second) }
        guard try files.tryLock(first, path: path) else { return false }
        guard try !files.tryLock(second, path: path) else { return false }
        guard try files.tryLockRange(first, start: 0, length: 1, path: path) else { return false }
        return try !files.tryLockRange(second, start: 0, length: 1, path: path)
    }

    /// Whether a file can be written in the spool just now: false on a full, failing or read-only disk.
    public func takesWrites() -> Bool {
        let path = layout.path(.tmp, TemporaryNames.next(for: "probe"))
        defer {
            // What cannot be removed now is swept with the other temporary files.
            try? files.remove(path)
        }
        do throws(FileError) {
            // A page, not a byte: on some file systems the last bytes fit into the inode.
            try withFolder(layout.path(.tmp)) { () throws(FileError) in
                try files.createSynced(path, [UInt8](repeating: 0, count: 4_096))
            }
            return true
        } catch {
            return false
        }
    }

    // MARK: Listeners

    /// Called on the thread where it happened, without any lock held; must be quick.
    public func addListener(_ listener: @escaping @Sendable (SpoolEvent) -> Void) {
        listeners.withLock { $0.append(listener) }
    }

    /// Called when something that is none of ours stood in the way and was moved into aside/. One listener at a time.
    public func onSetAside(_ listener: @escaping @Sendable (SetAside) -> Void) { folders.listen(listener) }

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
        try makeFolder(path, syncLast: true)
        // Who made it may not have synced its entry yet, or have died before.
        try syncer.sync(parent)
        knownFolders.withLock {
            if $0.count >= JobSpool.knownFoldersBound { $0.removeAll() }
            $0.insert(path)
        }
    }

    /// A folder below one that is there; what else is in its place is set aside.
    private func makeFolder(_ path: String, syncLast: Bool) throws(FileError) {
        do throws(FileError) {
            try files.ensureDirectory(path, mode: 0o750, syncLast: syncLast)
        } catch {
            guard error.code == .notDirectory else { throw error }
            try restoreFolder(path)
        }
    }

    /// Runs a call that needs a folder of the spool: where the folder has been removed, or something else is in its place, it
    /// is made again first.
    public func withFolder<Value>(_ folder: String, _ body: () throws(FileError) -> Value) throws(FileError) -> Value {
        do throws(FileError) {
            return try body()
        } catch {
            guard error.code == .notFound || error.code == .notDirectory, try restoreFolder(folder) else { throw error }
            return try body()
        }
    }

    /// Opens a file of the spool that is not a job's; what stands in its place and is no file is set aside first.
    public func openFile(_ path: String, _ flags: OpenFlags) throws(FileError) -> Int32 { try folders.open(path, flags) }

    /// Moves something that is in the way, or stands where nothing of its kind belongs, into aside/.
    /// - Parameter place: relative to the spool.
    @discardableResult
    public func setAside(_ place: String) throws(SpoolError) -> SetAside {
        try stored { () throws(FileError) in try folders.setAside("\(layout.root)/\(place)") }
    }

    /// - Returns: false when the folder was there.
    @discardableResult
    public func restoreFolder(_ folder: String) throws(FileError) -> Bool {
        guard try folders.restore(folder) else { return false }
        // Others may be gone with it.
        knownFolders.withLock { $0.removeAll() }
        shardFolders.forgetAll()
        return true
    }

    func noteShard(_ path: String) { queuedShards.withLock { _ = $0.insert(path) } }
    var shards: Set<String> { queuedShards.withLock { $0 } }

    /// A folder that was there is gone (pruned, removed by hand).
    func forgetFolder(_ path: String) {
        knownFolders.withLock { _ = $0.remove(path) }
        shardFolders.forgetAll()
    }

    /// The folder of a job's record (`.status`) or of its finished job file (`.done`), its entry on disk.
    func ensureShard(_ folder: Folder, _ id: JobID) throws(FileError) {
        if shardFolders.isKnown(folder, id) { return }
        let day = "\(layout.path(folder))/\(id.day)"
        try ensureFolder(day)
        // Syncs the entry of every folder above that it had to make; this one's even if another process has made it.
        try makeFolder("\(day)/\(id.shard)", syncLast: false)
        try syncer.sync(day)
        if shardFolders.note(folder, id) { makeShards(folder, id, day) }
    }

    /// A busy day: its other shards in one go. What fails here is made again by whoever needs it.
    private func makeShards(_ folder: Folder, _ id: JobID, _ day: String) {
        do throws(FileError) {
            for shard in 0..<256 {
                try files.ensureDirectory("\(day)/\(Hex.text(UInt64(shard), digits: 2))", mode: 0o750, syncLast: false)
            }
            try syncer.sync(day)
            shardFolders.noteAll(folder, id)
        } catch {
            // A full disk, say: the shards that do not stand stay unknown.
        }
    }

    func forgetShard(_ folder: Folder, _ id: JobID) {
        let day = "\(layout.path(folder))/\(id.day)"
        knownFolders.withLock { _ = $0.remove(day) }
        shardFolders.forget(folder, id)
    }
}
