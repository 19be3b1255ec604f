import Foundation
import Spool
import Testing

@testable import Workers

@Suite struct DispatchIndexTests {
    private let start = Sample.start

    private func index(workers: Int = 16, userLimit: Int = 1_000) -> DispatchIndex {
        DispatchIndex(shares: LaneShares(workers: workers), userLimit: { _ in userLimit })
    }

    @Test("the index hands out exactly what a simple model allows, and asks to be woken in time", arguments: 1...8)
    func exactModel(seed: Int) throws {
        let workers = [1, 2, 3, 5, 8, 16, 16, 16][seed - 1]
        var model = ExactModel(workers: workers, userLimit: 1 + seed % 3, seed: seed)
        for step in 0..<2_500 {
            do {
                try model.step()
            } catch {
                Issue.record("seed \(seed), step \(step): \(error)")
                return
            }
        }
        #expect(model.started > 150)
    }

    @Test("with a second process, late and lost notifications, limits hold and nothing starves", arguments: 1...12)
    func looseModel(seed: Int) throws {
        var model = LooseModel(workers: [1, 3, 16][seed % 3], userLimit: 1 + seed % 2, jobs: 250, seed: seed)
        do {
            while model.hasMore { try model.step() }
            for _ in 0..<300 { try model.step() }
            try model.settle()
        } catch {
            Issue.record("seed \(seed): \(error)")
        }
        #expect(model.completed > 60)
    }

    @Test("a user with 10,000 jobs delays another's first by one slot at most", arguments: [1, 4, 16])
    func flood(workers: Int) {
        var index = index(workers: workers)
        for number in 0..<10_000 { index.insert(Sample.name(number, user: "flood", priority: 0), now: start) }
        var running: [JobID] = []
        for _ in 0..<workers {
            if let name = index.next(now: start) { running.append(name.id) }
        }
        for round in 0..<20 {
            index.insert(Sample.name(20_000 + round, user: "quiet-\(round)", priority: 9), now: start)
            if let first = running.first { index.finished(first, now: start) }
            let name = index.next(now: start)
            #expect(name?.user == "quiet-\(round)")
            running.removeFirst(min(1, running.count))
            if let name { running.append(name.id) }
        }
    }

    @Test("users take turns whatever the number of their jobs, and leaving and coming back gains nothing")
    func turns() {
        var index = index(workers: 1)
        for number in 0..<60 { index.insert(Sample.name(number, user: "flood-\(number % 2)"), now: start) }
        var served: [String: Int] = [:]
        var number = 1_000
        for _ in 0..<30 {
            // Comes back with one job each time it was served.
            if index.slots.byID[Sample.id(number)] == nil {
                number += 1
                index.insert(Sample.name(number, user: "returning", priority: 0), now: start)
            }
            guard let name = index.next(now: start) else { break }
            served[name.user, default: 0] += 1
            index.finished(name.id, now: start)
        }
        #expect(served == ["flood-0": 10, "flood-1": 10, "returning": 10])
    }

    @Test("a job that went back to queued/ while in a worker's hands is offered under its new name, before its followers")
    func successor() {
        var index = index()
        let first = Sample.name(1, key: 7)
        let follower = Sample.name(2, key: 7)
        index.insert(first, now: start)
        index.insert(follower, now: start)
        #expect(index.next(now: start) == first)
        let next = first.tried(due: start + 500)
        index.insert(next, now: start)
        // A late notification of the old name changes nothing.
        index.insert(first, isCertain: false, now: start)
        #expect(index.next(now: start) == nil)
        index.finished(first.id, now: start)
        #expect(index.next(now: start) == nil)
        #expect(index.nextWake(now: start) == start + 500)
        #expect(index.next(now: start + 500) == next)
        index.finished(next.id, now: start + 500)
        #expect(index.next(now: start + 500) == follower)
    }

    @Test("an outdated name does not replace a newer one; a retried dead letter is newer than any try of its first run")
    func newerNames() {
        var index = index()
        let first = Sample.name(1)
        let second = first.tried(due: start)
        index.insert(second, now: start)
        index.insert(first, now: start)
        var retried = first
        retried.isDead = true
        #expect(index.next(now: start) == second)
        index.finished(second.id, now: start)
        index.insert(second, now: start)
        index.insert(retried, now: start)
        #expect(index.next(now: start) == retried)
    }

    @Test("a scan removes what has vanished, and neither what it saw, nor what came meanwhile, nor what runs")
    func scan() {
        var index = index(userLimit: 1)
        for number in 0..<5 { index.insert(Sample.name(number, key: number == 4 ? 1 : nil), now: start) }
        index.insert(Sample.name(5, due: 900), now: start)
        let running = index.next(now: start)
        #expect(running?.id == Sample.id(0))
        index.beginScan()
        index.insert(Sample.name(3), now: start)
        index.insert(Sample.name(6), now: start)
        var row: Int32? = 0
        var turns = 0
        while let from = row {
            row = index.endScan(from: from, limit: 2, now: start)
            turns += 1
        }
        #expect(turns > 1)
        #expect(Set(index.slots.byID.keys) == Set([0, 3, 6].map(Sample.id)))
        #expect(index.handedOut == 1)
        #expect(index.nextWake(now: start) == nil)
    }

    @Test("the head of a session is served in the best lane of those waiting behind it")
    func inheritance() {
        var index = index(workers: 4)
        for number in 0..<20 { index.insert(Sample.name(number, user: "u\(number)", lane: .background), now: start) }
        while index.next(now: start) != nil {}
        #expect(index.handedOut == LaneShares(workers: 4).ceiling.background)
        let head = Sample.name(100, user: "zoe", lane: .background, key: 1)
        index.insert(head, now: start)
        #expect(index.next(now: start) == nil)
        index.insert(Sample.name(101, user: "zoe", lane: .interactive, key: 1), now: start)
        #expect(index.next(now: start) == head)
        #expect(index.ledger.running.interactive == 1)
    }

    @Test("a refused follower makes way for the head the spool named; unknown heads are waited for, longer each time")
    func blocked() {
        var index = index()
        // Admitted in the order 2, 1: ids made by clients need not ascend.
        index.insert(Sample.name(1, key: 1), now: start)
        index.insert(Sample.name(2, key: 1), now: start)
        #expect(index.next(now: start)?.id == Sample.id(1))
        index.blocked(Sample.id(1), head: Sample.id(2), now: start)
        #expect(index.next(now: start)?.id == Sample.id(2))
        index.finished(Sample.id(2), now: start)
        #expect(index.next(now: start)?.id == Sample.id(1))
        var time = start
        for wait in [100, 200, 400, 800, 1_000, 1_000] as [Int64] {
            index.blocked(Sample.id(1), head: Sample.id(99), now: time)
            #expect(index.next(now: time + wait - 1) == nil)
            #expect(index.nextWake(now: time) == time + wait)
            time += wait
            #expect(index.next(now: time)?.id == Sample.id(1))
        }
    }

    @Test("a hold stops the jobs of one account, until its end, and the longer of two counts")
    func holds() {
        var index = index()
        index.insert(Sample.name(1, account: "openai"), now: start)
        index.hold("openai", until: start + 400)
        index.hold("openai", until: start + 100)
        #expect(index.holds(now: start) == ["openai": start + 400])
        #expect(index.next(now: start) == nil)
        #expect(index.nextWake(now: start) == start + 400)
        index.insert(Sample.name(2, account: "anthropic"), now: start)
        #expect(index.next(now: start)?.holdKey == "anthropic")
        #expect(index.next(now: start + 400)?.holdKey == "openai")
        #expect(index.holds(now: start + 400).isEmpty)
    }

    @Test("every name comes back as it was given, with more accounts than the index tells apart and high counts")
    func namesAreKept() {
        var index = index(workers: 4_096)
        var names: Set<JobFileName> = []
        for number in 0..<(DispatchIndex.accountLimit + 50) {
            names.insert(Sample.name(number, user: "u\(number)", account: "account-\(number)"))
        }
        names.insert(Sample.name(5_000, run: 65_535, attempt: 65_534, crashes: 65_533))
        for name in names { index.insert(name, now: start) }
        index.hold("account-\(DispatchIndex.accountLimit + 9)", until: start + 5)
        var given: Set<JobFileName> = []
        while let name = index.next(now: start + 5) { given.insert(name) }
        #expect(given == names)
    }

    @Test("while the file system refuses claims nothing is handed out, and a job refused again and again waits longer")
    func brake() {
        var index = index()
        index.insert(Sample.name(1), now: start)
        index.brake = start + 250
        #expect(index.next(now: start) == nil)
        #expect(index.nextWake(now: start) == start + 250)
        #expect(index.next(now: start + 250)?.id == Sample.id(1))
    }
}
