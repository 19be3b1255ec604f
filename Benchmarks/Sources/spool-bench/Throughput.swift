// Jobs per second.

import Foundation
import Logging
import Spool
import Workers

struct NoOp: JobHandler {
    var onRun: @Sendable (ClaimedJob) -> Void = { _ in }
    func policy(for job: ClaimedJob) -> JobPolicy { JobPolicy() }
    func run(_ job: ClaimedJob, record: RunRecord, cancellation: CancellationFlag) -> JobOutcome {
        onRun(job)
        return .completed(result: .null, usage: nil)
    }
}

struct Throughput {
    let options: Options
    init(_ options: Options) { self.options = options }

    private var clients: Int { options.number("clients", 8) }
    private var jobs: Int { options.number("jobs", 10_000) }

    func put() throws {
        let spool = try options.spool()
        defer { remove(spool) }
        let latency = Samples()
        let (count, seconds) = repeatedly { number in
            let begin = Uptime.now()
            guard (try? spool.submit(Sample.submission("u\(number)"))) != nil else { fatalError("submit failed") }
            latency.add((Uptime.now() - begin) * 1000)
        }
        report([
            "bench": "put", "clients": clients, "jobs": count, "per_second": Double(count) / seconds,
            "p50_ms": latency.percentile(0.5), "p99_ms": latency.percentile(0.99),
        ])
        try spool.close()
    }

    func flow() throws {
        let spool = try options.spool()
        defer { remove(spool) }
        let (count, seconds) = repeatedly { number in
            let submission = Sample.submission("u\(number)")
            guard let record = try? spool.submit(submission).record,
                let name = record.file.flatMap({ JobFileName($0) }), let result = try? spool.claim(name)
            else { fatalError("submit or claim failed") }
            guard case .claimed(let claim) = result else { fatalError("not claimed") }
            do { try claim.complete(result: .null) } catch { fatalError("\(error)") }
        }
        report(["bench": "flow", "clients": clients, "jobs": count, "per_second": Double(count) / seconds])
        try spool.close()
    }

    /// Every client does `body` again and again: `--seconds` long, or `--jobs` times in all.
    private func repeatedly(_ body: @escaping @Sendable (Int) -> Void) -> (count: Int, seconds: TimeInterval) {
        let share = jobs / clients
        let limit = options.number("seconds", 0)
        let total = Samples()
        let seconds = together(clients) { number in
            let begin = Uptime.now()
            var done = 0
            while limit > 0 ? Uptime.now() - begin < Double(limit) : done < share {
                body(number)
                done += 1
            }
            total.add(Double(done))
        }
        return (Int(total.sum), seconds)
    }

    func pool() throws {
        let spool = try options.spool()
        defer { remove(spool) }
        var workers = WorkerOptions()
        workers.count = options.number("workers", 16)
        workers.userLimit = { _ in 0 }
        var logger = Logger(label: "bench")
        logger.logLevel = .error
        let ended = Tally()
        spool.addListener { event in if case .finished = event { ended.step() } }
        let pool = WorkerPool(spool: spool, handler: NoOp(), options: workers, logger: logger)
        try pool.start()
        let begin = Uptime.now()
        let (count, _) = repeatedly { number in
            guard (try? spool.submit(Sample.submission("u\(number)"))) != nil else { fatalError("submit failed") }
        }
        ended.wait(for: count)
        report([
            "bench": "pool", "clients": clients, "workers": workers.count, "jobs": count,
            "per_second": Double(count) / (Uptime.now() - begin),
        ])
        _ = pool.drain(deadline: Date() + 10)
        try spool.close()
    }
}

/// How many jobs have ended.
final class Tally: @unchecked Sendable {
    private let condition = NSCondition()
    /// Guarded by `condition`.
    private var count = 0

    func step() {
        condition.lock()
        count += 1
        condition.broadcast()
        condition.unlock()
    }

    func wait(for target: Int) {
        condition.lock()
        while count < target { condition.wait() }
        condition.unlock()
    }
}
