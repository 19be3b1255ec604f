// Who gets a thread next: a pure value, without threads or clocks. `BlockingBridge` holds it under its lock, tells it of calls
// and of ends, and starts what it returns.
//
// Each call is somebody's: a user's, or the service's own. Two rules:
//   1. A free thread goes to the one with the fewest threads among those who wait; of two with as many, to the one who was
//      served longer ago.
//   2. A call of a user who holds n threads starts only while more than n threads are free.
// While no other user has a call, one user gets half of the pool, and the pool is made twice as large as `BlockingBridge` is
// asked for: one user alone uses as many threads as the setting says. The other half is a reserve. The second user gets half
// of the reserve, or more as the first one's calls end, the third half of the rest, and so on: however long the calls of a
// few users take, a thread is free for a user who has none. With 32 threads, 64 in the pool, it takes six users to hold all,
// and each of them a time limit ends. The rule is the dynamic threshold of shared buffers (Choudhury and Hahne, 1998, α = 1).
//
// The same rule bounds what waits: the calls of one user take at most half of the places that are free besides theirs.

/// Why a call may not wait.
enum ThreadSharesRefusal: Error, Equatable {
    /// All places are taken, by many.
    case full
    /// The key has as many calls waiting as one may have.
    case shareIsFull
}

struct ThreadShares<Key: Hashable, Call> {
    /// All threads of the pool, and all places of calls that wait.
    let threads: Int
    let places: Int

    private struct Queue {
        var calls: [(number: Int, call: Call)] = []
        var running = 0
        /// When its last call was started, as a count of starts.
        var served = 0
        var isIdle: Bool { calls.isEmpty && running == 0 }
    }

    private var queues: [Key: Queue] = [:]
    private var nextNumber = 0
    private var starts = 0
    private(set) var running = 0
    private(set) var waiting = 0

    init(threads: Int, places: Int) {
        self.threads = threads
        self.places = places
    }

    /// Threads that a key uses, and calls of it that wait.
    func use(of key: Key) -> (running: Int, waiting: Int) {
        let queue = queues[key]
        return (queue?.running ?? 0, queue?.calls.count ?? 0)
    }

    /// The most threads one key uses.
    var largestUse: Int { queues.values.map(\.running).max() ?? 0 }

    /// A call that wants a thread. Ask `next` afterwards.
    /// - Returns: its number, for `withdraw`.
    mutating func add(_ call: Call, of key: Key) throws(ThreadSharesRefusal) -> Int {
        guard waiting < places else { throw .full }
        // Whoever comes new stands behind those who wait and have been served before.
        var queue = queues[key] ?? Queue(served: starts)
        guard queue.calls.count < places - waiting else { throw .shareIsFull }
        nextNumber += 1
        waiting += 1
        queue.calls.append((nextNumber, call))
        queues[key] = queue
        return nextNumber
    }

    /// Takes back all calls that have not been started.
    mutating func withdrawAll() -> [Call] {
        let calls = queues.values.flatMap { $0.calls.map(\.call) }
        for key in queues.keys { queues[key]?.calls = [] }
        queues = queues.filter { !$0.value.isIdle }
        waiting = 0
        return calls
    }

    /// Takes back a call that has not been started. - Returns: nil when it was, or is unknown.
    mutating func withdraw(_ number: Int, of key: Key) -> Call? {
        guard let index = queues[key]?.calls.firstIndex(where: { $0.number == number }) else { return nil }
        let call = queues[key]?.calls.remove(at: index).call
        waiting -= 1
        forgetIfIdle(key)
        return call
    }

    /// A call that was started has ended. Ask `next` afterwards.
    mutating func end(of key: Key) {
        running -= 1
        queues[key]?.running -= 1
        forgetIfIdle(key)
    }

    /// The call to start now; nil: none may. To be asked until it says nil.
    mutating func next() -> Call? {
        guard running < threads, waiting > 0 else { return nil }
        let free = threads - running
        var best: (key: Key, running: Int, served: Int)?
        // Keys are as many as there are calls: at most threads and places, and hardly ever more than a few.
        for (key, queue) in queues where !queue.calls.isEmpty && queue.running < free {
            if let best, (best.running, best.served) <= (queue.running, queue.served) { continue }
            best = (key, queue.running, queue.served)
        }
        guard let key = best?.key, var queue = queues[key] else { return nil }
        starts += 1
        running += 1
        waiting -= 1
        queue.running += 1
        queue.served = starts
        let call = queue.calls.removeFirst().call
        queues[key] = queue
        return call
    }

    private mutating func forgetIfIdle(_ key: Key) {
        if queues[key]?.isIdle == true { queues[key] = nil }
    }
}
