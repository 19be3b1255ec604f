// The one thread of a pool that looks around: what other processes put into queued/, who died in running/, what was
// cancelled or paused. Events of this process come through the spool's listener at once; inotify
// tells of others; a scan every 30 s finds what both missed. An idle spool wakes it twice a minute.

import DurableFiles
import Foundation
import Logging
import Spool

final class SpoolWatcher: Sendable {
    private let spool: JobSpool
    private let dispatcher: Dispatcher
    private let running: RunningJobs
    private let suspects: SuspectWait
    private let options: WorkerOptions
    private let logger: Logger
    private let monitor: Monitor<State>
    private let lastTrouble = Monitor<(detail: String, time: TimeInterval)?>(nil)
    /// On a file system that several hosts may mount: inotify tells nothing of what the others do.
    private let isShared: Bool

    private struct State {
        var watch: DirectoryWatch?
        var thread: WorkerThread?
        var isStopping = false
        var wantsOrphans = true
        /// Somebody else took a job we knew of: from now on its process is watched.
        var sawForeign = false
    }

    /// Folders watched, by the number inotify gave them.
    private struct Watched {
        var folders: [Int32: Folder] = [:]
        /// A watched folder was removed since the last turn of the loop.
        var hasJustLost = false
        var areComplete = false
        /// What was heard last told nothing that was not known.
        var heardNothingNew = false
    }

    enum Folder {
        case queued, running, control, cancel
    }

    /// Seconds between full looks at the folders.
    static let scanInterval: TimeInterval = 30
    /// The same where inotify is not to be had, or other hosts may be at work; and the part of the time that may go into
    /// scans then.
    static let blindInterval: TimeInterval = 1
    static let blindRestFactor = 20.0
    /// The part of the time that may go into scans of a queue that is in use; one at rest is not scanned.
    static let restFactor = 100.0
    /// Seconds after which a queue at rest is scanned all the same, and the part of the time for that: the index may have
    /// given up a job whose file is still there, such as one whose last move a full disk refused.
    static let longestRest: TimeInterval = 600
    static let longestRestFactor = 1_000.0
    /// Seconds between looks at jobs of other processes, while there are any.
    static let foreignInterval: TimeInterval = 0.25
    /// Seconds in which notifications are gathered while they tell only of this process's own work.
    private static let gathering: TimeInterval = 0.002
    /// Seconds in which somebody who removes a folder with others in it comes to its end.
    private static let removalTime: TimeInterval = 0.1
    /// Names inserted per turn of the dispatcher's lock.
    private static let chunk = 1_000

    init(
        spool: JobSpool, dispatcher: Dispatcher, running: RunningJobs, suspects: SuspectWait, options: WorkerOptions,
        logger: Logger
    ) {
        self.spool = spool
        self.dispatcher = dispatcher
        self.running = running
        self.suspects = suspects
        self.options = options
        self.logger = logger
        monitor = Monitor(State())
        isShared = spool.files.isShared
    }

    // MARK: - From other threads

    func start() throws {
        let watch = try DirectoryWatch()
        spool.addListener { [weak self] event in self?.heard(event) }
        dispatcher.setPaused(spool.isPaused)
        let thread = try WorkerThread { [self] in loop(watch) }
        monitor.withLock {
            $0.watch = watch
            $0.thread = thread
        }
    }

    func stop() {
        let (watch, thread) = monitor.withLock { state in
            state.isStopping = true
            defer { state.thread = nil }
            return (state.watch, state.thread)
        }
        watch?.wake()
        thread?.join()
    }

    /// A job of this process was left in running/ without its lock.
    func lookForOrphans() {
        let watch = monitor.withLock { state in
            state.wantsOrphans = true
            return state.watch
        }
        watch?.wake()
    }

    /// A job we wanted to claim was gone: it may run in another process, which may die.
    func noteForeign() {
        let watch = monitor.withLock { state -> DirectoryWatch? in
            defer { state.sawForeign = true }
            return state.sawForeign ? nil : state.watch
        }
        watch?.wake()
    }

    /// On the thread where it happened.
    private func heard(_ event: SpoolEvent) {
        switch event {
        case .queued(let name): dispatcher.insert(name, isCertain: true)
        case .finished(let id): dispatcher.remove(id)
        case .cancelRequested(let id): running.cancel(id)
        case .paused: dispatcher.setPaused(true)
        case .resumed: dispatcher.setPaused(false)
        case .checkpointFailed(let error):
            logger.error(
                "the spool's log cannot be checkpointed and grows; it is tried again", metadata: ["error": "\(error)"])
        }
    }

    // MARK: - The thread

    private func loop(_ watch: DirectoryWatch) {
        var watched = Watched()
        var nextScan: TimeInterval = 0
        var hasForeign = false
        var scanned: Scanned?
        while true {
            suspects.settleIfDue()
            let now = options.uptime()
            // Somebody who removes a folder may be at the one above: it is made again and watched a moment later.
            let isBeingRemoved = watched.hasJustLost
            watched.hasJustLost = false
            if !watched.areComplete, !isBeingRemoved { watched = begin(watch) }
            if now >= nextScan {
                scan(&scanned)
                nextScan = options.uptime() + rest(afterScanBegunAt: now, watched)
                hasForeign = true
            }
            if takeForeignNote() { hasForeign = true }
            if takeOrphanWish() || hasForeign { hasForeign = recover() }
            let wait = sleep(until: nextScan, hasForeign: hasForeign)
            guard let wait else { return }
            let shortest = isBeingRemoved ? min(wait, SpoolWatcher.removalTime) : wait
            if hear(watch, shortest, &watched, &scanned) { hasForeign = true }
        }
    }

    /// Seconds to the next scan. A blind watch must not turn into a busy loop over a million names.
    private func rest(afterScanBegunAt begin: TimeInterval, _ watched: Watched) -> TimeInterval {
        let cost = options.uptime() - begin
        guard watched.folders.isEmpty || isShared else {
            return max(SpoolWatcher.scanInterval, cost * SpoolWatcher.restFactor)
        }
        return min(max(SpoolWatcher.blindInterval, cost * SpoolWatcher.blindRestFactor), SpoolWatcher.scanInterval)
    }

    private func takeForeignNote() -> Bool {
        monitor.withLock { state in
            defer { state.sawForeign = false }
            return state.sawForeign
        }
    }

    private func takeOrphanWish() -> Bool {
        monitor.withLock { state in
            defer { state.wantsOrphans = false }
            return state.wantsOrphans
        }
    }

    /// - Returns: seconds to sleep; nil: the thread shall end.
    private func sleep(until time: TimeInterval, hasForeign: Bool) -> TimeInterval? {
        let now = options.uptime()
        var wait = max(0, min(time, suspects.settlesAt ?? time) - now)
        if hasForeign { wait = min(wait, SpoolWatcher.foreignInterval) }
        return monitor.withLock { state in
            if state.wantsOrphans { return 0 }
            return state.isStopping ? nil : wait
        }
    }

    /// Watches the folders; one that cannot be watched (limit of inotify watches) is left to the scans.
    private func begin(_ watch: DirectoryWatch) -> Watched {
        var watched = Watched(areComplete: true)
        if let blindness = watch.blindness {
            logger.warning(
                "changes by other processes are found by scans only: raise fs.inotify.max_user_instances",
                metadata: ["error": "\(blindness)"])
            return watched
        }
        let wanted: [(String, Folder, DirectoryWatch.Interest)] = [
            (spool.layout.path(.queued), .queued, [.movedIn, .closedWrite]),
            (spool.layout.path(.running), .running, [.movedIn]),
            (spool.pauseMarkFolder, .control, [.created, .movedIn, .deleted]),
            (spool.cancelMarkFolder, .cancel, [.created, .movedIn]),
        ]
        for (path, folder, interest) in wanted {
            do throws(FileError) {
                try spool.restoreFolder(path)
                watched.folders[try watch.add(path, interest)] = folder
            } catch {
                logger.warning(
                    "a folder of the spool is not watched: changes are seen by scans only",
                    metadata: ["error": "\(error)"])
            }
        }
        return watched
    }

    /// Waits for events and passes them on. - Returns: whether somebody else's job was seen in running/.
    private func hear(
        _ watch: DirectoryWatch, _ wait: TimeInterval, _ watched: inout Watched, _ scanned: inout Scanned?
    ) -> Bool {
        let events: [DirectoryWatch.Event]
        do throws(FileError) {
            events = try watch.wait(timeout: wait, gathering: watched.heardNothingNew ? SpoolWatcher.gathering : 0)
        } catch {
            logger.error("watching the spool failed", metadata: ["error": "\(error)"])
            return true
        }
        var sawForeign = false
        watched.heardNothingNew = !events.isEmpty
        for event in events {
            if event.isOverflow {
                scanned = nil
                scan(&scanned)
                sawForeign = true
                continue
            }
            if event.isGone {
                watched.areComplete = false
                watched.hasJustLost = true
                scanned = nil
                continue
            }
            if note(event, watched.folders[event.watch], &sawForeign) { watched.heardNothingNew = false }
        }
        return sawForeign
    }

    /// - Returns: whether it tells anything that is not known yet.
    private func note(_ event: DirectoryWatch.Event, _ folder: Folder?, _ sawForeign: inout Bool) -> Bool {
        switch folder {
        case .queued:
            guard let name = event.name.flatMap(JobFileName.init), !spool.isOwnNews(name) else { return false }
            dispatcher.insert(name, isCertain: false)
        case .running:
            guard let name = event.name.flatMap(JobFileName.init), !dispatcher.isHandedOut(name.id) else { return false }
            sawForeign = true
        case .control: readMarks()
        case .cancel:
            if let mark = event.name.flatMap({ CancelRequest($0) }) { cancel(mark) }
        case nil: return false
        }
        return true
    }

    /// Tells the job to stop if it runs here; ends it if it waits (it went back while it was being cancelled).
    private func cancel(_ request: CancelRequest) {
        guard !running.cancel(request.id, run: request.run) else { return }
        do throws(SpoolError) {
            try spool.endCancelled(request)
        } catch {
            // The mark stays: the claim of the job, or the next scan, ends it.
            logger.error(
                "a cancelled job is not ended yet", metadata: ["job.id": "\(request.id)", "error": "\(error.detail)"])
        }
    }

    /// What control/ says: pause, and accounts that any process found on hold.
    private func readMarks() {
        dispatcher.setPaused(spool.isPaused)
        do throws(SpoolError) {
            for (account, until) in try spool.holds() { dispatcher.hold(account, until: until) }
        } catch {
            logger.warning("the holds of other processes cannot be read", metadata: ["error": "\(error.detail)"])
        }
    }

    /// What queued/ was like when it was listed last.
    private struct Scanned {
        var changed: Date
        /// Nothing had changed for a second: what has the same time now is the same. Times of files are coarse.
        var isSettled: Bool
        /// Uptime after which it is listed in any case.
        var goodUntil: TimeInterval = 0
    }

    /// The whole of queued/ by names, in chunks, unless nothing has come or gone; also what marks say.
    private func scan(_ scanned: inout Scanned?) {
        do throws(SpoolError) {
            readMarks()
            for request in try spool.cancelRequests() { cancel(request) }
            let changed = try spool.queuedChanged()
            let begin = options.uptime()
            if let scanned, scanned.isSettled, scanned.changed == changed, begin < scanned.goodUntil { return }
            scanned = Scanned(changed: changed, isSettled: Date().timeIntervalSince(changed) > 1)
            dispatcher.beginScan()
            var chunk: [JobFileName] = []
            try spool.forEachName(in: .queued) { name in
                chunk.append(name)
                if chunk.count == SpoolWatcher.chunk {
                    dispatcher.insert(chunk[...])
                    chunk.removeAll(keepingCapacity: true)
                }
                return true
            }
            dispatcher.insert(chunk[...])
            dispatcher.endScan()
            let end = options.uptime()
            scanned?.goodUntil = end + max(SpoolWatcher.longestRest, (end - begin) * SpoolWatcher.longestRestFactor)
        } catch {
            scanned = nil
            logger.error("the spool cannot be read", metadata: ["error": "\(error.detail)"])
        }
    }

    /// Gives orphans back. - Returns: whether jobs of other living processes are running.
    private func recover() -> Bool {
        do throws(SpoolError) {
            let pass = try spool.recoverOrphans(except: running.ids, uncounted: running.uncounted)
            for id in pass.requeued { logger.notice("an orphaned job goes on", metadata: ["job.id": "\(id)"]) }
            for id in pass.buried {
                logger.error("a job was buried: its process keeps dying", metadata: ["job.id": "\(id)"])
            }
            for failure in pass.failures { say("an orphaned job is not recovered yet", "\(failure)") }
            if pass.failures.isEmpty { lastTrouble.withLock { $0 = nil } }
            return pass.foreign > 0 || !pass.failures.isEmpty
        } catch {
            say("running jobs cannot be looked at", error.detail)
            return true
        }
    }

    /// Trouble that is met again four times a second is said when it begins, when it changes, and now and then.
    private func say(_ message: Logger.Message, _ detail: String) {
        let now = options.uptime()
        let isNews = lastTrouble.withLock { last in
            if let last, last.detail == detail, now - last.time < SpoolWatcher.scanInterval { return false }
            last = (detail, now)
            return true
        }
        if isNews { logger.error(message, metadata: ["error": "\(detail)"]) }
    }
}
