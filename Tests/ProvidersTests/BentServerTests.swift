import Foundation
import HTTPTransport
import ModelTestSupport
import Testing
import TextFormats

@testable import Providers

/// Streams of servers that were met in public bug reports, on the wire.
@Suite("Servers that bend the protocol of chat completions")
struct BentServerTests {
    private static let tools = ["list_dir", "grep"].map {
        ToolDefinition(
            name: $0, description: "D", parameters: ["type": "object", "properties": ["path": ["type": "string"]]])
    }

    private func exchange(_ chunks: [String]) throws -> (ChatResponse, deltas: String, requests: Int) {
        let server = try LoopbackHTTPServer { _ in .events((chunks + ["[DONE]"]).map { "data: \($0)\n\n" }) }
        let provider = OpenAICompatibleProvider(
            name: "acme", baseURL: server.url, apiKey: { nil }, client: HTTPClient(policy: .anywhere), makeID: { "made" })
        var deltas = ""
        let request = ChatRequest(model: "m", messages: [.user("hi")], tools: Self.tools, stream: true)
        let response = try provider.complete(request, cancellation: nil) { deltas += $0 }
        return (response, deltas, server.requests.count)
    }

    private static func call(_ fragment: String) -> String {
        #"{"choices":[{"delta":{"tool_calls":[\#(fragment)]}}]}"#
    }

    private static func text(_ text: String) -> String {
        JSON.object(["choices": [["delta": ["content": .string(text)]]]]).text()
    }

    private static let end = #"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#
    private static let stop = #"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#

    @Test(
        "pieces of tool calls find their call",
        arguments: [
            // An id that changes with every piece.
            (
                [
                    #"{"index":0,"id":"a1","function":{"name":"list_dir","arguments":""}}"#,
                    #"{"index":0,"id":"b2","function":{"arguments":"{\"path\":"}}"#,
                    #"{"index":0,"id":"c3","function":{"arguments":"\".\"}"}}"#,
                ], [#"a1 list_dir {"path":"."}"#]
            ),
            // The same without an index.
            (
                [
                    #"{"id":"a1","function":{"name":"list_dir","arguments":""}}"#,
                    #"{"id":"b2","function":{"arguments":"{\"path\":"}}"#, #"{"id":"c3","function":{"arguments":"\".\"}"}}"#,
                ], [#"a1 list_dir {"path":"."}"#]
            ),
            // An empty object in front of the pieces.
            (
                [
                    #"{"index":0,"id":"a","function":{"name":"list_dir","arguments":"{}"}}"#,
                    #"{"index":0,"function":{"arguments":"{\"path\":"}}"#, #"{"index":0,"function":{"arguments":"\".\"}"}}"#,
                ], [#"a list_dir {"path":"."}"#]
            ),
            // The whole object twice; all there is so far with every piece; the object itself instead of its text.
            (
                [
                    #"{"index":0,"id":"a","function":{"name":"list_dir","arguments":"{\"path\":\".\"}"}}"#,
                    #"{"index":0,"function":{"arguments":"{\"path\":\".\"}"}}"#,
                ], [#"a list_dir {"path":"."}"#]
            ),
            (
                [
                    #"{"index":0,"id":"a","function":{"name":"list_dir","arguments":"{\"pa"}}"#,
                    #"{"index":0,"function":{"arguments":"{\"path\":\".\"}"}}"#,
                ], [#"a list_dir {"path":"."}"#]
            ),
            ([#"{"index":0,"id":"a","function":{"name":"list_dir","arguments":{"path":"."}}}"#], [#"a list_dir {"path":"."}"#]),
            ([#"{"index":0,"id":"a","function":{"name":"list_dir","arguments":"{}"}}"#], ["a list_dir {}"]),
            // The index as text, interleaved.
            (
                [
                    #"{"index":"0","id":"a","function":{"name":"list_dir","arguments":"{\"path\":"}}"#,
                    #"{"index":"1","id":"b","function":{"name":"grep","arguments":"{\"path\":"}}"#,
                    #"{"index":"0","function":{"arguments":"\"x\"}"}}"#, #"{"index":"1","function":{"arguments":"\"y\"}"}}"#,
                ], [#"a list_dir {"path":"x"}"#, #"b grep {"path":"y"}"#]
            ),
            // No index, ids interleaved.
            (
                [
                    #"{"id":"a","function":{"name":"list_dir","arguments":"{\"path\":"}}"#,
                    #"{"id":"b","function":{"name":"grep","arguments":"{\"path\":"}}"#,
                    #"{"id":"a","function":{"arguments":"\"x\"}"}}"#, #"{"id":"b","function":{"arguments":"\"y\"}"}}"#,
                ], [#"a list_dir {"path":"x"}"#, #"b grep {"path":"y"}"#]
            ),
            // One index for all calls, each with an id and a name of its own.
            (
                [
                    #"{"index":0,"id":"a","function":{"name":"list_dir","arguments":"{\"path\":\"x\"}"}}"#,
                    #"{"index":0,"id":"b","function":{"name":"list_dir","arguments":"{\"path\":\"y\"}"}}"#,
                ], [#"a list_dir {"path":"x"}"#, #"b list_dir {"path":"y"}"#]
            ),
            // Id and name repeated with every piece, and a name with a mark of the template.
            (
                [
                    #"{"index":0,"id":"a","function":{"name":"list_dir","arguments":"{\"path\":"}}"#,
                    #"{"index":0,"id":"a","function":{"name":"list_dir","arguments":"\".\"}"}}"#,
                ], [#"a list_dir {"path":"."}"#]
            ),
            (
                [#"{"index":0,"id":"a","function":{"name":"functions.list_dir:0","arguments":"\"{\\\"path\\\":\\\".\\\"}\""}}"#],
                [#"a list_dir {"path":"."}"#]
            ),
            // Half an emoji in each of two pieces.
            (
                [
                    #"{"index":0,"id":"a","function":{"name":"list_dir","arguments":"{\"path\":\"\ud83d"}}"#,
                    #"{"index":0,"function":{"arguments":"\ude00\"}"}}"#,
                ], [#"a list_dir {"path":"😀"}"#]
            ),
            // No name: the model hears of it, and no request is repeated.
            ([#"{"index":0,"id":"a","function":{"arguments":"{\"path\":\".\"}"}}"#], [#"a  {"path":"."}"#]),
        ])
    func calls(fragments: [String], right: [String]) throws {
        let (response, _, requests) = try exchange(fragments.map(Self.call) + [Self.end])
        #expect(response.message.toolCalls.map { "\($0.id) \($0.name) \($0.arguments)" } == right)
        #expect(response.finishReason == .toolCalls)
        #expect(requests == 1)
    }

    @Test(
        "reasoning in the text reaches neither the deltas nor the answer",
        arguments: [
            ["<thi", "nk>secret plan</th", "ink>\n\nYour list is empty."], ["<think>secret</think>", "Your list is empty."],
            ["<think>secret", "</think><think>more</think>Your list is empty."],
        ])
    func reasoning(pieces: [String]) throws {
        let (response, deltas, _) = try exchange(pieces.map(Self.text) + [Self.stop])
        #expect(response.message.content == "Your list is empty.")
        #expect(deltas == "Your list is empty.")
        #expect(response.message.reasoning?.hasPrefix("secret") == true)
    }

    @Test("a closing tag alone is known from the second answer on, for that model only")
    func startsInside() throws {
        let chunks = ["secret ", "plan</think>\n", "Your list is empty."].map(Self.text) + [Self.stop, "[DONE]"]
        let server = try LoopbackHTTPServer { _ in .events(chunks.map { "data: \($0)\n\n" }) }
        let provider = OpenAICompatibleProvider(
            name: "acme", baseURL: server.url, apiKey: { nil }, client: HTTPClient(policy: .anywhere))
        func ask(_ model: String) throws -> (content: String, deltas: String) {
            var deltas = ""
            let request = ChatRequest(model: model, messages: [.user("hi")], stream: true)
            let response = try provider.complete(request, cancellation: nil) { deltas += $0 }
            return (response.message.content, deltas)
        }
        #expect(try ask("m") == ("Your list is empty.", "secret "))
        #expect(try ask("m") == ("Your list is empty.", "Your list is empty."))
        #expect(try ask("other").deltas == "secret ")
    }

    @Test("half an emoji in each of two deltas is one emoji")
    func halves() throws {
        let chunks = [#"{"choices":[{"delta":{"content":"\ud83d"}}]}"#, #"{"choices":[{"delta":{"content":"\ude00!"}}]}"#]
        let (response, deltas, _) = try exchange(chunks + [Self.stop])
        #expect(response.message.content == "😀!")
        #expect(deltas == "😀!")
    }

    @Test(
        "an empty error beside the content is no error",
        arguments: [
            #"{"message":"","type":"","code":null}"#, "{}", #""""#, "null", "false", "[]", #"{"code":0,"message":null}"#,
        ])
    func emptyErrors(error: String) throws {
        let chunk = #"{"error":\#(error),"choices":[{"error":\#(error),"delta":{"content":"Hello"}}]}"#
        let (response, _, requests) = try exchange([chunk, Self.stop])
        #expect(response.message.content == "Hello")
        #expect(requests == 1)
    }

    @Test(
        "a refusal behind the beginning of an answer marks it as cut; a refusal alone is the answer",
        arguments: [(["Half", ""], FinishReason.contentFilter), (["", ""], .stop)])
    func refusals(texts: [String], reason: FinishReason) throws {
        let refusal = #"{"choices":[{"delta":{"refusal":"I cannot."}}]}"#
        let (response, _, _) = try exchange(texts.map(Self.text) + [refusal, Self.stop])
        #expect(response.message.content == texts.joined() + "I cannot.")
        #expect(response.finishReason == reason)
    }
}
