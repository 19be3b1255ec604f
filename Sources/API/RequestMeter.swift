// Counts answers by route, method and status, problems by code, and how long the heads of answers took. Any thread.

import Foundation
import Synchronization

/// The HTTP part of /metrics. Bounded: routes and statuses are few, unknown methods and paths share one row.
final class RequestMeter: Sendable {
    private struct Row: Hashable {
        var method: String
        var route: String
        var status: Int
    }

    private struct Timed: Hashable {
        var method: String
        var route: String
    }

    private struct Durations {
        var counts = Array(repeating: 0, count: RequestMeter.buckets.count)
        var count = 0
        var seconds = 0.0
    }

    private struct State {
        var answers: [Row: Int] = [:]
        var durations: [Timed: Durations] = [:]
        var problems: [String: Int] = [:]
    }

    /// Upper bounds of the buckets of durations, in seconds. Long polls and chats wait for up to a minute.
    static let buckets: [Double] = [0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60]

    private static let methods: Set<String> = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

    private let state = Mutex(State())
    private let room: ConnectionRoom

    init(room: ConnectionRoom) { self.room = room }

    /// - Parameters:
    ///   - route: the route's pattern, nil or "NotFound" where none fitted.
    ///   - code: of the problem that was the answer.
    func count(method: String, route: String?, status: Int, code: String? = nil, duration: Duration) {
        let method = Self.methods.contains(method) ? method : "other"
        let route = route.map { $0 == "NotFound" ? "none" : $0 } ?? "none"
        let seconds = duration / .seconds(1)
        state.withLock { state in
            state.answers[Row(method: method, route: route, status: status), default: 0] += 1
            if let code { state.problems[code, default: 0] += 1 }
            var durations = state.durations[Timed(method: method, route: route)] ?? Durations()
            durations.count += 1
            durations.seconds += seconds
            if let index = Self.buckets.firstIndex(where: { seconds <= $0 }) { durations.counts[index] += 1 }
            state.durations[Timed(method: method, route: route)] = durations
        }
    }

    /// Prometheus text format 0.0.4.
    func text(streams: Int, blocking: BlockingBridge.Use, transferBytes: Int) -> String {
        let state = state.withLock { $0 }
        return answers(state) + durations(state) + gauges(streams, blocking, transferBytes)
    }

    private func answers(_ state: State) -> String {
        let sorted = state.answers.sorted {
            ($0.key.route, $0.key.method, $0.key.status) < ($1.key.route, $1.key.method, $1.key.status)
        }
        let rows = sorted.map { row, count in
            (["method": row.method, "route": row.route, "status": "\(row.status)"], "\(count)")
        }
        let problems = state.problems.sorted { $0.key < $1.key }.map { code, count in (["code": code], "\(count)") }
        return family(
            "nanobot_http_requests_total", "counter",
            "Answers since the process started, by method, route template and status.", rows)
            + family(
                "nanobot_http_problems_total", "counter",
                "Answers that were a problem since the process started, by the problem's code.", problems)
    }

    private func durations(_ state: State) -> String {
        let name = "nanobot_http_request_duration_seconds"
        var text = family(name, "histogram", "Time until the answer's head, by method and route template.", [])
        let sorted = state.durations.sorted { ($0.key.route, $0.key.method) < ($1.key.route, $1.key.method) }
        for (row, durations) in sorted {
            let labels = ["method": row.method, "route": row.route]
            var total = 0
            for (bound, count) in zip(Self.buckets, durations.counts) {
                total += count
                text += sample("\(name)_bucket", labels.merging(["le": "\(bound)"]) { $1 }, "\(total)")
            }
            text += sample("\(name)_bucket", labels.merging(["le": "+Inf"]) { $1 }, "\(durations.count)")
            text += sample("\(name)_sum", labels, "\(durations.seconds)")
            text += sample("\(name)_count", labels, "\(durations.count)")
        }
        return text
    }

    private func gauges(_ streams: Int, _ blocking: BlockingBridge.Use, _ transferBytes: Int) -> String {
        func gauge(_ name: String, _ help: String, _ value: Int) -> String { family(name, "gauge", help, [([:], "\(value)")]) }
        return gauge("nanobot_http_streams", "Open event streams.", streams)
            + gauge("nanobot_http_connections", "Open connections.", room.counts.open)
            + family(
                "nanobot_http_connections_evicted_total", "counter",
                "Idle connections closed to make room for new ones since the process started.",
                [([:], "\(room.counts.evicted)")])
            + gauge(
                "nanobot_http_blocking_calls", "Calls waiting for or using a thread.", blocking.running + blocking.waiting)
            + gauge("nanobot_http_blocking_calls_waiting", "Calls waiting for a thread.", blocking.waiting)
            + gauge(
                "nanobot_http_blocking_threads", "Threads for calls that block; one user alone uses at most half.",
                blocking.threads)
            + family(
                "nanobot_http_blocking_threads_used", "gauge", "Threads in use: of all, and of the user who uses most.",
                [(["by": "all"], "\(blocking.running)"), (["by": "largest"], "\(blocking.largest)")])
            + gauge("nanobot_http_transfer_bytes", "Memory leased to unfinished uploads and downloads.", transferBytes)
    }

    private func family(_ name: String, _ type: String, _ help: String, _ rows: [([String: String], String)]) -> String {
        "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n" + rows.map { sample(name, $0, $1) }.joined()
    }

    private func sample(_ name: String, _ labels: [String: String], _ value: String) -> String {
        let pairs = labels.sorted { $0.key < $1.key }.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
        return pairs.isEmpty ? "\(name) \(value)\n" : "\(name){\(pairs)} \(value)\n"
    }

    private static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
