// The jobs of one order key (one session of one user) in this process's view: who is at the head, who is being run.
// Pure; called under the dispatcher's lock; never fails. The spool's order file has the last word: a claim it refuses
// (`.blocked`) sets `preferred` or `wake` here.

import Spool

struct OrderLine {
    var name: OrderKey
    /// Joined jobs that no worker has, by id.
    var jobs = IndexedHeap<ByID>()
    /// The job a worker has; -1 when none.
    var running: Int32 = -1
    /// The job placed in the time heap or in a queue on behalf of the line; -1 when none.
    var offered: Int32 = -1
    /// The head the spool named when it refused another: client-made ids need not ascend in admission order.
    var preferred: Int32 = -1
    /// Not before this time, in ms: the spool's head is somewhere else (another process, or not seen yet).
    var wake: Int64 = 0
    var refusals: UInt8 = 0
    /// Joined jobs per lane: the head is served in the best lane of its followers.
    var lanes = PerLane<Int32>(repeating: 0)
    /// Rows that name this line, wherever they are: also those that join when they are due.
    var members: Int32 = 0

    /// First wait after a refusal, doubling with each, and the longest, in ms.
    static let firstWait: Int64 = 100
    static let longestWait: Int64 = 1_000

    var bestLane: Lane? { Lane.highestFirst.first { lanes[$0] > 0 } }

    /// Who may be offered next: nobody while one runs.
    var head: Int32? {
        if running >= 0 { return nil }
        return preferred >= 0 ? preferred : jobs.first
    }

    mutating func refused(now: Int64) {
        wake = now + min(OrderLine.firstWait << Int64(min(refusals, 6)), OrderLine.longestWait)
        refusals = min(refusals + 1, 6)
    }

    /// Something happened to the line: it may be tried at once.
    mutating func unblock() {
        wake = 0
        refusals = 0
    }
}

/// All lines with jobs, by order key.
struct OrderLines {
    private var rows: [OrderLine] = []
    private var unused: [Int32] = []
    private var byName: [OrderKey: Int32] = [:]

    subscript(line: Int32) -> OrderLine {
        get { rows[Int(line)] }
        _modify { yield &rows[Int(line)] }
    }

    /// The line of a key, made if need be; each call counts one member, which `leave` gives back.
    mutating func join(_ name: OrderKey) -> Int32 {
        let line = byName[name] ?? add(name)
        rows[Int(line)].members += 1
        return line
    }

    mutating func leave(_ line: Int32) { rows[Int(line)].members -= 1 }

    private mutating func add(_ name: OrderKey) -> Int32 {
        let line: Int32
        if let old = unused.popLast() {
            line = old
            rows[Int(line)] = OrderLine(name: name)
        } else {
            line = Int32(rows.count)
            rows.append(OrderLine(name: name))
        }
        byName[name] = line
        return line
    }

    mutating func freeIfUnused(_ line: Int32) {
        guard rows[Int(line)].members == 0 else { return }
        byName[rows[Int(line)].name] = nil
        unused.append(line)
    }
}
