// The drop box: whatever a person or program puts into incoming/ is answered in receipts/, and becomes a job or lands
// in rejected/ with the reason beside it. One thread: inotify says when, a look every 2 s is the safety net.
// start, stop and scan may be called from any thread; the notices come on the one that works. Failure: none; what
// cannot be done now is said once and tried again.

import DurableFiles
import Foundation
import Spool
import Synchronization

public struct DropBoxOptions: Sendable {
    public var now: @Sendable () -> Date
    /// For the log. Called in the middle of a pass: it must not call the drop box.
    public var notify: @Sendable (DropNotice) -> Void

    public init(
        now: @escaping @Sendable () -> Date = { Date() }, notify: @escaping @Sendable (DropNotice) -> Void = { _ in }
    ) {
        self.now = now
        self.notify = notify
    }
}

public final class DropBox: Sendable {
    /// Seconds between two searches of queued/ for files that do not belong there, at least; and the part of the time
    /// that may go into them.
    private static let foreignInterval: TimeInterval = 5
    private static let foreignRestFactor = 50.0

    /// Seconds in which notifications are gathered while they tell only of jobs that others have put into queued/.
    private static let gathering: TimeInterval = 0.005

    private let spool: JobSpool
    private let options: DropBoxOptions
    private let watch: DirectoryWatch?
    private let watched: Mutex<Watches>
    /// Held during a whole pass: there is one at a time.
    private let work: Mutex<DropWork>
    private let isStopped = Mutex(true)
    private let foreignSearch = Mutex<ContinuousClock.Instant?>(nil)
    /// When queued/ had last changed at a search that found nothing and came more than a second later.
    private let searched = Mutex<Date?>(nil)
    private let bell = NSCondition()
    private let thread = ServiceThread()

    private struct Watches {
        var incoming: Int32?
        var queued: Int32?
    }

    public init(client: JobClient, spool: JobSpool, options: DropBoxOptions = DropBoxOptions()) {
        self.spool = spool
        self.options = options
        let intake = DropIntake(layout: spool.layout, files: spool.files, client: client, now: options.now)
        work = Mutex(DropWork(layout: spool.layout, files: spool.files, intake: intake, notify: options.notify))
        // Without inotify the looks remain: a file is then taken when it has been unchanged for 2 s.
        watch = DirectoryWatch.seeing()
        watched = Mutex(Watches())
        watchFolders()
    }

    private var watches: Watches { watched.withLock { $0 } }

    private func watchFolders() {
        let (incoming, queued) = (spool.layout.path(.incoming), spool.layout.path(.queued))
        watched.withLock { watches in
            watches.incoming = try? watch?.add(incoming, [.created, .modified, .closedWrite, .movedIn])
            watches.queued = try? watch?.add(queued, [.closedWrite, .movedIn])
        }
    }

    /// A folder that somebody has removed is made again; what was watched has gone with it.
    private func restoreFolders(_ events: [DirectoryWatch.Event]) {
        var isChanged = events.contains(where: \.isGone)
        for folder in [Folder.incoming, .admitting, .receipts, .rejected] {
            // What cannot be made now is said by the pass, and tried again by the next one.
            if (try? spool.restoreFolder(spool.layout.path(folder))) == true { isChanged = true }
        }
        if isChanged { watchFolders() }
    }

    /// Begins: first what an earlier process left in admitting/, then what comes.
    public func start() {
        isStopped.withLock { $0 = false }
        thread.start("drop-box") { [weak self] in
            while let look = self?.turn() { self?.rest(look) }
        }
    }

    /// Ends after the file in hand; waits for it.
    public func stop() {
        isStopped.withLock { $0 = true }
        watch?.wake()
        bell.lock()
        bell.broadcast()
        bell.unlock()
        thread.join()
    }

    /// One pass over the drop box with what has been heard up to now.
    public func scan() {
        _ = look(events: (try? watch?.wait(timeout: 0)) ?? [])
    }

    // MARK: - The thread

    /// - Returns: seconds to rest; nil when it shall end.
    private func turn() -> TimeInterval? {
        if isStopped.withLock({ $0 }) { return nil }
        var rest = look(events: heard(0))
        while rest == 0, !isStopped.withLock({ $0 }) { rest = look(events: heard(0)) }
        return rest
    }

    private let unseen = Mutex<[DirectoryWatch.Event]>([])

    /// Waits for something that concerns us; jobs renamed into queued/ do not.
    private func rest(_ seconds: TimeInterval) {
        let end = ContinuousClock.now + .seconds(seconds)
        var pause: TimeInterval = 0
        while !isStopped.withLock({ $0 }) {
            let left = ContinuousClock.now.duration(to: end) / .seconds(1)
            guard left > 0 else { return }
            let all = heard(left, gathering: pause)
            let events = all.filter(isOurs)
            guard events.isEmpty else { return unseen.withLock { $0 += events } }
            pause = all.isEmpty ? 0 : Self.gathering
        }
    }

    private func heard(_ seconds: TimeInterval, gathering: TimeInterval = 0) -> [DirectoryWatch.Event] {
        guard let watch else {
            bell.lock()
            if seconds > 0 { _ = bell.wait(until: Date(timeIntervalSinceNow: seconds)) }
            bell.unlock()
            return []
        }
        do throws(FileError) {
            return try watch.wait(timeout: seconds, gathering: gathering)
        } catch {
            // The looks go on without it.
            return []
        }
    }

    private func isOurs(_ event: DirectoryWatch.Event) -> Bool {
        guard event.watch == watches.queued, !event.isOverflow, !event.isGone else { return true }
        guard let name = event.name else { return false }
        return JobFileName(name) == nil && !DropName.isHidden(name)
    }

    private func look(events: [DirectoryWatch.Event]) -> TimeInterval {
        let events = unseen.withLock { kept in
            defer { kept.removeAll() }
            return kept + events
        }
        restoreFolders(events)
        let strangers = foreignFiles(events)
        let now = options.now()
        return work.withLock { work in
            for event in events { note(event, &work) }
            for path in strangers { work.adopt(path, now: now) }
            return work.pass(now: now)
        }
    }

    private func note(_ event: DirectoryWatch.Event, _ work: inout DropWork) {
        if event.isOverflow {
            work.incoming.lostEvents()
            work.queued.lostEvents()
        }
        guard let name = event.name, !name.isEmpty else { return }
        let file = FileName(name)
        switch event.watch {
        case watches.incoming:
            if event.has(.closedWrite) || event.has(.movedIn) {
                work.incoming.sawClose(file)
            } else {
                work.incoming.sawWriting(file)
            }
        case watches.queued: work.queued.sawClose(FileName("\(spool.layout.path(.queued))/\(name)"))
        default: break
        }
    }

    /// Paths of files in queued/ that are no jobs of ours: those just heard of, and now and then all there are.
    private func foreignFiles(_ events: [DirectoryWatch.Event]) -> [String] {
        let start = ContinuousClock.now
        let isDue = foreignSearch.withLock { next in
            guard next.map({ $0 <= start }) ?? true else { return false }
            // Nobody else searches meanwhile.
            next = start + .seconds(60)
            return true
        }
        let heard = events.filter { $0.watch == watches.queued && isOurs($0) }.compactMap(\.name)
        guard isDue || !heard.isEmpty else { return [] }
        // What cannot be listed now is listed by a later look.
        let changed = try? spool.queuedChanged()
        let isKnown = heard.isEmpty && changed != nil && searched.withLock { $0 == changed }
        let found = isKnown ? [] : (try? spool.foreignFiles()) ?? []
        let isSettled = found.isEmpty && changed.map { Date().timeIntervalSince($0) > 1 } == true
        searched.withLock { $0 = isSettled ? changed : nil }
        let cost = start.duration(to: .now) / .seconds(1)
        let rest = found.isEmpty ? max(Self.foreignInterval, cost * Self.foreignRestFactor) : DropWork.busyLook
        foreignSearch.withLock { $0 = .now + .seconds(rest) }
        return found
    }
}
