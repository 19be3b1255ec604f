// Bounds the open event streams. Any thread.

import Synchronization
import WireTypes

/// Counts streams; a slot is given back when the last reference to it goes, whatever became of its response.
final class StreamSlots: Sendable {
    final class Slot: Sendable {
        private let slots: StreamSlots
        fileprivate init(_ slots: StreamSlots) { self.slots = slots }
        deinit { slots.open.subtract(1, ordering: .relaxed) }
    }

    private let limit: Int
    private let open = Atomic<Int>(0)

    init(limit: Int) { self.limit = limit }

    var count: Int { open.load(ordering: .relaxed) }

    /// - Throws: 503 when `limit` streams are open.
    func take() throws(ProblemDetails) -> Slot {
        let slot = Slot(self)
        guard open.add(1, ordering: .relaxed).newValue <= limit else {
            throw ProblemDetails(
                status: 503, code: "too_many_streams", detail: "too many event streams are open; poll instead",
                retryAfter: 10)
        }
        return slot
    }
}
