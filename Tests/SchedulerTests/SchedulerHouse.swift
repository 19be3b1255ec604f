// A home on disk with users and a scheduler over a queue that a test can make refuse jobs.

import DurableFiles
import Foundation
import Jobs
import Logging
import Spool
import Synchronization
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Scheduler

/// The queue as the scheduler sees it: jobs by id, durable as far as a test goes.
final class RecordingQueue: FireQueue {
    private struct State {
        var jobs: [JobID: (request: JobRequest, state: JobState)] = [:]
        var order: [JobID] = []
        var refusals: [JobError] = []
        var submissions = 0
        var onSubmit: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())

    func submit(fire request: JobRequest) throws(JobError) {
        let (error, notify) = state.withLock { state -> (JobError?, (@Sendable () -> Void)?) in
            state.submissions += 1
            guard state.refusals.isEmpty else { return (state.refusals.removeFirst(), nil) }
            guard let id = request.id else { return (JobError(.invalidJob, "a fire without an id"), nil) }
            if let known = state.jobs[id] {
                return (known.request == request ? nil : JobError(.conflict, "other content", jobID: id), nil)
            }
            state.jobs[id] = (request, .queued)
            state.order.append(id)
            return (nil, state.onSubmit)
        }
        if let error { throw error }
        notify?()
    }

    func state(of id: JobID) throws(JobError) -> JobState? { state.withLock { $0.jobs[id]?.state } }

    /// The next submissions fail with these, one each.
    func refuse(_ errors: JobError...) { state.withLock { $0.refusals += errors } }
    func finish(_ result: JobState = .completed) {
        state.withLock { state in for id in state.order { state.jobs[id]?.state = result } }
    }
    func onSubmit(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.onSubmit = body } }

    var requests: [JobRequest] { state.withLock { state in state.order.compactMap { state.jobs[$0]?.request } } }
    var submissions: Int { state.withLock { $0.submissions } }
    /// The fire times of the jobs that were admitted, as written into them.
    var fireTimes: [String] { requests.map { String(($0.metadata["fire_time"] ?? "").prefix(16)) } }
    var schedules: [String] { requests.map { $0.metadata["schedule_id"] ?? "" } }
}

final class SchedulerHouse: Sendable {
    let folder: TemporaryDirectory
    let clock: ManualClock
    let workspaces: WorkspaceManager
    let configs: UserConfigManager
    let queue = RecordingQueue()
    let user: UserID

    init(at time: String, frequency: ReportFrequency = .off) throws {
        folder = try TemporaryDirectory(inMemory: true)
        clock = ManualClock(try instant(time))
        workspaces = WorkspaceManager(root: folder.path + "/workspaces", defaultTimeZone: "UTC", now: clock.read)
        configs = UserConfigManager(workspaces: workspaces)
        user = try UserID("alice")
        try add(user, frequency)
    }

    func add(_ user: UserID, _ frequency: ReportFrequency) throws {
        _ = try configs.create(user)
        try prefer(PreferencesChange(reportFrequency: frequency), user)
    }

    func prefer(_ change: PreferencesChange, _ user: UserID? = nil) throws {
        _ = try configs.updatePreferences(user ?? self.user, change)
    }

    /// Another one over the same home is another process, or the same one after a restart.
    func scheduler(_ options: ReportScheduler.Options = .init()) -> ReportScheduler {
        ReportScheduler(
            queue: queue, workspaces: workspaces, configs: UserConfigManager(workspaces: workspaces),
            changes: ChangeMarks(folder: workspaces.root + "/.changed"), zones: ZoneCatalog(), options: options,
            now: clock.read, logger: quietLogger)
    }

    /// Moves the clock and lets the scheduler do what is due then. - Returns: when it wants to be called again.
    @discardableResult
    func tick(_ scheduler: ReportScheduler, at time: String) throws -> String {
        clock.set(try instant(time))
        return String(RFC3339.string(scheduler.tick(at: clock.now)).prefix(16))
    }

    func file(_ name: String = "schedules.json") -> String { "\(workspaces.root)/\(user)/\(name)" }
    func json() throws -> JSON { try JSON.parse(LinuxFileSystem().readFile(file())) }
}

let chatJob: JSON = ["kind": "chat", "message": "Good morning"]

let quietLogger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
