// The request of a client of another service's interface, read into a chat job: the parameters that OpenAI's and Anthropic's interfaces
// have in common. Pure. Failure: ProblemDetails or FieldError that names the parameter. Decision 0013 says what is taken over.

import Foundation
import HTTPTypes
import Hummingbird
import Identity
import Jobs
import Tenants
import TextFormats
import WireTypes

struct ClientCall {
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
        guard let members = value.object else {
            throw FieldError(field: "metadata", detail: "must be an object of strings, not \(value.kindName)")
        }
        for (name, value) in members where value.string == nil && !value.isNull {
            throw FieldError(field: "metadata.\(name)", detail: "must be a string, not \(value.kindName)")
        }
        return JSONObject(members.filter { !$0.value.isNull }.map { ($0.key, $0.value) })
    }

    /// A parameter that holds nothing asks for nothing: many clients send all they know. `[""]` is a list of nothing.
    static func isEmpty(_ value: JSON) -> Bool {
        value.isNull || value.string?.isEmpty == true || value.object?.isEmpty == true
            || value.array?.allSatisfy { $0.isNull || $0.string?.isEmpty == true } == true
    }

    func unsupported(_ name: String, _ why: String) -> ProblemDetails {
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

    /// The conversation that the request brings, and who asks.
    /// - Parameter previous: the answer that it follows.
    func conversation(_ words: ClientMessages, previous: PreviousAnswer? = nil) throws -> ClientConversation {
        var session: SessionID?
        if let name = try namedSession() { session = try SessionID(name) }
        return ClientConversation(
            user: try user(), history: words.history, question: words.question, session: session, previous: previous,
            idempotencyKey: try request.idempotencyKey())
    }

    func job(_ words: ClientMessages, in place: ConversationPlace, now: Date) throws -> JobRequest {
        let model = try model()
        var members: JSONObject = [
            "kind": "chat", "user_id": .string(try user().rawValue), "message": .string(words.question),
            "session_id": .string(place.session.rawValue),
        ]
        if model != Self.houseModel { members["model"] = .string(model) }
        if let key = try request.idempotencyKey() { members["idempotency_key"] = .string(key) }
        var metadata = try metadata()
        metadata.merge(ClientInstructions.metadata(words.instructions))
        if !metadata.isEmpty { members["metadata"] = .object(metadata) }
        do throws(JobError) {
            return try JobRequest.parse(.object(members), now: now).with(place.history)
        } catch {
            throw words.named(error)
        }
    }
}

extension ClientMessages {
    /// The error with the field's name in the client's request.
    func named(_ error: JobError) -> JobError {
        var error = error
        // Too long for the model is what all messages are together.
        if error.field == "message" { error.field = error.kind == .contextLengthExceeded ? field : questionPlace }
        if error.field?.hasPrefix("metadata.\(ClientInstructions.key)") == true { error.field = instructionsPlace }
        return error
    }
}

extension HTTPField.Name {
    static let sessionID = HTTPField.Name("X-Session-Id")!
    static let jobID = HTTPField.Name("X-Job-Id")!
    static let shouldRetry = HTTPField.Name("X-Should-Retry")!
}
