// Anthropic's Messages interface. Blocks on the calling thread; any number of threads. Fails with ProviderError and
// retries nothing.
// Source: Anthropic API reference, "Messages" and "Streaming messages".
import Foundation
import HTTPTransport
import TextFormats

/// A chat model behind `POST {base_url}/v1/messages`.
public final class AnthropicProvider: ChatProvider {
    static let apiVersion = "2023-06-01"

    public let name: String
    private let endpoint: ModelEndpoint
    private let apiKey: @Sendable () throws(ProviderError) -> String?
    private let thinkingTokens: Int
    private let extraHeaders: [(name: String, value: String)]
    private let reasoning: ReasoningStarts

    /// - Parameters:
    ///   - baseURL: `https://api.anthropic.com`, with or without a closing `/v1`.
    ///   - apiKey: asked before every call; nil sends none.
    ///   - keySource: where the key comes from, for the error of a wrong one.
    ///   - startsInReasoning: whether a model's answers begin inside their reasoning.
    ///   - thinkingTokens: the model may think for so many before it answers, at least 1,024; 0: it does not.
    public init(
        name: String, baseURL: String, apiKey: @escaping @Sendable () throws(ProviderError) -> String?,
        keySource: String? = nil, extraHeaders: [(name: String, value: String)] = [], thinkingTokens: Int = 0,
        startsInReasoning: @escaping @Sendable (String) -> Bool = { _ in false }, client: HTTPClient,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.name = name
        self.apiKey = apiKey
        self.extraHeaders = extraHeaders
        self.thinkingTokens = thinkingTokens
        reasoning = ReasoningStarts(configured: startsInReasoning)
        endpoint = ModelEndpoint(
            account: name, url: ModelEndpoint.url(baseURL, version: "/v1", adding: "/messages"), keySource: keySource,
            client: client, now: now)
    }

    public func complete(
        _ request: ChatRequest, cancellation: CancellationToken?, onDelta: ((String) -> Void)?
    ) throws(ProviderError) -> ChatResponse {
        let sink = DeltaSink(request.stream ? onDelta : nil)
        do throws(ProviderError) {
            return try exchange(request, cancellation: cancellation, sink: sink)
        } catch {
            if error.code == .contentFilter, !sink.delivered { return .withheld(by: request.model) }
            throw sink.marking(error)
        }
    }

    private func exchange(
        _ request: ChatRequest, cancellation: CancellationToken?, sink: DeltaSink
    ) throws(ProviderError) -> ChatResponse {
        var headers = extraHeaders
        if let key = try apiKey(), !key.isEmpty { headers.append((name: "x-api-key", value: key)) }
        headers.append((name: "anthropic-version", value: Self.apiVersion))
        var assembler = AnthropicStreamAssembler()
        sink.begin(headers)
        var text = AnswerStream(startsInside: reasoning.isInside(request.model))
        let answer = try endpoint.post(
            AnthropicRequestBody(request, thinkingTokens: thinkingTokens).json, headers: headers, request: request,
            cancellation: cancellation,
            onEvent: request.stream
                ? { [endpoint] event in
                    sink.send(text.feed(try assembler.take(event, endpoint: endpoint, headers: headers)))
                    return assembler.progress
                } : nil)
        let message: AnthropicMessage
        switch answer {
        case .whole(let json):
            if json["type"]?.string != "message", let complaint = ProviderComplaint(json: json) {
                throw endpoint.reported(complaint, headers: headers)
            }
            message = try AnthropicMessage(json: json, endpoint: endpoint)
            sink.send(text.feed(message.text))
        case .streamed(let isFramed):
            message = try assembler.finish(endpoint: endpoint, isFramed: isFramed)
        }
        sink.send(text.finish())
        if text.startedInside { reasoning.remember(request.model) }
        var response = message.response(to: request)
        response.message.take(text)
        return sink.finish(response, wasRetracted: text.isRetracted)
    }
}
