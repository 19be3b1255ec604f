import TextFormats
import Testing

@testable import Providers

@Suite("Tool calls that are written not quite right")
struct ToolCallRepairTests {
    private static let schema: JSON = [
        "type": "object",
        "properties": [
            "count": ["type": "integer"], "ratio": ["type": "number"], "all": ["type": "boolean"], "path": ["type": "string"],
            "either": ["type": ["string", "integer"]], "list": ["type": "array"],
        ],
    ]

    @Test(
        "arguments with one reading are read",
        arguments: [
            (#"{"path":"."}"#, #"{"path":"."}"#), (#"{}{"path":"."}"#, #"{"path":"."}"#),
            (#"{"path":"."}{"path":"."}"#, #"{"path":"."}"#), ("{}", "{}"), ("{}{}", "{}"),
            (#""{\"path\":\".\"}""#, #"{"path":"."}"#), (#""\"{\\\"path\\\":\\\".\\\"}\"""#, #"{"path":"."}"#),
            ("```json\n{\"path\":\".\"}\n```", #"{"path":"."}"#), ("```{\"path\":\".\"}```", #"{"path":"."}"#),
            (#"{"path":".",}"#, #"{"path":"."}"#), ("{\"path\":\"a\nb\"}", #"{"path":"a\nb"}"#),
            (#"{"count":"1"}"#, #"{"count":1}"#), (#"{"ratio":"1.5"}"#, #"{"ratio":1.5}"#),
            (#"{"all":"true"}"#, #"{"all":true}"#), (#"{"list":"[1]"}"#, #"{"list":[1]}"#),
            (#"{"path":"\ud83d"}"#, "{\"path\":\"\u{FFFD}\"}"),
        ])
    func read(text: String, right: String) throws {
        #expect(try JSON.parse(ToolCallRepair.arguments(text, schema: Self.schema)) == JSON.parse(right))
    }

    @Test(
        "arguments with two readings stay as they are",
        arguments: [
            #"{"path":"a"}{"path":"b"}"#, #"{"path":"#, "[1]", "path=.", #"{"path":"."} and more"#, #"{"path":"5"}"#,
            #"{"either":"5"}"#, #"{"count":"one"}"#, #"{"count":"1.5"}"#, #"{"all":"1"}"#, "  ", "```",
        ])
    func kept(text: String) {
        #expect(ToolCallRepair.arguments(text, schema: Self.schema) == text)
    }

    @Test(
        "a tool's name among words of a chat template is the tool",
        arguments: [
            ("list_dir<|channel|>commentary", "list_dir"), ("functions.list_dir", "list_dir"), ("list_dir:0", "list_dir"),
            (" list_dir ", "list_dir"), ("functions.list_dir:12", "list_dir"), ("default_api.grep", "grep"), ("list_dir()", "list_dir"),
            ("assistant<|channel|>commentary to=functions.grep<|constrain|>json", "grep"), ("grep grep", "grep"),
            ("list_dir", "list_dir"), ("delete.list_dir", "delete.list_dir"), ("list_dir_all", "list_dir_all"),
            ("grep list_dir", "grep list_dir"), ("", ""), ("functions", "functions"),
        ])
    func names(name: String, right: String) {
        #expect(ToolCallRepair.name(name, offered: ["grep", "list_dir"]) == right)
    }
}
