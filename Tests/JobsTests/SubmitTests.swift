import DurableFiles
import Foundation
import Spool
import Synchronization
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Jobs

struct SubmitTests {
    @Test("a submitted job waits in its kind's lane, and says for which incarnation of the user it was admitted")
    func submit() throws {
        let house = try JobHouse()
        let job = try house.submit(["priority": 2, "metadata": ["a": "b"]])
        #expect(job.isNew && job.state == .queued && job.statusFile == house.spool.relativeStatusPath(job.id))
        let name = try #require(try house.spool.names(in: .queued).first)
        #expect(name.lane == .interactive && name.priority == 2 && name.user == "demo" && name.orderKey != nil)
        let stored = try AdmittedJob(payload: try #require(try house.spool.payload(job.id)), now: house.clock.now)
        #expect(stored.request.metadata == ["a": "b"] && stored.source == .api && !stored.incarnation.isEmpty)
        #expect(try house.client.view(job.id)?.incarnation == stored.incarnation)
    }

    @Test("reports of one user run beside each other unless they name a session")
    func orderKeys() throws {
        let house = try JobHouse()
        try house.submit(["kind": "report"])
        try house.submit(["kind": "report", "session_id": "s"])
        #expect(try house.spool.names(in: .queued).filter { $0.orderKey == nil }.count == 1)
    }

    @Test("an unknown user is refused and nothing is made")
    func unknownUser() throws {
        let house = try JobHouse()
        let error = jobError { try house.submit(["user_id": "nobody", "idempotency_key": "k"]) }
        #expect(error?.kind == .userNotFound)
        #expect(try house.names(.queued).isEmpty && house.names(.keys).isEmpty && house.names(.status).isEmpty)
        #expect(try LinuxFileSystem().list("\(house.directory.path)/workspaces").allSatisfy { $0.name != "nobody" })
    }

    @Test("the same id and content is the same job; other content is a conflict")
    func sameID() throws {
        let house = try JobHouse()
        let id = JSON.string(JobID.make(now: house.clock.now).description)
        #expect(try house.submit(["id": id]).isNew)
        #expect(try !house.submit(["id": id]).isNew)
        #expect(jobError { try house.submit(["id": id, "message": "other"]) }?.kind == .conflict)
        #expect(try house.queuedIDs.count == 1)
    }

    // MARK: - Idempotency keys

    @Test("a key means one job for 7 days, within one user and route")
    func keys() throws {
        let house = try JobHouse()
        try house.addUser("other")
        let first = try house.submit(["idempotency_key": "k"])
        #expect(try house.submit(["idempotency_key": "k"]).id == first.id)
        let conflict = jobError { try house.submit(["idempotency_key": "k", "message": "other"]) }
        #expect(conflict?.kind == .idempotencyConflict && conflict?.jobID == first.id)
        #expect(try house.submit(["idempotency_key": "k", "user_id": "other"]).id != first.id)
        let request = try house.request(["idempotency_key": "k"])
        #expect(try house.client.submit(request, source: .api, route: "POST /jobs").id != first.id)
        house.clock.advance(by: IdempotencyKeys.lifetime + 1)
        #expect(try house.submit(["idempotency_key": "k", "message": "other"]).isNew)
    }

    @Test("old keys are pruned, live ones stay")
    func prune() throws {
        let house = try JobHouse()
        // Key files carry the machine's time, so the test's clock starts there.
        house.clock.set(Date())
        try house.submit(["idempotency_key": "old"])
        house.clock.advance(by: IdempotencyKeys.lifetime + 60)
        try house.submit(["idempotency_key": "new"])
        try house.client.pruneKeys()
        let left = try house.names(.keys).flatMap { try house.names(.keys, in: $0) }
        #expect(left.count == 1)
    }

    @Test("a damaged key file is set aside and the key can be used")
    func damagedKey() throws {
        let house = try JobHouse()
        try house.submit(["idempotency_key": "k"])
        let shard = try #require(try house.names(.keys).first)
        let name = try #require(try house.names(.keys, in: shard).first)
        try LinuxFileSystem().replaceFile(house.path(.keys, "\(shard)/\(name)"), Array("{".utf8))
        #expect(try house.submit(["idempotency_key": "k"]).isNew)
        #expect(try house.names(.keys, in: shard).contains("\(name).bad"))
    }

    @Test("wherever the process dies between key and job, sending the same again gives one job under one id")
    func crashBetweenKeyAndJob() throws {
        var stop = 1
        while true {
            let directory = try TemporaryDirectory(inMemory: true)
            let faulty = FaultyFileSystem()
            let house = try JobHouse(files: faulty, in: directory)
            faulty.set(.stop(call: stop))
            let first = try? house.submit(["idempotency_key": "k"])
            let isWhole = faulty.calls < stop
            faulty.crash()
            let again = try JobHouse(in: directory)
            let second = try again.submit(["idempotency_key": "k"])
            if let first { #expect(first.id == second.id, "stopped at call \(stop)") }
            #expect(try again.submit(["idempotency_key": "k"]).id == second.id)
            #expect(try again.queuedIDs == [second.id], "stopped at call \(stop)")
            if isWhole { break }
            stop += 1
        }
        #expect(stop > 10)
    }

    // MARK: - Limits

    @Test("a user's waiting jobs are capped; jobs that have left the queue make room")
    func userLimit() throws {
        let house = try JobHouse(userLimit: 2, totalLimit: 3)
        try house.addUser("other")
        let first = try house.submit()
        try house.submit()
        let refused = jobError { try house.submit(["idempotency_key": "k"]) }
        #expect(refused?.kind == .userQueueFull && refused?.retryAfter != nil)
        try house.submit(["user_id": "other"])
        #expect(jobError { try house.submit(["user_id": "other"]) }?.kind == .queueFull)
        try house.client.cancel(first.id)
        #expect(try house.submit(["idempotency_key": "k"]).isNew)
        // What is there already is never refused.
        #expect(try !house.submit(["idempotency_key": "k"]).isNew)
    }

    // MARK: - A busy session

    @Test("on_busy reject refuses while a job of the session has not ended")
    func reject() throws {
        let house = try JobHouse()
        let first = try house.submit(["on_busy": "reject"])
        let error = jobError { try house.submit(["on_busy": "reject"]) }
        #expect(error?.kind == .sessionBusy && error?.jobID == first.id)
        #expect(try house.submit(["on_busy": "reject", "session_id": "other"]).isNew)
        try house.client.cancel(first.id)
        #expect(try house.submit(["on_busy": "reject"]).isNew)
    }

    @Test("of many who want an idle session at once, one gets it")
    func rejectRace() throws {
        let house = try JobHouse()
        let requests = try (0..<16).map { try house.request(["on_busy": "reject", "message": JSON("\($0)")]) }
        let admitted = Atomic(0)
        let threads = requests.map { _ in ServiceThread() }
        for (thread, request) in zip(threads, requests) {
            thread.start("racer") {
                guard (try? house.client.submit(request, source: .api)) != nil else { return }
                admitted.add(1, ordering: .relaxed)
            }
        }
        for thread in threads { thread.join() }
        #expect(admitted.load(ordering: .relaxed) == 1)
    }

    @Test("on_busy interrupt cancels the running job of the session, not the waiting ones")
    func interrupt() throws {
        let house = try JobHouse()
        let running = try house.submit()
        let waiting = try house.submit()
        try house.whileRunning(running.id) { () throws in
            let third = try house.submit(["on_busy": "interrupt"])
            #expect(try house.spool.cancelRequests() == [CancelRequest("\(running.id).1")])
            #expect(try house.client.view(waiting.id)?.state == .queued)
            #expect(try house.client.view(third.id)?.state == .queued)
        }
    }

    @Test("a batch is answered in its order, faults included, and keeps the order of a session")
    func batch() throws {
        let house = try JobHouse(userLimit: 0)
        var requests = try (0..<20).map { try house.request(["message": JSON("\($0)")]) }
        requests.insert(try house.request(["user_id": "nobody"]), at: 5)
        requests += try (0..<10).map { _ in try house.request(["kind": "report"]) }
        let answers = house.client.submitBatch(requests, source: .api)
        #expect(answers.count == 31)
        #expect(answers.indices.filter { (try? answers[$0].get()) == nil } == [5])
        let key = try #require(try house.spool.names(in: .queued).compactMap(\.orderKey).first)
        let order = try house.spool.liveJobs(orderKey: key).map(\.id)
        #expect(order == answers.prefix(21).compactMap { try? $0.get().id })
    }

    @Test("a full disk is said to be one, and nothing is admitted")
    func fullDisk() throws {
        let faulty = FaultyFileSystem()
        let house = try JobHouse(files: faulty)
        faulty.set(.stopBefore("open \(house.path(.tmp, ""))"))
        let error = jobError { try house.submit() }
        #expect(error?.isPassing == true)
        faulty.set(.none)
        #expect(try house.queuedIDs.isEmpty)
        #expect(try house.submit().isNew)
    }
}

extension JobHouse {
    func names(_ folder: Folder, in inner: String) throws -> [String] {
        try LinuxFileSystem().list(path(folder, inner)).map(\.name).sorted()
    }

    @Test("many repeats of one key at once are one job, and take one place in the queue")
    func repeatedAtOnce() throws {
        let house = try JobHouse(userLimit: 2)
        let ids = Mutex<[JobID?]>([])
        DispatchQueue.concurrentPerform(iterations: 16) { _ in
            let job = try? house.submit(["idempotency_key": "k"])
            ids.withLock { $0.append(job?.id) }
        }
        let found = ids.withLock { $0 }
        #expect(found.count == 16)
        #expect(Set(found).count == 1 && found[0] != nil)
        #expect(try house.queuedIDs.count == 1)
    }

    @Test("a waiting job whose file somebody has removed can be cancelled")
    func cancelledWithoutFile() throws {
        let house = try JobHouse()
        let id = try house.submit().id
        let name = try #require(try house.spool.names(in: .queued).first).description
        try house.files.remove(house.path(.queued, name))
        #expect(try house.client.cancel(id).state == .cancelled)
        #expect(try house.spool.cancelRequests().isEmpty)
    }

    @Test("a waiting job ends when its time to begin is over, though nobody claims it; a retry by hand may run", arguments: [true, false])
    func expires(isForLater: Bool) throws {
        let house = try JobHouse()
        let (soon, later) = (house.clock.now.addingTimeInterval(60), house.clock.now.addingTimeInterval(3_600))
        var members: JSONObject = ["expires_at": .string(RFC3339.string(soon))]
        if isForLater { members["run_at"] = .string(RFC3339.string(later)) }
        if !isForLater { try house.client.pause() }
        let id = try house.submit(members).id
        #expect(try house.client.view(id)?.state == .queued)
        house.clock.advance(by: 61)
        let view = try #require(try house.client.view(id))
        #expect(view.state == .failed && view.error?.code == "expired")
        #expect(try house.spool.names(in: .dead).map(\.id) == [id])
        #expect(try house.client.retry(id).state == .queued)
        #expect(try house.client.view(id)?.state == .queued)
    }

    @Test("a queue is full as long as as many jobs wait as may")
    func fullQueue() throws {
        let house = try JobHouse(totalLimit: 2)
        #expect(try !house.client.isQueueFull())
        let first = try house.submit().id
        _ = try house.submit()
        #expect(try house.client.isQueueFull())
        try house.claim(first).complete(result: .null)
        house.clock.advance(by: 10)
        // A full one is counted anew, at most every so often.
        while try house.client.isQueueFull() { sched_yield() }
        #expect(try house.submit().isNew)
    }
}
