// /jobs, /users/{id}/jobs and a job's event stream.

import Foundation
import HTTPTypes
import Hummingbird
import Identity
import Jobs
import Spool
import Tenants
import TextFormats
import WireTypes

struct JobRoutes: RouteGroup {
    /// The scope of its idempotency keys.
    private static let submitRoute = "POST /jobs"

    let options: APIOptions
    let services: APIServices
    let bridge: BlockingBridge
    let waiter: JobWaiter
    let streams: EventStream

    var routes: [Route] {
        [
            Route(.get, "/jobs", for: .owner) { request, context in
                let user = try context.queryUser(request).map(Self.queryUser)
                if let user { try context.admit(user) }
                return try await list(request, user: user, for: context.caller)
            },
            Route(.get, "/users/{user_id}/jobs", for: .owner) { request, context in
                try await list(request, user: try context.pathUser(), for: context.caller)
            },
            Route(.post, "/jobs", for: .owner) { request, context in try await submit(request, context) },
            Route(.get, "/jobs/{job_id}", for: .owner) { request, context in
                let wait = try request.wait(max: options.maxWait) ?? 0
                let id = try context.pathJob()
                if let job = services.jobs.known(id), context.caller.reaches(job.view.userID),
                    wait == 0 || job.view.state.isFinal
                {
                    let text = context.caller.user == nil ? job.forOperator : job.forUser
                    return .tagged(text.json, mediaType: "application/json", tag: text.tag, for: request)
                }
                let view = try await waiter.view(id, waiting: wait, context: context)
                return .tagged(view.json(for: context.caller).bytes(), mediaType: "application/json", for: request)
            },
            Route(.post, "/jobs/{job_id}/cancel", for: .owner) { request, context in
                try await request.noBody()
                let id = try await ownJob(context)
                return .json(
                    try await bridge.run(for: waiter.owner(of: id, asked: context.caller)) { [jobs = services.jobs] in
                        try jobs.cancel(id)
                    }.json(for: context.caller))
            },
            Route(.post, "/jobs/{job_id}/retry", for: .owner) { request, context in
                try await request.noBody()
                let id = try await ownJob(context)
                let owner = waiter.owner(of: id, asked: context.caller)
                let view = try await bridge.run(for: owner) { [jobs = services.jobs] in try jobs.retry(id) }
                return .accepted(view.json(for: context.caller), location: "/jobs/\(id)")
            },
            Route(.get, "/jobs/{job_id}/events", for: .owner) { request, context in try await events(request, context) },
        ]
    }

    /// The job the path names, once it is known to be one the caller reaches.
    private func ownJob(_ context: APIContext) async throws -> JobID {
        let id = try context.pathJob()
        if context.caller.user != nil { _ = try await waiter.view(id, for: context.caller) }
        return id
    }

    private static func queryUser(_ text: String) throws -> UserID {
        do { return try UserID(text) } catch { throw FieldError(field: "user_id", detail: error.detail) }
    }

    /// Newest first.
    private func list(_ request: Request, user: UserID?, for caller: Caller) async throws -> Response {
        let page = try Page(request)
        let state = try request.queryChoice("state", of: JobState.self)
        let kind = try request.queryChoice("kind", of: JobKind.self)
        let since = try request.queryTime("since")
        let until = try request.queryTime("until")
        let after = try page.after.map { text in
            guard let id = JobID(text) else { throw FieldError(field: "after", detail: "must be a job id") }
            return id
        }
        let views = try await bridge.run(for: user.map(CallOwner.user) ?? .operators) { [services] in
            if let user { try services.workspaces.require(user) }
            return try services.jobs.list(
                JobFilter(state: state, user: user, kind: kind, since: since, until: until), limit: page.fetchCount, after: after)
        }
        return page.reply(views.map { (cursor: "\($0.id)", json: $0.json(for: caller)) }, to: request)
    }

    private func submit(_ request: Request, _ context: APIContext) async throws -> Response {
        let body = try await request.json(maxBytes: options.maxBodyBytes)
        if let entries = body.array { return try await submitBatch(entries, request, context) }
        if let entries = body["jobs"]?.array, body.object?.count == 1 {
            return try await submitBatch(entries, request, context)
        }
        var members = body.object ?? [:]
        if let key = try request.idempotencyKey(), members["idempotency_key"] == nil {
            members["idempotency_key"] = .string(key)
        }
        let json = body.object == nil ? body : .object(members)
        let job = try JobRequest.parse(try CallerWords.named(json, for: context.caller), now: options.now())
        try context.admit(job.userID)
        let submitted = try await bridge.run(for: .user(job.userID)) { [jobs = services.jobs] in
            try jobs.submit(job, for: context, route: Self.submitRoute)
        }
        let ticket = JobTicket(
            jobID: "\(submitted.id)", status: submitted.state.rawValue, notices: job.notices)
        return .accepted(ticket.json, location: ticket.statusURL)
    }

    /// Each entry stands or falls alone; the answers are in the order of the entries.
    private func submitBatch(_ entries: [JSON], _ request: Request, _ context: APIContext) async throws -> Response {
        guard (1...options.maxBatchJobs).contains(entries.count) else {
            throw FieldError(field: "body", detail: "a batch has from 1 to \(options.maxBatchJobs) jobs")
        }
        let key = try request.idempotencyKey()
        let now = options.now()
        let parsed = entries.enumerated().map { index, entry -> Result<JobRequest, JobError> in
            do throws(JobError) {
                let named: JSON
                do throws(FieldError) {
                    named = try CallerWords.named(Self.keyed(entry, key, index), for: context.caller)
                } catch {
                    throw JobError(.invalidJob, error.detail, field: error.field)
                }
                let job = try JobRequest.parse(named, now: now)
                guard context.caller.reaches(job.userID) else {
                    return .failure(JobError(.userNotFound, ProblemDetails.userNotFound(job.userID.rawValue).detail))
                }
                return .success(job)
            } catch {
                return .failure(error)
            }
        }
        let jobs = parsed.compactMap { try? $0.get() }  // the errors are answered below, each in its place
        // A batch of several users is its sender's.
        let users = Set(jobs.map(\.userID))
        let owner = users.count == 1 ? users.first.map(CallOwner.user) ?? .operators : context.caller.owner
        let submitted = try await bridge.run(for: owner) { [client = services.jobs] in
            client.submitBatch(jobs, for: context, route: Self.submitRoute)
        }
        let language = ProblemLanguage(request)
        var outcomes = submitted.makeIterator()
        let rows = parsed.map { entry -> JSON in
            switch entry {
            case .failure(let error): return Self.row(error, language)
            case .success(let job):
                return outcomes.next().map { Self.row($0, of: job, language) }
                    ?? Self.row(JobError(.storage, "was not tried"), language)
            }
        }
        return .json(.array(rows), status: .accepted)
    }

    /// One key on a batch means one key per entry, so that repeating the batch repeats none of its jobs.
    private static func keyed(_ entry: JSON, _ key: String?, _ index: Int) -> JSON {
        guard let key, var members = entry.object, members["idempotency_key"] == nil else { return entry }
        members["idempotency_key"] = .string("\(Fingerprint.sha256Hex(Array(key.utf8)))-\(index)")
        return .object(members)
    }

    private static func row(
        _ outcome: Result<SubmittedJob, JobError>, of request: JobRequest, _ language: ProblemLanguage
    ) -> JSON {
        switch outcome {
        case .success(let job):
            let ticket = JobTicket(
                jobID: "\(job.id)", status: job.state.rawValue, notices: request.notices)
            return ticket.json
        case .failure(let error): return row(error, language)
        }
    }

    private static func row(_ error: JobError, _ language: ProblemLanguage) -> JSON {
        ["error": ProblemDetails(converting: error).translated(to: language).json]
    }

    /// The stream, from the start or from Last-Event-ID.
    private func events(_ request: Request, _ context: APIContext) async throws -> Response {
        let id = try context.pathJob()
        let view = try await waiter.view(id, for: context.caller)
        // An id that is none of ours cannot fit: the replay says so with `reset`.
        let last = request.lastEventID
        let position = last.map { StreamPosition($0) ?? StreamPosition(epoch: "unknown", offset: 1) }
        if let position, try await streams.isOver(id, at: position, for: context.caller) {
            // A browser's EventSource reconnects for ever unless it is told that there is nothing to come.
            return .noContent
        }
        return try streams.response(
            for: id, from: position, context: context, format: HouseFormat(jobID: "\(id)", language: view.language))
    }
}

extension JobView {
    /// The operator's words about an error are for administrators.
    func json(for caller: Caller) -> JSON { caller.user == nil ? operatorJSON : json }
}
