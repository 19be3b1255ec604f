import Foundation
import Spool
import TestSupport
import Testing
import TextFormats

@testable import Workers

@Suite struct WorkerPoolTests {
    @Test("a submitted job runs and ends with its result, usage and attempt")
    func runs() throws {
        let house = try PoolHouse()
        let pool = try house.start(
            ScriptedHandler { job, record, flag in
                #expect(job.text == "hello" && job.attempt == 0 && record.replay.isEmpty && !flag.isSet)
                return .completed(result: ["response": "hi"], usage: ["total_tokens": 7])
            })
        let id = try house.submit("hello")
        #expect(house.ended.wait(for: id))
        let record = try #require(try house.spool.record(id))
        #expect(record.state == .completed)
        #expect(record.result?["response"] == "hi")
        #expect(record.usage?["total_tokens"] == 7)
        #expect(house.stop(pool) == 0)
        #expect(pool.snapshot.running == 0 && pool.snapshot.indexed == 0)
        #expect(throws: WorkerError.self) { try pool.start() }
    }

    @Test("what waited before the pool was started is found, and every lane is served", arguments: [1, 4])
    func backlog(workers: Int) throws {
        let house = try PoolHouse()
        let ids = try (0..<12).map { try house.submit(lane: Lane.allCases[$0 % 3]) }
        let pool = try house.start(ScriptedHandler { _, _, _ in .done }) { $0.count = workers }
        #expect(house.ended.wait { Set($0) == Set(ids) })
        #expect(house.stop(pool) == 0)
    }

    @Test("the number of workers must be from 1 to 4096", arguments: [-1, 0, 4_097])
    func invalidCount(count: Int) throws {
        let house = try PoolHouse()
        #expect(throws: WorkerError.self) {
            try house.start(ScriptedHandler { _, _, _ in .done }) { $0.count = count }
        }
        #expect(throws: WorkerError.self) { try DescriptorLimit.check(workers: 4_096, limit: 1_024) }
    }

    @Test("a job submitted in this process, or in another, starts at once: no scan is waited for", arguments: [true, false])
    func startsAtOnce(isHere: Bool) throws {
        let house = try PoolHouse(realClock: true)
        let pool = try house.start(ScriptedHandler { _, _, _ in .done })
        // After this one the first scan is over, and the next is half a minute away.
        #expect(house.ended.wait(for: try house.submit()))
        #expect(SpoolWatcher.scanInterval >= 30)
        let id = try house.submit(to: isHere ? nil : try house.another())
        #expect(house.ended.wait(seconds: 5, for: id))
        #expect(house.stop(pool) == 0)
    }

    @Test("jobs of a session run one at a time in order while sessions run side by side on 8 threads", arguments: [true, false])
    func order(ascending: Bool) throws {
        let house = try PoolHouse()
        let started = Happenings<String>()
        let log = Happenings<String>()
        let pool = try house.start(
            ScriptedHandler { job, _, _ in
                log.note("+\(job.text)")
                started.note(job.user)
                // The first of every session is running at the same time.
                #expect(started.wait { Set($0).count == 4 })
                log.note("-\(job.text)")
                return .done
            }
        ) { $0.count = 8 }
        for number in 0..<8 {
            for session in 0..<4 {
                // Ids made by clients need not ascend with their admission.
                house.clock.advance(by: ascending ? 0 : -0.01)
                try house.submit("\(session).\(number)", user: "u\(session)", key: session)
            }
        }
        #expect(house.ended.wait(count: 32))
        #expect(house.stop(pool) == 0)
        for session in 0..<4 {
            let mine = log.all.filter { $0.dropFirst().hasPrefix("\(session).") }
            #expect(mine == (0..<8).flatMap { ["+\(session).\($0)", "-\(session).\($0)"] })
        }
    }

    @Test("a user's running jobs stay under the limit, and another user is served meanwhile")
    func userLimit() throws {
        let house = try PoolHouse()
        let gate = Gate()
        let running = Happenings<Int>()
        let pool = try house.start(
            ScriptedHandler { job, _, _ in
                guard job.user == "alice" else { return .done }
                running.note(1)
                #expect(running.all.reduce(0, +) <= 2)
                gate.pass()
                running.note(-1)
                return .done
            }
        ) {
            $0.count = 8
            $0.userLimit = { _ in 2 }
        }
        for _ in 0..<6 { try house.submit() }
        #expect(running.wait(count: 2))
        #expect(house.ended.wait(for: try house.submit(user: "bob")))
        #expect(running.all.reduce(0, +) == 2 && pool.snapshot.indexed == 4)
        gate.open()
        #expect(house.ended.wait(count: 7))
        #expect(house.stop(pool) == 0)
    }

    @Test("each user has as many places as the user's own limit says")
    func ownLimits() throws {
        let house = try PoolHouse()
        let gate = Gate()
        let running = Happenings<String>()
        let pool = try house.start(
            ScriptedHandler { job, _, _ in
                running.note(job.user)
                gate.pass()
                return .done
            }
        ) {
            $0.count = 16
            $0.userLimit = { ["alice": 1, "bob": 3, "eve": 0][$0] ?? 2 }
        }
        for user in ["alice", "bob", "eve"] {
            for _ in 0..<5 { try house.submit(user: user) }
        }
        #expect(running.wait(count: 9))
        #expect(Dictionary(grouping: running.all, by: { $0 }).mapValues(\.count) == ["alice": 1, "bob": 3, "eve": 5])
        gate.open()
        #expect(house.ended.wait(count: 15))
        #expect(house.stop(pool) == 0)
    }

    @Test("errors that can pass are tried again after a backoff of the given clock and chance")
    func retries() throws {
        let house = try PoolHouse()
        let attempts = Happenings<Int>()
        let pool = try house.start(
            ScriptedHandler { job, _, _ in
                attempts.note(job.attempt)
                let failure = JobFailure(code: "connection", detail: "refused", isRetryable: true)
                return job.attempt < 2 ? .failed(failure, usage: nil) : .done
            })
        let id = try house.submit()
        for (attempt, delay) in [(1, 1.0), (2, 2.0)] {
            #expect(house.queued.wait { $0.last?.attempt == attempt })
            let record = try #require(try house.spool.record(id))
            #expect(record.state == .queued && record.error?.code == "connection")
            let wait = house.queued.all.last?.due.timeIntervalSince(house.clock.now) ?? 0
            #expect(abs(wait - delay) < 0.001)
            #expect(attempts.all.count == attempt)
            house.clock.advance(by: delay)
        }
        #expect(house.ended.wait(for: id))
        #expect(attempts.all == [0, 1, 2])
        #expect(house.stop(pool) == 0)
    }

    @Test("a lasting error, or the last attempt, makes a dead letter, which an operator's retry runs again")
    func buries() throws {
        let house = try PoolHouse()
        let pool = try house.start(
            ScriptedHandler(policy: { _ in JobPolicy(maxAttempts: 1) }) { job, _, _ in
                if job.run == 2 { return .done }
                let failure = JobFailure(code: job.text, detail: "", isRetryable: job.text == "connection")
                return .failed(failure, usage: nil)
            })
        let ids = try [house.submit("quota"), house.submit("connection")]
        #expect(house.ended.wait(count: 2))
        #expect(Set(try house.spool.names(in: .dead).map(\.id)) == Set(ids))
        for id in ids { _ = try house.spool.retry(id) }
        #expect(house.ended.wait(count: 4))
        for id in ids { #expect(try house.finalStates(id) == [.failed, .completed]) }
        #expect(house.stop(pool) == 0)
    }

    @Test("a 429 holds all jobs of the account and costs no attempt; others go on")
    func holds() throws {
        let house = try PoolHouse()
        let attempts = Happenings<Int>()
        let pool = try house.start(
            ScriptedHandler { job, _, _ in
                guard job.name.holdKey == "openai" else { return .done }
                attempts.note(job.attempt)
                guard attempts.all.count == 1 else { return .done }
                let failure = JobFailure(code: "rate_limited", detail: "", isRetryable: true, retryAfter: 20)
                return .failed(failure, usage: nil)
            })
        let limited = try house.submit(hold: "openai")
        #expect(house.queued.wait(count: 2))
        // Names carry whole milliseconds.
        #expect(abs(pool.holds["openai"]?.timeIntervalSince(house.clock.now + 20) ?? 99) < 0.002)
        let second = try house.submit(hold: "openai")
        #expect(house.ended.wait(for: try house.submit(hold: "anthropic")))
        #expect(attempts.all == [0])
        house.clock.advance(by: 20)
        #expect(house.ended.wait { Set($0).isSuperset(of: [limited, second]) })
        #expect(attempts.all == [0, 0, 0])
        #expect(house.stop(pool) == 0)
    }

    @Test("a paused model keeps its own job waiting, without an attempt, and not the account's other jobs")
    func modelPause() throws {
        let house = try PoolHouse()
        let attempts = Happenings<Int>()
        let pool = try house.start(
            ScriptedHandler { job, _, _ in
                attempts.note(job.attempt)
                guard attempts.all.count == 1 else { return .done }
                let failure = JobFailure(code: "model_paused", detail: "", isRetryable: true, retryAfter: 60)
                return .failed(failure, usage: nil)
            })
        let paused = try house.submit(hold: "openai")
        #expect(house.queued.wait(count: 2))
        #expect(pool.holds.isEmpty)
        let other = try house.submit(hold: "openai")
        #expect(house.ended.wait(for: other))
        #expect(!house.ended.all.contains(paused))
        house.clock.advance(by: 60)
        #expect(house.ended.wait(for: paused))
        #expect(attempts.all == [0, 0, 0])
        #expect(house.stop(pool) == 0)
    }

    @Test("a hold that one process met stops the other's jobs of the account, and a process that starts later")
    func holdsOfOthers() throws {
        let house = try PoolHouse()
        let runs = Happenings<String>()
        let handler = ScriptedHandler { job, _, _ in
            runs.note("\(job.text) \(job.name.holdKey)")
            return .done
        }
        let early = try house.start(handler)
        #expect(house.ended.wait(for: try house.submit("first", hold: "openai")))
        // As another process on this spool says it.
        try house.another().hold("openai", until: house.clock.now + 30)
        #expect(Happenings<Bool>.poll { early.holds["openai"] != nil })
        let late = try house.start(on: house.another(), handler)
        #expect(Happenings<Bool>.poll { late.holds["openai"] != nil })
        let held = try house.submit("held", hold: "openai")
        #expect(house.ended.wait(for: try house.submit("free", hold: "anthropic")))
        #expect(runs.all == ["first openai", "free anthropic"])
        #expect(try house.spool.holds().keys.sorted() == ["openai"])
        house.clock.advance(by: 31)
        #expect(house.ended.wait(for: held))
        #expect(try house.spool.holds().isEmpty)
        #expect(house.stop(early) == 0 && house.stop(late) == 0)
    }

    @Test("nothing starts while the queue is paused, by this process or another; a running job goes on", arguments: [true, false])
    func pauses(isHere: Bool) throws {
        let house = try PoolHouse()
        let gate = Gate()
        let started = Happenings<String>()
        let pool = try house.start(
            ScriptedHandler { job, _, _ in
                started.note(job.text)
                if job.text == "running" { gate.pass() }
                return .done
            })
        let other = isHere ? house.spool : try house.another()
        let running = try house.submit("running")
        #expect(started.wait(count: 1))
        // Pausing is told to this process within the call; another's mark is seen by whoever looks, and by inotify.
        try house.spool.pause()
        for _ in 0..<3 { try house.submit("later") }
        gate.open()
        #expect(house.ended.wait(for: running))
        #expect(pool.snapshot.indexed == 3)
        #expect(started.all == ["running"])
        try other.resume()
        #expect(house.ended.wait(count: 4))
        #expect(house.stop(pool) == 0)
    }

    @Test("a job past its expires_at ends as expired without running; an operator's retry runs it")
    func expires() throws {
        let house = try PoolHouse()
        let started = Happenings<Int>()
        let expiry = house.clock.now - 1
        let pool = try house.start(
            ScriptedHandler(policy: { _ in JobPolicy(expiresAt: expiry) }) { job, _, _ in
                started.note(job.run)
                return .done
            })
        let id = try house.submit()
        #expect(house.ended.wait(for: id))
        let record = try #require(try house.spool.record(id))
        #expect(record.state == .failed && record.error?.code == "expired")
        #expect(started.all.isEmpty)
        _ = try house.spool.retry(id)
        #expect(house.ended.wait(count: 2))
        #expect(started.all == [2])
        #expect(house.stop(pool) == 0)
    }

    @Test("two processes on one spool run 200 jobs exactly once each")
    func twoPools() throws {
        let house = try PoolHouse()
        let other = try house.another()
        let ran = Happenings<JobID>()
        let handler = ScriptedHandler { job, _, _ in
            ran.note(job.id)
            return .done
        }
        let pools = try [house.start(handler) { $0.count = 8 }, house.start(on: other, handler) { $0.count = 8 }]
        let ids = try (0..<200).map { number in
            try house.submit(
                to: number % 2 == 0 ? house.spool : other, user: "u\(number % 5)", key: number % 3 == 0 ? number % 7 : nil)
        }
        #expect(house.ended.wait(seconds: 60) { Set($0).count == ids.count })
        for pool in pools { #expect(house.stop(pool) == 0) }
        #expect(ran.all.count == ids.count && Set(ran.all) == Set(ids))
        for id in ids { #expect(try house.finalStates(id) == [.completed]) }
    }

    @Test("admission may postpone a job; it is asked again then")
    func admission() throws {
        struct Quota: Admission {
            let clock: ManualClock
            let asked: Happenings<Date>
            func mayStart(_ name: JobFileName) -> AdmissionAnswer {
                let now = clock.now
                asked.note(now)
                return now < name.due + 60 ? .notBefore(name.due + 60) : .start
            }
        }
        let house = try PoolHouse()
        let quota = Quota(clock: house.clock, asked: Happenings())
        let pool = try house.start(ScriptedHandler { _, _, _ in .done }) { $0.admission = quota }
        let id = try house.submit()
        #expect(quota.asked.wait(count: 1))
        house.clock.advance(by: 60)
        #expect(house.ended.wait(for: id))
        // Once more at most: when the submitter says that it has let go of the job.
        #expect((2...3).contains(quota.asked.all.count))
        #expect(house.stop(pool) == 0)
    }

    @Test("a worker wakes for what falls due soon although another one sleeps until something far away")
    func leaderIsReplaced() throws {
        let dispatcher = Dispatcher(
            shares: LaneShares(workers: 8), userLimit: { _ in 100 }, now: { Date() }, longestSleep: 3_600)
        let taken = Happenings<JobID>()
        let threads = try (0..<8).map { _ in
            try WorkerThread {
                while let name = dispatcher.take() {
                    dispatcher.finished(name.id)
                    taken.note(name.id)
                }
            }
        }
        let start = Date().timeIntervalSince1970 * 1000 - Double(Sample.start)
        dispatcher.insert(Sample.name(0, due: Int64(start) + 3_600_000))
        for round in 1...20 {
            let soon = Date().timeIntervalSince1970 * 1000 - Double(Sample.start)
            dispatcher.insert(Sample.name(round, due: Int64(soon) + 3))
            guard taken.wait(seconds: 20, for: Sample.id(round)) else {
                Issue.record("a job due in 3 ms was not taken in round \(round)")
                break
            }
        }
        dispatcher.stop()
        for thread in threads { thread.join() }
    }
}
