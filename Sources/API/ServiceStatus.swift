// What the API asks about the service around it. Implemented in Runtime.

import WireTypes

/// Several calls at once. Must not throw or wait for jobs.
public protocol ServiceStatus: Sendable {
    /// Whether new work can be accepted now: the spool can be written, workers are not wedged, … Blocks no thread of the
    /// caller's and answers within 2 s or little more, whatever the disk does.
    func readiness() async -> Readiness
    /// Whether the scheduler runs in this process. Called on an event loop: must not block.
    func isSchedulerRunning() -> Bool
    /// Called on BlockingBridge's threads; may block briefly.
    /// The metrics of queue, workers and scheduler in Prometheus text format 0.0.4; the API adds its own.
    func metricsText() -> String
}
