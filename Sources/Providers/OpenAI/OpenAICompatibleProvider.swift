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
    /// Models whose dialect is remembered; beyond that the memory starts anew.
    private static let maxDialects = 256

    public let name: String
    private let endpoint: ModelEndpoint
    private let apiKey: @Sendable () throws(ProviderError) -> String?
    private let extraHeaders: [(name: String, value: String)]
    private let makeID: @Sendable () -> String
    private let dialects = Mutex<[String: OpenAIDialect]>([:])
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
        endpoint = ModelEndpoint(
            account: name, url: ModelEndpoint.url(baseURL, adding: "/chat/completions"), keySource: keySource,
            client: client, now: now)
    }

    public func complete(
        _ request: ChatRequest, cancellation: CancellationToken?, onDelta: ((String) -> Void)?
    ) throws(ProviderError) -> ChatResponse {
        let sink = DeltaSink(request.stream ? onDelta : nil)
        do throws(ProviderError) {
            while true {
                let dialect = dialects.withLock { $0[request.model] } ?? OpenAIDialect()
                do throws(ProviderError) {
                    return try exchange(request, dialect: dialect, cancellation: cancellation, sink: sink)
                } catch {
                    // Each round leaves out one thing more, so the loop ends.
                    guard !sink.delivered, let next = dialect.without(whatCaused: error) else { throw error }
                    remember(next, for: request.model)
                }
            }
        } catch {
            if error.code == .contentFilter, !sink.delivered { return .withheld(by: request.model) }
            throw sink.marking(error)
        }
    }

    private func remember(_ dialect: OpenAIDialect, for model: String) {
        dialects.withLock { known in
            if known.count >= Self.maxDialects, known[model] == nil { known = [:] }
            known[model] = dialect
        }
    }

    private func exchange(
        _ request: ChatRequest, dialect: OpenAIDialect, cancellation: CancellationToken?, sink: DeltaSink
    ) throws(ProviderError) -> ChatResponse {
        var headers = extraHeaders
        if let key = try apiKey(), !key.isEmpty { headers.append((name: "Authorization", value: "Bearer \(key)")) }
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
        case .streamed:
            completion = try assembler.finish(endpoint: endpoint)
        }
        sink.send(text.finish())
        if text.startedInside { reasoning.remember(request.model) }
        var response = try completion.response(account: name, request: request, endpoint: endpoint, makeID: makeID)
        response.message.take(text)
        return response
    }
}
