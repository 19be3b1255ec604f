// What this process tells about itself: ready or why not, and its metrics. Any thread; may read the disk.

import API
import DurableFiles
import Foundation
import Jobs
import Spool
import Synchronization
import TextFormats
import WireTypes
import Workers

final class ServiceState: ServiceStatus {
    private let spool: JobSpool
    private let client: JobClient
    private let metrics: MetricsStore
    private let state = Mutex(State())

    private struct State {
        var pool: WorkerPool?
        var isSchedulerRunning = false
        var isDraining = false
        var spoolProblem: String?
        var checkedAt = Date(timeIntervalSince1970: 0)
    }

    /// Bytes that must be free before new work is promised.
    static let minimumFreeSpace = 16 << 20
    /// Seconds one look at the disk serves.
    static let checkInterval: TimeInterval = 1

    init(spool: JobSpool, client: JobClient, metrics: MetricsStore) {
        self.spool = spool
        self.client = client
        self.metrics = metrics
    }

    func attach(_ pool: WorkerPool) { state.withLock { $0.pool = pool } }
    func setSchedulerRunning(_ isRunning: Bool) { state.withLock { $0.isSchedulerRunning = isRunning } }
    func beginDraining() { state.withLock { $0.isDraining = true } }

    func isSchedulerRunning() -> Bool { state.withLock { $0.isSchedulerRunning } }

    func readiness() -> Readiness {
        let (pool, isDraining) = state.withLock { ($0.pool, $0.isDraining) }
        let spoolProblem = spoolProblem()
        var checks = [
            ReadinessCheck(name: "spool_writable", isOK: spoolProblem == nil, detail: spoolProblem),
            ReadinessCheck(
                name: "not_stopping", isOK: !isDraining, detail: isDraining ? "the service is stopping" : nil),
        ]
        // A queue that cannot be counted is the spool's problem, told above.
        let isFull = (try? client.isQueueFull()) ?? false
        checks.append(
            ReadinessCheck(
                name: "queue_not_full", isOK: !isFull, detail: isFull ? "as many jobs wait as may (limits.waiting)" : nil))
        if let wedged = pool?.snapshot.wedged {
            checks.append(
                ReadinessCheck(
                    name: "workers_return", isOK: wedged == 0,
                    detail: wedged > 0 ? "\(wedged) worker(s) ran past their deadline and do not return" : nil))
        }
        return Readiness(checks: checks)
    }

    /// Whether the spool can take a job: a file can be made there and there is room.
    private func spoolProblem() -> String? {
        let now = spool.now()
        let known: String?? = state.withLock {
            abs(now.timeIntervalSince($0.checkedAt)) < ServiceState.checkInterval ? .some($0.spoolProblem) : nil
        }
        if let known { return known }
        let problem = probe()
        state.withLock {
            $0.spoolProblem = problem
            $0.checkedAt = now
        }
        return problem
    }

    private func probe() -> String? {
        let path = spool.layout.path(.tmp, TemporaryNames.next(for: "ready"))
        do throws(FileError) {
            let descriptor = try spool.files.open(path, [.write, .create, .exclusive])
            try spool.files.close(descriptor, path: path)
            try spool.files.remove(path)
            try probeFolders()
            let free = try spool.files.space(spool.layout.root).free
            return free < ServiceState.minimumFreeSpace ? "only \(free >> 20) MiB are free in the spool" : nil
        } catch {
            return "the spool cannot be written: \(error)"
        }
    }

    /// What admission writes to besides: somebody else's command may have made a folder we cannot use.
    private func probeFolders() throws(FileError) {
        let today = "\(spool.layout.path(.status))/\(JobID.make(now: spool.now()).day)"
        var folders = [spool.layout.path(.queued), spool.layout.path(.status)]
        if try spool.files.exists(today) { folders.append(today) }
        for folder in folders {
            let path = "\(folder)/\(TemporaryNames.next(for: "ready"))"
            let descriptor = try spool.files.open(path, [.write, .create, .exclusive])
            try spool.files.close(descriptor, path: path)
            try spool.files.remove(path)
        }
    }

    func metricsText() -> String {
        var text = metrics.text()
        if let snapshot = state.withLock({ $0.pool })?.snapshot {
            text += gauge("nanobot_workers_running", snapshot.running) + gauge("nanobot_workers_idle", snapshot.idle)
            text += gauge("nanobot_workers_wedged", snapshot.wedged)
            text += gauge("nanobot_index_jobs", snapshot.indexed)
        }
        do throws(JobError) {
            let queue = try client.queue()
            text += gauge("nanobot_queue_queued", queue.queued) + gauge("nanobot_queue_running", queue.running)
            text += gauge("nanobot_queue_dead", queue.dead)
            text += gauge("nanobot_queue_paused", queue.isPaused ? 1 : 0)
        } catch {
            text += gauge("nanobot_queue_unreadable", 1)
        }
        return text
    }

    private func gauge(_ name: String, _ value: Int) -> String {
        "# TYPE \(name) gauge\n" + MetricsText.sample(name, "", Double(value))
    }
}
