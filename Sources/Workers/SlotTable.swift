// The waiting and running jobs the dispatcher knows, as fixed-size rows: about 80 bytes each, with user, order key and
// hold key interned, so that 1,000,000 waiting jobs fit into a few hundred megabytes. A row lives from the moment its
// name is seen until the job is finished or its file has vanished; freed rows are used again.
//
// Called under the dispatcher's lock. Never fails.

import Foundation
import Spool

/// Where a row stands; it is in the heap that goes with its place and in no other.
enum SlotPlace: UInt8 {
    case free
    /// First try, due later: in the time heap, not yet in its order key's line.
    case future
    /// May not be offered before `wake`: in the time heap, at the head of its key if it has one.
    case waiting
    /// May be offered: in the queue of its user, lane and hold key.
    case ready
    /// Behind another job of its order key: in that key's heap only.
    case behind
    /// A worker has it.
    case handedOut
}

/// One job. Times are milliseconds since 1970.
struct Slot {
    var id: JobID
    var due: Int64
    var wake: Int64
    var user: Int32
    var key: Int32
    var queue = IndexedHeap<ByUrgency>.absent
    /// In the time heap or in the queue's heap.
    var position = IndexedHeap<ByWake>.absent
    /// In the order key's heap.
    var keyPosition = IndexedHeap<ByID>.absent
    /// The scan that saw the file last.
    var seen: UInt32
    var holdKey: Int32
    var run: UInt16
    var attempt: UInt16
    var crashes: UInt16
    var priority: UInt8
    var lane: Lane
    /// The lane it was handed out in: its own, or better by inheritance.
    var chargedLane: Lane
    var place = SlotPlace.free
    /// A buried name put back to queued/: an operator's retry, whose claim begins the next run with fresh counts.
    var isDead: Bool

    var isSuspect: Bool { crashes > 0 && !isDead }
    /// Nothing was tried yet: a later due time is the submitter's wish, not a backoff.
    var isFirstTry: Bool { isDead || (attempt == 0 && crashes == 0) }
}

struct SlotTable {
    private(set) var rows: ContiguousArray<Slot> = []
    private var unused: [Int32] = []
    private(set) var byID: [JobID: Int32] = [:]

    var count: Int { byID.count }

    subscript(row: Int32) -> Slot {
        get { rows[Int(row)] }
        _modify { yield &rows[Int(row)] }
    }

    mutating func add(_ slot: Slot) -> Int32 {
        let row: Int32
        if let old = unused.popLast() {
            row = old
            rows[Int(row)] = slot
        } else {
            row = Int32(rows.count)
            rows.append(slot)
        }
        byID[slot.id] = row
        return row
    }

    mutating func free(_ row: Int32) {
        byID[rows[Int(row)].id] = nil
        rows[Int(row)].place = .free
        unused.append(row)
    }
}

/// The time heap: what may be offered soonest in front.
enum ByWake: HeapOrder {
    static func precedes(_ left: Int32, _ right: Int32, in table: SlotTable) -> Bool {
        table[left].wake < table[right].wake
    }
    static func note(_ row: Int32, at position: Int32, in table: inout SlotTable) {
        table[row].position = position
    }
}

/// Within one user: priority, then due time, then id (creation).
enum ByUrgency: HeapOrder {
    static func precedes(_ left: Int32, _ right: Int32, in table: SlotTable) -> Bool {
        let (a, b) = (table[left], table[right])
        if a.priority != b.priority { return a.priority < b.priority }
        if a.due != b.due { return a.due < b.due }
        return a.id < b.id
    }
    static func note(_ row: Int32, at position: Int32, in table: inout SlotTable) {
        table[row].position = position
    }
}

/// Within one order key: the id, which is the time of creation.
enum ByID: HeapOrder {
    static func precedes(_ left: Int32, _ right: Int32, in table: SlotTable) -> Bool {
        table[left].id < table[right].id
    }
    static func note(_ row: Int32, at position: Int32, in table: inout SlotTable) {
        table[row].keyPosition = position
    }
}
