// The doorbell of one waiting request. Rung from any thread; one task listens.

import Synchronization

/// Many rings while nobody listens count as one: what changed is read from the job's status file, never from the ring.
final class ChangeSignal: Sendable {
    /// Ends when the listening task is cancelled.
    let rings: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation
    private let abandoned = Atomic<Bool>(false)

    init() {
        (rings, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    func ring() { continuation.yield() }

    /// Nobody needs the wait any more: the client is gone or the service is shutting down.
    func abandon() {
        abandoned.store(true, ordering: .releasing)
        continuation.yield()
    }

    var isAbandoned: Bool { abandoned.load(ordering: .acquiring) }
}
