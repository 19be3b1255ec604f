// Which waiting job goes to the next free worker (DESIGN §3, invariants 8, 9, 10, 11): the pure core of `Dispatcher`.
// Everything comes in as a value, the time too; nothing here waits, locks or touches files.
//
//     insert(name) ─> future ──due──> in line ──head──> ready ──next()──> handed out ──finished()──> gone
//                                        ^                                    │
//                                        └── returned / blocked / a new name ─┘
//
// The index is a cache of names, never the truth: the claim decides. A name too many costs one refused claim; a name too
// few is found by the next scan. Every operation is O(log n) in the jobs waiting, and so is the removal by id of a job
// whose file has vanished. Called under the dispatcher's lock; never fails.

import Foundation
import Spool

struct DispatchIndex {
    private(set) var slots = SlotTable()
    private(set) var ledger: LaneLedger
    private var roster: Roster
    private var lines = OrderLines()
    private var accounts: [Account] = []
    private var holdKeys: [String] = []
    private var holdKeyNumbers: [String: Int32] = [:]
    private var clock = IndexedHeap<ByWake>()
    /// Names that a job in a worker's hands went back to queued/ under, before the worker said so.
    private var successors: [JobID: JobFileName] = [:]
    private var isSuspectRunning = false
    private var scan: UInt32 = 0
    private(set) var handedOut = 0
    private(set) var waiting = PerLane(repeating: 0)

    /// Nothing is handed out while set.
    var isPaused = false
    /// Nothing is handed out before this time (ms): the file system refuses claims.
    var brake: Int64 = 0

    /// Jobs moved from the time heap per call of `next`, so that 100,000 reports due at 09:00 do not make one call long.
    static let movesPerCall = 256

    private struct Account {
        var name: String
        var heldUntil: Int64 = 0
    }

    init(shares: LaneShares, userLimit: @escaping @Sendable (String) -> Int) {
        ledger = LaneLedger(shares: shares)
        roster = Roster(userLimit: userLimit)
    }

    // MARK: - Names come and go

    /// A name was seen in queued/. Safe to repeat, and with an outdated name: the newer one stays.
    /// - Parameter isCertain: it is known to stand there now; otherwise the name of a job in a worker's hands is taken for
    ///   the sight of the file before its claim.
    mutating func insert(_ name: JobFileName, isCertain: Bool = true, now: Int64) {
        if let row = slots.byID[name.id] {
            slots[row].seen = scan
            if slots[row].place == .handedOut {
                let known = successors[name.id] ?? self.name(of: row)
                if isCertain || DispatchIndex.supersedes(name, known) { successors[name.id] = name }
                return
            }
            guard DispatchIndex.supersedes(name, self.name(of: row)) else { return isCertain ? offerNow(row, now: now) : () }
            drop(row, now: now)
        }
        add(name, now: now, wake: 0)
    }

    /// Who admits a job lets go of its lock and then says so. inotify may have been quicker: a claim that found the lock
    /// busy must not wait any longer.
    private mutating func offerNow(_ row: Int32, now: Int64) {
        let place = slots[row].place
        guard place == .waiting || place == .behind, name(of: row).due(onClockShowing: now) <= now else { return }
        let key = slots[row].key
        if place == .waiting { unplace(row) }
        slots[row].wake = 0
        guard key >= 0 else { return self.place(row, lane: slots[row].lane, notBefore: 0, now: now) }
        slots[row].place = .behind
        lines[key].unblock()
        settle(key, now: now)
    }

    /// The job is no longer in queued/ and nobody here runs it.
    mutating func remove(_ id: JobID, now: Int64) {
        guard let row = slots.byID[id], slots[row].place != .handedOut else { return }
        drop(row, now: now)
    }

    /// A scan of queued/ begins: names not inserted until `endScan` are those of vanished files.
    mutating func beginScan() {
        scan &+= 1
    }

    /// Removes up to `limit` jobs the scan did not see, looking from row `from` on.
    /// - Returns: where to go on; nil at the end.
    mutating func endScan(from: Int32, limit: Int, now: Int64) -> Int32? {
        let end = min(Int(from) + limit, slots.rows.count)
        for row in from..<Int32(end) where slots[row].seen != scan {
            if slots[row].place != .free, slots[row].place != .handedOut { drop(row, now: now) }
        }
        return end < slots.rows.count ? Int32(end) : nil
    }

    // MARK: - Handing out

    /// The next job for a free worker; nil when none may start now (see `nextWake`).
    mutating func next(now: Int64) -> JobFileName? {
        repeat {
            let movedAll = moveDue(now: now)
            guard !isPaused, now >= brake else { return nil }
            let lane = ledger.choose { bestQueue(in: $0, now: now) != nil }
            if let lane, let queue = bestQueue(in: lane, now: now), let row = roster.job(atHeadOf: queue) {
                handOut(row, in: lane)
                return name(of: row)
            }
            if movedAll { return nil }
        } while true
    }

    /// When `next` may answer differently although nothing else happens; nil: not by itself.
    func nextWake(now: Int64) -> Int64? {
        if isPaused { return nil }
        var earliest = clock.first.map { slots[$0].wake }
        for (number, account) in accounts.enumerated() where account.heldUntil > now {
            let waits = Lane.highestFirst.contains { first(of: Int16(number), $0, gateOpen: true) != nil }
            if waits { earliest = min(earliest ?? .max, account.heldUntil) }
        }
        if brake > now { earliest = max(earliest ?? brake, brake) }
        return earliest
    }

    // MARK: - What became of a handed-out job

    /// The worker is done with the job, in whatever way: final, back in queued/ under a new name, or gone.
    /// - Parameter notBefore: the earliest time (ms) for a new name of it; 0 for its due time.
    mutating func finished(_ id: JobID, now: Int64, notBefore: Int64 = 0) {
        guard let row = takeBack(id) else { return }
        let key = slots[row].key
        let successor = successors.removeValue(forKey: id)
        // The line must not be offered to a follower in between: the new name joins before the line is settled.
        release(row)
        if let successor { add(successor, now: now, wake: notBefore) }
        guard key >= 0 else { return }
        lines[key].unblock()
        settle(key, now: now)
        lines.freeIfUnused(key)
    }

    /// The job was not started (its lock was busy, admission said later): it may be offered again from `wake` (ms) on.
    mutating func returned(_ id: JobID, wake: Int64, now: Int64) {
        guard let row = takeBack(id) else { return }
        let successor = successors.removeValue(forKey: id)
        if let successor, DispatchIndex.supersedes(successor, name(of: row)) {
            let key = slots[row].key
            release(row)
            add(successor, now: now, wake: wake)
            if key >= 0 { lines.freeIfUnused(key) }
            return
        }
        // The same name again, meanwhile: its lock has been let go of since the worker tried.
        slots[row].wake = successor == nil ? wake : min(wake, max(now, name(of: row).due(onClockShowing: now)))
        join(row, now: now)
    }

    /// The spool refused the job because another is first in its order key.
    /// - Parameter head: that other job, if the spool said which.
    mutating func blocked(_ id: JobID, head: JobID?, now: Int64) {
        guard let row = slots.byID[id], slots[row].place == .handedOut else { return }
        let key = slots[row].key
        guard key >= 0 else { return returned(id, wake: now + OrderLine.firstWait, now: now) }
        let other = head.flatMap { slots.byID[$0] }
        if let other, other != row, slots[other].key == key, slots[other].keyPosition >= 0 {
            lines[key].preferred = other
            lines[key].unblock()
        } else {
            if lines[key].preferred == row { lines[key].preferred = -1 }
            lines[key].refused(now: now)
        }
        returned(id, wake: 0, now: now)
    }

    // MARK: - Holds

    /// Jobs with this hold key are not handed out before `until` (ms); a longer hold in force stays.
    mutating func hold(_ account: String, until: Int64) {
        let number = Int(self.account(of: holdKeyNumber(account)))
        accounts[number].heldUntil = max(accounts[number].heldUntil, until)
    }

    func holds(now: Int64) -> [String: Int64] {
        let held = accounts.filter { $0.heldUntil > now }.map { ($0.name, $0.heldUntil) }
        return Dictionary(uniqueKeysWithValues: held)
    }

    // MARK: - The clock

    /// The clock was set back by `step` ms: what we wait for by our own decision, not by a job's due time, comes by so
    /// much sooner, and a backoff is no longer than the longest there is. O(n): this happens to a machine once.
    mutating func clockSetBack(by step: Int64, now: Int64) {
        if brake > 0 { brake -= step }
        for number in accounts.indices where accounts[number].heldUntil > 0 { accounts[number].heldUntil -= step }
        for row in Int32(0)..<Int32(slots.rows.count) {
            let place = slots[row].place
            guard place == .waiting || place == .behind else { continue }
            let key = slots[row].key
            if key >= 0 { lines[key].unblock() }
            let latest = max(min(slots[row].due, now + DispatchIndex.longestBackoff), slots[row].wake - step)
            guard slots[row].wake > latest else { continue }
            if place == .waiting { unplace(row) }
            slots[row].wake = latest
            if place == .waiting { self.place(row, lane: slots[row].chargedLane, notBefore: 0, now: now) }
        }
    }

    /// Milliseconds: no backoff and no honoured Retry-After is longer (`EndingRules`).
    static let longestBackoff: Int64 = 3_600_000

    func isHandedOut(_ id: JobID) -> Bool {
        slots.byID[id].map { slots[$0].place == .handedOut } ?? false
    }
}

// MARK: - Inside

extension DispatchIndex {
    /// Later in the job's life; at the same point of it the newcomer wins (a hand may have changed the due time).
    private static func supersedes(_ name: JobFileName, _ known: JobFileName) -> Bool {
        let (new, old) = (name.claimed, known.claimed)
        if new.run != old.run { return new.run > old.run }
        let (tries, oldTries) = (new.attempt + new.crashes, old.attempt + old.crashes)
        return tries > oldTries || (tries == oldTries && name != known)
    }

    private mutating func add(_ name: JobFileName, now: Int64, wake: Int64) {
        let due = name.due(onClockShowing: now)
        let row = slots.add(
            Slot(
                id: name.id, due: name.dueMilliseconds, wake: wake, user: roster.join(name.user),
                key: name.orderKey.map { lines.join($0) } ?? -1, seen: scan, holdKey: holdKeyNumber(name.holdKey),
                run: UInt16(clamping: name.run), attempt: UInt16(clamping: name.attempt),
                crashes: UInt16(clamping: name.crashes), priority: UInt8(clamping: name.priority), lane: name.lane,
                chargedLane: name.lane, isDead: name.isDead))
        waiting[name.lane] += 1
        if due > now, slots[row].isFirstTry {
            slots[row].wake = max(due, wake)
            slots[row].place = .future
            clock.insert(row, in: &slots)
        } else {
            // Once due always due: the clock may be set back.
            slots[row].wake = due > now ? max(due, wake) : wake
            join(row, now: now)
        }
    }

    private func name(of row: Int32) -> JobFileName {
        let slot = slots[row]
        var name = JobFileName(
            id: slot.id, due: Milliseconds.date(slot.due), lane: slot.lane, priority: Int(slot.priority),
            user: roster.name(of: slot.user), orderKey: slot.key >= 0 ? lines[slot.key].name : nil,
            holdKey: holdKeys[Int(slot.holdKey)], run: Int(slot.run), attempt: Int(slot.attempt),
            crashes: Int(slot.crashes))
        name.isDead = slot.isDead
        return name
    }

    private mutating func holdKeyNumber(_ name: String) -> Int32 {
        if let known = holdKeyNumbers[name] { return known }
        let number = Int32(holdKeys.count)
        holdKeys.append(name)
        holdKeyNumbers[name] = number
        if accounts.count < DispatchIndex.accountLimit { accounts.append(Account(name: name)) }
        return number
    }

    /// Hold keys are the operator's accounts, a handful. Names made by hand beyond the bound are held together.
    private func account(of holdKey: Int32) -> Int16 {
        Int16(min(Int(holdKey), DispatchIndex.accountLimit - 1))
    }

    /// Takes a waiting job out of everything and forgets it.
    private mutating func drop(_ row: Int32, now: Int64) {
        let key = slots[row].key
        unplace(row)
        if key >= 0 { leaveLine(row) }
        release(row)
        guard key >= 0 else { return }
        lines[key].unblock()
        settle(key, now: now)
        lines.freeIfUnused(key)
    }

    private mutating func release(_ row: Int32) {
        waiting[slots[row].lane] -= slots[row].place == .handedOut ? 0 : 1
        roster.leave(slots[row].user)
        if slots[row].key >= 0 { lines.leave(slots[row].key) }
        slots.free(row)
    }

    // MARK: - Lines

    /// The job is due (or was tried before): it takes its place in its order key's line, or is offered at once.
    private mutating func join(_ row: Int32, now: Int64) {
        let key = slots[row].key
        guard key >= 0 else { return place(row, lane: slots[row].lane, notBefore: 0, now: now) }
        slots[row].place = .behind
        lines[key].jobs.insert(row, in: &slots)
        lines[key].lanes[slots[row].lane] += 1
        settle(key, now: now)
    }

    private mutating func leaveLine(_ row: Int32) {
        let key = slots[row].key
        if lines[key].offered == row { lines[key].offered = -1 }
        if lines[key].preferred == row { lines[key].preferred = -1 }
        guard slots[row].keyPosition >= 0 else { return }
        lines[key].jobs.remove(at: slots[row].keyPosition, in: &slots)
        lines[key].lanes[slots[row].lane] -= 1
    }

    /// Offers the right job of a line, in the right lane, and no other.
    private mutating func settle(_ key: Int32, now: Int64) {
        let head = lines[key].head ?? -1
        let lane = lines[key].bestLane ?? .background
        let offered = lines[key].offered
        if head == offered, head >= 0, slots[head].place == .ready, slots[head].chargedLane == lane { return }
        if offered >= 0 {
            unplace(offered)
            slots[offered].place = .behind
        }
        lines[key].offered = head
        guard head >= 0 else { return }
        place(head, lane: lane, notBefore: lines[key].wake, now: now)
    }

    // MARK: - Places

    private mutating func place(_ row: Int32, lane: Lane, notBefore: Int64, now: Int64) {
        slots[row].chargedLane = lane
        let wake = max(slots[row].wake, notBefore)
        if wake > now {
            slots[row].wake = wake
            slots[row].place = .waiting
            clock.insert(row, in: &slots)
        } else {
            slots[row].place = .ready
            let track = Track(account: account(of: slots[row].holdKey), lane: lane, isSuspect: slots[row].isSuspect)
            roster.enqueue(row, user: slots[row].user, track: track, in: &slots)
        }
    }

    private mutating func unplace(_ row: Int32) {
        switch slots[row].place {
        case .future, .waiting: clock.remove(at: slots[row].position, in: &slots)
        case .ready: roster.dequeue(row, in: &slots)
        case .free, .behind, .handedOut: break
        }
    }

    /// - Returns: whether nothing due is left in the time heap.
    private mutating func moveDue(now: Int64) -> Bool {
        for _ in 0..<DispatchIndex.movesPerCall {
            guard let row = clock.first, slots[row].wake <= now else { return true }
            let wasFuture = slots[row].place == .future
            clock.remove(at: slots[row].position, in: &slots)
            if wasFuture {
                join(row, now: now)
            } else {
                place(row, lane: slots[row].chargedLane, notBefore: 0, now: now)
            }
        }
        return false
    }

    // MARK: - Choosing

    private func bestQueue(in lane: Lane, now: Int64) -> Int32? {
        var best: Int32?
        for (number, account) in accounts.enumerated() where account.heldUntil <= now {
            guard let queue = first(of: Int16(number), lane, gateOpen: !isSuspectRunning) else { continue }
            best = best.map { better(queue, $0) } ?? queue
        }
        return best
    }

    private func first(of account: Int16, _ lane: Lane, gateOpen: Bool) -> Int32? {
        let plain = roster.first(in: Track(account: account, lane: lane, isSuspect: false))
        guard gateOpen, let suspect = roster.first(in: Track(account: account, lane: lane, isSuspect: true)) else {
            return plain
        }
        return plain.map { better(suspect, $0) } ?? suspect
    }

    private func better(_ left: Int32, _ right: Int32) -> Int32 {
        guard roster.user(of: left) == roster.user(of: right),
            let first = roster.job(atHeadOf: left), let second = roster.job(atHeadOf: right)
        else { return roster.precedes(left, right) ? left : right }
        return ByUrgency.precedes(first, second, in: slots) ? left : right
    }

    private mutating func handOut(_ row: Int32, in lane: Lane) {
        roster.dequeue(row, in: &slots)
        let key = slots[row].key
        if key >= 0 {
            leaveLine(row)
            lines[key].running = row
        }
        slots[row].place = .handedOut
        slots[row].chargedLane = lane
        if slots[row].isSuspect { isSuspectRunning = true }
        handedOut += 1
        waiting[slots[row].lane] -= 1
        ledger.started(lane)
        roster.served(slots[row].user, in: lane)
    }

    /// Undoes the accounts of `handOut`; the row is in no place afterwards.
    private mutating func takeBack(_ id: JobID) -> Int32? {
        guard let row = slots.byID[id], slots[row].place == .handedOut else { return nil }
        if slots[row].isSuspect { isSuspectRunning = false }
        handedOut -= 1
        waiting[slots[row].lane] += 1
        slots[row].place = .behind
        ledger.ended(slots[row].chargedLane)
        roster.ended(slots[row].user)
        if slots[row].key >= 0 { lines[slots[row].key].running = -1 }
        return row
    }

    /// Distinct hold keys the index tells apart.
    static let accountLimit = 256
}

/// Dates as whole milliseconds, as the names of job files carry them.
enum Milliseconds {
    static func since1970(_ date: Date) -> Int64 {
        Int64((date.timeIntervalSince1970 * 1000).rounded())
    }
    static func date(_ value: Int64) -> Date {
        Date(timeIntervalSince1970: Double(value) / 1000)
    }
}
