// The 256 shard folders of a day, in status/ and in done/: made one by one, each synced into its day, until a day turns
// out to be a busy one; then the rest at once, with one fsync. A day with few jobs keeps a short listing, and a busy one
// does not pay an fsync with each of its first 256 jobs. Any thread.
//
// What is remembered is a hint only: who finds a folder missing forgets it, and makes it again.

import Foundation

final class ShardFolders: Sendable {
    /// Shards of a day made one by one before the others are made with them.
    static let busyAfter = 16

    private struct Day {
        var folder: Folder
        /// Days since 1970.
        var number: UInt64
        /// One bit for each shard known to stand.
        var known: [Bool]
        /// Shards made or found one by one.
        var seen = 0
    }

    /// Taken with every job: a thread that waits sleeps instead of spinning.
    private let lock = NSLock()
    /// Guarded by `lock`.
    nonisolated(unsafe) private var days: [Day] = []
    /// Days remembered; ids are of today, of next midnight and, rarely, of some days ago.
    private static let bound = 16
    private static let millisecondsOfDay: UInt64 = 86_400_000

    private static func number(_ id: JobID) -> UInt64 { id.milliseconds / millisecondsOfDay }
    private static func shard(_ id: JobID) -> Int { Int(id.low & 0xFF) }

    func isKnown(_ folder: Folder, _ id: JobID) -> Bool {
        let number = Self.number(id)
        return lock.withLock {
            for day in days where day.number == number && day.folder == folder { return day.known[Self.shard(id)] }
            return false
        }
    }

    /// It stands, and its entry is on disk.
    /// - Returns: whether this makes the day a busy one: the caller makes its other shards and says so by `noteAll`.
    func note(_ folder: Folder, _ id: JobID) -> Bool {
        withDay(folder, id) { day in
            day.known[Self.shard(id)] = true
            day.seen += 1
            return day.seen == Self.busyAfter
        }
    }

    func noteAll(_ folder: Folder, _ id: JobID) {
        withDay(folder, id) { $0.known = [Bool](repeating: true, count: 256) }
    }

    /// A folder that was there is gone: the whole day is looked at again, as others may be gone with it.
    func forget(_ folder: Folder, _ id: JobID) {
        withDay(folder, id) { day in
            day.known = [Bool](repeating: false, count: 256)
            day.seen = 0
        }
    }

    func forgetAll() { lock.withLock { days = [] } }

    private func withDay<Value>(_ folder: Folder, _ id: JobID, _ body: (inout Day) -> Value) -> Value {
        let number = Self.number(id)
        return lock.withLock {
            if let index = days.firstIndex(where: { $0.number == number && $0.folder == folder }) {
                return body(&days[index])
            }
            if days.count == Self.bound { days.removeFirst() }
            days.append(Day(folder: folder, number: number, known: [Bool](repeating: false, count: 256)))
            return body(&days[days.count - 1])
        }
    }
}
