// The gauges of /metrics that are read when somebody asks: queue, workers, disk, build. Blocks while the disk is asked; any
// thread. A part that cannot be read is left out, and `nanobot_queue_readable` or a missing row says so.

import DurableFiles
import Foundation
import Jobs
import Spool
import Workers

struct StateMetrics: Sendable {
    private(set) var text = ""

    mutating func add(
        _ name: String, _ help: String, kind: MetricFamily.Kind = .gauge, _ rows: [([(String, String)], Double)]
    ) {
        text += MetricFamily(name: name, kind: kind, help: help).head
        for (labels, value) in rows { text += MetricsText.sample(name, MetricsText.labels(labels), value) }
    }

    mutating func add(_ name: String, _ help: String, _ value: Double) { add(name, help, [([], value)]) }

    mutating func addBuild(version: String, started: Date) {
        add("nanobot_build_info", "Always 1; the version is a label.", [([("version", version)], 1)])
        add(
            "process_start_time_seconds", "When the process started, in seconds since 1970; counters begin there.",
            started.timeIntervalSince1970)
    }

    mutating func add(_ workers: WorkerSnapshot) {
        let total = workers.running + workers.idle
        add("nanobot_workers", "Worker threads of this process that run or wait for jobs.", Double(total))
        add("nanobot_workers_running", "Worker threads that run a job.", Double(workers.running))
        add("nanobot_workers_idle", "Worker threads that wait for a job.", Double(workers.idle))
        add(
            "nanobot_workers_wedged", "Workers whose job ran past its time limit and grace and does not return.",
            Double(workers.wedged))
        add("nanobot_index_jobs", "Waiting jobs that the dispatcher of this process knows.", Double(workers.indexed))
    }

    /// - Parameter age: seconds since the queue was looked at.
    mutating func add(_ queue: QueueSummary?, age: Double, now: Date) {
        add("nanobot_queue_readable", "1 where the spool's folders could be read, else 0.", queue == nil ? 0 : 1)
        add(
            "nanobot_queue_look_age_seconds", "Age of the queue's numbers here; a long queue is not counted at each scrape.",
            age)
        guard let queue else { return }
        add("nanobot_queue_queued", "Waiting jobs of all processes, due now or later.", Double(queue.queued))
        add("nanobot_queue_running", "Running jobs of all processes.", Double(queue.running))
        add("nanobot_queue_dead", "Dead letters: jobs that failed for good and wait for a decision.", Double(queue.dead))
        let counts = Lane.allCases.flatMap { lane in
            let count = queue.lanes[lane]
            let states = [("queued", count?.queued), ("running", count?.running), ("dead", count?.dead)]
            return states.map { state, number in
                ([("state", state), ("lane", lane.rawValue)], Double(number ?? 0))
            }
        }
        add("nanobot_queue_jobs", "Jobs of all processes by state and lane.", counts)
        let ages = Lane.allCases.map { lane in
            ([("lane", lane.rawValue)], max(0, queue.oldestDue[lane].map { now.timeIntervalSince($0) } ?? 0))
        }
        add(
            "nanobot_queue_oldest_waiting_seconds",
            "How long the waiting job that has been due longest has been due, by lane; 0 where none is due.", ages)
        add("nanobot_queue_paused", "1 while the queue is paused, else 0.", queue.isPaused ? 1 : 0)
        let held = queue.holds.values.count { $0 > now }
        add("nanobot_accounts_held", "Provider accounts whose jobs wait for a rate limit or an outage to pass.", Double(held))
        add(
            "nanobot_jobs_stalled", "Running jobs whose record has been silent for longer than they may run; at most 100.",
            Double(queue.stalled.count))
    }

    /// - Parameter places: by label: where the home and the spool are.
    mutating func addDisk(_ places: [(name: String, path: String)], files: any FileSystem) {
        let spaces = places.compactMap { place -> (String, (free: Int, total: Int))? in
            // A disk that cannot be asked has no row; readiness names the reason.
            (try? files.space(place.path)).map { (place.name, $0) }
        }
        func rows(_ value: ((free: Int, total: Int)) -> Int) -> [([(String, String)], Double)] {
            spaces.map { ([("place", $0.0)], Double(value($0.1))) }
        }
        add("nanobot_disk_free_bytes", "Bytes that may still be written to the file system of the place.", rows(\.free))
        add("nanobot_disk_size_bytes", "Size of the file system of the place, in bytes.", rows(\.total))
        add(
            "nanobot_disk_used_bytes", "Size less free bytes of the file system of the place, other programs' files included.",
            rows { $0.total - $0.free })
    }
}
