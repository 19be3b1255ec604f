// The queue as a whole, in numbers. Pure values; any thread.

import Foundation
import Spool
import TextFormats

public struct QueueSummary: Sendable, Hashable {
    public struct LaneCount: Sendable, Hashable {
        public var queued = 0
        public var running = 0
        public var dead = 0
    }

    /// Waiting, due now or later.
    public var queued: Int
    public var running: Int
    /// Dead letters.
    public var dead: Int
    public var lanes: [Lane: LaneCount]
    /// Seconds the job that has been due longest has waited since; 0 when none is due.
    public var oldestQueuedSeconds: Double
    public var isPaused: Bool
    /// Provider accounts whose jobs wait, and until when.
    public var holds: [String: Date]
    /// Running jobs of which nothing has been heard for longer than they may run, oldest first.
    public var stalled: [StalledJob] = []
    /// By lane: when the waiting job that has been due longest became due; in the future where none is due yet.
    public var oldestDue: [Lane: Date] = [:]

    public var json: JSON {
        var lanes: JSONObject = [:]
        for lane in Lane.allCases {
            let count = self.lanes[lane] ?? LaneCount()
            lanes[lane.rawValue] = ["queued": JSON(count.queued), "running": JSON(count.running)]
        }
        let holds = self.holds.sorted { $0.key < $1.key }.map { key, until -> JSON in
            ["key": .string(key), "until": .string(RFC3339.string(until))]
        }
        return [
            "queued": JSON(queued), "running": JSON(running), "dead": JSON(dead), "lanes": .object(lanes),
            "oldest_queued_seconds": .double((oldestQueuedSeconds * 1000).rounded() / 1000), "paused": .bool(isPaused),
            "holds": .array(holds), "stalled": .array(stalled.map(\.json)),
        ]
    }
}
