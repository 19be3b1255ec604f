// Job file names for tests of the dispatch index, and a generator whose runs can be repeated by their seed.

import Foundation
import Spool
import TestSupport

extension SeededGenerator {
    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}

/// What a model found the index doing wrong.
struct Violation: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

enum Sample {
    /// 2025-11-24T16:00:00Z in ms.
    static let start: Int64 = 1_764_000_000_000

    /// Ids that ascend with their number.
    static func id(_ number: Int) -> JobID {
        let low = (0..<8).reversed().map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
        return JobID.derived(from: [0, 0] + low, time: Date(timeIntervalSince1970: Double(start) / 1000))
    }

    static func key(_ number: Int) -> OrderKey? {
        let digits = String(number, radix: 16)
        return OrderKey(String(repeating: "0", count: 32 - digits.count) + digits)
    }

    /// - Parameter due: ms after `start`.
    static func name(
        _ number: Int, user: String = "alice", lane: Lane = .interactive, priority: Int = 5, due: Int64 = 0,
        key: Int? = nil, account: String = "offline", run: Int = 1, attempt: Int = 0, crashes: Int = 0
    ) -> JobFileName {
        JobFileName(
            id: id(number), due: Date(timeIntervalSince1970: Double(start + due) / 1000), lane: lane,
            priority: priority, user: user, orderKey: key.flatMap(Sample.key), holdKey: account, run: run,
            attempt: attempt, crashes: crashes)
    }
}

extension JobFileName {
    var isSuspect: Bool { crashes > 0 && !isDead }

    /// What a retry renames it to.
    func tried(due: Int64) -> JobFileName {
        var next = self
        next.attempt += 1
        next.dueMilliseconds = due
        return next
    }

    func moved(due: Int64) -> JobFileName {
        var next = self
        next.dueMilliseconds = due
        return next
    }
}
