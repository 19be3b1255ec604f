// OpenAI's chat completions interface, as dozens of vendors and local servers speak it (OpenAI, DeepSeek, OpenRouter,
// Ollama, vLLM, llama.cpp, LiteLLM …). Blocks on the calling thread; any number of threads. Fails with ProviderError;
// retries nothing except what a server refuses by name (see `OpenAIDialect`), which it then leaves out.
// Source: OpenAI API reference, "Create chat completion"; the vendors' pages for their additions.
import Foundation
import HTTPTransport
import Synchronization
import TextFormats

/// A chat model behind `POST {base_url}/chat/completions`.
public final class OpenAICompatibleProvider: ChatProvider {

    public let name: String
    private let endpoint: ModelEndpoint
    private let apiKey: @Sendable () throws(ProviderError) -> String?
    private let extraHeaders: [(name: String, value: String)]
    private let makeID: @Sendable () -> String
    private let dialects: KnownDialects
    private let reasoning: ReasoningStarts

    /// - Parameters:
    ///   - baseURL: such as `https://api.openai.com/v1`; a closing slash does not matter.
    ///   - apiKey: asked before every call, so that a rotated key works without a restart; nil sends none.
    ///   - keySource: where the key comes from, for the error of a wrong one.
    ///   - startsInReasoning: whether a model's answers begin inside their reasoning, with a closing tag alone.
    ///   - makeID: ids for tool calls of servers that give them none.
    public init(
        name: String, baseURL: String, apiKey: @escaping @Sendable () throws(ProviderError) -> String?,
        keySource: String? = nil, extraHeaders: [(name: String, value: String)] = [],
        startsInReasoning: @escaping @Sendable (String) -> Bool = { _ in false }, client: HTTPClient,
        now: @escaping @Sendable () -> Date = { Date() },
        makeID: @escaping @Sendable () -> String = { "call_" + String(UInt64.random(in: .min ... .max), radix: 36) }
    ) {
        self.name = name
        self.apiKey = apiKey
        self.extraHeaders = extraHeaders
        self.makeID = makeID
        reasoning = ReasoningStarts(configured: startsInReasoning)
        dialects = KnownDialects(now: now)
        endpoint = ModelEndpoint(
            account: name, url: ModelEndpoint.url(baseURL, adding: "/chat/completions"), keySource: keySource,
            client: client, now: now)
    }

    public func complete(
        _ request: ChatRequest, cancellation: CancellationToken?, onDelta: ((String) -> Void)?
    ) throws(ProviderError) -> ChatResponse {
        let sink = DeltaSink(request.stream ? onDelta : nil)
        do throws(ProviderError) {
            let known = dialects.dialect(of: request.model)
            var dialect = known
            while true {
                do throws(ProviderError) {
                    let response = try exchange(request, dialect: dialect, cancellation: cancellation, sink: sink)
                    // A change that did not help is not the server's dialect: the words of one request may have caused it.
                    if dialect != known { dialects.remember(dialect, of: request.model) }
                    return response
                } catch {
                    // Each round changes one thing more, so the loop ends.
                    guard !sink.delivered, request.allowance?.isUsedUp != true,
                        let next = dialect.next(after: error, sentReasoning: sentReasoning(request, dialect))
                    else { throw error }
                    dialect = next
                }
            }
        } catch {
            if error.code == .contentFilter, !sink.delivered { return .withheld(by: request.model) }
            throw sink.marking(error)
        }
    }

    private func sentReasoning(_ request: ChatRequest, _ dialect: OpenAIDialect) -> Bool {
        let body = OpenAIRequestBody(account: name, dialect: dialect)
        return request.messages.contains { body.reasoningToReturn($0) != nil }
    }

    private func exchange(
        _ request: ChatRequest, dialect: OpenAIDialect, cancellation: CancellationToken?, sink: DeltaSink
    ) throws(ProviderError) -> ChatResponse {
        var headers = extraHeaders
        if let key = try apiKey(), !key.isEmpty { headers.append((name: "Authorization", value: "Bearer \(key)")) }
        sink.begin(headers)
        let body = OpenAIRequestBody(account: name, dialect: dialect).json(request)
        var assembler = OpenAIStreamAssembler()
        var text = AnswerStream(startsInside: reasoning.isInside(request.model))
        let answer = try endpoint.post(
            body, headers: headers, request: request, cancellation: cancellation,
            onEvent: request.stream
                ? { [endpoint] event in
                    sink.send(text.feed(try assembler.take(event, endpoint: endpoint, headers: headers)))
                    return assembler.progress
                } : nil)
        let completion: OpenAICompletion
        switch answer {
        case .whole(let json):
            if let complaint = ProviderComplaint(json: json) { throw endpoint.reported(complaint, headers: headers) }
            completion = try OpenAICompletion(json: json, endpoint: endpoint, headers: headers)
            sink.send(text.feed(completion.content))
        case .streamed(let isFramed):
            completion = try assembler.finish(endpoint: endpoint, isFramed: isFramed)
        }
        sink.send(text.finish())
        if text.startedInside { reasoning.remember(request.model) }
        var response = try completion.response(account: name, request: request, endpoint: endpoint, makeID: makeID)
        response.message.take(text)
        return sink.finish(response, wasRetracted: text.isRetracted)
    }
}
