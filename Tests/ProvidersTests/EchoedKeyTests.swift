// A provider, or a gateway in front of it, that repeats the key it was given: in errors and in answers, plain or encoded.
import Foundation
import HTTPTransport
import ModelTestSupport
import Testing
import TextFormats

@testable import Providers

@Suite("The key a provider repeats")
struct EchoedKeyTests {
    private static let key = "secret-key+0123456789"

    private func request(stream: Bool = false) -> ChatRequest {
        ChatRequest(model: "m", messages: [.user("Hi")], stream: stream, timeout: 60)
    }

    /// JSON and HTML of the same sentence, with the key in several forms.
    private static let errors = [
        #"{"error":{"message":"Incorrect key secret-key+0123456789, see docs"}}"#,
        #"{"error":{"message":"Incorrect key secret&#45;key&plus;0123456789, see docs"}}"#,
        #"{"error":{"message":"Incorrect key secret-key%2B0123456789, see docs"}}"#,
        #"{"error":{"message":"Incorrect key secret-********6789, see docs"}}"#,
        #"{"error":{"message":"Authorization was Basic dXNlcjpzZWNyZXQta2V5KzAxMjM0NTY3ODk=, see docs"}}"#,
        #"{"error":"{\"headers\":{\"x-api-key\":\"secret\\u002dkey\\u002b0123456789\"}}, see docs"}"#,
        "<html><p>Incorrect key <b>secret&#x2D;key&#43;0123456789</b>, see docs</p></html>",
    ]

    @Test("is in no error, however the provider wrote it", arguments: WireFixture.all, errors)
    func refusals(fixture: WireFixture, body: String) throws {
        for status in [400, 401, 429, 500] {
            let server = try LoopbackHTTPServer { _ in .json(body, status: status) }
            let error = try #require(
                providerFailure { () throws(ProviderError) in
                    try fixture.make(server.url, Self.key).complete(request())
                })
            #expect(error.detail.contains("[key]") && error.detail.contains("see docs"))
            for leak in ["0123456789", "6789", "secret-", "dXNlcjpz", "secret&", "secret\\u"] {
                #expect(!error.detail.contains(leak), "\(error.detail)")
            }
        }
    }

    @Test("is in no error that was cut in the middle of it", arguments: WireFixture.all, [60, 68, 76, 1_990])
    func cuts(fixture: WireFixture, place: Int) throws {
        let server = try LoopbackHTTPServer { _ in .json(String(repeating: "x ", count: place / 2) + Self.key) }
        let error = providerFailure { () throws(ProviderError) in
            try fixture.make(server.url, Self.key).complete(request())
        }
        #expect(error?.detail.contains("secret") == false)
    }

    @Test("is in no answer: not in its text, its pieces or the arguments of its calls", arguments: WireFixture.all, [false, true])
    func answers(fixture: WireFixture, stream: Bool) throws {
        let (front, back) = (String(Self.key.prefix(9)), String(Self.key.dropFirst(9)))
        let plain = fixture.plain.replacingOccurrences(of: "Hello, world", with: "It is \(Self.key)!")
        let pieces = fixture.stream.map {
            $0.replacingOccurrences(of: "\"Hello\"", with: "\"It is \(front)\"")
                .replacingOccurrences(of: "\", world\"", with: "\"\(back)!\"")
        }
        let server = try LoopbackHTTPServer(answers: [stream ? .events(pieces) : .json(plain)])
        var deltas: [String] = []
        let response = try fixture.make(server.url, Self.key).complete(
            request(stream: stream), cancellation: nil, onDelta: { deltas.append($0) })
        #expect(response.message.content == "It is [key]!")
        #expect(deltas.joined() == (stream ? "It is [key]!" : ""))
        for delta in deltas { #expect(!delta.contains("secret") && !delta.contains("0123")) }

        let tools = (stream ? fixture.toolStream : [fixture.tools]).map {
            $0.replacingOccurrences(of: "\"TSLA", with: "\"\(Self.key)")
                .replacingOccurrences(of: "TSLA\\", with: "\(Self.key)\\").replacingOccurrences(of: "\"TS\"", with: "\"\(front)\"")
                .replacingOccurrences(of: "\\\"TS\"", with: "\\\"\(front)\"").replacingOccurrences(of: "\"LA\\\"", with: "\"\(back)\\\"")
        }
        let second = try LoopbackHTTPServer(answers: [stream ? .events(tools) : .json(tools[0])])
        let called = try fixture.make(second.url, Self.key).complete(
            request(stream: stream), cancellation: nil, onDelta: { _ in })
        #expect(called.message.toolCalls[0].parsedArguments?["symbols"]?[0] == "[key]")
    }

    @Test("of an answer without it nothing is changed, and the pieces come as they are", arguments: WireFixture.all)
    func others(fixture: WireFixture) throws {
        let server = try LoopbackHTTPServer(answers: [.events(fixture.stream)])
        var deltas: [String] = []
        let response = try fixture.make(server.url, Self.key).complete(
            request(stream: true), cancellation: nil, onDelta: { deltas.append($0) })
        #expect(deltas == ["Hello", ", world"] && response.message.content == "Hello, world")
    }
}
