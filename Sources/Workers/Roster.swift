// Users and their queues of ready jobs: whose turn it is (DESIGN §3, invariant 9). Pure; called under the dispatcher's
// lock; never fails.
//
// A queue holds the ready jobs of one user in one track; a track is one hold key (provider account), one lane, suspects
// or not. A held account is skipped by not looking at its tracks: holding and releasing cost nothing, however many jobs
// wait on it. Each track keeps its queues in a heap by turn: the user with the fewest running jobs first, then the one
// served least recently in that lane. Users at their cap are in no heap.
//
// Turns are stamps of a clock per lane that ticks with each job handed out; a user's stamp is the tick of the last one. So
// whoever was served longest ago is next. Who was never served has a stamp before all ticks, in the order of arrival: a
// user with 10,000 jobs does not delay another's first. Stamps of users without jobs are kept for a while, so coming and
// going gains nothing; forgetting one only makes it a newcomer again.

import Spool

struct User {
    var name: String
    /// Jobs handed out now, in all lanes.
    var running = 0
    /// Rows of the slot table that name this user; at 0 the entry is kept for its stamps only.
    var slots = 0
    /// The clock's tick when a job of the user was last handed out; negative: never, in the order of arrival.
    var stamp: PerLane<Int64>
    /// Queues with ready jobs.
    var queues: [Int32] = []
    /// Counts how often the user was left without jobs: tells an old note about that from the last.
    var visit: Int64 = 0
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
    /// Running jobs a user may have at once, in this process; 0: any number. Asked only where the user has some already.
    let userLimit: @Sendable (String) -> Int
    private(set) var seats = Seats()
    /// Jobs in all queues.
    private(set) var ready = 0
    private var tracks: [IndexedHeap<ByTurn>] = []
    private var clock = PerLane<Int64>(repeating: 0)
    /// Counts up from far below zero.
    private var arrivals = Int64.min / 2
    private var userNumbers: [String: Int32] = [:]
    /// Entries without jobs, and those of them that are forgotten next, the one that left first in front.
    private var resting = 0
    private var leavers: [(user: Int32, visit: Int64)] = []
    private var unusedUsers: [Int32] = []
    /// Users without jobs whose stamps are kept.
    static let restingLimit = 16_384
    private var unusedQueues: [Int32] = []

    init(userLimit: @escaping @Sendable (String) -> Int) {
        self.userLimit = userLimit
    }

    func name(of user: Int32) -> String { seats.users[Int(user)].name }
    func running(of user: Int32) -> Int { seats.users[Int(user)].running }

    /// The entry of a user, made if need be; each call counts one slot, which `leave` gives back.
    mutating func join(_ name: String) -> Int32 {
        let number: Int32
        if let known = userNumbers[name] {
            number = known
            if seats.users[Int(number)].slots == 0 { resting -= 1 }
        } else {
            number = addUser(name)
        }
        seats.users[Int(number)].slots += 1
        return number
    }

    mutating func leave(_ user: Int32) {
        seats.users[Int(user)].slots -= 1
        guard seats.users[Int(user)].slots == 0 else { return }
        resting += 1
        seats.users[Int(user)].visit += 1
        leavers.append((user, seats.users[Int(user)].visit))
        if resting > Roster.restingLimit { forgetHalf() }
    }

    /// Frees the entries of the users that have been without jobs longest. Amortised O(1) per leaving user.
    private mutating func forgetHalf() {
        var kept: [(user: Int32, visit: Int64)] = []
        // Who came back meanwhile, or left again later, is not meant by the note.
        let current = leavers.filter { seats.users[Int($0.user)].slots == 0 && seats.users[Int($0.user)].visit == $0.visit }
        for (place, note) in current.enumerated() {
            guard place < current.count / 2 else {
                kept.append(note)
                continue
            }
            userNumbers[seats.users[Int(note.user)].name] = nil
            seats.users[Int(note.user)].visit += 1
            unusedUsers.append(note.user)
        }
        leavers = kept
        resting = kept.count
    }

    private mutating func addUser(_ name: String) -> Int32 {
        let number: Int32
        arrivals += 1
        var user = User(name: name, stamp: PerLane(repeating: arrivals))
        if let old = unusedUsers.popLast() {
            number = old
            user.visit = seats.users[Int(number)].visit
            seats.users[Int(number)] = user
        } else {
            number = Int32(seats.users.count)
            seats.users.append(user)
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
        seats.users[Int(user)].queues.append(queue)
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
        clock[lane] += 1
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
        guard mayRunMore(entry.user) else { return unseat(queue) }
        if entry.position < 0 {
            tracks[entry.track.index].insert(queue, in: &seats)
        } else {
            tracks[entry.track.index].restore(at: entry.position, in: &seats)
        }
    }

    private func mayRunMore(_ user: Int32) -> Bool {
        let entry = seats.users[Int(user)]
        guard entry.running > 0 else { return true }
        let limit = userLimit(entry.name)
        return limit == 0 || entry.running < limit
    }

    private mutating func unseat(_ queue: Int32) {
        let position = seats.queues[Int(queue)].position
        guard position >= 0 else { return }
        tracks[seats.queues[Int(queue)].track.index].remove(at: position, in: &seats)
    }
}
