import Foundation
import HTTPTransport
import Logging
import ModelTestSupport
import Testing
import TextFormats

@testable import Providers

/// One step of a turn against a server that always fails in one way, through all layers, over several attempts of the job.
@Suite("What one step may ask for")
struct RequestAllowanceTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// - Parameter models: more than one: the others are its fallback models.
    private static func factory(_ url: String, models: Int) -> ProviderFactory {
        let settings = (1...models).map { ProviderSettings(name: "p\($0)", type: .openai, baseURL: url) }
        return ProviderFactory(
            settings: settings, defaultModel: "p1/m", fallbackModels: (1...models).dropFirst().map { "p\($0)/m" },
            retries: RetryPolicy(backoff: [0]), logger: logger)
    }

    private static let streamedAnswer = #"{"choices":[{"delta":{"content":"x"}}]}"#

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var answer: @Sendable () -> ScriptedAnswer
        /// Requests of all attempts.
        var most = RequestAllowance.requestsPerStep
        var models = 1

        init(_ name: String, most: Int = RequestAllowance.requestsPerStep, models: Int = 1, _ answer: @escaping @Sendable () -> ScriptedAnswer) {
            testDescription = name
            self.answer = answer
            self.most = most
            self.models = models
        }
    }

    private static func refusal(_ status: Int, _ message: String, type: String = "x") -> @Sendable () -> ScriptedAnswer {
        { .json(JSON.object(["error": ["message": .string(message), "type": .string(type)]]).text(), status: status) }
    }

    static let cases: [Case] = [
        Case("server errors", refusal(500, "oops")),
        Case("server errors of three models", models: 3, refusal(500, "oops")),
        Case("limits that name no time", refusal(429, "slow down")),
        Case("no JSON") { .json("<html>", status: 200) },
        Case("an answer without choices") { .json("{}", status: 200) },
        Case("too long", refusal(400, "maximum context length")),
        Case("temperature unknown", refusal(400, "temperature is unknown")),
        Case("a wrong key", most: 1, refusal(401, "no")),
        Case("no balance, 402", most: 1, refusal(402, "pay")),
        Case("no balance, 429", most: 1, refusal(429, "no", type: "insufficient_balance_error")),
        Case("no balance, 500", most: 1, refusal(500, "insufficient balance (1008)")),
        Case("no balance, Chinese", most: 1, refusal(403, "余额不足，请充值")),
        Case("no balance beside an empty answer", most: 1) {
            .json(#"{"choices":null,"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#, status: 200)
        },
        Case("a cut stream") {
            .init(pieces: [.bytes(Array("data: \(streamedAnswer)\n\n".utf8))], framing: .chunked, cut: true)
        },
    ]

    @Test("is bounded over tries, models and attempts of the job", arguments: cases)
    func bounded(one: Case) throws {
        let server = try LoopbackHTTPServer { _ in one.answer() }
        let model = try Self.factory(server.url, models: one.models).resolve()
        let allowance = RequestAllowance()
        var last: ProviderError?
        // As the turn does it: the same allowance for squeezed requests and for the job's next attempts.
        for _ in 0..<12 {
            let next = RequestAllowance(used: allowance.used)
            while allowance.used < next.used { try? allowance.take() }
            var request = ChatRequest(model: model.model, messages: [.user("hi")], temperature: 1, stream: true)
            request.allowance = allowance
            last = providerFailure { () throws(ProviderError) in
                try model.provider.complete(request, cancellation: nil) { _ in }
            }
            if last?.isRetryable == false || allowance.isEmpty { break }
        }
        #expect(server.requests.count <= one.most)
        #expect(last != nil)
        if one.most == 1 { #expect(last?.isRetryable == false) }
        if one.testDescription.contains("balance") {
            #expect(last?.code == .quota)
            #expect(last?.detail.contains("balance") == true)
        }
    }

    @Test("leaves something for each fallback model")
    func fallbacks() throws {
        let server = try LoopbackHTTPServer { request in
            request.target.contains("x") ? .json("{}", status: 500) : Self.refusal(500, "oops")()
        }
        let model = try Self.factory(server.url, models: 3).resolve()
        var request = ChatRequest(model: model.model, messages: [.user("hi")])
        request.allowance = RequestAllowance(limit: 3)
        _ = providerFailure { () throws(ProviderError) in try model.provider.complete(request) }
        #expect(server.requests.count == 3)
        #expect(request.allowance?.isEmpty == true)
        let refused = providerFailure { () throws(ProviderError) in try model.provider.complete(request) }
        #expect(refused?.code == .requestsUsedUp)
        #expect(server.requests.count == 3)
    }

    @Test("does not count what no model has seen: no connection, and a limit that says when to come again")
    func unseen() throws {
        var request = ChatRequest(model: "m", messages: [.user("hi")])
        request.allowance = RequestAllowance()
        let gone = try LoopbackHTTPServer { _ in .json("{}", status: 500) }
        let url = gone.url
        gone.stop()
        let dead = try Self.factory(url, models: 1).resolve()
        _ = providerFailure { () throws(ProviderError) in try dead.provider.complete(request) }
        #expect(request.allowance?.used == 0)

        let server = try LoopbackHTTPServer { _ in
            .init(status: 429, headers: [("Retry-After", "60")], pieces: [.bytes(Array("{}".utf8))])
        }
        let limited = try Self.factory(server.url, models: 1).resolve()
        let error = providerFailure { () throws(ProviderError) in try limited.provider.complete(request) }
        #expect(error?.retryAfter == 60)
        #expect(server.requests.count == 1)
        #expect(request.allowance?.used == 0)
    }

    // MARK: - Streams without an end mark

    private func content(_ answer: ScriptedAnswer) throws -> Result<String, ProviderError> {
        let server = try LoopbackHTTPServer { _ in answer }
        let provider = OpenAICompatibleProvider(
            name: "acme", baseURL: server.url, apiKey: { nil }, client: HTTPClient(policy: .anywhere))
        do throws(ProviderError) {
            return .success(try provider.complete(ChatRequest(model: "m", messages: [], stream: true), cancellation: nil) { _ in }.message.content)
        } catch {
            return .failure(error)
        }
    }

    @Test("a stream whose end the transport knows is whole without an end mark; the end of a connection alone is a cut")
    func framed() throws {
        let bytes = Array("data: \(Self.streamedAnswer)\n\n".utf8)
        #expect(try content(.init(pieces: [.bytes(bytes)], framing: .contentLength)).get() == "x")
        #expect(try content(.init(pieces: [.bytes(bytes)], framing: .chunked)).get() == "x")
        let raw = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        let closed = try content(.init(pieces: [.bytes(bytes)], framing: .raw(raw)))
        #expect(throws: ProviderError.self) { try closed.get() }
        let cut = try content(.init(pieces: [.bytes(bytes)], framing: .chunked, cut: true))
        #expect(throws: ProviderError.self) { try cut.get() }
        let empty = Array(#"data: {"choices":[{"delta":{"role":"assistant"}}]}"#.utf8) + Array("\n\n".utf8)
        let silent = try content(.init(pieces: [.bytes(empty)], framing: .chunked))
        #expect(throws: ProviderError.self) { try silent.get() }
    }

    @Test("a whole completion inside an event is read")
    func wholeInEvent() throws {
        let event = #"data: {"object":"chat.completion","choices":[{"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]}"#
        #expect(try content(.events([event + "\n\n"])).get() == "hello")
        #expect(try content(.events([event + "\n\n", "data: [DONE]\n\n"])).get() == "hello")
    }
}
