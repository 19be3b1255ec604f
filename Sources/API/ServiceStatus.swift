// What the API asks about the service around it. Implemented in Runtime.

import WireTypes

/// Called on BlockingBridge's threads, several at once; may block briefly, must not throw or wait for jobs.
public protocol ServiceStatus: Sendable {
    /// Whether new work can be accepted now: the spool can be written, workers are not wedged, …
    func readiness() -> Readiness
    /// Whether the scheduler runs in this process. Called on an event loop: must not block.
    func isSchedulerRunning() -> Bool
    /// The metrics of queue, workers and scheduler in Prometheus text format 0.0.4; the API adds its own.
    func metricsText() -> String
}
