// The dispatch index beside the simplest thing that could be right: lists of names, searched anew for every question.
// Here the index hears of everything, so both must agree on whether a job may start, and the index must pick a right one.

import Foundation
import Spool
import TestSupport

@testable import Workers

struct ExactModel {
    struct Running {
        var name: JobFileName
        /// The lane it was charged to.
        var lane: Lane
    }

    private let workers: Int
    private let userLimit: Int
    private let shares: LaneShares
    private var index: DispatchIndex
    private var random: SeededGenerator
    private var now = Sample.start
    private var waiting: [JobID: JobFileName] = [:]
    private var notBefore: [JobID: Int64] = [:]
    private var running: [Running] = []
    private var holds: [String: Int64] = [:]
    private var made = 0
    /// Jobs handed out, so that a test can tell that it tested something.
    private(set) var started = 0

    private static let accounts = ["openai", "anthropic", "offline"]
    private static let waitingBound = 50

    init(workers: Int, userLimit: Int, seed: Int) {
        self.workers = workers
        self.userLimit = userLimit
        shares = LaneShares(workers: workers)
        index = DispatchIndex(shares: shares, userLimit: { _ in userLimit })
        random = SeededGenerator(seed: seed)
    }

    mutating func step() throws {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<30: add()
        case 30..<65: try hand()
        case 65..<85: end()
        case 85..<88: putBack()
        case 88..<90: remove()
        case 90..<92: rename()
        case 92..<94: hold()
        case 94..<95: index.isPaused.toggle()
        default: now += Int64.random(in: 1...400, using: &random)
        }
        guard index.waiting.interactive + index.waiting.scheduled + index.waiting.background == waiting.count,
            index.handedOut == running.count
        else { throw Violation("counts differ: \(index.waiting), \(index.handedOut) out") }
    }

    // MARK: - What happens

    private mutating func add() {
        guard waiting.count < ExactModel.waitingBound else { return }
        made += 1
        let key = random.chance(50) ? Int.random(in: 0..<9, using: &random) : nil
        // A session belongs to one user.
        let user = "user-\(key.map { $0 % 3 } ?? Int.random(in: 0..<6, using: &random))"
        let due = now - Sample.start + (random.chance(30) ? Int64.random(in: 1...900, using: &random) : 0)
        let name = Sample.name(
            made, user: user, lane: Lane.highestFirst.randomElement(using: &random) ?? .scheduled,
            priority: Int.random(in: 4...6, using: &random), due: due, key: key,
            account: ExactModel.accounts.randomElement(using: &random) ?? "offline",
            attempt: random.chance(10) ? 1 : 0, crashes: random.chance(12) ? 1 : 0)
        insert(name)
        // Told twice, by the listener and by inotify.
        if random.chance(20) { index.insert(name, isCertain: false, now: now) }
    }

    private mutating func insert(_ name: JobFileName) {
        waiting[name.id] = name
        notBefore[name.id] = nil
        index.insert(name, now: now)
    }

    private mutating func end() {
        guard let place = running.indices.randomElement(using: &random) else { return }
        let name = running.remove(at: place).name
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<2: insert(name.tried(due: now + Int64.random(in: 0...500, using: &random)))
        case 2: insert(name)
        // Held jobs with a key are the loose model's: there the spool has the last word on their order.
        case 3 where name.orderKey == nil: insert(name.moved(due: now + Int64.random(in: 1...500, using: &random)))
        default: break
        }
        index.finished(name.id, now: now)
    }

    private mutating func putBack() {
        guard let place = running.indices.randomElement(using: &random) else { return }
        let name = running.remove(at: place).name
        waiting[name.id] = name
        notBefore[name.id] = now + 10
        index.returned(name.id, wake: now + 10, now: now)
    }

    private mutating func remove() {
        guard let id = waiting.keys.sorted().randomElement(using: &random) else { return }
        waiting[id] = nil
        index.remove(id, now: now)
    }

    /// An operator gives a waiting file another priority by `mv`.
    private mutating func rename() {
        guard let id = waiting.keys.sorted().randomElement(using: &random), var name = waiting[id] else { return }
        name.priority = (name.priority + 1) % 10
        insert(name)
    }

    private mutating func hold() {
        let account = ExactModel.accounts.randomElement(using: &random) ?? "offline"
        let until = now + Int64.random(in: 1...600, using: &random)
        holds[account] = max(holds[account] ?? 0, until)
        index.hold(account, until: until)
    }

    // MARK: - What must be so

    private mutating func hand() throws {
        guard running.count < workers else { return }
        let may = index.isPaused ? [] : eligible(at: now)
        guard let name = index.next(now: now) else {
            if let missed = may.first { throw Violation("\(missed.name) may start and was not handed out") }
            return try checkWake()
        }
        guard let choice = may.first(where: { $0.name == name }) else { throw Violation("\(name) may not start") }
        try checkLane(choice, may)
        for other in may where other.lane == choice.lane {
            let (mine, theirs) = (count(of: name.user), count(of: other.name.user))
            if theirs < mine { throw Violation("\(name.user) runs \(mine), \(other.name.user) \(theirs) and waits") }
            if other.name.user == name.user, precedes(other.name, name) {
                throw Violation("\(other.name) is more urgent than \(name)")
            }
        }
        waiting[name.id] = nil
        notBefore[name.id] = nil
        running.append(choice)
        started += 1
    }

    /// The minimum first, then the higher lane.
    private func checkLane(_ choice: Running, _ may: [Running]) throws {
        guard shares.minimum != PerLane(repeating: 0), used(choice.lane) >= shares.minimum[choice.lane] else { return }
        for other in may where other.lane != choice.lane {
            if used(other.lane) < shares.minimum[other.lane] {
                throw Violation("\(choice.lane) borrows while \(other.lane) is below its minimum")
            }
            if other.lane < choice.lane { throw Violation("\(choice.lane) borrows before \(other.lane)") }
        }
    }

    /// Nothing becomes possible before the time at which the index wants to be asked again.
    private func checkWake() throws {
        if index.isPaused { return }
        let wake = index.nextWake(now: now)
        if let wake, wake <= now { throw Violation("asks to be woken in the past") }
        let before = wake.map { $0 - 1 } ?? now + 1_000_000
        if let missed = eligible(at: before).first {
            throw Violation("\(missed.name) may start before the wake-up at \(wake.map(String.init) ?? "no time")")
        }
    }

    private func eligible(at time: Int64) -> [Running] {
        let joined = waiting.values.filter { $0.attempt + $0.crashes > 0 || $0.dueMilliseconds <= time }
        var heads: [OrderKey: Running] = [:]
        for name in joined {
            guard let key = name.orderKey else { continue }
            guard let head = heads[key] else {
                heads[key] = Running(name: name, lane: name.lane)
                continue
            }
            heads[key] = Running(name: head.name.id < name.id ? head.name : name, lane: min(head.lane, name.lane))
        }
        let busyKeys = Set(running.compactMap(\.name.orderKey))
        let hasSuspect = running.contains { $0.name.isSuspect }
        return joined.compactMap { name -> Running? in
            guard name.dueMilliseconds <= time, notBefore[name.id] ?? 0 <= time, holds[name.holdKey] ?? 0 <= time,
                count(of: name.user) < userLimit, !(name.isSuspect && hasSuspect)
            else { return nil }
            guard let key = name.orderKey else { return Running(name: name, lane: name.lane) }
            guard !busyKeys.contains(key), let head = heads[key], head.name.id == name.id else { return nil }
            return head
        }.filter { hasRoom($0.lane) }
    }

    private func hasRoom(_ lane: Lane) -> Bool {
        Lane.highestFirst.filter { $0 <= lane }.allSatisfy { upper in
            running.count { $0.lane >= upper } < shares.ceiling[upper]
        }
    }

    private func used(_ lane: Lane) -> Int { running.count { $0.lane == lane } }
    private func count(of user: String) -> Int { running.count { $0.name.user == user } }

    private func precedes(_ left: JobFileName, _ right: JobFileName) -> Bool {
        (left.priority, left.dueMilliseconds, left.id) < (right.priority, right.dueMilliseconds, right.id)
    }
}
