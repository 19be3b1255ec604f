// Submits the jobs of schedules when they are due. One instance per process that runs schedules; several processes
// are safe, since a fire's job id is derived from schedule and fire time. `tick` is called by one thread (the loop that
// `start` makes, or a test); everything else by any thread. Blocking.
//
// States of a fire: open → job submitted (durable, the commit point) → recorded in schedules.json. A crash between
// the two submits again under the same id, which the queue answers with the job that is there. A queue that refuses
// for now leaves the fire open; it is tried again with growing delays.

import DurableFiles
import Foundation
import Jobs
import Logging
import Synchronization
import Tenants

public final class ReportScheduler: Sendable {
    public struct Options: Sendable {
        /// Jobs start up to this many seconds after their fire time, a schedule's always by the same part of it.
        public var jitter: Int
        /// A user's own schedules at most.
        public var schedulesPerUser: Int
        /// Told of each fire whose time passed while no scheduler ran, on the scheduler's thread.
        public var onMisfire: @Sendable (Misfire) -> Void

        public init(
            jitter: Int = 0, schedulesPerUser: Int = 50, onMisfire: @escaping @Sendable (Misfire) -> Void = { _ in }
        ) {
            self.jitter = min(max(0, jitter), 3_600)
            self.schedulesPerUser = schedulesPerUser
            self.onMisfire = onMisfire
        }
    }

    /// What became of a fire whose time passed while no scheduler ran.
    public enum Misfire: String, Sendable, CaseIterable {
        /// Its job was submitted late.
        case late
        /// Its job was not submitted. Several fires in a row that were passed over count once.
        case passedOver = "passed_over"
    }

    /// Seconds between looks for changes nobody reported.
    static let rescanInterval: TimeInterval = 600
    /// Seconds after a reported change for the second look, see `ChangeMarks.mark`.
    static let secondLook: TimeInterval = 2
    /// Seconds between tries of a user whose fires could not be submitted.
    static let retryDelays: ClosedRange<TimeInterval> = 1...300

    /// Seconds between looks at a user whose config.json is damaged: a repair is noticed within them.
    static let repairDelay: TimeInterval = 10

    let queue: any FireQueue
    let workspaces: WorkspaceManager
    let configs: UserConfigManager
    let zones: ZoneCatalog
    let store: ScheduleStore
    let options: Options
    let now: @Sendable () -> Date
    let logger: Logger
    /// Tells schedulers in other processes; whoever changes users by other ways than this class uses it too.
    public let changes: ChangeMarks

    private struct State {
        var agenda = Agenda()
        /// Users to look at in the next tick.
        var reported: Set<UserID> = []
        var lastScan: Date?
        var lastTick: Date?
        var isStopping = false
        var loop: SchedulerLoop?
    }
    private let state = Mutex(State())

    /// Makes nothing on disk and no thread. - Parameter changes: by convention in `<workspaces>/.changed`.
    public convenience init(
        client: JobClient, workspaces: WorkspaceManager, configs: UserConfigManager, changes: ChangeMarks,
        zones: ZoneCatalog = ZoneCatalog(), options: Options = Options(),
        now: @escaping @Sendable () -> Date = { Date() }, logger: Logger = Logger(label: "nanobot.scheduler")
    ) {
        self.init(
            queue: ClientQueue(client: client), workspaces: workspaces, configs: configs, changes: changes,
            zones: zones, options: options, now: now, logger: logger)
    }

    init(
        queue: any FireQueue, workspaces: WorkspaceManager, configs: UserConfigManager, changes: ChangeMarks,
        zones: ZoneCatalog, options: Options, now: @escaping @Sendable () -> Date, logger: Logger
    ) {
        self.queue = queue
        self.workspaces = workspaces
        self.configs = configs
        self.changes = changes
        self.zones = zones
        self.options = options
        self.now = now
        self.logger = logger
        store = ScheduleStore(now: now, logger: logger)
    }

    // MARK: - Running

    /// Makes the thread that fires schedules. Calling it again changes nothing.
    /// - Throws: `.storage` when the folder of change marks cannot be made or watched at all.
    public func start() throws(ScheduleError) {
        guard state.withLock({ $0.loop == nil }) else { return }
        let loop: SchedulerLoop
        do {
            try changes.prepare()
            loop = try SchedulerLoop(watching: changes.folder, logger: logger)
        } catch {
            throw ScheduleError(.storage, "the scheduler cannot watch for changes: \(error)")
        }
        let isFirst = state.withLock {
            guard $0.loop == nil else { return false }
            $0.loop = loop
            $0.isStopping = false
            return true
        }
        guard isFirst else { return }
        loop.run { [self] names in
            for name in names { markSeen(name) }
            return (tick(at: now()), now())
        }
    }

    /// Ends the thread and waits for it; a fire being submitted is finished first.
    public func stop() {
        let loop = state.withLock { state in
            state.isStopping = true
            defer { state.loop = nil }
            return state.loop
        }
        loop?.stop()
    }

    /// Something about this user's preferences or schedules changed, or the user came or went. Returns at once.
    public func userChanged(_ user: UserID) {
        let loop = state.withLock {
            $0.reported.insert(user)
            return $0.loop
        }
        loop?.wake()
    }

    /// Another process reported a change.
    private func markSeen(_ name: String) {
        // A file that is named like no user is none of our marks.
        guard let user = try? UserID(name) else { return }
        let secondLook = now().addingTimeInterval(Self.secondLook)
        state.withLock {
            $0.reported.insert(user)
            $0.agenda.lower(user, to: secondLook)
        }
    }

    /// Fires what is due at `time`, then says when to be called again. The first tick, and one every ten minutes or
    /// after the clock was set back, reads all users.
    @discardableResult
    public func tick(at time: Date) -> Date {
        let (wentBack, isScanDue, reported) = state.withLock { state in
            let wentBack = state.lastTick.map { time < $0.addingTimeInterval(-1) } ?? false
            let isScanDue = state.lastScan.map { time.timeIntervalSince($0) >= Self.rescanInterval } ?? true
            state.lastTick = time
            defer { state.reported = [] }
            return (wentBack, isScanDue, state.reported)
        }
        for user in reported where !isStopping { look(at: user, time: time, evenIfUnchanged: false) }
        // Wake-ups worked out by a clock that was ahead lie too late: work them out again.
        if isScanDue || wentBack { scan(time, evenIfUnchanged: wentBack) }
        while !isStopping, let user = state.withLock({ $0.agenda.popDue(time) }) {
            look(at: user, time: time, evenIfUnchanged: true)
        }
        return state.withLock { state in
            let rescan = (state.lastScan ?? time).addingTimeInterval(Self.rescanInterval)
            return min(state.agenda.nextWake() ?? rescan, rescan)
        }
    }

    private var isStopping: Bool { state.withLock { $0.isStopping } }

    private func scan(_ time: Date, evenIfUnchanged: Bool) {
        var gone = Set(state.withLock { Array($0.agenda.users) })
        do {
            for user in try workspaces.list() where !isStopping {
                gone.remove(user)
                look(at: user, time: time, evenIfUnchanged: evenIfUnchanged)
            }
        } catch {
            logger.error("the users cannot be listed", metadata: ["error": "\(error)"])
            // Not knowing who is there is no reason to forget anybody.
            gone = []
        }
        if isStopping { return }
        for user in gone { look(at: user, time: time, evenIfUnchanged: false) }
        state.withLock { $0.lastScan = time }
    }

    /// Fires what this user has due and enters the next time into the agenda.
    private func look(at user: UserID, time: Date, evenIfUnchanged: Bool) {
        var entry = state.withLock { $0.agenda[user] } ?? Agenda.Entry()
        do {
            let config = try configs.get(user)
            let workspace = try workspaces.open(user)
            let file = try store.mark(workspace)
            let seen = Agenda.Seen(incarnation: config.incarnation, configVersion: config.version, file: file)
            if !evenIfUnchanged, entry.seen == seen { return }
            let work = try evaluate(config, workspace, attempted: entry.attempted, time: time)
            entry.attempted = work.attempted
            entry.failures = work.retryAfter == nil ? 0 : entry.failures + 1
            // What was stored just now has a new mark, which the next look takes note of.
            entry.seen = work.didStore || work.retryAfter != nil ? nil : seen
            entry.wake = work.next
            if let hint = work.retryAfter {
                let retry = time.addingTimeInterval(max(hint, delay(user, entry.failures)))
                entry.wake = min(work.next ?? retry, retry)
            }
        } catch let error as TenantError where error.code == .userNotFound {
            state.withLock { $0.agenda.remove(user) }
            changes.remove(user)
            return
        } catch {
            entry.failures += 1
            entry.seen = nil
            let isDamaged = (error as? TenantError)?.code == .configCorrupt
            entry.wake = time.addingTimeInterval(isDamaged ? Self.repairDelay : delay(user, entry.failures))
            if entry.failures == 1 {
                logger.error(
                    "a user's schedules wait for a fault to pass",
                    metadata: ["user.id": "\(user)", "error": "\(error)"])
            }
        }
        let final = entry
        state.withLock { $0.agenda.set(user, final) }
    }

    /// Doubling, and spread so that many users do not come back at once.
    private func delay(_ user: UserID, _ failures: Int) -> TimeInterval {
        let doubled = Self.retryDelays.lowerBound * pow(2, Double(min(max(failures, 1), 16) - 1))
        let spread = Double(Spread.value(of: "\(user)|\(failures)", below: 1_000)) / 1_000
        return min(doubled, Self.retryDelays.upperBound) * (1 + spread / 2)
    }
}

/// A number that is always the same for the same text and evenly spread over texts.
enum Spread {
    static func value(of text: String, below limit: Int) -> Int {
        let digest = Fingerprint.sha256(Array(text.utf8))
        let number = digest.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return Int(number % UInt64(max(1, limit)))
    }
}
