// Whether the limit on open files fits the number of workers: a turn holds a status file, an order file, a connection and
// what a tool opens (PLATFORM.md: 5). Checked once, before the threads start.

import Glibc

enum DescriptorLimit {
    static let perWorker = 5
    /// Watches, logs, libraries, the process itself.
    static let reserve = 64

    /// The limits of this process, the soft one raised to the hard one first.
    static func raised() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return .max }
        if limit.rlim_cur < limit.rlim_max {
            let hard = limit.rlim_max
            let soft = limit.rlim_cur
            limit.rlim_cur = hard
            if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) != 0 { limit.rlim_cur = soft }
        }
        return Int(clamping: limit.rlim_cur)
    }

    /// What is left beside the workers.
    static func left(workers: Int, limit: Int) -> Int { limit - workers * perWorker - reserve }

    /// - Parameter besides: what other parts of the process need at least.
    static func check(workers: Int, limit: Int, besides: Int = 0) throws(WorkerError) {
        let reserve = reserve + besides
        let needed = workers * perWorker + reserve
        guard limit < needed else { return }
        let fitting = (limit - reserve) / perWorker
        let remedy = fitting > 0 ? "Use --workers \(fitting) or raise it" : "Raise it"
        throw WorkerError(
            .tooFewDescriptors,
            "\(workers) \(workers == 1 ? "worker needs" : "workers need") about \(needed) open files, the limit is \(limit). "
                + "\(remedy) (ulimit -n, LimitNOFILE=).")
    }
}
