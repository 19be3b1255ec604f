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
    options.userLimit = { _ in userLimit }
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

/// How long 1,000 users with one job each wait when all of them come at once: alone, beside one user who has many jobs
/// waiting, and beside a herd of scheduled jobs of 5,000 users. Every job takes 20 ms; 16 workers, two for a user at most.
/// Times are from the moment the queue is opened, when all names are known.
struct Fairness {
    let options: Options
    init(_ options: Options) { self.options = options }

    func run() throws {
        let big = options.number("waiting", 100_000)
        let herd = options.number("herd", 20_000)
        var rows: [[Double]] = []
        for _ in 0..<options.number("rounds", 3) {
            rows.append([
                try measure(flood: 0, lane: .interactive), try measure(flood: big, lane: .interactive),
                try measure(flood: herd, lane: .scheduled),
            ])
        }
        func median(_ value: ([Double]) -> Double) -> Double { rows.map(value).sorted()[rows.count / 2] }
        report([
            "bench": "fair", "alone_p99_ms": median { $0[0] }, "beside_one_big_user_p99_ms": median { $0[1] },
            "beside_a_scheduled_herd_p99_ms": median { $0[2] }, "ratio_big_user": median { $0[1] / $0[0] },
            "ratio_herd": median { $0[2] / $0[0] },
        ])
    }

    /// - Parameter lane: the flood's; in the interactive lane it is of one user.
    private func measure(flood: Int, lane: Lane) throws -> Double {
        let spool = try options.spool()
        defer { remove(spool) }
        try Scale.fill(spool, flood, users: lane == .interactive ? 1 : 5_000, lane: lane, due: Date())
        try spool.pause()
        let started = Starts()
        let pool = try startPool(spool, workers: 16, userLimit: 2) { job in
            started.note(job.id)
            Thread.sleep(forTimeInterval: 0.02)
        }
        var ids: [JobID] = []
        for number in 0..<1_000 {
            let submission = Sample.submission("small-\(number)", lane: .interactive)
            ids.append(submission.id)
            _ = try spool.submit(submission)
        }
        while pool.snapshot.indexed < flood + ids.count { Thread.sleep(forTimeInterval: 0.01) }
        let waits = Samples()
        let begin = Uptime.now()
        try spool.resume()
        for id in ids { waits.add((started.wait(for: id) - begin) * 1000) }
        _ = pool.drain(deadline: Date() + 10)
        try spool.close()
        return waits.percentile(0.99)
    }
}
