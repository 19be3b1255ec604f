// POST /v1/messages: the interface of Anthropic's clients, for programs that have one already. A message is a chat job like any
// other (decision 0013).

import HTTPTypes
import Hummingbird
import Jobs
import WireTypes

struct AnthropicRoutes: RouteGroup {
    /// Paths whose problems are told in Anthropic's shape.
    static let prefix = "/v1/messages"

    let answers: ClientAnswers
    let streams: EventStream

    var routes: [Route] {
        [Route(.post, "/v1/messages", for: .owner) { request, context in try await message(request, context) }]
    }

    private func message(_ request: Request, _ context: APIContext) async throws -> Response {
        let (call, words) = try await answers.call(request, context) { call, bounds in
            try call.refuseUnsupportedOfAnthropic()
            return try AnthropicMessages.read(call, bounds)
        }
        let isStream = try call.bool("stream")
        let question = try await answers.submit(call, words, route: "POST /v1/messages")
        if isStream {
            return try streams.response(
                for: question.submitted.id, from: nil, context: context, headers: question.headers,
                format: MessageEventFormat(question.answer, requestID: context.requestID))
        }
        let answer = try await answers.whole(question, request, context)
        return .json(answer.anthropicMessage, headers: question.headers)
    }
}

extension HTTPField.Name {
    /// Anthropic's clients say by it which version of their interface they speak.
    static let anthropicVersion = HTTPField.Name("Anthropic-Version")!
    /// The id of a request as Anthropic's clients read it.
    static let anthropicRequestID = HTTPField.Name("Request-Id")!
    /// The token as Anthropic's clients send it.
    static let apiKey = HTTPField.Name("X-Api-Key")!
}
