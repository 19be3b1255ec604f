// The only way from the async side (API) to the blocking side (everything below it): a bounded pool of threads.
// Called from any task; the closure runs on a pool thread.

import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import WireTypes

/// Runs blocking calls off the event loops. Fails with 503 `overloaded` when too many calls wait already, so a stuck
/// disk costs bounded memory and a clear answer.
final class BlockingBridge: Service {
    private let pool: NIOThreadPool
    private let limit: Int
    private let calls = Atomic<Int>(0)

    /// - Parameters:
    ///   - threads: 1…256
    ///   - limit: most calls waiting or running
    init(threads: Int, limit: Int) {
        pool = NIOThreadPool(numberOfThreads: threads)
        self.limit = limit
        pool.start()
    }

    /// Calls waiting for a thread or using one.
    var inUse: Int { calls.load(ordering: .relaxed) }

    /// - Throws: what `body` throws; 503 when the bound is reached or the pool is shut down.
    func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        guard calls.add(1, ordering: .relaxed).newValue <= limit else {
            calls.subtract(1, ordering: .relaxed)
            throw ProblemDetails(
                status: 503, code: "overloaded", detail: "too many requests are being worked on; try again shortly",
                retryAfter: 1)
        }
        defer { calls.subtract(1, ordering: .relaxed) }
        do {
            return try await pool.runIfActive(body)
        } catch is NIOThreadPoolError.ThreadPoolInactive {
            throw ProblemDetails(
                status: 503, code: "shutting_down", detail: "the service is shutting down", retryAfter: 5)
        }
    }

    /// As a service: lives until the server is down (services stop in reverse order), then ends its threads.
    func run() async throws {
        try? await gracefulShutdown()  // throws only when cancelled, which means the same here: stop
        try await pool.shutdownGracefully()
    }
}
