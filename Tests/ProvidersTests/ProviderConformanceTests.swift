// What every provider over HTTP must do, whatever its wire format.
import Foundation
import HTTPTransport
import ModelTestSupport
import Testing
import TextFormats

@testable import Providers

@Suite("A provider over HTTP")
struct ProviderConformanceTests {
    private let key = "secret-key-0123456789"

    private func request(stream: Bool = false) -> ChatRequest {
        ChatRequest(model: "m", messages: [.system("Be kind."), .user("Hi")], stream: stream, timeout: 60)
    }

    @Test("answers in text, plain and streamed, with usage", arguments: WireFixture.all, [false, true])
    func text(fixture: WireFixture, stream: Bool) throws {
        let server = try LoopbackHTTPServer(answers: [stream ? .events(fixture.stream) : .json(fixture.plain)])
        var deltas: [String] = []
        let response = try fixture.make(server.url, key).complete(
            request(stream: stream), cancellation: nil, onDelta: { deltas.append($0) })
        #expect(response.message.role == .assistant)
        #expect(response.message.content == "Hello, world")
        #expect(response.message.toolCalls.isEmpty)
        #expect(response.finishReason == .stop)
        #expect(response.model == "m-1")
        #expect(response.usage.promptTokens == 100)
        #expect(response.usage.completionTokens == 20)
        #expect(response.usage.totalTokens == 120)
        #expect(response.usage.cachedTokens == 40)
        #expect(deltas == (stream ? ["Hello", ", world"] : []))
        let sent = try JSON.parse(try #require(server.requests.first).body)
        #expect(sent["model"]?.string == "m")
        #expect(sent["stream"]?.bool == (stream ? true : nil))
    }

    @Test("reports parallel tool calls, plain and streamed", arguments: WireFixture.all, [false, true])
    func tools(fixture: WireFixture, stream: Bool) throws {
        let server = try LoopbackHTTPServer(answers: [stream ? .events(fixture.toolStream) : .json(fixture.tools)])
        let response = try fixture.make(server.url, key).complete(request(stream: stream))
        #expect(response.message.content == "Looking.")
        #expect(response.finishReason == .toolCalls)
        #expect(response.message.toolCalls.map(\.id) == ["t1", "t2"])
        #expect(response.message.toolCalls.map(\.name) == ["quotes", "profile"])
        #expect(response.message.toolCalls.map(\.parsedArguments) == [["symbols": ["TSLA"]], [:]])
    }

    @Test("takes a whole answer where a stream was asked for", arguments: WireFixture.all)
    func wholeInsteadOfStream(fixture: WireFixture) throws {
        let server = try LoopbackHTTPServer(answers: [.json(fixture.plain)])
        var text = ""
        let response = try fixture.make(server.url, key).complete(
            request(stream: true), cancellation: nil, onDelta: { text += $0 })
        #expect(text == "Hello, world")
        #expect(response.message.content == text)
    }

    @Test("says that the answer was cut by its bound", arguments: WireFixture.all)
    func length(fixture: WireFixture) throws {
        let server = try LoopbackHTTPServer(answers: [.json(fixture.lengthBody)])
        #expect(try fixture.make(server.url, key).complete(request()).finishReason == .length)
    }

    @Test("hands over text before the answer is complete", arguments: WireFixture.all)
    func flush(fixture: WireFixture) throws {
        let release = WakeSignal()
        let pieces = fixture.stream.map { ScriptedAnswer.Piece.bytes(Array($0.utf8)) }
        let first = fixture.stream.firstIndex { $0.contains("Hello") } ?? 0
        let answer = ScriptedAnswer(
            headers: [("Content-Type", "text/event-stream")],
            pieces: pieces[...first] + [.hold(release)] + pieces[(first + 1)...], framing: .chunked)
        let server = try LoopbackHTTPServer(answers: [answer])
        // Without the delta nobody releases the rest.
        let response = try fixture.make(server.url, key).complete(
            request(stream: true), cancellation: nil, onDelta: { _ in release.signal() })
        #expect(response.message.content == "Hello, world")
    }

    @Test("marks a stream that breaks after text", arguments: WireFixture.all, ["cut", "ended", "error"])
    func broken(fixture: WireFixture, how: String) throws {
        var events = Array(fixture.stream.prefix { !$0.contains(", world") })
        if how == "error" { events.append(fixture.errorEvent) }
        // "ended": the end of the connection is all that ends the body, and says nothing of the answer.
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        let closed = ScriptedAnswer(pieces: events.map { .bytes(Array($0.utf8)) }, framing: .raw(head))
        let server = try LoopbackHTTPServer(answers: [how == "ended" ? closed : .events(events, cut: how == "cut")])
        let error = providerFailure { () throws(ProviderError) in
            try fixture.make(server.url, key).complete(request(stream: true), cancellation: nil, onDelta: { _ in })
        }
        #expect(error?.streamed == true)
        #expect(error?.isRetryable == true)
        #expect(
            how == "error" ? error?.code != .connection : error?.code == .connection, "\(String(describing: error))")
        // Tells a stream that broke off from a server that cannot be reached.
        if how != "error" { #expect(error?.status == 200) }
    }

    @Test("has no status where no server answered", arguments: WireFixture.all)
    func unreachable(fixture: WireFixture) throws {
        let error = providerFailure { () throws(ProviderError) in
            try fixture.make("http://127.0.0.1:9", key).complete(request(stream: true))
        }
        #expect(error?.code == .connection)
        #expect(error?.status == nil)
    }

    @Test("may be repeated when a stream breaks before text", arguments: WireFixture.all)
    func brokenEarly(fixture: WireFixture) throws {
        let server = try LoopbackHTTPServer(answers: [.events([fixture.errorEvent])])
        let error = providerFailure { () throws(ProviderError) in
            try fixture.make(server.url, key).complete(request(stream: true), cancellation: nil, onDelta: { _ in })
        }
        #expect(error?.streamed == false)
        #expect(error?.isRetryable == true)
    }

    @Test(
        "fails clearly on what is no completion", arguments: WireFixture.all,
        ["<html>", "{}", "[]", "{\"choices\":[]}", ""])
    func nonsense(fixture: WireFixture, body: String) throws {
        for stream in [false, true] {
            let server = try LoopbackHTTPServer(answers: [.json(body)])
            let error = providerFailure { () throws(ProviderError) in
                try fixture.make(server.url, key).complete(request(stream: stream))
            }
            #expect(error?.code == .badResponse)
        }
        let server = try LoopbackHTTPServer(answers: [.events(["data: \(body.isEmpty ? "{" : body)\n\n"])])
        let error = providerFailure { () throws(ProviderError) in
            try fixture.make(server.url, key).complete(request(stream: true))
        }
        #expect(error?.code == .badResponse || error?.code == .connection)
    }

    @Test("passes on the waiting time and never the key", arguments: WireFixture.all)
    func refusal(fixture: WireFixture) throws {
        let server = try LoopbackHTTPServer { [key] _ in
            .json(#"{"error":{"message":"bad key \#(key)"}}"#, status: 429, headers: [("Retry-After", "33")])
        }
        let error = providerFailure { () throws(ProviderError) in
            try fixture.make(server.url, key).complete(request())
        }
        #expect(error?.code == .rateLimited)
        #expect(error?.retryAfter == 33)
        #expect(error.map { "\($0)".contains(key) } == false)
        let sent = try #require(server.requests.first)
        #expect(sent.headers.contains { $0.value.hasSuffix(key) })
        #expect(!sent.text.contains(key))
    }

    @Test("follows no redirect", arguments: WireFixture.all)
    func redirect(fixture: WireFixture) throws {
        let server = try LoopbackHTTPServer { _ in ScriptedAnswer(status: 301, headers: [("Location", "http://x/")]) }
        let error = providerFailure { () throws(ProviderError) in
            try fixture.make(server.url, key).complete(request())
        }
        #expect(error?.code == .badRequest)
        #expect(error?.detail.contains("base_url") == true)
    }

    @Test("is cancelled in mid-stream and before the first byte", arguments: WireFixture.all, [false, true])
    func cancellation(fixture: WireFixture, early: Bool) throws {
        let reached = WakeSignal()
        let pieces = early ? [] : [ScriptedAnswer.Piece.bytes(Array(fixture.stream[0].utf8))]
        let server = try LoopbackHTTPServer { _ in
            ScriptedAnswer(pieces: pieces + [.reached(reached), .stall], framing: .chunked)
        }
        let token = CancellationToken()
        Thread.detachNewThread {
            reached.wait()
            token.cancel(reason: "user")
        }
        let error = providerFailure { () throws(ProviderError) in
            try fixture.make(server.url, key).complete(request(stream: true), cancellation: token)
        }
        #expect(error?.code == .cancelled)
        #expect(error?.isRetryable == false)
    }

    @Test("ends a silent stream at its idle limit", arguments: WireFixture.all)
    func idle(fixture: WireFixture) throws {
        let server = try LoopbackHTTPServer { _ in ScriptedAnswer(pieces: [.stall], framing: .chunked) }
        var request = request(stream: true)
        request.idleTimeout = 0.05
        let error = providerFailure { () throws(ProviderError) in try fixture.make(server.url, key).complete(request) }
        #expect(error?.code == .timeout)
    }
}
