// A pool of real threads that claims jobs and runs a handler on each. Made, started and drained from any thread.
// A storage error while a job is claimed or ended is logged and the job left to recovery; the pool goes on.

import DurableFiles
import Foundation
import Logging
import Metrics
import Spool
import TextFormats

public struct WorkerOptions: Sendable {
    /// Threads, 1…4096.
    public var count = 16
    /// Jobs of one user that run at once in this process; 0: no limit.
    public var userLimit: @Sendable (String) -> Int = { _ in 2 }
    /// Seconds a job past its timeout has to stop before its worker counts as wedged.
    public var grace: TimeInterval = 30
    /// How workers are divided between the lanes; nil: by their number.
    public var shares: LaneShares?
    public var admission: (any Admission)?
    /// Called once for each job whose worker does not return. Must not block.
    public var onWedged: @Sendable (JobID) -> Void = { _ in }
    /// 0 ..< 1, for jitter.
    public var random: @Sendable () -> Double = { Double.random(in: 0..<1) }
    public var uptime: @Sendable () -> TimeInterval = Uptime.now

    public init() {}

    static let counts = 1...4_096
}

/// What the pool is doing.
public struct WorkerSnapshot: Sendable, Hashable {
    public var running: Int
    public var idle: Int
    /// Waiting jobs this process knows of.
    public var indexed: Int
    public var wedged: Int
}

public final class WorkerPool: Sendable {
    private let spool: JobSpool
    private let handler: any JobHandler
    private let options: WorkerOptions
    private let logger: Logger
    private let now: @Sendable () -> Date
    private let dispatcher: Dispatcher
    private let running: RunningJobs
    private let watcher: SpoolWatcher
    private let suspects: SuspectWait
    private let rules = EndingRules()
    private let threads = Monitor<[WorkerThread]?>(nil)

    /// Seconds at the end of a drain in which what has not reached its next step is stopped.
    private static let haltTime: TimeInterval = 3
    /// Seconds before a job is offered again that its handler gave back although nothing is being drained.
    private static let releaseWait: TimeInterval = 1
    /// Seconds before a suspect is offered again while one runs in another process.
    private static let isolatedWait: TimeInterval = 1

    public init(
        spool: JobSpool, handler: any JobHandler, options: WorkerOptions = WorkerOptions(), logger: Logger,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.spool = spool
        self.handler = handler
        self.options = options
        self.logger = logger
        self.now = now
        dispatcher = Dispatcher(
            shares: options.shares ?? LaneShares(workers: options.count), userLimit: options.userLimit, now: now)
        running = RunningJobs(grace: options.grace, uptime: options.uptime)
        suspects = SuspectWait(spool: spool, options: options, logger: logger, now: now)
        watcher = SpoolWatcher(
            spool: spool, dispatcher: dispatcher, running: running, suspects: suspects, options: options, logger: logger)
    }

    /// Why so many workers would run out of open files; nil: they would not. Raises the process's own limit as far as it may.
    /// - Parameter besides: open files that other parts of the process need at least.
    public static func descriptorProblem(workers: Int, besides: Int = 0) -> WorkerError? {
        do throws(WorkerError) {
            try DescriptorLimit.check(workers: workers, limit: DescriptorLimit.raised(), besides: besides)
            return nil
        } catch {
            return error
        }
    }

    /// Open files that so many workers leave to other parts of the process. Raises the limit as `descriptorProblem` does.
    public static func descriptorsLeft(workers: Int) -> Int {
        DescriptorLimit.left(workers: workers, limit: DescriptorLimit.raised())
    }

    /// Makes the threads and begins to run what waits.
    /// - Throws: WorkerError; a pool is started once.
    public func start() throws {
        guard WorkerOptions.counts.contains(options.count) else {
            throw WorkerError(.invalidCount, "The number of workers must be from 1 to 4096, not \(options.count).")
        }
        if let problem = WorkerPool.descriptorProblem(workers: options.count) { throw problem }
        let isFirst = threads.withLock { threads in
            guard threads == nil else { return false }
            threads = []
            return true
        }
        guard isFirst else { throw WorkerError(.alreadyStarted, "The pool was started before.") }
        suspects.begin()
        do {
            try watcher.start()
            try spawn { [self] in Watchdog(running: running, logger: logger, onWedged: options.onWedged).run() }
            for _ in 0..<options.count { try spawn { [self] in work() } }
        } catch {
            _ = drain(deadline: now())
            throw error
        }
    }

    private func spawn(_ body: @escaping @Sendable () -> Void) throws(WorkerError) {
        let thread = try WorkerThread(body)
        threads.withLock { $0?.append(thread) }
    }

    /// Stops claiming, lets running jobs reach their next step, and waits for them until `deadline`.
    /// Jobs that are given back count neither attempt nor crash; those still running die with the process.
    /// - Returns: how many are still running.
    public func drain(deadline: Date) -> Int {
        dispatcher.stop()
        running.drain()
        // Not `running.count`: a worker may be between its claim and the handler.
        let patience = max(0, deadline.timeIntervalSince(now()))
        let last = min(Self.haltTime, patience / 2)
        var left = dispatcher.waitUntilAllReturned(patience: patience - last)
        if left > 0 {
            running.halt()
            left = dispatcher.waitUntilAllReturned(patience: last)
        }
        watcher.stop()
        suspects.end()
        guard left == 0 else { return left }
        running.stop()
        let threads = threads.withLock { threads -> [WorkerThread] in
            defer { threads = [] }
            return threads ?? []
        }
        for thread in threads { thread.join() }
        return 0
    }

    public var snapshot: WorkerSnapshot {
        let counts = dispatcher.counts
        let waiting = counts.waiting.interactive + counts.waiting.scheduled + counts.waiting.background
        return WorkerSnapshot(running: running.count, idle: counts.idle, indexed: waiting, wedged: running.wedged)
    }

    /// Tells sleeping threads that the clocks they were given have been moved. For tests.
    func clockChanged() {
        dispatcher.clockChanged()
        running.clockChanged()
    }

    /// The provider accounts on hold, and until when.
    public var holds: [String: Date] { dispatcher.counts.holds }

    // MARK: - On a worker's thread

    private func work() {
        while let name = dispatcher.take() {
            if let admission = options.admission, case .notBefore(let date) = admission.mayStart(name) {
                dispatcher.postponed(name.id, until: date)
                continue
            }
            if name.isSuspect, let seconds = suspects.seconds() {
                dispatcher.postponed(name.id, until: now() + seconds)
                continue
            }
            attempt(name)
        }
    }

    private func attempt(_ name: JobFileName) {
        do throws(SpoolError) {
            switch try spool.claim(name) {
            case .claimed(let claim):
                dispatcher.worked(name.id)
                let notBefore = run(claim)
                dispatcher.finished(name.id, notBefore: notBefore)
            case .busy: dispatcher.busy(name.id)
            case .isolated: dispatcher.postponed(name.id, until: now() + WorkerPool.isolatedWait)
            case .blocked(let head): dispatcher.blocked(name.id, by: head)
            case .gone:
                dispatcher.finished(name.id)
                watcher.noteForeign()
            case .finished: dispatcher.finished(name.id)
            }
        } catch {
            logger.error(
                "a job cannot be claimed", metadata: ["job.id": "\(name.id)", "error": "\(error.detail)"])
            dispatcher.refused(name.id, isPassing: error.isPassing)
            watcher.lookForOrphans()
        }
    }

    /// - Returns: the earliest time to offer the job again, if it went back and its name does not say.
    private func run(_ claim: consuming Claim) -> Date? {
        let job = claim.job
        let began = options.uptime()
        let policy = handler.policy(for: job)
        if let expiry = policy.expiresAt, !job.isOperatorRetry, now() >= expiry {
            if !end(claim, job, withoutResult(rules.expired(expiry), job), began) { watcher.lookForOrphans() }
            return nil
        }
        recordWait(of: job)
        let flag = running.begin(job.id, run: job.run, timeout: policy.timeout)
        Gauge(label: "nanobot_jobs_running").record(running.count)
        // Asked to stop between the claim's own look and `begin`: nobody could tell us then.
        if spool.isCancelRequested(job.id, run: job.run) { flag.set(.cancelled) }
        // A wait for a lock ends with the job: at its cancellation, its time limit, the end of a drain.
        let wait = LockWait { (flag.reason ?? .drain) != .drain }
        let record = claim.record
        let outcome = wait.bounding { handler.run(job, record: record, cancellation: flag) }
        if spool.isCancelRequested(job.id, run: job.run) { flag.set(.cancelled) }
        let ending = rules.ending(
            of: outcome, attempt: job.attempt, policy: policy, stopped: flag.reason, now: now(),
            random: options.random(), isDiskFull: isDiskFull(outcome))
        let isWritten = end(claim, job, withoutResult(ending, job), began)
        running.end(job.id)
        // Only now: recovery leaves alone what it takes for running here.
        if !isWritten { watcher.lookForOrphans() }
        Gauge(label: "nanobot_jobs_running").record(running.count)
        if ending.goesBack { endIfCancelled(job) }
        guard case .release = ending, !dispatcher.isStopped else { return nil }
        return now() + WorkerPool.releaseWait
    }

    /// From the moment the job was due: for a job that came back, from the end of its backoff or hold.
    private func recordWait(of job: ClaimedJob) {
        let due = Double(job.name.dueMilliseconds) / 1000
        Metrics.Timer(label: "nanobot_job_wait_seconds", dimensions: [("lane", job.lane.rawValue)])
            .recordSeconds(max(0, now().timeIntervalSince1970 - due))
    }

    /// A job that does not complete leaves nothing behind that says it did.
    private func withoutResult(_ ending: Ending, _ job: ClaimedJob) -> Ending {
        switch ending {
        case .complete, .retry, .release, .hold: return ending
        case .bury(let failure, _):
            _ = handler.discardResult(of: job, because: failure)
            return ending
        case .cancel(_, let usage):
            return handler.discardResult(of: job, because: nil) ? .cancel(result: nil, usage: usage) : ending
        }
    }

    /// Asked only after a job met trouble with files: a fault of its own, or of the disk?
    private func isDiskFull(_ outcome: JobOutcome) -> Bool {
        guard case .failed(let failure, _) = outcome, failure.code == EndingRules.storageCode else { return false }
        return !spool.takesWrites()
    }

    /// A cancel that came after the last look at its mark finds the job waiting: without this it would wait out its
    /// backoff. Whoever sets a mark after this look finds the lock free, or is heard by the watcher.
    private func endIfCancelled(_ job: ClaimedJob) {
        guard spool.isCancelRequested(job.id, run: job.run) else { return }
        do throws(SpoolError) {
            try spool.endCancelled(CancelRequest(id: job.id, run: job.run))
        } catch {
            // The mark stays: the next claim of the job, or the next scan, ends it.
            logger.error("a cancelled job is not ended yet", metadata: job.logged(["error": "\(error.detail)"]))
        }
    }

    /// - Returns: false when the ending could not be written down; the job is then an orphan.
    private func end(_ claim: consuming Claim, _ job: ClaimedJob, _ ending: Ending, _ began: TimeInterval) -> Bool {
        if ending.holdsAccount, case .hold(let until, _) = ending { hold(job.name.holdKey, until: until) }
        do throws(SpoolError) {
            try apply(ending, to: claim)
            report(job, ending, seconds: options.uptime() - began)
            return true
        } catch {
            // Its journal is on disk: whoever recovers it goes on from there, and no crash is counted for this.
            running.endingFailed(job.id)
            logger.error("the end of a job could not be written", metadata: job.logged(["error": "\(error.detail)"]))
            if error.code == .storage { dispatcher.brake() }
            return false
        }
    }

    private func hold(_ account: String, until: Date) {
        dispatcher.hold(account, until: until)
        do throws(SpoolError) {
            try spool.hold(account, until: until)
        } catch {
            logger.warning(
                "other processes are not told of a hold", metadata: ["account": "\(account)", "error": "\(error.detail)"])
        }
    }

    private func apply(_ ending: Ending, to claim: consuming Claim) throws(SpoolError) {
        switch ending {
        case .complete(let result, let usage): try claim.complete(result: result, usage: usage)
        case .cancel(let result, let usage): try claim.cancel(result: result, usage: usage)
        case .bury(let failure, let usage): try claim.bury(failure, usage: usage)
        case .retry(let failure, let due, let usage): try claim.retry(failure, due: due, usage: usage)
        case .release(let reason): try claim.release(reason)
        case .hold(let until, let failure): try claim.hold(until: until, failure)
        }
    }

    private func report(_ job: ClaimedJob, _ ending: Ending, seconds: TimeInterval) {
        let dimensions = [("lane", job.lane.rawValue), ("outcome", ending.label)]
        Counter(label: "nanobot_jobs_finished_total", dimensions: dimensions).increment()
        Metrics.Timer(label: "nanobot_job_duration_seconds", dimensions: [("lane", job.lane.rawValue)])
            .recordSeconds(seconds)
        var facts = job.logged([
            "user.id": "\(job.user)", "lane": "\(job.lane.rawValue)", "attempt": "\(job.attempt)",
            "outcome": "\(ending.label)", "duration_ms": "\(Int(seconds * 1000))",
        ])
        guard let failure = ending.failure else { return logger.info("job ended", metadata: facts) }
        Counter(
            label: "nanobot_job_errors_total", dimensions: [("code", failure.code), ("outcome", ending.label)]
        ).increment()
        facts["code"] = "\(failure.code)"
        facts["detail"] = "\(failure.detail)"
        logger.warning("job did not succeed", metadata: facts)
    }
}

extension ClaimedJob {
    /// The member of `facts` with the id of the request that brought the job, where one did.
    private static let requestFact = "request_id"

    /// The facts of a log line about the job.
    fileprivate func logged(_ facts: Logger.Metadata) -> Logger.Metadata {
        var all = facts
        all["job.id"] = "\(id)"
        if let request = self.facts[Self.requestFact]?.string { all["request.id"] = "\(request)" }
        return all
    }
}
