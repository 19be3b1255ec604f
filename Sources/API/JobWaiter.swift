// Waiting for a job without a thread: a watcher rings, the request's task looks. Called on a request's task.

import Foundation
import Identity
import Jobs
import NIOCore
import ServiceLifecycle
import Spool
import WireTypes

/// The long poll. A wait ends when the job is final, when its time is up, when the client hangs up, or when the service
/// shuts down; in every case the answer is the job as it stands.
struct JobWaiter: Sendable {
    let jobs: JobClient
    let watcher: StatusWatcher
    let bridge: BlockingBridge
    /// Seconds between looks should a notification be lost.
    let safetyInterval: Int64

    /// - Parameters:
    ///   - seconds: 0 looks once.
    /// - Throws: 404 when there is no such job.
    func view(_ id: JobID, waiting seconds: Double, context: APIContext) async throws -> JobView {
        let first = try await view(id, for: context.caller)
        guard seconds > 0, !first.state.isFinal else { return first }
        let deadline = ContinuousClock.now + .milliseconds(Int(seconds * 1_000))
        return try await observing(id, context: context) { signal in
            let loop = context.channel.eventLoop
            let alarm = loop.scheduleTask(in: .milliseconds(Int64(seconds * 1_000))) { signal.ring() }
            defer { alarm.cancel() }
            // The state may have changed between the first look and the watch: look again before the first ring.
            var view = try await self.view(id, for: context.caller)
            var rings = signal.rings.makeAsyncIterator()
            while !view.state.isFinal, !signal.isAbandoned, ContinuousClock.now < deadline {
                guard await rings.next() != nil else { break }
                view = try await self.view(id, for: context.caller)
            }
            return view
        }
    }

    /// The job as it stands.
    /// - Throws: 404 `job_not_found`, also for a job of a user the caller does not reach.
    func view(_ id: JobID, for caller: Caller) async throws -> JobView {
        guard let view = try await bridge.run(for: owner(of: id, asked: caller), { [jobs] in try jobs.view(id) }),
            caller.reaches(view.userID) else {
            throw ProblemDetails.noJob("\(id)")
        }
        return view
    }

    /// Whom looking at a job works for: who asks, or the job's user where that is the operator.
    func owner(of id: JobID, asked caller: Caller) -> CallOwner {
        if caller.user == nil, let known = jobs.known(id) { return .user(known.view.userID) }
        return caller.owner
    }

    /// Runs `body` with a signal that rings whenever the job's status file may have changed, and at least every
    /// `safetyInterval`; it is abandoned when the client leaves or the service shuts down.
    func observing<Value: Sendable>(
        _ id: JobID, context: APIContext, _ body: (ChangeSignal) async throws -> Value
    ) async throws -> Value {
        let signal = ChangeSignal()
        let departure = try await context.departure
        let key = departure.add { signal.abandon() }
        defer { departure.remove(key) }
        let interval = TimeAmount.seconds(safetyInterval)
        let ticks = context.channel.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            signal.ring()
        }
        defer { ticks.cancel() }
        let handle = try await bridge.run(for: owner(of: id, asked: context.caller)) { [watcher] in watcher.watch(id) { signal.ring() } }
        defer { handle.cancel() }
        return try await withGracefulShutdownHandler {
            try await body(signal)
        } onGracefulShutdown: {
            signal.abandon()
        }
    }
}

extension ProblemDetails {
    static func noJob(_ id: String) -> ProblemDetails {
        ProblemDetails(status: 404, code: "job_not_found", detail: "no job \"\(id.prefix(64))\"")
    }
}

extension APIContext {
    /// The job the path names; an id no job can have is absent like any other.
    func pathJob(_ name: String = "job_id") throws(ProblemDetails) -> JobID {
        let raw = try pathValue(name)
        guard let id = JobID(raw) else { throw .noJob(raw) }
        return id
    }
}
