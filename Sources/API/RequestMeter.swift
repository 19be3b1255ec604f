// Counts answers by route, method and status, and how long their heads took. Any thread.

import Foundation
import Synchronization

/// The HTTP part of /metrics. Bounded: routes and statuses are few, unknown methods and paths share one row.
final class RequestMeter: Sendable {
    private struct Row: Hashable {
        var method: String
        var route: String
        var status: Int
    }

    private struct Sum {
        var count = 0
        var seconds = 0.0
    }

    private static let methods: Set<String> = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

    private let rows = Mutex<[Row: Sum]>([:])
    private let room: ConnectionRoom

    init(room: ConnectionRoom) { self.room = room }

    /// - Parameter route: the route's pattern, nil or "NotFound" where none fitted.
    func count(method: String, route: String?, status: Int, duration: Duration) {
        let row = Row(
            method: Self.methods.contains(method) ? method : "other",
            route: route.map { $0 == "NotFound" ? "none" : $0 } ?? "none", status: status)
        let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
        rows.withLock { rows in
            rows[row, default: Sum()].count += 1
            rows[row, default: Sum()].seconds += seconds
        }
    }

    /// Prometheus text format 0.0.4.
    func text(streams: Int, blocking: BlockingBridge.Use, transferBytes: Int) -> String {
        let sorted = rows.withLock { $0 }.sorted {
            ($0.key.route, $0.key.method, $0.key.status) < ($1.key.route, $1.key.method, $1.key.status)
        }
        var lines = [
            "# HELP nanobot_http_requests_total Answers by route, method and status.",
            "# TYPE nanobot_http_requests_total counter",
        ]
        for (row, sum) in sorted { lines.append("nanobot_http_requests_total{\(labels(row))} \(sum.count)") }
        lines += [
            "# HELP nanobot_http_request_seconds_total Time until the answer's head, added up.",
            "# TYPE nanobot_http_request_seconds_total counter",
        ]
        for (row, sum) in sorted { lines.append("nanobot_http_request_seconds_total{\(labels(row))} \(sum.seconds)") }
        lines += [
            "# HELP nanobot_http_streams Open event streams.", "# TYPE nanobot_http_streams gauge",
            "nanobot_http_streams \(streams)",
            "# HELP nanobot_http_connections Open connections.", "# TYPE nanobot_http_connections gauge",
            "nanobot_http_connections \(room.counts.open)",
            "# HELP nanobot_http_connections_evicted_total Idle connections closed to make room for new ones.",
            "# TYPE nanobot_http_connections_evicted_total counter",
            "nanobot_http_connections_evicted_total \(room.counts.evicted)",
            "# HELP nanobot_http_blocking_calls Calls waiting for or using a thread.",
            "# TYPE nanobot_http_blocking_calls gauge",
            "nanobot_http_blocking_calls \(blocking.running + blocking.waiting)",
            "# HELP nanobot_http_blocking_calls_waiting Calls waiting for a thread.",
            "# TYPE nanobot_http_blocking_calls_waiting gauge",
            "nanobot_http_blocking_calls_waiting \(blocking.waiting)",
            "# HELP nanobot_http_blocking_threads Threads for calls that block; one user alone uses at most half.",
            "# TYPE nanobot_http_blocking_threads gauge", "nanobot_http_blocking_threads \(blocking.threads)",
            "# HELP nanobot_http_blocking_threads_used Threads in use: of all, and of the user who uses most.",
            "# TYPE nanobot_http_blocking_threads_used gauge",
            "nanobot_http_blocking_threads_used{by=\"all\"} \(blocking.running)",
            "nanobot_http_blocking_threads_used{by=\"largest\"} \(blocking.largest)",
            "# HELP nanobot_http_transfer_bytes Memory leased to unfinished uploads and downloads.",
            "# TYPE nanobot_http_transfer_bytes gauge", "nanobot_http_transfer_bytes \(transferBytes)",
        ]
        return lines.joined(separator: "\n") + "\n"
    }

    private func labels(_ row: Row) -> String {
        "method=\"\(row.method)\",route=\"\(row.route)\",status=\"\(row.status)\""
    }
}
