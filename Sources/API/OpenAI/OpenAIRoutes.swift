// /v1: the interface of OpenAI's clients, for programs that have one already. A completion or a response is a chat job like
// any other, and waits for it as /chat does, only longer.

import Foundation
import HTTPTypes
import Hummingbird
import Identity
import Jobs
import Spool
import Tenants
import TextFormats
import WireTypes

struct OpenAIRoutes: RouteGroup {
    /// Paths whose problems are told in OpenAI's shape.
    static let prefix = "/v1/"
    /// Seconds an answer is waited for: these clients do not poll, and give up after ten minutes themselves.
    static let longestWait = 600.0

    let options: APIOptions
    let services: APIServices
    let bridge: BlockingBridge
    let waiter: JobWaiter
    let streams: EventStream
    let endings: JobEndings

    var routes: [Route] {
        [
            Route(.get, "/v1/models", for: .owner) { _, context in try await models(context) },
            Route(.get, "/v1/models/{model}", for: .owner) { _, context in
                try await model(try context.pathValue("model"), context)
            },
            // A model's name has a slash, and not every client encodes it.
            Route(.get, "/v1/models/{model}/{name}", for: .owner) { _, context in
                try await model("\(try context.pathValue("model"))/\(try context.pathValue("name"))", context)
            },
            Route(.post, "/v1/chat/completions", for: .owner) { request, context in
                try await complete(request, context)
            },
            Route(.post, "/v1/responses", for: .owner) { request, context in try await respond(request, context) },
            Route(.get, "/v1/responses/{response_id}", for: .owner) { request, context in
                try await response(request, context)
            },
            Route(.post, "/v1/responses/{response_id}/cancel", for: .owner) { request, context in
                _ = try await request.optionalJSON(maxBytes: 1_024)
                return try await cancel(context)
            },
        ]
    }

    // MARK: Models

    /// What the caller's user may ask for; all there is for a caller who reaches everybody.
    private func offered(to caller: Caller) async throws -> [OpenAIModel] {
        var names = services.models.names
        if let user = caller.user {
            names = try await bridge.run(for: caller.owner) { [budgets = services.budgets, names] in
                budgets.usable(names, by: user)
            }
        }
        let since = services.models.since
        return [OpenAIModel(id: OpenAICall.houseModel, owner: "nanobot", created: since)]
            + names.map {
                OpenAIModel(id: $0, owner: $0.split(separator: "/").first.map(String.init) ?? $0, created: since)
            }
    }

    private func models(_ context: APIContext) async throws -> Response {
        .json(["object": "list", "data": .array(try await offered(to: context.caller).map(\.json))])
    }

    private func model(_ name: String, _ context: APIContext) async throws -> Response {
        guard let model = try await offered(to: context.caller).first(where: { $0.id == name }) else {
            throw ProblemDetails(
                status: 404, code: "model_not_found", detail: "no model \"\(name.prefix(200))\"", field: "model")
        }
        return .json(model.json)
    }

    // MARK: Chat completions

    private func complete(_ request: Request, _ context: APIContext) async throws -> Response {
        let call = try OpenAICall(
            try await request.json(maxBytes: options.maxBodyBytes), request, context, services.models)
        try call.refuseUnsupported()
        let isStream = try call.bool("stream")
        guard let messages = call.value("messages") else {
            throw FieldError(field: "messages", detail: "is required")
        }
        let words = try OpenAIWords(messages: messages, field: "messages")
        let job = try call.job(words, field: "messages", now: options.now())
        let submitted = try await submit(job, route: "POST /v1/chat/completions", field: "messages", context)
        var answer = answer(to: job, submitted, model: try call.model())
        let headers = Self.headers(answer)
        if isStream {
            let withUsage = call.value("stream_options")?["include_usage"] == true
            return try streams.response(
                for: submitted.id, from: nil, context: context, headers: headers,
                format: ChatChunkFormat(answer, withUsage: withUsage))
        }
        let view = try await waiter.view(
            submitted.id, waiting: try request.wait(max: Self.longestWait) ?? Self.longestWait, context: context)
        try await checkEnd(view)
        answer.take(view)
        return .json(answer.completion, headers: headers)
    }

    /// - Throws: what a client that waits for an answer has to know when there is none.
    private func checkEnd(_ view: JobView) async throws {
        switch view.state {
        case .completed: return
        case .failed, .cancelled: throw await endings.problem(of: view)
        case .queued, .running:
            throw ProblemDetails(
                status: 504, code: "timeout",
                detail: "the answer is not there yet; the job goes on: GET /jobs/\(view.id)", jobID: "\(view.id)")
        }
    }

    // MARK: Responses

    private func respond(_ request: Request, _ context: APIContext) async throws -> Response {
        let call = try OpenAICall(
            try await request.json(maxBytes: options.maxBodyBytes), request, context, services.models)
        try call.refuseUnsupported()
        let isStream = try call.bool("stream")
        let isBackground = try call.bool("background")
        let session = try await session(of: call, context)
        let job = try call.job(try Self.words(of: call), session: session, field: "input", now: options.now())
        let submitted = try await submit(job, route: "POST /v1/responses", field: "input", context)
        var answer = answer(to: job, submitted, model: try call.model())
        answer.echo = try Self.echo(of: call, isBackground: isBackground)
        let headers = Self.headers(answer)
        if isStream {
            return try streams.response(
                for: submitted.id, from: nil, context: context, headers: headers, format: ResponseEventFormat(answer))
        }
        let wait = isBackground ? 0 : try request.wait(max: Self.longestWait) ?? Self.longestWait
        let view = try await waiter.view(submitted.id, waiting: wait, context: context)
        // A failure belongs to the response; a budget that is used up is told as if it had been before the job was made.
        if !isBackground, view.state == .failed {
            let problem = await endings.problem(of: view)
            if problem.status == 429 { throw problem }
        }
        answer.take(view)
        return .json(answer.response, headers: headers)
    }

    private static func words(of call: OpenAICall) throws -> OpenAIWords {
        guard let input = call.value("input") else { throw FieldError(field: "input", detail: "is required") }
        let instructions = try call.text("instructions")
        guard let text = input.string else {
            return try OpenAIWords(messages: input, instructions: instructions, field: "input")
        }
        // The same request under the same key is the same conversation.
        let own = try call.request.idempotencyKey().map { Fingerprint.sha256Hex(Array($0.utf8)) }
        return OpenAIWords(
            message: text, instructions: instructions,
            session: "v1-\((own ?? UUID().uuidString.lowercased()).prefix(36))")
    }

    /// The conversation of the response that this one continues.
    private func session(of call: OpenAICall, _ context: APIContext) async throws -> String? {
        guard let previous = try call.text("previous_response_id") else { return nil }
        return try await job(previous, context, field: "previous_response_id").sessionID
    }

    private static func echo(of call: OpenAICall, isBackground: Bool) throws -> JSONObject {
        var echo: JSONObject = ["background": .bool(isBackground), "metadata": .object(try call.metadata())]
        for name in ["instructions", "previous_response_id", "max_output_tokens", "temperature", "top_p", "user"] {
            if let value = call.value(name) { echo[name] = value }
        }
        return echo
    }

    /// A response as it stands, or its events again.
    private func response(_ request: Request, _ context: APIContext) async throws -> Response {
        let view = try await job(try context.pathValue("response_id"), context)
        var answer = OpenAIAnswer(view)
        guard request.query("stream") == "true" else { return .json(answer.response) }
        let after = try request.query("starting_after").map { text in
            guard let number = Request.wholeNumber(text) else {
                throw FieldError(field: "starting_after", detail: "must be the sequence_number of an event")
            }
            return number
        }
        answer.state = .queued
        return try streams.response(
            for: view.id, from: nil, context: context, headers: Self.headers(answer),
            format: ResponseEventFormat(answer, startingAfter: after ?? -1))
    }

    private func cancel(_ context: APIContext) async throws -> Response {
        let view = try await job(try context.pathValue("response_id"), context)
        if !view.state.isFinal {
            _ = try await bridge.run(for: .user(view.userID)) { [jobs = services.jobs] in try jobs.cancel(view.id) }
        }
        // A job that runs is told, and ends within a second.
        return .json(OpenAIAnswer(try await waiter.view(view.id, waiting: 2, context: context)).response)
    }

    private func job(_ response: String, _ context: APIContext, field: String? = nil) async throws -> JobView {
        let absent = ProblemDetails(
            status: 404, code: "response_not_found", detail: "no response \"\(response.prefix(100))\"", field: field)
        guard let id = OpenAIAnswer.jobID(inResponse: response).flatMap({ JobID($0) }) else { throw absent }
        do {
            let view = try await waiter.view(id, for: context.caller)
            guard view.kind == .chat else { throw absent }
            return view
        } catch let problem as ProblemDetails where problem.status == 404 {
            throw absent
        }
    }

    // MARK: -

    /// - Parameter field: what the message is called here.
    private func submit(
        _ job: JobRequest, route: String, field: String, _ context: APIContext
    ) async throws -> SubmittedJob {
        try await bridge.run(for: .user(job.userID)) { [jobs = services.jobs] in
            do throws(JobError) {
                return try jobs.submit(job.with(requestID: context.requestID), source: .api, route: route)
            } catch {
                var error = error
                if error.field == "message" { error.field = field }
                throw error
            }
        }
    }

    private func answer(to job: JobRequest, _ submitted: SubmittedJob, model: String) -> OpenAIAnswer {
        OpenAIAnswer(
            jobID: "\(submitted.id)", created: options.now(), model: model, state: .queued, text: "", usage: .null,
            sessionID: job.sessionID?.rawValue ?? SessionID.standard.rawValue)
    }

    private static func headers(_ answer: OpenAIAnswer) -> HTTPFields {
        [.jobID: answer.jobID, .sessionID: answer.sessionID.asciiHeader]
    }
}

extension OpenAIAnswer {
    init(_ view: JobView) {
        self.init(
            jobID: "\(view.id)", created: view.createdAt, model: view.result?["model"]?.string ?? OpenAICall.houseModel,
            state: .queued, text: "", usage: .null, sessionID: view.sessionID ?? SessionID.standard.rawValue)
        take(view)
    }

    /// The job as it stands now.
    mutating func take(_ view: JobView) {
        switch view.state {
        case .queued: state = .queued
        case .running: state = .inProgress
        case .completed: state = .completed
        case .failed: state = .failed
        case .cancelled: state = .cancelled
        }
        text = view.response ?? ""
        finishReason = view.finishReason ?? "stop"
        usage = view.usage ?? .null
        error = view.error.map { ($0.code, $0.userDetail) }
    }
}

extension String {
    /// As a header's value, where other characters cannot stand.
    fileprivate var asciiHeader: String {
        unicodeScalars.allSatisfy { (0x20...0x7e).contains($0.value) } ? self : ""
    }
}
