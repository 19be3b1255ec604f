// A binary heap of table rows (Int32) whose rows know their own position, so any row can be taken out or re-sorted in
// O(log n) without searching and without stale entries: what bounds the memory of `DispatchIndex`.
//
// Called under the lock of whoever owns the table (the dispatcher's monitor); it never fails: a position that is not
// the row's own is a programming error and stops in a precondition.

/// How rows of one table are ordered in one kind of heap, and where a row keeps its position in that heap.
protocol HeapOrder {
    associatedtype Table
    static func precedes(_ left: Int32, _ right: Int32, in table: Table) -> Bool
    /// Notes where the row stands now; `IndexedHeap.absent` when it has left the heap.
    static func note(_ row: Int32, at position: Int32, in table: inout Table)
}

struct IndexedHeap<Order: HeapOrder> {
    private var rows: [Int32] = []

    var first: Int32? { rows.first }
    var isEmpty: Bool { rows.isEmpty }
    var count: Int { rows.count }

    mutating func insert(_ row: Int32, in table: inout Order.Table) {
        rows.append(row)
        siftUp(rows.count - 1, in: &table)
    }

    /// Takes out the row at `position`, which the row itself has noted.
    mutating func remove(at position: Int32, in table: inout Order.Table) {
        let index = Int(position)
        let removed = rows[index]
        let last = rows.removeLast()
        if index < rows.count {
            rows[index] = last
            restore(at: position, in: &table)
        }
        Order.note(removed, at: IndexedHeap.absent, in: &table)
        if rows.isEmpty { rows = [] }  // gives the memory back after a burst
    }

    /// Puts the row at `position` where it belongs after its key has changed.
    mutating func restore(at position: Int32, in table: inout Order.Table) {
        let index = Int(position)
        if index > 0, Order.precedes(rows[index], rows[(index - 1) / 2], in: table) {
            siftUp(index, in: &table)
        } else {
            siftDown(index, in: &table)
        }
    }

    private mutating func siftUp(_ start: Int, in table: inout Order.Table) {
        var index = start
        let row = rows[index]
        while index > 0 {
            let parent = (index - 1) / 2
            guard Order.precedes(row, rows[parent], in: table) else { break }
            rows[index] = rows[parent]
            Order.note(rows[index], at: Int32(index), in: &table)
            index = parent
        }
        rows[index] = row
        Order.note(row, at: Int32(index), in: &table)
    }

    private mutating func siftDown(_ start: Int, in table: inout Order.Table) {
        var index = start
        let row = rows[index]
        while true {
            var child = 2 * index + 1
            guard child < rows.count else { break }
            if child + 1 < rows.count, Order.precedes(rows[child + 1], rows[child], in: table) { child += 1 }
            guard Order.precedes(rows[child], row, in: table) else { break }
            rows[index] = rows[child]
            Order.note(rows[index], at: Int32(index), in: &table)
            index = child
        }
        rows[index] = row
        Order.note(row, at: Int32(index), in: &table)
    }
}

extension IndexedHeap {
    /// The position of a row that is in no heap.
    static var absent: Int32 { -1 }
}
