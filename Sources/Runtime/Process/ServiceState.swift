// What this process tells about itself: ready or why not, and its metrics. Any thread. Metrics read the disk; readiness waits
// for a look at it for 2 s at most.

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
    private let metrics: MetricsStore
    private let gauges: QueueGauges
    private let places: [(name: String, path: String)]
    private let files: any FileSystem
    private let started: Date
    private let now: @Sendable () -> Date
    private let state = Mutex(State())

    private struct State {
        var pool: WorkerPool?
        var isSchedulerRunning = false
        var isDraining = false
    }

    /// What the last look at the queue found.
    private final class Flag: Sendable {
        let value = Atomic<Bool>(false)
    }
    private let isFull = Flag()

    private let spoolProbe: SpoolProbe
    private let readinessProbe: ReadinessProbe

    init(
        spool: JobSpool, client: JobClient, metrics: MetricsStore, home: NanobotHome,
        now: @escaping @Sendable () -> Date
    ) {
        self.metrics = metrics
        gauges = QueueGauges {
            // A queue that cannot be read is a metric of its own.
            try? client.queue()
        }
        places = [("home", home.path), ("spool", home.spool)]
        files = spool.files
        started = now()
        self.now = now
        let probe = SpoolProbe(spool)
        spoolProbe = probe
        let isFull = isFull
        readinessProbe = ReadinessProbe(uptime: Uptime.now, step: { probe.step }) {
            do throws(SpoolError) {
                try probe.run()
            } catch {
                return error.detail
            }
            // A queue that cannot be counted is the spool's problem, met above.
            let full = (try? client.isQueueFull()) ?? false
            isFull.value.store(full, ordering: .relaxed)
            return nil
        }
    }

    /// After everything has stopped.
    func end() { spoolProbe.end() }

    func attach(_ pool: WorkerPool) { state.withLock { $0.pool = pool } }
    func setSchedulerRunning(_ isRunning: Bool) { state.withLock { $0.isSchedulerRunning = isRunning } }
    func beginDraining() { state.withLock { $0.isDraining = true } }

    func isSchedulerRunning() -> Bool { state.withLock { $0.isSchedulerRunning } }

    func readiness() async -> Readiness {
        let spoolProblem = await readinessProbe.problem()
        let (pool, isDraining) = state.withLock { ($0.pool, $0.isDraining) }
        var checks = [
            ReadinessCheck(name: "spool_writable", isOK: spoolProblem == nil, detail: spoolProblem),
            ReadinessCheck(
                name: "not_stopping", isOK: !isDraining, detail: isDraining ? "the service is stopping" : nil),
        ]
        let isFull = isFull.value.load(ordering: .relaxed)
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

    func metricsText() -> String {
        var parts = StateMetrics()
        parts.addBuild(version: NanobotServer.version, started: started)
        if let snapshot = state.withLock({ $0.pool })?.snapshot { parts.add(snapshot) }
        let look = gauges.current()
        parts.add(look.queue, age: look.at.duration(to: .now) / .seconds(1), now: now())
        parts.addDisk(places, files: files)
        return metrics.text() + parts.text
    }
}
