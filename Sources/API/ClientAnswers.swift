// The steps that all interfaces of other services share: the request is read, the job submitted in the session of its conversation, and
// its end waited for. Called on the request's task. Failure: ProblemDetails, FieldError, JobError, TenantError.

import Foundation
import HTTPTypes
import Hummingbird
import Identity
import Jobs
import Spool
import Tenants
import TextFormats
import WireTypes

struct ClientAnswers: Sendable {
    /// Seconds an answer is waited for: these clients do not poll, and give up after ten minutes themselves.
    static let longestWait = 600.0
    /// Bytes of a body that is read on the event loop: a millisecond or two. A larger one is read on a pool thread.
    private static let quickBytes = 128 << 10

    let options: APIOptions
    let services: APIServices
    let bridge: BlockingBridge
    let waiter: JobWaiter
    let endings: JobEndings

    /// One question on its way to its answer.
    struct Question: Sendable {
        var job: JobRequest
        var submitted: SubmittedJob
        /// With nothing of the answer yet.
        var answer: OpenAIAnswer

        /// Name the job and the session in every answer.
        var headers: HTTPFields { ClientAnswers.headers(answer) }
    }

    /// Reads the body, and what it asks for.
    /// - Parameter read: tells a request that cannot be answered; on any thread.
    func call(
        _ request: Request, _ context: APIContext,
        _ read: @escaping @Sendable (ClientCall, ClientMessages.Bounds) throws -> ClientMessages
    ) async throws -> (call: ClientCall, words: ClientMessages) {
        let bytes = try await request.jsonBytes(maxBytes: options.maxClientBodyBytes)
        let limits = JSON.Limits(maxBytes: options.maxClientBodyBytes)
        let (models, bounds) = (services.models, options.clientMessageBounds)
        // The body has been taken: the request that goes along holds none.
        let head = Request(head: request.head, body: RequestBody(buffer: .init()))
        let parse: @Sendable () throws -> (ClientCall, ClientMessages) = {
            let call = try ClientCall(try JSON.parse(bytes, limits: limits), head, context, models)
            return (call, try read(call, bounds))
        }
        guard bytes.count > Self.quickBytes else { return try parse() }
        return try await bridge.run(for: context.caller.owner, parse)
    }

    /// Submits the question's job in the session of its conversation.
    /// - Parameter previous: the answer that the question follows.
    func submit(
        _ call: ClientCall, _ words: ClientMessages, previous: PreviousAnswer? = nil, route: String
    ) async throws -> Question {
        let conversation = try call.conversation(words, previous: previous)
        let model = try call.model()
        let (now, conversations, requestID) = (options.now, services.clientConversations, call.caller.requestID)
        let (job, submitted) = try await bridge.run(for: .user(conversation.user)) {
            do {
                return try conversations.submit(conversation, route: route) { place in
                    try call.job(words, in: place, now: now()).with(requestID: requestID)
                }
            } catch let error as JobError {
                throw words.named(error)
            }
        }
        return Question(
            job: job, submitted: submitted,
            answer: OpenAIAnswer(
                jobID: "\(submitted.id)", created: now(), model: model, state: .queued, text: "", usage: .null,
                sessionID: job.sessionID?.rawValue ?? SessionID.standard.rawValue))
    }

    /// The whole answer.
    /// - Throws: what a client that waits for an answer has to know when there is none.
    func whole(_ question: Question, _ request: Request, _ context: APIContext) async throws -> OpenAIAnswer {
        let view = try await waiter.view(
            question.submitted.id, waiting: try request.wait(max: Self.longestWait) ?? Self.longestWait, context: context)
        switch view.state {
        case .completed: break
        case .failed, .cancelled: throw await endings.problem(of: view)
        case .queued, .running:
            throw ProblemDetails(
                status: 504, code: "timeout",
                detail: "the answer is not there yet; the job goes on: GET /jobs/\(view.id)", jobID: "\(view.id)")
        }
        var answer = question.answer
        answer.take(view)
        return answer
    }

    /// Models the caller's user may ask for; all there are for a caller who reaches everybody.
    func models(for context: APIContext) async throws -> [OpenAIModel] {
        var names = services.models.names
        if let user = context.caller.user {
            names = try await bridge.run(for: context.caller.owner) { [budgets = services.budgets, names] in
                budgets.usable(names, by: user)
            }
        }
        let since = services.models.since
        return [OpenAIModel(id: ClientCall.houseModel, owner: "nanobot", created: since)]
            + names.map {
                OpenAIModel(id: $0, owner: $0.split(separator: "/").first.map(String.init) ?? $0, created: since)
            }
    }

    static func headers(_ answer: OpenAIAnswer) -> HTTPFields {
        [.jobID: answer.jobID, .sessionID: answer.sessionID.asciiHeader]
    }
}

extension OpenAIAnswer {
    init(_ view: JobView) {
        self.init(
            jobID: "\(view.id)", created: view.createdAt, model: view.result?["model"]?.string ?? ClientCall.houseModel,
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
