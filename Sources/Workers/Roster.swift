// Users and their queues of ready jobs: whose turn it is (DESIGN §3, invariant 9). Pure; called under the dispatcher's
// lock; never fails.
//
// A queue holds the ready jobs of one user in one track; a track is one hold key (provider account), one lane, suspects
// or not. A held account is skipped by not looking at its tracks: holding and releasing cost nothing, however many jobs
// wait on it. Each track keeps its queues in a heap by turn: the user with the fewest running jobs first, then the one
// served least recently in that lane. Users at their cap are in no heap.
//
// Turns are stamps of a clock per lane that ticks by two with each job handed out. Somebody served gets the clock's
// value; somebody whose first job arrives gets one less: before the user just served, behind everybody who waits longer.
// So a user with 10,000 jobs delays another's first by one slot at most, and coming and going gains nothing.

import Spool

struct User {
    var name: String
    /// Jobs handed out now, in all lanes.
    var running = 0
    /// Rows of the slot table that name this user; at 0 the entry is free.
    var slots = 0
    var stamp = PerLane<Int64>(repeating: 0)
    /// Queues with ready jobs.
    var queues: [Int32] = []
}

struct Queue {
    var track: Track
    var user: Int32
    var jobs = IndexedHeap<ByUrgency>()
    /// In the track's heap; absent while the user is at the cap.
    var position = IndexedHeap<ByTurn>.absent
}

/// One hold key, one lane, suspects or not.
struct Track: Hashable {
    var account: Int16
    var lane: Lane
    var isSuspect: Bool

    static let perAccount = 6
    var index: Int { Int(account) * Track.perAccount + lane.rank * 2 + (isSuspect ? 1 : 0) }
}

/// Users and queues in one table, which the heaps of turns order.
struct Seats {
    var users: [User] = []
    var queues: [Queue] = []
}

enum ByTurn: HeapOrder {
    static func precedes(_ left: Int32, _ right: Int32, in seats: Seats) -> Bool {
        let lane = seats.queues[Int(left)].track.lane
        let (a, b) = (Int(seats.queues[Int(left)].user), Int(seats.queues[Int(right)].user))
        let (running, other) = (seats.users[a].running, seats.users[b].running)
        if running != other { return running < other }
        let (stamp, otherStamp) = (seats.users[a].stamp[lane], seats.users[b].stamp[lane])
        return stamp != otherStamp ? stamp < otherStamp : a < b
    }
    static func note(_ row: Int32, at position: Int32, in seats: inout Seats) {
        seats.queues[Int(row)].position = position
    }
}

struct Roster {
    /// Running jobs one user may have at once, in this process.
    let userLimit: Int
    private(set) var seats = Seats()
    /// Jobs in all queues.
    private(set) var ready = 0
    private var tracks: [IndexedHeap<ByTurn>] = []
    private var clock = PerLane<Int64>(repeating: 0)
    private var userNumbers: [String: Int32] = [:]
    private var unusedUsers: [Int32] = []
    private var unusedQueues: [Int32] = []

    init(userLimit: Int) {
        self.userLimit = userLimit
    }

    func name(of user: Int32) -> String { seats.users[Int(user)].name }
    func running(of user: Int32) -> Int { seats.users[Int(user)].running }

    /// The entry of a user, made if need be; each call counts one slot, which `leave` gives back.
    mutating func join(_ name: String) -> Int32 {
        let number = userNumbers[name] ?? addUser(name)
        seats.users[Int(number)].slots += 1
        return number
    }

    mutating func leave(_ user: Int32) {
        seats.users[Int(user)].slots -= 1
        guard seats.users[Int(user)].slots == 0 else { return }
        userNumbers[seats.users[Int(user)].name] = nil
        unusedUsers.append(user)
    }

    private mutating func addUser(_ name: String) -> Int32 {
        let number: Int32
        if let old = unusedUsers.popLast() {
            number = old
            seats.users[Int(number)] = User(name: name)
        } else {
            number = Int32(seats.users.count)
            seats.users.append(User(name: name))
        }
        userNumbers[name] = number
        return number
    }

    // MARK: - Ready jobs

    mutating func enqueue(_ row: Int32, user: Int32, track: Track, in table: inout SlotTable) {
        let queue = seats.users[Int(user)].queues.first { seats.queues[Int($0)].track == track }
            ?? addQueue(track, user: user)
        seats.queues[Int(queue)].jobs.insert(row, in: &table)
        table[row].queue = queue
        ready += 1
    }

    mutating func dequeue(_ row: Int32, in table: inout SlotTable) {
        let queue = table[row].queue
        ready -= 1
        seats.queues[Int(queue)].jobs.remove(at: table[row].position, in: &table)
        table[row].queue = IndexedHeap<ByUrgency>.absent
        if seats.queues[Int(queue)].jobs.isEmpty { removeQueue(queue) }
    }

    private mutating func addQueue(_ track: Track, user: Int32) -> Int32 {
        let queue: Int32
        if let old = unusedQueues.popLast() {
            queue = old
            seats.queues[Int(queue)] = Queue(track: track, user: user)
        } else {
            queue = Int32(seats.queues.count)
            seats.queues.append(Queue(track: track, user: user))
        }
        while tracks.count <= track.index { tracks.append(IndexedHeap()) }
        let entry = clock[track.lane] - 1
        let hasOther = seats.users[Int(user)].queues.contains { seats.queues[Int($0)].track.lane == track.lane }
        seats.users[Int(user)].queues.append(queue)
        if !hasOther, seats.users[Int(user)].stamp[track.lane] < entry {
            seats.users[Int(user)].stamp[track.lane] = entry
        }
        reseat(queue)
        return queue
    }

    private mutating func removeQueue(_ queue: Int32) {
        let user = Int(seats.queues[Int(queue)].user)
        unseat(queue)
        if let index = seats.users[user].queues.firstIndex(of: queue) {
            seats.users[user].queues.swapAt(index, seats.users[user].queues.count - 1)
            seats.users[user].queues.removeLast()
        }
        unusedQueues.append(queue)
    }

    // MARK: - Turns

    /// The queue whose turn it is in one track; nil when nobody below the cap waits there.
    func first(in track: Track) -> Int32? {
        track.index < tracks.count ? tracks[track.index].first : nil
    }

    func job(atHeadOf queue: Int32) -> Int32? { seats.queues[Int(queue)].jobs.first }
    func user(of queue: Int32) -> Int32 { seats.queues[Int(queue)].user }

    func precedes(_ left: Int32, _ right: Int32) -> Bool { ByTurn.precedes(left, right, in: seats) }

    mutating func served(_ user: Int32, in lane: Lane) {
        clock[lane] += 2
        seats.users[Int(user)].stamp[lane] = clock[lane]
        seats.users[Int(user)].running += 1
        reseatAll(of: user)
    }

    mutating func ended(_ user: Int32) {
        seats.users[Int(user)].running -= 1
        reseatAll(of: user)
    }

    private mutating func reseatAll(of user: Int32) {
        for index in seats.users[Int(user)].queues.indices { reseat(seats.users[Int(user)].queues[index]) }
    }

    private mutating func reseat(_ queue: Int32) {
        let entry = seats.queues[Int(queue)]
        guard seats.users[Int(entry.user)].running < userLimit else { return unseat(queue) }
        if entry.position < 0 {
            tracks[entry.track.index].insert(queue, in: &seats)
        } else {
            tracks[entry.track.index].restore(at: entry.position, in: &seats)
        }
    }

    private mutating func unseat(_ queue: Int32) {
        let position = seats.queues[Int(queue)].position
        guard position >= 0 else { return }
        tracks[seats.queues[Int(queue)].track.index].remove(at: position, in: &seats)
    }
}
