// Tells waiters that a job's status file may have changed. One thread for all of them: inotify on the folders of the
// watched files, the spool's own events, and a slow look at each file where neither reaches (another host, a lost
// event). Callbacks come on that thread or on one that changes a job in this process: they must be quick and not block.
// Failure: none. Where inotify is not to be had, looking remains.

import DurableFiles
import Foundation
import Spool
import Synchronization

/// Ends a watch when it is cancelled or given up.
public final class WatchHandle: Sendable {
    private let end: @Sendable () -> Void

    init(_ end: @escaping @Sendable () -> Void) { self.end = end }

    deinit { end() }

    /// No callback begins after this returns on the watcher's thread; one that runs elsewhere may still be ending.
    public func cancel() { end() }
}

public final class StatusWatcher: Sendable {
    /// Seconds between looks at the watched files.
    private static let lookInterval: TimeInterval = 1
    /// The same while nobody waits: only to notice that the watcher itself was given up.
    private static let idleInterval: TimeInterval = 10
    /// The same where there is no inotify.
    private static let blindInterval: TimeInterval = 0.1

    private struct Watched {
        var waiters: [UInt64: @Sendable () -> Void] = [:]
        /// The inotify watch of the file's folder; nil while that folder does not exist.
        var folder: Int32?
        /// Bytes at the last look.
        var size = 0
    }

    private struct State {
        var jobs: [JobID: Watched] = [:]
        /// How many watched files lie in each watched folder.
        var folders: [Int32: Int] = [:]
        var nextWaiter: UInt64 = 0
        var isStopped = false
    }

    private let spool: JobSpool
    private let watch: DirectoryWatch?
    private let bell = NSCondition()
    private let state = Mutex(State())
    private let thread = ServiceThread()

    public init(spool: JobSpool) {
        self.spool = spool
        // Out of inotify instances: looking every 100 ms serves as well, if less quickly.
        watch = DirectoryWatch.seeing()
        spool.addListener { [weak self] event in self?.heard(event) }
        let body = WatcherBody(self)
        thread.start("status-watcher") { body.run() }
    }

    /// Ends the thread. Waiters are no longer told; API waits have time limits of their own.
    public func stop() {
        state.withLock { $0.isStopped = true }
        wake()
        thread.join()
    }

    private func wake() {
        watch?.wake()
        bell.lock()
        bell.broadcast()
        bell.unlock()
    }

    /// Calls `changed` after every change of the job's status file, several changes at once counting as one, until the
    /// handle is cancelled. The file need not exist yet. A change just before the call may be missed: look after it.
    public func watch(_ id: JobID, _ changed: @escaping @Sendable () -> Void) -> WatchHandle {
        let size = fileSize(id)
        let waiter = state.withLock { state in
            state.nextWaiter += 1
            var watched = state.jobs[id] ?? Watched(size: size)
            watched.waiters[state.nextWaiter] = changed
            // Under the lock, so that nobody gives up the same folder in between.
            take(addFolder(id), for: &watched, &state)
            state.jobs[id] = watched
            return state.nextWaiter
        }
        // The thread may be in its long wait because nobody was watching.
        wake()
        return WatchHandle { [weak self] in self?.end(id, waiter) }
    }

    private func end(_ id: JobID, _ waiter: UInt64) {
        state.withLock { state in
            guard state.jobs[id]?.waiters.removeValue(forKey: waiter) != nil else { return }
            guard state.jobs[id]?.waiters.isEmpty == true else { return }
            if let folder = state.jobs.removeValue(forKey: id)?.folder { release(folder, &state) }
        }
    }

    // MARK: - Folders

    /// The watch of the folder the file is in. Asking again for a folder gives the same number.
    private func addFolder(_ id: JobID) -> Int32? {
        // The folder may not exist yet, or the watches may be used up: then looking finds the change.
        try? watch?.add(spool.layout.statusFolder(id), [.modified, .created, .movedIn, .deleted])
    }

    private func take(_ folder: Int32?, for watched: inout Watched, _ state: inout State) {
        guard let folder, watched.folder != folder else { return }
        watched.folder = folder
        state.folders[folder, default: 0] += 1
    }

    private func release(_ folder: Int32, _ state: inout State) {
        let left = state.folders[folder, default: 1] - 1
        state.folders[folder] = left > 0 ? left : nil
        if left <= 0 { watch?.remove(folder) }
    }

    private func fileSize(_ id: JobID) -> Int {
        // Not there: no bytes.
        (try? spool.files.status(spool.layout.statusPath(id)).size) ?? 0
    }

    // MARK: - Changes

    private func heard(_ event: SpoolEvent) {
        switch event {
        case .queued(let name): tell([name.id])
        case .finished(let id), .cancelRequested(let id): tell([id])
        case .paused, .resumed, .checkpointFailed: break
        }
    }

    private func tell(_ ids: Set<JobID>) {
        let callbacks = state.withLock { state in
            ids.flatMap { id in state.jobs[id].map { Array($0.waiters.values) } ?? [] }
        }
        for callback in callbacks { callback() }
    }

    /// One turn of the thread. - Returns: false when it shall end.
    fileprivate func turn() -> Bool {
        let (isStopped, isIdle) = state.withLock { ($0.isStopped, $0.jobs.isEmpty) }
        guard !isStopped else { return false }
        let changed: Set<JobID>
        if let watch {
            do throws(FileError) {
                changed = ids(of: try watch.wait(timeout: isIdle ? Self.idleInterval : Self.lookInterval))
            } catch {
                pause(Self.blindInterval)
                changed = []
            }
        } else {
            pause(isIdle ? Self.idleInterval : Self.blindInterval)
            changed = []
        }
        tell(changed.union(lookIfDue()))
        return true
    }

    private func pause(_ seconds: TimeInterval) {
        bell.lock()
        _ = bell.wait(until: Date(timeIntervalSinceNow: seconds))
        bell.unlock()
    }

    private func ids(of events: [DirectoryWatch.Event]) -> Set<JobID> {
        var ids: Set<JobID> = []
        for event in events {
            if event.isOverflow { return state.withLock { Set($0.jobs.keys) } }
            if event.isGone { forget(event.watch) }
            guard let name = event.name, name.hasSuffix(".jsonl"), let id = JobID(String(name.dropLast(6))) else {
                continue
            }
            ids.insert(id)
        }
        return ids
    }

    /// The folder was removed: its number may be given to another, so nobody keeps it.
    private func forget(_ folder: Int32) {
        state.withLock { state in
            guard state.folders.removeValue(forKey: folder) != nil else { return }
            for (id, watched) in state.jobs where watched.folder == folder { state.jobs[id]?.folder = nil }
        }
    }

    private let lastLook = Mutex(ContinuousClock.now)

    /// The safety net: sizes that grew without an event, and folders that have come into being since.
    private func lookIfDue() -> Set<JobID> {
        let interval = watch == nil ? Self.blindInterval : Self.lookInterval
        let isDue = lastLook.withLock { last in
            guard last.duration(to: .now) >= .seconds(interval) else { return false }
            last = .now
            return true
        }
        guard isDue else { return [] }
        var changed: Set<JobID> = []
        for (id, known) in state.withLock({ $0.jobs }) {
            let size = fileSize(id)
            if size != known.size { changed.insert(id) }
            guard size != known.size || known.folder == nil else { continue }
            state.withLock { state in
                guard var watched = state.jobs[id] else { return }
                watched.size = size
                if watched.folder == nil { take(addFolder(id), for: &watched, &state) }
                state.jobs[id] = watched
            }
        }
        return changed
    }
}

/// Keeps the thread from keeping the watcher.
private final class WatcherBody: Sendable {
    private let watcher: @Sendable () -> StatusWatcher?

    init(_ watcher: StatusWatcher) { self.watcher = { [weak watcher] in watcher } }

    func run() {
        while let watcher = watcher(), watcher.turn() {}
    }
}
