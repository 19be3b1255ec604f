// GET /, /health, /ready, /metrics: the calls of probes and monitors.

import Foundation
import HTTPTypes
import Hummingbird
import TextFormats
import WireTypes

struct ServiceRoutes: RouteGroup {
    let options: APIOptions
    let status: any ServiceStatus
    let bridge: BlockingBridge
    let meter: RequestMeter
    let slots: StreamSlots
    let budget: TransferBudget

    var routes: [Route] {
        [
            Route(.get, "/", for: .owner) { _, _ in
                .json(ServiceInfo(name: "nanobot", version: options.version).json)
            },
            // Liveness: answered on the event loop, so that a stuck disk never makes a supervisor kill the process.
            Route(.get, "/health", for: .everyone) { _, _ in
                let parts = [
                    (name: "workspace_manager", isRunning: true), (name: "config_manager", isRunning: true),
                    (name: "report_scheduler", isRunning: status.isSchedulerRunning()),
                ]
                return .json(Health(version: options.version, time: options.now(), services: parts).json)
            },
            Route(.get, "/ready", for: .everyone) { _, _ in
                // Not by the bridge: a disk that hangs may hold all of its threads.
                let readiness = await status.readiness()
                return readiness.isReady
                    ? .json(readiness.json)
                    : .json(readiness.json, status: .serviceUnavailable, headers: [.retryAfter: "5"])
            },
            Route(.get, "/metrics", for: .admin) { _, _ in
                let below = try await bridge.run(for: .probes) { [status] in status.metricsText() }
                let own = meter.text(streams: slots.count, blocking: bridge.use, transferBytes: budget.bytesInUse)
                let separator = below.isEmpty || below.hasSuffix("\n") ? "" : "\n"
                return .text(
                    Array((below + separator + own).utf8), mediaType: "text/plain; version=0.0.4; charset=utf-8")
            },
        ]
    }
}
