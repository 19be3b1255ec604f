// Responses that were given before: read again, listed with their input, cancelled, deleted. Called on the request's task.
// Failure: ProblemDetails.

import HTTPTypes
import Hummingbird
import Jobs
import Spool
import TextFormats
import WireTypes

extension OpenAIRoutes {
    private static let defaultItems = 20
    private static let mostItems = 100

    /// A response as it stands, or its events again.
    func response(_ request: Request, _ context: APIContext) async throws -> Response {
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
            for: view.id, from: nil, context: context, headers: ClientAnswers.headers(answer),
            format: ResponseEventFormat(answer, startingAfter: after ?? -1))
    }

    func cancel(_ context: APIContext) async throws -> Response {
        let view = try await job(try context.pathValue("response_id"), context)
        if !view.state.isFinal {
            _ = try await answers.bridge.run(for: .user(view.userID)) { [jobs = answers.services.jobs] in try jobs.cancel(view.id) }
        }
        // A job that runs is told, and ends within a second.
        return .json(OpenAIAnswer(try await answers.waiter.view(view.id, waiting: 2, context: context)).response)
    }

    /// Removes the response's job with its record. The conversation keeps what was said, until its session is deleted.
    func delete(_ context: APIContext) async throws -> Response {
        let view = try await job(try context.pathValue("response_id"), context)
        guard view.state.isFinal else {
            throw ProblemDetails(
                status: 409, code: "invalid_state", detail: "the response is not finished: cancel it first, then delete it")
        }
        try await answers.bridge.run(for: .user(view.userID)) { [jobs = answers.services.jobs] in try jobs.remove(view.id) }
        return .json(["id": .string(OpenAIAnswer(view).responseID), "object": "response", "deleted": true])
    }

    /// The messages that the response answers: the history that came with its question or was in the session, and the question.
    func inputItems(_ request: Request, _ context: APIContext) async throws -> Response {
        let view = try await job(try context.pathValue("response_id"), context)
        let limit = try Self.limit(request)
        let services = answers.services
        let input = try await answers.bridge.run(for: .user(view.userID)) { () throws -> [JSON]? in
            try services.jobs.request(view.id).flatMap { try services.clientConversations.input(of: $0) }
        }
        guard let input else {
            throw ProblemDetails(
                status: 404, code: "input_not_found", detail: "the messages of this response are no longer kept", field: "response_id")
        }
        var items = Self.items(input, of: view.id)
        switch request.query("order") ?? "desc" {
        case "desc": items.reverse()
        case "asc": break
        default: throw FieldError(field: "order", detail: "must be asc or desc")
        }
        if let after = request.query("after") {
            guard let place = items.firstIndex(where: { $0["id"]?.string == after }) else { throw ProblemDetails.lostCursor }
            items.removeFirst(place + 1)
        }
        let page = Array(items.prefix(limit))
        return .json([
            "object": "list", "data": .array(page), "first_id": page.first?["id"] ?? .null, "last_id": page.last?["id"] ?? .null,
            "has_more": .bool(items.count > page.count),
        ])
    }

    private static func limit(_ request: Request) throws(FieldError) -> Int {
        guard let text = request.query("limit") else { return defaultItems }
        guard let number = Request.wholeNumber(text), (1...mostItems).contains(number) else {
            throw FieldError(field: "limit", detail: "must be from 1 to \(mostItems)")
        }
        return number
    }

    /// - Parameter messages: in the form sessions are stored in.
    private static func items(_ messages: [JSON], of job: JobID) -> [JSON] {
        var items: [JSON] = []
        func add(_ members: JSONObject, _ prefix: String) {
            var item: JSONObject = ["id": .string("\(prefix)_\(job)_\(items.count)"), "status": "completed"]
            item.merge(members)
            items.append(.object(item))
        }
        for message in messages {
            let text = message["content"]?.string ?? ""
            let role = message["role"]?.string ?? "user"
            if role == "tool" {
                let output: JSONObject = [
                    "type": "function_call_output", "call_id": message["tool_call_id"] ?? "", "output": .string(text),
                ]
                add(output, "fco")
                continue
            }
            let isAnswer = role == "assistant"
            let part: JSON =
                isAnswer
                ? ["type": "output_text", "text": .string(text), "annotations": [], "logprobs": []]
                : ["type": "input_text", "text": .string(text)]
            if !text.isEmpty { add(["type": "message", "role": .string(role), "content": [part]], "msg") }
            for call in message["tool_calls"]?.array ?? [] {
                let members: JSONObject = [
                    "type": "function_call", "call_id": call["id"] ?? "", "name": call["name"] ?? "",
                    "arguments": call["arguments"] ?? "{}",
                ]
                add(members, "fc")
            }
        }
        return items
    }

    /// - Throws: 404 `response_not_found`, also for a response of a user whom the caller does not reach.
    func job(_ response: String, _ context: APIContext, field: String? = nil) async throws -> JobView {
        let absent = ProblemDetails(
            status: 404, code: "response_not_found", detail: "no response \"\(response.prefix(100))\"", field: field)
        guard let id = OpenAIAnswer.jobID(inResponse: response).flatMap({ JobID($0) }) else { throw absent }
        do {
            let view = try await answers.waiter.view(id, for: context.caller)
            guard view.kind == .chat else { throw absent }
            return view
        } catch let problem as ProblemDetails where problem.status == 404 {
            throw absent
        }
    }
}
