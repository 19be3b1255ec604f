// What a request in OpenAI's dialect asks for, read into a chat job. Pure. Failure: ProblemDetails or FieldError that names
// the parameter. Decision 0013 says what is taken over and what cannot be.

import Foundation
import HTTPTypes
import Hummingbird
import Identity
import Jobs
import Tenants
import TextFormats
import WireTypes

struct OpenAICall {
    /// Names the service's own default model.
    static let houseModel = "nanobot"

    let body: JSON
    let request: Request
    let caller: APIContext
    let models: ModelDirectory

    /// - Throws: FieldError unless the body is an object.
    init(_ body: JSON, _ request: Request, _ context: APIContext, _ models: ModelDirectory) throws(FieldError) {
        guard body.object != nil else {
            throw FieldError(field: "body", detail: "must be an object, not \(body.kindName)")
        }
        self.body = body
        self.request = request
        caller = context
        self.models = models
    }

    // MARK: Parameters

    /// nil also for `null`.
    func value(_ name: String) -> JSON? {
        guard let value = body[name], !value.isNull else { return Optional<JSON>.none }
        return value
    }

    func bool(_ name: String) throws(FieldError) -> Bool {
        guard let value = value(name) else { return false }
        guard let bool = value.bool else {
            throw FieldError(field: name, detail: "must be true or false, not \(value.kindName)")
        }
        return bool
    }

    func text(_ name: String) throws(FieldError) -> String? {
        guard let value = value(name) else { return nil }
        guard let text = value.string else {
            throw FieldError(field: name, detail: "must be a string, not \(value.kindName)")
        }
        return text
    }

    /// The caller's own annotations: strings by name.
    func metadata() throws(FieldError) -> JSONObject {
        guard let value = value("metadata") else { return [:] }
        guard let members = value.object, members.allSatisfy({ $0.value.string != nil }) else {
            throw FieldError(field: "metadata", detail: "must be an object of strings")
        }
        return members
    }

    /// What the service cannot do is refused, so that nobody takes an answer for what it is not. Sampling parameters and
    /// bounds of the answer are the operator's, and passed over.
    func refuseUnsupported() throws {
        for name in ["tools", "functions"] where value(name)?.array?.isEmpty == false {
            throw unsupported(name, "the assistant works with its own tools; a caller's cannot be called")
        }
        if let choice = value("tool_choice"), !Self.isEmpty(choice), !["auto", "none"].contains(choice.string) {
            throw unsupported("tool_choice", "there are no tools to choose from")
        }
        if let count = value("n"), count.int != 1 { throw unsupported("n", "one answer is given, not \(count.text())") }
        for name in ["logprobs", "top_logprobs"] {
            guard let value = value(name), !Self.isEmpty(value), value != false, value.int != 0 else { continue }
            throw unsupported(name, "probabilities of tokens are not known")
        }
        for name in ["audio", "stop", "prediction", "prompt", "web_search_options"] {
            if let value = value(name), !Self.isEmpty(value) { throw unsupported(name, "is not supported") }
        }
        if let kinds = value("modalities"), !Self.isEmpty(kinds), kinds != ["text"] {
            throw unsupported("modalities", "answers are text")
        }
        for (name, format) in [
            ("response_format", value("response_format")), ("text.format", value("text")?["format"]),
        ] {
            guard let format, !Self.isEmpty(format), format["type"]?.string != "text" else { continue }
            throw unsupported(name, "answers are text: structured output cannot be promised")
        }
    }

    /// A parameter that holds nothing asks for nothing: many clients send all they know. `[""]` is a list of nothing.
    private static func isEmpty(_ value: JSON) -> Bool {
        value.isNull || value.string?.isEmpty == true || value.object?.isEmpty == true
            || value.array?.allSatisfy { $0.isNull || $0.string?.isEmpty == true } == true
    }

    private func unsupported(_ name: String, _ why: String) -> ProblemDetails {
        ProblemDetails(status: 400, code: "unsupported_parameter", detail: "\(name): \(why)", field: name)
    }

    // MARK: Who, where, which

    /// The token's user; for a caller who reaches everybody the one the request names.
    func user() throws -> UserID {
        if let user = caller.caller.user { return user }
        let metadata = try metadata()
        let named = try text("user") ?? text("safety_identifier") ?? metadata["user_id"]?.string
        guard let named else {
            throw ProblemDetails(
                status: 400, code: "missing_required_parameter",
                detail: "user: names the user whose assistant answers; a user's own token needs none", field: "user")
        }
        guard let user = try? UserID(named) else { throw ProblemDetails.userNotFound(named) }
        return user
    }

    /// The conversation the request names, if any.
    func namedSession() throws -> String? {
        if let name = request.headers[.sessionID] { return name }
        if let name = try text("session_id") ?? metadata()["session_id"]?.string { return name }
        guard let conversation = value("conversation") else { return nil }
        guard let name = conversation.string ?? conversation["id"]?.string else {
            throw FieldError(field: "conversation", detail: "must be an id, or an object with one")
        }
        return name
    }

    /// The model's name as the caller gave it.
    func model() throws -> String {
        guard let name = try text("model") else {
            throw ProblemDetails(
                status: 400, code: "missing_required_parameter",
                detail: "model: \"\(Self.houseModel)\", or a name of GET /v1/models", field: "model")
        }
        guard name != Self.houseModel, let refusal = models.refusal(name) else { return name }
        // How a provider is to be configured is for administrators.
        let why = caller.caller.user == nil ? refusal : "no model \"\(name.prefix(200))\" can be used here"
        throw ProblemDetails(
            status: 404, code: "model_not_found", detail: "\(why); GET /v1/models lists what there is",
            field: "model")
    }

    // MARK: The job

    /// - Parameters:
    ///   - session: nil: the one named in the request, else one of its own for this conversation.
    ///   - field: what a wrong message is called here.
    func job(_ words: OpenAIWords, session: String? = nil, field: String, now: Date) throws -> JobRequest {
        let user = try user()
        let model = try model()
        var members: JSONObject = [
            "kind": "chat", "user_id": .string(user.rawValue), "message": .string(words.message),
            "session_id": .string(try session ?? namedSession() ?? words.ownSession),
        ]
        if model != Self.houseModel { members["model"] = .string(model) }
        if let key = try request.idempotencyKey() { members["idempotency_key"] = .string(key) }
        var metadata = try metadata()
        metadata.merge(ClientInstructions.metadata(words.instructions))
        if !metadata.isEmpty { members["metadata"] = .object(metadata) }
        do throws(JobError) {
            return try JobRequest.parse(.object(members), now: now)
        } catch {
            var problem = ProblemDetails(error)
            if problem.field == "message" { problem.field = field }
            throw problem
        }
    }
}

extension HTTPField.Name {
    static let sessionID = HTTPField.Name("X-Session-Id")!
    static let jobID = HTTPField.Name("X-Job-Id")!
    static let shouldRetry = HTTPField.Name("X-Should-Retry")!
}
