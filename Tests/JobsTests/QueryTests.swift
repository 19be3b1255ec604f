import DurableFiles
import Foundation
import Spool
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Jobs

struct QueryTests {
    @Test("a job's view has the shape of the API, waiting and ended")
    func view() throws {
        let house = try JobHouse()
        let job = try house.submit(["session_id": "s"])
        let waiting = try #require(try house.client.view(job.id)).json
        #expect(
            waiting.object?.keys == [
                "job_id", "kind", "user_id", "session_id", "status", "progress", "run", "attempt", "created_at",
                "run_at",
                "started_at", "completed_at", "response", "error", "usage",
            ])
        #expect(waiting["status"] == "queued" && waiting["session_id"] == "s" && waiting["response"] == .null)
        let claim = try house.claim(job.id)
        try claim.complete(result: ["response": "hi"], usage: ["total_tokens": 3])
        let ended = try #require(try house.client.view(job.id)).json
        #expect(ended["status"] == "completed" && ended["response"] == "hi" && ended["progress"] == 100)
        #expect(ended["usage"] == ["total_tokens": 3] && ended["completed_at"]?.string != nil)
        #expect(try house.client.view(JobID.make(now: house.clock.now)) == nil)
    }

    @Test("the id of the request that brought a job is in its record and its file, and is no part of its content")
    func requestID() throws {
        let house = try JobHouse()
        let json: JSON = ["kind": "chat", "user_id": "demo", "message": "hi", "idempotency_key": "k"]
        let request = try JobRequest.parse(json, now: house.clock.now)
        let first = try house.client.submit(request.with(requestID: "req-1"), source: .api)
        let again = try house.client.submit(request.with(requestID: "req-2"), source: .api)
        #expect(again.id == first.id && !again.isNew)
        #expect(try house.client.view(first.id)?.json["request_id"] == "req-1")
        let payload = try #require(try house.spool.payload(first.id))
        let stored = try AdmittedJob(payload: payload, now: house.clock.now).request
        #expect(stored.requestID == "req-1" && stored.fingerprint == request.fingerprint)
        // Earlier versions wrote none.
        #expect(try JobRequest.parse(stored.json, now: house.clock.now, allowAnyID: true).requestID == nil)
        let other = try house.client.submit(request.with(idempotencyKey: "l"), source: .cli)
        #expect(try house.client.view(other.id)?.json.object?.keys.contains("request_id") == false)
        let copy = try JobView(json: #require(try house.client.view(first.id)).json)
        #expect(copy?.requestID == "req-1")
    }

    @Test("a report's id is its job's, and its error is told")
    func report() throws {
        let house = try JobHouse()
        let job = try house.submit(["kind": "report"])
        let claim = try house.claim(job.id)
        try claim.bury(JobFailure(code: "quota", detail: "no money", isRetryable: false))
        let view = try #require(try house.client.view(job.id))
        #expect(view.reportID == job.id.description && view.json["response"] == nil)
        #expect(view.state == .failed && view.error?.code == "quota")
        let sentence = UserErrorTexts.sentence(code: "quota", detail: "", language: "zh")
        #expect(view.json["error"] == ["code": "quota", "detail": .string(sentence)])
        #expect(view.operatorJSON["error"]?["operator_detail"] == "no money")
    }

    /// Seven jobs of two days in all states, oldest first.
    private func mixed(_ house: JobHouse) throws -> [JobID] {
        try house.addUser("other")
        var ids: [JobID] = []
        for index in 0..<7 {
            house.clock.advance(by: 6 * 3600)
            ids.append(
                try house.submit([
                    "kind": index % 2 == 0 ? "chat" : "report", "user_id": index < 5 ? "demo" : "other",
                    "session_id": JSON("s\(index)"),
                ]).id)
        }
        try house.claim(ids[0]).complete(result: ["response": "0"])
        try house.claim(ids[1]).bury(JobFailure(code: "x", detail: "", isRetryable: false))
        try house.client.cancel(ids[2])
        try house.claim(ids[5]).complete(result: [:])
        return ids
    }

    @Test("lists are newest first and filtered by state, user and kind")
    func list() throws {
        let house = try JobHouse()
        let ids = try mixed(house)
        func list(_ filter: JobFilter = JobFilter(), _ limit: Int = 50, _ after: JobID? = nil) throws -> [JobID] {
            try house.client.list(filter, limit: limit, after: after).map(\.id)
        }
        #expect(try list() == ids.reversed())
        #expect(try list(JobFilter(state: .completed)) == [ids[5], ids[0]])
        #expect(try list(JobFilter(state: .failed)) == [ids[1]])
        #expect(try list(JobFilter(state: .cancelled)) == [ids[2]])
        #expect(try list(JobFilter(state: .queued)) == [ids[6], ids[4], ids[3]])
        #expect(try list(JobFilter(user: try UserID("other"))) == [ids[6], ids[5]])
        #expect(try list(JobFilter(user: house.user, kind: .report)) == [ids[3], ids[1]])
        try house.whileRunning(ids[3]) { () throws in #expect(try list(JobFilter(state: .running)) == [ids[3]]) }
        var pages: [[JobID]] = [try list(JobFilter(), 3)]
        while let last = pages.last?.last { pages.append(try list(JobFilter(), 3, last)) }
        #expect(pages.map(\.count) == [3, 3, 1, 0] && pages.flatMap { $0 } == ids.reversed())
    }

    @Test("a page reads the records of its own jobs and no others")
    func flatList() throws {
        let faulty = FaultyFileSystem()
        let house = try JobHouse(files: faulty, userLimit: 0)
        for _ in 0..<30 { try house.submit(["kind": "report"]) }
        faulty.set(.none)
        _ = try house.client.list(JobFilter(), limit: 2)
        #expect(faulty.log.filter { $0.hasPrefix("open ") && $0.hasSuffix(".jsonl") }.count == 2)
    }

    @Test("the queue is told in numbers, by lane")
    func queue() throws {
        let house = try JobHouse()
        let ids = try mixed(house)
        house.clock.advance(by: 60)
        try house.whileRunning(ids[6]) { () throws in
            let queue = try house.client.queue()
            #expect(queue.queued == 2 && queue.running == 1 && queue.dead == 1 && !queue.isPaused)
            #expect(queue.lanes[.scheduled]?.queued == 1 && queue.lanes[.interactive] == .init(queued: 1, running: 1))
            // The oldest waiting one was submitted three six-hour steps ago.
            #expect(queue.oldestQueuedSeconds == 3 * 6 * 3600 + 60)
            #expect(
                queue.json.object?.keys == [
                    "queued", "running", "dead", "lanes", "oldest_queued_seconds", "paused", "holds", "stalled",
                ])
        }
        try house.client.pause()
        #expect(try house.client.queue().isPaused)
        try house.client.resume()
        #expect(try !house.client.queue().isPaused)
    }

    @Test("cancelling works once, twice, and not on what has completed")
    func cancel() throws {
        let house = try JobHouse()
        let job = try house.submit()
        #expect(try house.client.cancel(job.id).state == .cancelled)
        #expect(try house.client.cancel(job.id).state == .cancelled)
        let done = try house.submit()
        try house.claim(done.id).complete(result: [:])
        #expect(jobError { try house.client.cancel(done.id) }?.kind == .invalidState)
        #expect(jobError { try house.client.cancel(JobID.make(now: house.clock.now)) }?.kind == .notFound)
    }

    @Test("a dead letter is retried as the next run; nothing else is")
    func retry() throws {
        let house = try JobHouse()
        let job = try house.submit()
        #expect(jobError { try house.client.retry(job.id) }?.kind == .invalidState)
        try house.claim(job.id).bury(JobFailure(code: "x", detail: "", isRetryable: false))
        let again = try house.client.retry(job.id)
        #expect(again.state == .queued && again.run == 2)
        #expect(jobError { try house.client.retry(JobID.make(now: house.clock.now)) }?.kind == .notFound)
    }

    @Test("erasing a user leaves no file that names a job of that user, and touches nobody else's")
    func erase() throws {
        let house = try JobHouse()
        let ids = try mixed(house)
        try house.whileRunning(ids[3]) { () throws in
            #expect(try house.client.cancelAll(user: house.user) == 1)
            #expect(try house.client.erase(user: house.user) == 1)
        }
        #expect(try house.client.erase(user: house.user) == 0)
        for (index, id) in ids.enumerated() {
            #expect((try house.client.view(id) != nil) == (index >= 5), "job \(index)")
        }
        #expect(try house.client.list(JobFilter(user: house.user), limit: 10).isEmpty)
        #expect(try house.client.list(JobFilter(), limit: 10).count == 2)
    }

    @Test("one record that cannot be read does not hide the other jobs from a list")
    func unreadableRecord() throws {
        let house = try JobHouse()
        let bad = try house.submit()
        let good = try house.submit()
        let path = house.spool.statusPath(bad.id)
        try LinuxFileSystem().remove(path)
        try LinuxFileSystem().makeDirectory(path, mode: 0o700)
        #expect(try house.client.list(JobFilter(), limit: 10).map(\.id) == [good.id])
    }
}
