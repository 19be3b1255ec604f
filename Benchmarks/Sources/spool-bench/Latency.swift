// How long a job waits on an idle pool, beside many, and behind one that floods.

import Foundation
import Logging
import Spool
import Workers

struct Latency {
    let options: Options
    init(_ options: Options) { self.options = options }

    /// From the call of `submit` to the handler's first line; the acknowledgement lies in between.
    func pickup() throws {
        let spool = try options.spool()
        defer { remove(spool) }
        let started = Starts()
        let pool = try startPool(spool, workers: 16, userLimit: 2) { started.note($0.id) }
        let waits = Samples()
        for number in 0..<options.number("jobs", 500) {
            let submission = Sample.submission("u\(number % 20)", lane: .interactive)
            let begin = Uptime.now()
            _ = try spool.submit(submission)
            waits.add((started.wait(for: submission.id) - begin) * 1000)
        }
        report([
            "bench": "pickup", "jobs": waits.count, "submit_to_start_p50_ms": waits.percentile(0.5),
            "submit_to_start_p99_ms": waits.percentile(0.99),
        ])
        _ = pool.drain(deadline: Date() + 10)
        try spool.close()
    }
}

func startPool(
    _ spool: JobSpool, workers: Int, userLimit: Int, _ onRun: @escaping @Sendable (ClaimedJob) -> Void
) throws -> WorkerPool {
    var options = WorkerOptions()
    options.count = workers
    options.userLimit = userLimit
    var logger = Logger(label: "bench")
    logger.logLevel = .error
    let pool = WorkerPool(spool: spool, handler: NoOp(onRun: onRun), options: options, logger: logger)
    try pool.start()
    return pool
}

/// When each job started.
final class Starts: @unchecked Sendable {
    private let condition = NSCondition()
    private var times: [JobID: TimeInterval] = [:]

    func note(_ id: JobID) {
        condition.lock()
        times[id] = Uptime.now()
        condition.broadcast()
        condition.unlock()
    }
    func wait(for id: JobID) -> TimeInterval {
        condition.lock()
        defer { condition.unlock() }
        while true {
            if let time = times[id] { return time }
            condition.wait()
        }
    }
}

/// The p99 wait of 1,000 users with one job each, with and without one user who has many; every job takes 5 ms.
struct Fairness {
    let options: Options
    init(_ options: Options) { self.options = options }

    func run() throws {
        let alone = try measure(flood: 0, floodLane: .interactive)
        let beside = try measure(flood: options.number("waiting", 100_000), floodLane: .interactive)
        let herd = try measure(flood: options.number("herd", 20_000), floodLane: .scheduled)
        report([
            "bench": "fair", "alone_p99_ms": alone, "beside_one_big_user_p99_ms": beside,
            "beside_a_scheduled_herd_p99_ms": herd, "ratio_big_user": beside / alone, "ratio_herd": herd / alone,
        ])
    }

    /// - Parameter flood: jobs that wait before anybody else comes: of one user, or in the scheduled lane of many.
    private func measure(flood: Int, floodLane: Lane) throws -> Double {
        let spool = try options.spool()
        defer { remove(spool) }
        try Scale.fill(spool, flood, users: floodLane == .interactive ? 1 : 5_000, lane: floodLane, due: Date())
        let started = Starts()
        let pool = try startPool(spool, workers: 16, userLimit: 2) { job in
            started.note(job.id)
            Thread.sleep(forTimeInterval: 0.005)
        }
        // The flood is being served when the others come.
        Thread.sleep(forTimeInterval: 3)
        let waits = Samples()
        var begun: [(JobID, TimeInterval)] = []
        for number in 0..<1_000 {
            let submission = Sample.submission("small-\(number)", lane: .interactive)
            begun.append((submission.id, Uptime.now()))
            _ = try spool.submit(submission)
            Thread.sleep(forTimeInterval: 0.001)
        }
        for (id, time) in begun { waits.add((started.wait(for: id) - time) * 1000) }
        _ = pool.drain(deadline: Date() + 10)
        try spool.close()
        return waits.percentile(0.99)
    }
}
