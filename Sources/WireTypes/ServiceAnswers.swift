// Answers of the calls that concern the service as a whole. Plain values; any thread.

import Foundation
import TextFormats

/// GET /: where to go from here.
public struct ServiceInfo: Sendable, Hashable {
    public var name: String
    public var version: String

    public init(name: String, version: String) {
        self.name = name
        self.version = version
    }

    public var json: JSON {
        ["name": .string(name), "version": .string(version), "docs_url": "/docs", "health_url": "/health"]
    }
}

/// One thing readiness depends on.
public struct ReadinessCheck: Sendable, Hashable {
    /// snake_case, such as "spool_writable".
    public var name: String
    public var isOK: Bool
    /// What is wrong and what to do about it; nil when all is well.
    public var detail: String?

    public init(name: String, isOK: Bool, detail: String? = nil) {
        self.name = name
        self.isOK = isOK
        self.detail = detail
    }
}

/// GET /ready: whether new work can be accepted now.
public struct Readiness: Sendable, Hashable {
    public var checks: [ReadinessCheck]

    public init(checks: [ReadinessCheck]) { self.checks = checks }

    public var isReady: Bool { checks.allSatisfy(\.isOK) }

    public var json: JSON {
        let rows = checks.map { check -> JSON in
            ["name": .string(check.name), "ok": .bool(check.isOK), "detail": JSON(check.detail)]
        }
        return ["status": isReady ? "ready" : "not_ready", "checks": .array(rows)]
    }
}

/// GET /health: the process answers, and which parts of the service it runs.
public struct Health: Sendable {
    public var version: String
    public var time: Date
    /// The parts of the service by name; false for one that does not run here.
    public var services: [(name: String, isRunning: Bool)]

    public init(version: String, time: Date, services: [(name: String, isRunning: Bool)]) {
        self.version = version
        self.time = time
        self.services = services
    }

    public var json: JSON {
        [
            "status": "healthy", "timestamp": .string(RFC3339.string(time)), "version": .string(version),
            "services": .object(JSONObject(services.map { ($0.name, .bool($0.isRunning)) })),
        ]
    }
}
