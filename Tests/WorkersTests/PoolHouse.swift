// Worker pools on a real spool in a temporary folder, with handlers a test writes in place. Tests wait for what happens;
// the bound on waiting is reached by failures only.

import Foundation
import Logging
import Spool
import Synchronization
import TestSupport
import TextFormats

@testable import Workers

/// What happened, in order, over all threads.
final class Happenings<Event: Sendable>: Sendable {
    private let monitor = Monitor<[Event]>([])
    private let reaction = Mutex<@Sendable (Event) -> Void>({ _ in })

    /// Calls `reaction` on the thread that notes, before `note` returns.
    func onNote(_ reaction: @escaping @Sendable (Event) -> Void) { self.reaction.withLock { $0 = reaction } }

    func note(_ event: Event) {
        reaction.withLock { $0 }(event)
        monitor.withLock { $0.append(event) }
        monitor.broadcast()
    }

    var all: [Event] { monitor.withLock { $0 } }

    /// Waits until what happened satisfies `condition`. - Returns: whether it did within `seconds`.
    func wait(seconds: TimeInterval = 30, until condition: ([Event]) -> Bool) -> Bool {
        let end = Uptime.now() + seconds
        return monitor.wait { events in
            if condition(events) { return .done(true) }
            let left = end - Uptime.now()
            return left > 0 ? .wait(left) : .done(false)
        }
    }

    func wait(seconds: TimeInterval = 30, count: Int) -> Bool { wait(seconds: seconds) { $0.count >= count } }
}

extension Happenings where Event == Bool {
    /// Asks again and again, giving way to other threads, until it holds. - Returns: whether it did within 30 s.
    static func poll(_ condition: () -> Bool) -> Bool {
        let end = Uptime.now() + 30
        while !condition() {
            guard Uptime.now() < end else { return false }
            _ = Happenings<Bool>().wait(seconds: 0.001, count: 1)
        }
        return true
    }
}

extension Happenings where Event: Equatable {
    func wait(seconds: TimeInterval = 30, for event: Event) -> Bool { wait(seconds: seconds) { $0.contains(event) } }
}

/// A door that handlers wait at.
final class Gate: Sendable {
    private let opened = Happenings<Bool>()
    func open() { opened.note(true) }
    @discardableResult func pass() -> Bool { opened.wait(count: 1) }
}

struct ScriptedHandler: JobHandler {
    var policy: @Sendable (ClaimedJob) -> JobPolicy = { _ in JobPolicy() }
    var discard: @Sendable (ClaimedJob) -> Bool = { _ in false }
    var script: @Sendable (ClaimedJob, RunRecord, CancellationFlag) -> JobOutcome

    init(
        policy: @escaping @Sendable (ClaimedJob) -> JobPolicy = { _ in JobPolicy() },
        _ script: @escaping @Sendable (ClaimedJob, RunRecord, CancellationFlag) -> JobOutcome
    ) {
        self.policy = policy
        self.script = script
    }

    func policy(for job: ClaimedJob) -> JobPolicy { policy(job) }

    func discardResult(of job: ClaimedJob, because failure: JobFailure?) -> Bool { discard(job) }

    func run(_ job: ClaimedJob, record: RunRecord, cancellation: CancellationFlag) -> JobOutcome {
        script(job, record, cancellation)
    }
}

extension CancellationFlag {
    /// Waits for a reason to stop.
    func wait() -> Reason? {
        let reasons = Happenings<Reason>()
        onSet { reasons.note($0) }
        return reasons.wait(count: 1) ? reasons.all.first : nil
    }
}

extension JobOutcome {
    static let done = JobOutcome.completed(result: ["done": true], usage: nil)
}

/// Passes log messages on to a test.
struct ListeningLog: LogHandler {
    let messages: Happenings<String>
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { messages.note("\(event.message)") }
}

final class PoolHouse: Sendable {
    let folder: TemporaryDirectory
    let clock = ManualClock()
    /// The manual clock, or the real one where waits of the pool itself are part of what is tested.
    let now: @Sendable () -> Date
    let files = FaultyFileSystem()
    let spool: JobSpool
    /// Jobs whose final line was written through `spool`.
    let ended = Happenings<JobID>()
    /// Names that came to queued/ through `spool`.
    let queued = Happenings<JobFileName>()
    let messages = Happenings<String>()

    init(realClock: Bool = false) throws {
        folder = try TemporaryDirectory(inMemory: true)
        let system: @Sendable () -> Date = { Date() }
        now = realClock ? system : clock.read
        spool = try JobSpool(root: folder.path + "/spool", files: files, now: now)
        listen(to: spool)
    }

    private func listen(to spool: JobSpool) {
        spool.addListener { [ended, queued] event in
            switch event {
            case .finished(let id): ended.note(id)
            case .queued(let name): queued.note(name)
            case .cancelRequested, .paused, .resumed, .checkpointFailed: break
            }
        }
    }

    /// Another process on the same spool.
    func another(_ files: FaultyFileSystem = FaultyFileSystem()) throws -> JobSpool {
        let spool = try JobSpool(root: spool.layout.root, files: files, now: now)
        listen(to: spool)
        return spool
    }

    /// A running pool; drain it with `stop`.
    func start(
        on other: JobSpool? = nil, _ handler: ScriptedHandler, _ change: (inout WorkerOptions) -> Void = { _ in }
    ) throws -> WorkerPool {
        var options = WorkerOptions()
        options.count = 4
        options.userLimit = { _ in 0 }
        options.random = { 0.5 }
        change(&options)
        let log = ListeningLog(messages: messages)
        let pool = WorkerPool(
            spool: other ?? spool, handler: handler, options: options, logger: Logger(label: "test") { _ in log },
            now: now)
        try pool.start()
        return pool
    }

    /// - Returns: jobs still running after the bound that only failures reach.
    @discardableResult
    func stop(_ pool: WorkerPool) -> Int { pool.drain(deadline: now() + 30) }

    /// The clock moves on by 1 ms, so ids ascend.
    @discardableResult
    func submit(
        _ payload: String = "{}", to other: JobSpool? = nil, user: String = "alice", lane: Lane = .interactive,
        key: Int? = nil, due: TimeInterval = 0, hold: String = "offline"
    ) throws -> JobID {
        clock.advance(by: 0.001)
        let time = now()
        let orderKey = key.flatMap { Sample.key($0) }
        let submission = Submission(
            id: JobID.make(now: time), user: user, lane: lane, priority: 5, due: time.addingTimeInterval(due),
            orderKey: orderKey, holdKey: hold, payload: Array(payload.utf8), fingerprint: payload,
            facts: ["kind": "chat"])
        return try (other ?? spool).submit(submission).record.id
    }

    func finalStates(_ id: JobID) throws -> [JobState] {
        let lines = try spool.lines(id, from: 0, epoch: nil)?.lines ?? []
        return lines.compactMap(\.status).filter(\.state.isFinal).map(\.state)
    }
}

extension ClaimedJob {
    var text: String { String(decoding: payload, as: UTF8.self) }
}
