// What a million waiting jobs cost: memory, the first job after a restart, the cost of a claim.

import Foundation
import Spool
import Workers

struct Scale {
    let options: Options
    init(_ options: Options) { self.options = options }

    func run() throws {
        let waiting = options.number("waiting", 1_000_000)
        for count in [1_000, waiting] { try measure(count) }
    }

    private func measure(_ count: Int) throws {
        let spool = try options.spool()
        defer { remove(spool) }
        try Scale.fill(spool, count, users: 10_000, lane: .scheduled, due: Date().addingTimeInterval(86_400))
        let before = residentMegabytes()
        let started = Starts()
        let begin = Uptime.now()
        let pool = try startPool(spool, workers: 16, userLimit: 2) { started.note($0.id) }
        let first = Sample.submission("first", lane: .interactive)
        _ = try spool.submit(first)
        let firstAfter = started.wait(for: first.id) - begin
        while pool.snapshot.indexed < count { Thread.sleep(forTimeInterval: 0.02) }
        let complete = Uptime.now() - begin
        let memory = residentMegabytes()
        // Idle: nothing is due for a day.
        let spent = cpuSeconds()
        let idle = TimeInterval(options.number("idle", 20))
        Thread.sleep(forTimeInterval: idle)
        let cpu = (cpuSeconds() - spent) / idle * 100
        let waits = Samples()
        for number in 0..<500 {
            let submission = Sample.submission("u\(number % 50)", lane: .interactive)
            let begin = Uptime.now()
            _ = try spool.submit(submission)
            waits.add((started.wait(for: submission.id) - begin) * 1000)
        }
        report([
            "bench": "scale", "waiting": count, "first_job_s": firstAfter, "index_complete_s": complete,
            "resident_mb": memory, "bytes_per_waiting_job": (memory - before) * 1_048_576 / Double(count),
            "idle_cpu_percent": cpu, "submit_to_start_p50_ms": waits.percentile(0.5),
            "submit_to_start_p99_ms": waits.percentile(0.99),
        ])
        _ = pool.drain(deadline: Date() + 10)
        try spool.close()
    }

    /// Job files as a restart finds them: only their names are read here, so many names share one file. A million files
    /// would be written for minutes, and measure the file system's allocator.
    static func fill(_ spool: JobSpool, _ count: Int, users: Int, lane: Lane, due: Date) throws {
        let folder = spool.layout.path(.queued)
        let namesPerFile = 50_000
        var source = ""
        for number in 0..<count {
            if number % namesPerFile == 0 {
                source = "\(spool.layout.path(.tmp))/bench-\(number)"
                try Data("{}".utf8).write(to: URL(fileURLWithPath: source))
            }
            let submission = Sample.submission("big-\(number % users)", lane: lane, due: due)
            let name = JobFileName(
                id: submission.id, due: due, lane: lane, priority: 5, user: submission.user, orderKey: nil,
                holdKey: "offline")
            guard link(source, "\(folder)/\(name)") == 0 else {
                throw Options.Misuse(text: "cannot make \(folder)/\(name): errno \(errno)")
            }
        }
    }

    private func cpuSeconds() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    }
}
