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
    private let client: JobClient
    private let metrics: MetricsStore
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

    init(spool: JobSpool, client: JobClient, metrics: MetricsStore) {
        self.client = client
        self.metrics = metrics
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
            text += gauge("nanobot_jobs_stalled", queue.stalled.count)
        } catch {
            text += gauge("nanobot_queue_unreadable", 1)
        }
        return text
    }

    private func gauge(_ name: String, _ value: Int) -> String {
        "# TYPE \(name) gauge\n" + MetricsText.sample(name, "", Double(value))
    }
}
