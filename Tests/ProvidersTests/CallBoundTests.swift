// The most a call can use, and counts of providers that are not believed.
import Foundation
import HTTPTransport
import Logging
import ModelTestSupport
import Synchronization
import TestSupport
import Testing
import TextFormats

@testable import Providers

@Suite("The most a call can use")
struct CallBoundTests {
    private static func request(maxTokens: Int? = nil) -> ChatRequest {
        ChatRequest(
            model: "m", messages: [.system("你好"), .user(String(repeating: "x", count: 1_000))],
            tools: [ToolDefinition(name: "quotes", description: "prices", parameters: ["type": "object"])],
            maxTokens: maxTokens)
    }

    @Test("counts a token for each byte that is sent, and the whole answer that may come")
    func bound() {
        let bound = CallBound(Self.request())
        #expect(bound.promptTokens > 1_000 + 6 + 6 + 6 + 17)
        #expect(bound.promptTokens < 5_000)
        #expect(bound.completionTokens == CallBound.unboundedAnswer)
        #expect(CallBound(Self.request(maxTokens: 100), thinking: 2_000).completionTokens == 2_100)
        #expect(CallBound(Self.request(), answer: 8_192).completionTokens == 8_192)
    }

    @Test("costs at most what no other count within it can cost more than")
    func cost() {
        let price = ModelPrice(input: 3, cachedInput: 0.3, output: 15)
        let bound = CallBound(Self.request(maxTokens: 500))
        for usage in [
            TokenUsage(promptTokens: bound.promptTokens, completionTokens: 500),
            TokenUsage(
                promptTokens: bound.promptTokens, completionTokens: 500, cacheWriteTokens: bound.promptTokens),
        ] {
            #expect(price.cost(of: usage) <= bound.cost(at: price) + 1e-12)
        }
        #expect(bound.cost(at: ModelPrice(input: 0, output: 0)) == 0)
    }

    @Test("of a chain is that of its dearest model")
    func chain() throws {
        let factory = ProviderFactory(
            settings: ["a", "b", "c"].map { name in
                ProviderSettings(
                    name: name, type: name == "c" ? .anthropic : .openai, baseURL: "http://127.0.0.1:1/v1",
                    thinkingTokens: name == "c" ? 2_048 : 0)
            },
            prices: ["a/m": ModelPrice(input: 1, output: 1), "b/m": ModelPrice(input: 10, output: 10)],
            fallbackModels: ["b/m", "c/m", "offline"], logger: Self.quiet)
        let request = Self.request()
        let whole = try factory.resolve("a/m").most(for: request)
        let bound = CallBound(request)
        #expect(whole.tokens == bound.totalTokens)
        #expect(whole.cost == bound.cost(at: ModelPrice(input: 10, output: 10)))
        #expect(try factory.resolve("a/m") { $0 != "b/m" }.most(for: request).cost == bound.cost(at: ModelPrice(input: 1, output: 1)))
        let thinking = try factory.resolve("c/m") { _ in false }.most(for: request)
        #expect(thinking.tokens == bound.promptTokens + 8_192 + 2_048)
        let offline = try factory.resolve("offline").most(for: request)
        #expect(offline.tokens == 0 && offline.cost == 0)
    }

    @Test("the chain holds only the fallback models that may be asked")
    func allowedChain() throws {
        let server = try LoopbackHTTPServer { request in
            request.text.contains("\"good\"")
                ? .json(WireFixture.openai.plain)
                : .json(#"{"error":{"message":"no","type":"insufficient_quota","code":"insufficient_quota"}}"#, status: 429)
        }
        defer { server.stop() }
        let factory = ProviderFactory(
            settings: [ProviderSettings(name: "a", type: .openai, baseURL: server.url + "/v1")],
            fallbackModels: ["a/good", "a/other"], logger: Self.quiet)
        #expect(try factory.resolve("a/bad").provider.complete(Self.asked("bad")).model == "a/good")
        let chain = try factory.resolve("a/bad") { $0 == "a/other" }
        #expect(throws: ProviderError.self) { try chain.provider.complete(Self.asked("bad")) }
        #expect(server.requests.suffix(2).map { $0.text.contains("\"good\"") } == [false, false])
    }

    private static func asked(_ model: String) -> ChatRequest { ChatRequest(model: model, messages: [.user("hi")]) }
    private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    // MARK: - Counts

    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var usage: String
        var prompt: ClosedRange<Int>
        var completion: ClosedRange<Int>
        var total: ClosedRange<Int>
    }

    /// Beyond what the request above can hold.
    private static let most = 5_000
    private static let answer = CallBound.unboundedAnswer

    static let rows: [Row] = [
        Row(
            testDescription: "what can be is believed",
            usage: #"{"prompt_tokens":300,"completion_tokens":20,"total_tokens":320}"#, prompt: 300...300,
            completion: 20...20, total: 320...320),
        Row(
            testDescription: "thoughts that only the total counts are believed",
            usage: #"{"prompt_tokens":300,"completion_tokens":20,"total_tokens":900}"#, prompt: 300...300,
            completion: 20...20, total: 900...900),
        Row(
            testDescription: "a prompt larger than what was sent",
            usage: #"{"prompt_tokens":1000000000000,"completion_tokens":20,"total_tokens":1000000000020}"#,
            prompt: 1_000...most, completion: 20...20, total: 1_000...(most + answer)),
        Row(
            testDescription: "an answer larger than any",
            usage: #"{"prompt_tokens":300,"completion_tokens":9223372036854775807,"total_tokens":9223372036854775807}"#,
            prompt: 300...300, completion: answer...answer, total: answer...(most + answer)),
        Row(
            testDescription: "a total larger than both",
            usage: #"{"prompt_tokens":300,"completion_tokens":20,"total_tokens":9223372036854775807}"#,
            prompt: 300...300, completion: 20...20, total: 320...(most + answer)),
        Row(
            testDescription: "a total smaller than its parts",
            usage: #"{"prompt_tokens":300,"completion_tokens":20,"total_tokens":1}"#, prompt: 300...300,
            completion: 20...20, total: 320...320),
        Row(
            testDescription: "negative counts", usage: #"{"prompt_tokens":-5,"completion_tokens":20,"total_tokens":-9}"#,
            prompt: 0...0, completion: 20...20, total: 20...20),
        Row(
            testDescription: "parts larger than their whole",
            usage: #"{"prompt_tokens":300,"completion_tokens":20,"total_tokens":320,"prompt_tokens_details":{"cached_tokens":99999}}"#,
            prompt: 300...300, completion: 20...20, total: 320...320),
    ]

    @Test("bounds what a provider says a call has used, with one line in the log", arguments: rows)
    func counts(row: Row) throws {
        let server = try LoopbackHTTPServer { _ in
            .json(#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":\#(row.usage)}"#)
        }
        defer { server.stop() }
        let lines = Lines()
        let factory = ProviderFactory(
            settings: [
                ProviderSettings(
                    name: "a", type: .openai, baseURL: server.url + "/v1",
                    rates: AccountRates(requestsPerMinute: 0, tokensPerMinute: 1_000_000))
            ],
            prices: ["a/m": ModelPrice(input: 1, output: 1)], logger: Logger(label: "test") { _ in lines })
        let provider = try factory.resolve("a/m").provider
        for _ in 0..<3 {
            let usage = try provider.complete(Self.request()).usage
            #expect(row.prompt.contains(usage.promptTokens))
            #expect(row.completion.contains(usage.completionTokens))
            #expect(row.total.contains(usage.totalTokens))
            #expect(usage.cachedTokens <= usage.promptTokens)
            #expect((0...0.1).contains(usage.costUSD))
        }
        let isCapped = row.testDescription.contains("larger than") && !row.testDescription.hasPrefix("parts")
        #expect(lines.count == (isCapped ? 1 : 0))
    }

    @Test("an answer longer than its bound counts with what was received")
    func longAnswer() {
        let bound = CallBound(promptTokens: 100, completionTokens: 10)
        let long = ChatMessage.assistant(String(repeating: "y", count: 500))
        let usage = bound.capping(TokenUsage(promptTokens: 50, completionTokens: 400), answer: long)
        #expect(usage.completionTokens == 400)
        #expect(bound.capping(TokenUsage(promptTokens: 50, completionTokens: 9_999), answer: long).completionTokens < 700)
    }
}

/// Counts warnings.
private final class Lines: LogHandler, Sendable {
    private let warnings = Mutex(0)

    var count: Int { warnings.withLock { $0 } }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }
    subscript(metadataKey _: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) {
        if event.level == .warning { warnings.withLock { $0 += 1 } }
    }
}
