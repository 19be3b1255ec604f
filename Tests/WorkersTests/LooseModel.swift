// The dispatch index in a rough world: another process claims from the same folder, notifications get lost or come late,
// files vanish, ids do not ascend in the order of admission, jobs with keys are held. The model is the spool: it answers
// claims as the spool would. The index may be wrong, but never against its limits, and at last everything must have run.

import Foundation
import Spool
import TestSupport

@testable import Workers

struct LooseModel {
    private let userLimit: Int
    private var index: DispatchIndex
    private var random: SeededGenerator
    private var now = Sample.start
    /// What stands in queued/.
    private var files: [JobID: JobFileName] = [:]
    /// Handed out, not claimed yet.
    private var inHand: [JobID: JobFileName] = [:]
    private var mine: [JobID: JobFileName] = [:]
    private var elsewhere: [JobID: JobFileName] = [:]
    /// Ids by order key as they were admitted.
    private var order: [OrderKey: [JobID]] = [:]
    private var holds: [String: Int64] = [:]
    private var oldNames: [JobFileName] = []
    private var numbers: [Int]
    private(set) var completed = 0

    init(workers: Int, userLimit: Int, jobs: Int, seed: Int) {
        self.userLimit = userLimit
        index = DispatchIndex(shares: LaneShares(workers: workers), userLimit: { _ in userLimit })
        random = SeededGenerator(seed: seed)
        numbers = Array(0..<jobs).shuffled(using: &random)
    }

    var hasMore: Bool { !numbers.isEmpty }

    mutating func step() throws {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<20: add()
        case 20..<40: try hand()
        case 40..<60: if let name = any(inHand) { claim(name) }
        case 60..<72: if let name = any(mine) { end(name) }
        case 72..<78: if let name = any(files) { claimElsewhere(name) }
        case 78..<84: if let name = any(elsewhere) { endElsewhere(name) }
        case 84..<86: if let name = any(files) { vanish(name) }
        case 86..<89: if let name = oldNames.randomElement(using: &random) { index.insert(name, isCertain: false, now: now) }
        case 89..<90: scan()
        case 90..<91: index.isPaused.toggle()
        case 91..<93: hold(until: now + Int64.random(in: 1...800, using: &random))
        default: now += Int64.random(in: 1...300, using: &random)
        }
        try checkLimits()
    }

    /// Nothing new comes, everybody else is done: after one scan the index must bring everything to its end by itself.
    mutating func settle() throws {
        index.isPaused = false
        for name in elsewhere.values { elsewhere[name.id] = nil }
        for name in Array(inHand.values) { claim(name) }
        for name in Array(mine.values) { complete(name) }
        scan()
        for _ in 0..<20_000 {
            if let name = index.next(now: now) {
                inHand[name.id] = name
                try checkLimits()
                claim(name)
                if mine[name.id] != nil { complete(name) }
            } else if let wake = index.nextWake(now: now) {
                guard wake > now else { throw Violation("asks to be woken in the past") }
                now = wake
            } else {
                break
            }
        }
        guard files.isEmpty else { throw Violation("starved: \(files.values.map(\.description).sorted())") }
        guard index.slots.count == 0, index.handedOut == 0, index.waiting == PerLane(repeating: 0) else {
            throw Violation("the index did not become empty: \(index.slots.count), \(index.waiting)")
        }
    }

    // MARK: - The folder

    private mutating func any(_ names: [JobID: JobFileName]) -> JobFileName? {
        names.keys.sorted().randomElement(using: &random).flatMap { names[$0] }
    }

    private mutating func add() {
        guard let number = numbers.popLast() else { return }
        let key = random.chance(60) ? Int.random(in: 0..<6, using: &random) : nil
        let user = "user-\(key.map { $0 % 3 } ?? Int.random(in: 0..<5, using: &random))"
        let due = now - Sample.start + (random.chance(25) ? Int64.random(in: 1...700, using: &random) : 0)
        let name = Sample.name(
            number, user: user, lane: Lane.highestFirst.randomElement(using: &random) ?? .scheduled, due: due,
            key: key, account: random.chance(50) ? "openai" : "offline", crashes: random.chance(10) ? 1 : 0)
        if name.dueMilliseconds <= now { admit(name) }
        put(name)
    }

    private mutating func admit(_ name: JobFileName) {
        guard let key = name.orderKey, order[key]?.contains(name.id) != true else { return }
        order[key, default: []].append(name.id)
    }

    /// Into queued/; mostly told.
    private mutating func put(_ name: JobFileName, isHere: Bool = true) {
        files[name.id] = name
        oldNames.append(name)
        if random.chance(85) { index.insert(name, isCertain: isHere, now: now) }
    }

    private mutating func vanish(_ name: JobFileName) {
        files[name.id] = nil
        if random.chance(50) { index.remove(name.id, now: now) }
    }

    private mutating func scan() {
        index.beginScan()
        for name in files.values.sorted(by: { $0.id < $1.id }) { index.insert(name, isCertain: false, now: now) }
        var row: Int32? = 0
        while let from = row { row = index.endScan(from: from, limit: 7, now: now) }
    }

    private mutating func hold(until: Int64) {
        holds["openai"] = max(holds["openai"] ?? 0, until)
        index.hold("openai", until: until)
    }

    // MARK: - This process

    private mutating func hand() throws {
        let wasPaused = index.isPaused
        guard let name = index.next(now: now) else { return }
        if wasPaused { throw Violation("handed out while paused") }
        if inHand[name.id] != nil || mine[name.id] != nil { throw Violation("\(name) was handed out twice") }
        if name.dueMilliseconds > now { throw Violation("\(name) is not due at \(now)") }
        if holds[name.holdKey] ?? 0 > now { throw Violation("\(name) is on hold") }
        inHand[name.id] = name
    }

    private mutating func claim(_ name: JobFileName) {
        inHand[name.id] = nil
        if elsewhere[name.id] != nil { return index.returned(name.id, wake: now + 10, now: now) }
        guard files[name.id] == name else { return index.finished(name.id, now: now) }
        if let head = head(before: name) { return index.blocked(name.id, head: head, now: now) }
        files[name.id] = nil
        mine[name.id] = name
    }

    /// Who must run first; nil: the job itself may.
    private mutating func head(before name: JobFileName) -> JobID? {
        guard let key = name.orderKey else { return nil }
        if let other = (Array(mine.values) + Array(elsewhere.values)).first(where: { $0.orderKey == key }) { return other.id }
        admit(name)
        let live = order[key]?.first { files[$0] != nil }
        return live == name.id ? nil : live
    }

    private mutating func end(_ name: JobFileName) {
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<2: requeue(name, as: name.tried(due: now + Int64.random(in: 0...600, using: &random)))
        case 2: requeue(name, as: name)
        case 3: requeue(name, as: name.moved(due: now + Int64.random(in: 1...900, using: &random)))
        default: complete(name)
        }
    }

    private mutating func requeue(_ name: JobFileName, as next: JobFileName) {
        mine[name.id] = nil
        put(next)
        index.finished(name.id, now: now)
    }

    private mutating func complete(_ name: JobFileName) {
        mine[name.id] = nil
        completed += 1
        index.finished(name.id, now: now)
    }

    // MARK: - The other process

    private mutating func claimElsewhere(_ name: JobFileName) {
        guard name.dueMilliseconds <= now, head(before: name) == nil else { return }
        files[name.id] = nil
        elsewhere[name.id] = name
    }

    private mutating func endElsewhere(_ name: JobFileName) {
        elsewhere[name.id] = nil
        switch Int.random(in: 0..<4, using: &random) {
        case 0: put(name.tried(due: now + Int64.random(in: 0...600, using: &random)), isHere: false)
        case 1: put(name.moved(due: now + Int64.random(in: 0...600, using: &random)), isHere: false)
        default: break
        }
    }

    // MARK: - What must be so

    private func checkLimits() throws {
        let out = Array(inHand.values) + Array(mine.values)
        guard index.handedOut == out.count else { throw Violation("\(index.handedOut) out, not \(out.count)") }
        for (user, names) in Dictionary(grouping: out, by: \.user) where names.count > userLimit {
            throw Violation("\(user) has \(names.count) jobs")
        }
        for (key, names) in Dictionary(grouping: out, by: \.orderKey) where key != nil && names.count > 1 {
            throw Violation("two jobs of one key: \(names)")
        }
        if out.count(where: \.isSuspect) > 1 { throw Violation("two suspects at once") }
    }
}
