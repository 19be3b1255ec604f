// /v1: the interface of OpenAI's clients, for programs that have one already. A completion or a response is a chat job like
// any other, and waits for it as /chat does, only longer (decision 0013).

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

    let answers: ClientAnswers
    let streams: EventStream

    var routes: [Route] {
        [
            Route(.get, "/v1/models", for: .owner) { request, context in try await models(request, context) },
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
            Route(.delete, "/v1/responses/{response_id}", for: .owner) { _, context in try await delete(context) },
            Route(.get, "/v1/responses/{response_id}/input_items", for: .owner) { request, context in
                try await inputItems(request, context)
            },
            Route(.post, "/v1/responses/{response_id}/cancel", for: .owner) { request, context in
                _ = try await request.optionalJSON(maxBytes: 1_024)
                return try await cancel(context)
            },
        ]
    }

    // MARK: Models

    private func models(_ request: Request, _ context: APIContext) async throws -> Response {
        let models = try await answers.models(for: context)
        guard request.headers[.anthropicVersion] != nil else {
            return .json(["object": "list", "data": .array(models.map(\.json))])
        }
        return .json([
            "data": .array(models.map(\.anthropicJSON)), "has_more": false, "first_id": JSON(models.first?.id),
            "last_id": JSON(models.last?.id),
        ])
    }

    private func model(_ name: String, _ context: APIContext) async throws -> Response {
        guard let model = try await answers.models(for: context).first(where: { $0.id == name }) else {
            throw ProblemDetails(
                status: 404, code: "model_not_found", detail: "no model \"\(name.prefix(200))\"", field: "model")
        }
        return .json(model.json)
    }

    // MARK: Chat completions

    private func complete(_ request: Request, _ context: APIContext) async throws -> Response {
        let (call, words) = try await answers.call(request, context) { call, bounds in
            try call.refuseUnsupportedOfOpenAI()
            guard let messages = call.value("messages") else { throw FieldError(field: "messages", detail: "is required") }
            return try OpenAIMessages.read(messages, field: "messages", bounds)
        }
        let isStream = try call.bool("stream")
        let question = try await answers.submit(call, words, route: "POST /v1/chat/completions")
        if isStream {
            let withUsage = call.value("stream_options")?["include_usage"] == true
            return try streams.response(
                for: question.submitted.id, from: nil, context: context, headers: question.headers,
                format: ChatChunkFormat(question.answer, withUsage: withUsage))
        }
        let answer = try await answers.whole(question, request, context)
        return .json(answer.completion, headers: question.headers)
    }

    // MARK: Responses

    private func respond(_ request: Request, _ context: APIContext) async throws -> Response {
        let (call, words) = try await answers.call(request, context) { call, bounds in
            try call.refuseUnsupportedOfOpenAI()
            let field = OpenAIMessages.inputField
            guard let input = call.value(field) else { throw FieldError(field: field, detail: "is required") }
            return try OpenAIMessages.read(input, instructions: try call.text("instructions"), field: field, bounds)
        }
        let isStream = try call.bool("stream")
        let isBackground = try call.bool("background")
        let question = try await answers.submit(
            call, words, previous: try await previous(of: call, context), route: "POST /v1/responses")
        var answer = question.answer
        answer.echo = try Self.echo(of: call, isBackground: isBackground)
        if isStream {
            return try streams.response(
                for: question.submitted.id, from: nil, context: context, headers: question.headers,
                format: ResponseEventFormat(answer))
        }
        let wait = isBackground ? 0 : try request.wait(max: ClientAnswers.longestWait) ?? ClientAnswers.longestWait
        let view = try await answers.waiter.view(question.submitted.id, waiting: wait, context: context)
        // A failure belongs to the response; a budget that is used up is told as if it had been before the job was made.
        if !isBackground, view.state == .failed {
            let problem = await answers.endings.problem(of: view)
            if problem.status == 429 { throw problem }
        }
        answer.take(view)
        return .json(answer.response, headers: question.headers)
    }

    /// The response that this one continues.
    private func previous(of call: ClientCall, _ context: APIContext) async throws -> PreviousAnswer? {
        guard let id = try call.text("previous_response_id") else { return nil }
        let view = try await job(id, context, field: "previous_response_id")
        if let named = try call.namedSession(), named != view.sessionID {
            throw FieldError(field: "previous_response_id", detail: "is of another session than the one that the request names")
        }
        return PreviousAnswer(
            job: "\(view.id)", session: try view.sessionID.map { try SessionID($0) } ?? .standard, isOver: view.state.isFinal,
            isInSession: view.state == .completed && view.result?["command"] == nil)
    }

    private static func echo(of call: ClientCall, isBackground: Bool) throws -> JSONObject {
        var echo: JSONObject = ["background": .bool(isBackground), "metadata": .object(try call.metadata())]
        for name in ["instructions", "previous_response_id", "max_output_tokens", "temperature", "top_p", "user"] {
            if let value = call.value(name) { echo[name] = value }
        }
        return echo
    }
}
