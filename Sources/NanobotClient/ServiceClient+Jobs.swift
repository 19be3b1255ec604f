// Jobs, chats and reports.

import Foundation
import HTTPTransport
import TextFormats

extension ServiceClient {
    /// Submits a job: the members of a job file (kind and user_id at least). When it returns the job survives a power cut.
    /// It counts once, however often the connection breaks on the way: without `idempotency_key` it gets one, which a failure
    /// tells, so that the same job can be sent again later.
    public func submit(_ job: JSONObject) throws(ClientFailure) -> Ticket {
        let job = Self.keyed(job)
        let call = Call("POST", "jobs", body: .object(job), isRepeatable: true)
        do throws(ClientFailure) {
            return try Ticket(try answer(call))
        } catch {
            var failure = error
            failure.idempotencyKey = job["idempotency_key"]?.string
            throw failure
        }
    }

    /// Up to 1,000 jobs, each answered for itself, in order.
    public func submit(_ jobs: [JSONObject]) throws(ClientFailure) -> [Result<Ticket, ClientFailure>] {
        let keyed = jobs.map(Self.keyed)
        let call = Call("POST", "jobs", body: .array(keyed.map { .object($0) }), isRepeatable: true)
        guard let entries = try answer(call).array, entries.count == jobs.count else {
            throw ClientFailure("invalid_answer", "the answer to a batch has not one entry for each job")
        }
        return zip(entries, keyed).map { entry, job in
            if let problem = entry["error"] {
                var failure = ClientFailure(problem: problem, status: problem["status"]?.int ?? 0)
                failure.idempotencyKey = job["idempotency_key"]?.string
                return .failure(failure)
            }
            do throws(ClientFailure) {
                return .success(try Ticket(entry))
            } catch {
                return .failure(error)
            }
        }
    }

    private static func keyed(_ job: JSONObject) -> JSONObject {
        var job = job
        if job["idempotency_key"] == nil { job["idempotency_key"] = .string(UUID().uuidString.lowercased()) }
        return job
    }


    /// - Parameter wait: seconds to wait for a change to its end, 0 to 30.
    public func job(_ id: String, wait: Double = 0) throws(ClientFailure) -> Job {
        var call = Call("GET", "jobs", id)
        call.wait(wait)
        return try Job(try answer(call))
    }

    /// Waits until the job has ended.
    /// - Parameters:
    ///   - limit: seconds at most; nil: as long as it takes.
    ///   - look: sees the job at once and every time the service answers; a waiting service answers every `tick` seconds.
    /// - Returns: the job as seen last, ended or not.
    public func wait(
        for id: String, limit: Double? = nil, tick: Double = ServiceClient.defaultTick, _ look: (Job) throws -> Void = { _ in }
    ) throws -> Job {
        let end = limit.map { ProcessInfo.processInfo.systemUptime + $0 }
        var seen = try job(id)
        while true {
            try look(seen)
            let left = end.map { $0 - ProcessInfo.processInfo.systemUptime } ?? .infinity
            if seen.status.isFinal || left <= 0 { return seen }
            seen = try job(id, wait: min(left, tick))
        }
    }

    public static let defaultTick = 30.0

    /// A page of jobs, newest first.
    /// - Parameter after: the last job of the page before.
    public func jobs(
        state: String? = nil, user: String? = nil, kind: String? = nil, limit: Int? = nil, after: String? = nil
    ) throws(ClientFailure) -> Page<Job> {
        var call = Call("GET", "jobs")
        call.query = [
            ("state", state), ("user_id", user), ("kind", kind), ("limit", limit.map(String.init)), ("after", after),
        ]
        return try page(call) { json throws(ClientFailure) in try Job(json) }
    }

    public func cancel(_ id: String) throws(ClientFailure) -> Job {
        try Job(try answer(Call("POST", "jobs", id, "cancel", isRepeatable: true)))
    }

    /// Tries a dead letter again.
    public func retry(_ id: String) throws(ClientFailure) -> Job { try Job(try answer(Call("POST", "jobs", id, "retry"))) }

    /// - Parameter wait: seconds to wait for its end, 0 to 30.
    public func report(_ id: String, wait: Double = 0) throws(ClientFailure) -> Report {
        var call = Call("GET", "reports", id)
        call.wait(wait)
        return try Report(try answer(call))
    }

    /// Removes a finished report.
    public func deleteReport(_ id: String) throws(ClientFailure) { _ = try answer(Call("DELETE", "reports", id)) }

    /// The queue in numbers, as GET /queue.
    public func queue() throws(ClientFailure) -> JSON { try answer(Call("GET", "queue")) }

    public func pauseQueue() throws(ClientFailure) {
        _ = try answer(Call("POST", "queue", "pause", isRepeatable: true))
    }

    public func resumeQueue() throws(ClientFailure) {
        _ = try answer(Call("POST", "queue", "resume", isRepeatable: true))
    }

    func page<Item>(_ call: Call, _ read: (JSON) throws(ClientFailure) -> Item) throws(ClientFailure) -> Page<Item> {
        let response = try response(call)
        guard let entries = (try? JSON.parse(response.body))?.array else {
            throw ClientFailure("invalid_answer", "the answer is no list", status: response.status)
        }
        var items: [Item] = []
        for entry in entries { items.append(try read(entry)) }
        return Page(items: items, hasMore: response.header("Link")?.contains("rel=\"next\"") == true)
    }
}
