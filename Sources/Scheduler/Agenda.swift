// When which user has to be looked at next: a binary heap of wake-up times with one valid entry per user.
// A value, guarded by its owner; pure.

import DurableFiles
import Foundation
import Tenants

struct Agenda {
    /// What a user's schedules were worked out from; equal again means nothing has changed.
    struct Seen: Equatable {
        var incarnation: String
        var configVersion: Int
        var file: FileStatus?
    }

    struct Entry {
        /// nil: nothing will fire until something changes.
        var wake: Date?
        /// nil: work it out again even if nothing seems to have changed.
        var seen: Seen?
        /// Evaluations that failed in a row.
        var failures = 0
        /// Fire times, by schedule, whose submission failed and is being tried again.
        var attempted: [String: Date] = [:]
        fileprivate var generation = 0
    }

    private struct Item {
        var wake: Date
        var user: UserID
        var generation: Int
    }

    private var entries: [UserID: Entry] = [:]
    private var heap: [Item] = []

    var users: Dictionary<UserID, Entry>.Keys { entries.keys }
    subscript(user: UserID) -> Entry? { entries[user] }

    mutating func set(_ user: UserID, _ entry: Entry) {
        var entry = entry
        let old = entries[user]
        entry.generation = old?.generation ?? 0
        if old?.wake != entry.wake { entry.generation += 1 }
        entries[user] = entry
        guard let wake = entry.wake, old?.wake != wake else { return }
        push(Item(wake: wake, user: user, generation: entry.generation))
        if heap.count > 2 * entries.count + 64 { rebuild() }
    }

    /// Looks at the user at `time` at the latest.
    mutating func lower(_ user: UserID, to time: Date) {
        var entry = entries[user] ?? Entry()
        entry.wake = min(entry.wake ?? time, time)
        set(user, entry)
    }

    mutating func remove(_ user: UserID) { entries[user] = nil }

    /// The earliest wake-up.
    mutating func nextWake() -> Date? {
        while let first = heap.first {
            if isCurrent(first) { return first.wake }
            pop()
        }
        return nil
    }

    /// A user whose time has come; the caller sets the entry anew.
    mutating func popDue(_ now: Date) -> UserID? {
        guard let wake = nextWake(), wake <= now else { return nil }
        let user = heap[0].user
        pop()
        entries[user]?.wake = nil
        return user
    }

    private func isCurrent(_ item: Item) -> Bool {
        guard let entry = entries[item.user] else { return false }
        return entry.wake == item.wake && entry.generation == item.generation
    }

    // MARK: - Heap

    private mutating func push(_ item: Item) {
        heap.append(item)
        var child = heap.count - 1
        while child > 0, heap[child].wake < heap[(child - 1) / 2].wake {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func pop() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].wake < heap[least].wake {
                least = child
            }
            if least == parent { return }
            heap.swapAt(least, parent)
            parent = least
        }
    }

    /// Drops entries that were overtaken; they are most of the heap when this is called.
    private mutating func rebuild() {
        let current = heap.filter(isCurrent)
        heap = []
        for item in current { push(item) }
    }
}
