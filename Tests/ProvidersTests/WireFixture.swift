// The same conversation in the two wire formats, written by hand from the vendors' references, for the tests both
// providers must pass alike.
import Foundation
import HTTPTransport
import ModelTestSupport
import Testing

@testable import Providers

struct WireFixture: Sendable, CustomTestStringConvertible {
    var name: String
    /// "Hello, world": 100 input tokens of which 40 were cached, 20 output tokens.
    var plain: String
    var stream: [String]
    /// Two calls at once, after the text "Looking.".
    var tools: String
    var toolStream: [String]
    /// Cut off by the bound of the answer.
    var lengthBody: String
    var errorEvent: String
    var make: @Sendable (_ url: String, _ key: String?) -> any ChatProvider

    var testDescription: String { name }

    static let all = [openai, anthropic]

    static let openai = WireFixture(
        name: "openai",
        plain: """
            {"id":"c1","object":"chat.completion","model":"m-1","choices":[{"index":0,"message":{"role":"assistant",
            "content":"Hello, world","refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,
            "completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":40}}}
            """,
        stream: [
            #"data: {"model":"m-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"#
                + #""finish_reason":null}],"usage":null}"#,
            #"data: {"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}"#,
            #"data: {"choices":[{"index":0,"delta":{"content":", world"},"finish_reason":null}]}"#,
            #"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            #"data: {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"#
                + #""prompt_tokens_details":{"cached_tokens":40}}}"#,
            "data: [DONE]",
        ].map { $0 + "\n\n" },
        tools: """
            {"model":"m-1","choices":[{"message":{"role":"assistant","content":"Looking.","tool_calls":[
            {"id":"t1","type":"function","function":{"name":"quotes","arguments":"{\\"symbols\\":[\\"TSLA\\"]}"}},
            {"id":"t2","type":"function","function":{"name":"profile","arguments":"{}"}}]},
            "finish_reason":"tool_calls"}]}
            """,
        toolStream: [
            #"{"choices":[{"delta":{"content":"Looking."}}]}"#,
            #"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"t1","type":"function","#
                + #""function":{"name":"quotes","arguments":""}}]}}]}"#,
            #"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"symbols\":[\"TS"}}]}}]}"#,
            #"{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"t2","type":"function","#
                + #""function":{"name":"profile","arguments":"{}"}}]}}]}"#,
            #"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"LA\"]}"}}]}}]}"#,
            #"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#, "[DONE]",
        ].map { "data: \($0)\n\n" },
        lengthBody: #"{"choices":[{"message":{"content":"Hell"},"finish_reason":"length"}]}"#,
        errorEvent: #"data: {"error":{"message":"gone","code":502}}"# + "\n\n",
        make: { url, key in
            OpenAICompatibleProvider(
                name: "acme", baseURL: url + "/v1/", apiKey: { key }, client: HTTPClient(policy: .anywhere))
        })

    static let anthropic = WireFixture(
        name: "anthropic",
        plain: """
            {"id":"m1","type":"message","role":"assistant","model":"m-1",
            "content":[{"type":"text","text":"Hello, world"}],"stop_reason":"end_turn",
            "usage":{"input_tokens":50,"cache_creation_input_tokens":10,
            "cache_read_input_tokens":40,"output_tokens":20}}
            """,
        stream: [
            #"{"type":"message_start","message":{"model":"m-1","usage":{"input_tokens":50,"#
                + #""cache_creation_input_tokens":10,"cache_read_input_tokens":40,"output_tokens":1}}}"#,
            #"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            #"{"type":"ping"}"#,
            #"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#,
            #"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":", world"}}"#,
            #"{"type":"content_block_stop","index":0}"#,
            #"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":20}}"#,
            #"{"type":"message_stop"}"#,
        ].map(event),
        tools: """
            {"type":"message","model":"m-1","content":[{"type":"text","text":"Looking."},
            {"type":"tool_use","id":"t1","name":"quotes","input":{"symbols":["TSLA"]}},
            {"type":"tool_use","id":"t2","name":"profile","input":{}}],"stop_reason":"tool_use","usage":{}}
            """,
        toolStream: [
            #"{"type":"message_start","message":{"model":"m-1","usage":{}}}"#,
            #"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Looking."}}"#,
            #"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t1","#
                + #""name":"quotes","input":{}}}"#,
            #"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","#
                + #""partial_json":"{\"symbols\":[\"TS"}}"#,
            #"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t2","#
                + #""name":"profile","input":{}}}"#,
            #"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"LA\"]}"}}"#,
            #"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{}}"#,
            #"{"type":"message_stop"}"#,
        ].map(event),
        lengthBody: #"{"type":"message","content":[{"type":"text","text":"Hell"}],"stop_reason":"max_tokens"}"#,
        errorEvent: event(#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#),
        make: { url, key in
            AnthropicProvider(name: "acme", baseURL: url, apiKey: { key }, client: HTTPClient(policy: .anywhere))
        })

    private static func event(_ json: String) -> String {
        let type = json.split(separator: "\"")[3]
        return "event: \(type)\ndata: \(json)\n\n"
    }
}
