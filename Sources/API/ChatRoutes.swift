// POST /chat: makes a chat job and waits for it, or streams it, or leaves it to the caller to poll.

import Foundation
import HTTPTypes
import Hummingbird
import Jobs
import Spool
import Tenants
import TextFormats
import WireTypes

struct ChatRoutes: RouteGroup {
    let options: APIOptions
    let jobs: JobClient
    let bridge: BlockingBridge
    let waiter: JobWaiter
    let streams: EventStream
    let endings: JobEndings

    var routes: [Route] {
        [Route(.post, "/chat", for: .owner) { request, context in try await chat(request, context) }]
    }

    private func chat(_ request: Request, _ context: APIContext) async throws -> Response {
        let body = try await request.json(maxBytes: options.maxBodyBytes)
        var call = try JobCall(body, kind: .chat, request: request, caller: context.caller, now: options.now())
        let isStream = try call.takeBool("stream") ?? request.prefersEventStream
        let bodyWait = try call.takeWait(max: options.maxWait)
        let isAsync = request.preferences["respond-async"] != nil
        let wait = try request.wait(max: options.maxWait) ?? bodyWait ?? (isAsync ? 0 : options.defaultChatWait)
        let job = try call.job()
        try context.admit(job.userID)
        let submitted = try await bridge.run(for: .user(job.userID)) { [jobs] in
            try jobs.submit(job, for: context, route: "POST /chat")
        }
        let ticket = JobTicket(
            jobID: "\(submitted.id)", status: submitted.state.rawValue, notices: job.notices)
        if isStream {
            return try streams.response(
                for: submitted.id, from: nil, context: context, headers: [.location: ticket.statusURL],
                format: HouseFormat(jobID: ticket.jobID, notices: job.notices))
        }
        guard !isAsync || wait > 0 else {
            var response = Response.accepted(ticket.json, location: ticket.statusURL)
            response.headers[.preferenceApplied] = request.appliedPreference(wait: wait)
            return response
        }
        let view = try await waiter.view(submitted.id, waiting: wait, context: context)
        var response = try await answer(view, notices: job.notices)
        response.headers[.preferenceApplied] = request.appliedPreference(wait: wait)
        return response
    }

    /// - Throws: 502 `job_failed`, 429 `budget_tokens` or `budget_cost`, 409 `job_cancelled`.
    private func answer(_ view: JobView, notices: [String] = []) async throws -> Response {
        let id = "\(view.id)"
        switch view.state {
        case .completed:
            let duration = view.completedAt.map { $0.timeIntervalSince(view.createdAt) } ?? 0
            let reply = ChatReply(
                response: view.response ?? "", sessionID: view.sessionID ?? SessionID.standard.rawValue,
                userID: "\(view.userID)", jobID: id, processingTimeMs: max(0, Int(duration * 1_000)),
                usage: view.usage ?? .null, notices: notices)
            return .json(reply.json)
        case .failed, .cancelled: throw await endings.problem(of: view)
        case .queued, .running:
            let ticket = JobTicket(jobID: id, status: view.state.rawValue, notices: notices)
            return .accepted(ticket.json, location: ticket.statusURL)
        }
    }
}

extension Request {
    /// Whether the answer is wanted as an event stream before anything else.
    var prefersEventStream: Bool {
        AcceptHeader(headers[values: .accept]).best(of: ["application/json", "text/event-stream"])
            == "text/event-stream"
    }
}
