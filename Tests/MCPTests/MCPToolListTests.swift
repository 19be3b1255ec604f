// Tools that models' interfaces would refuse: each is left out by itself, with the reason, and the others stay.
import Foundation
import HTTPTransport
import ModelTestSupport
import Synchronization
import TestSupport
import Testing
import TextFormats

@testable import MCP

@Suite("The tools of MCP servers")
struct MCPToolListTests {
    private static let deep = (0..<40).reduce(JSON.object(["type": "string"])) { inner, _ in
        ["type": "object", "properties": ["a": inner]]
    }

    /// An entry of a list, and a part of why it is left out.
    static let broken: [(tool: JSON, reason: String)] = [
        (["name": "b", "inputSchema": ["type": "string"]], "string"),
        (["name": "b", "inputSchema": ["type": ["string", "null"]]], "string, null"),
        (["name": "b", "inputSchema": "object"], "a string"), (["name": "b", "inputSchema": []], "an array"),
        (["name": "b", "inputSchema": true], "a boolean"),
        (["name": "b", "inputSchema": ["type": "object", "title": .string(String(repeating: "x", count: 40_000))]], "bytes"),
        (["name": "b", "inputSchema": ["type": "object", "properties": ["a"]]], "properties"),
        (["name": "b", "inputSchema": ["type": "object", "properties": ["a": "string"]]], "schema.a"),
        (["name": "b", "inputSchema": ["type": "object", "properties": ["a": ["type": "strnig"]]]], "strnig"),
        (["name": "b", "inputSchema": ["type": "object", "properties": ["a": ["type": 5]]]], "type of schema.a"),
        (["name": "b", "inputSchema": ["type": "object", "properties": ["a": ["type": []]]]], "type of schema.a"),
        (["name": "b", "inputSchema": ["type": "object", "properties": ["a": ["enum": "x"]]]], "enum"),
        (["name": "b", "inputSchema": ["type": "object", "properties": ["a": ["anyOf": ["type": "null"]]]]], "anyOf"),
        (["name": "b", "inputSchema": ["type": "object", "required": "a"]], "required"),
        (["name": "b", "inputSchema": ["type": "object", "required": [1]]], "required"),
        (["name": "b", "inputSchema": ["type": "object", "properties": ["a": ["$ref": "#/$defs/A"]]]], "#/$defs/A"),
        (["name": "b", "inputSchema": ["type": "object", "properties": ["a": ["$ref": "https://example.org/a"]]]], "refers"),
        (["name": "b", "inputSchema": deep], "deeper"), (["name": "b", "execution": ["taskSupport": "required"]], "task"),
        (["name": "a"], "same name"), (["description": "x"], "no name"), (["name": ""], "no name"), (["name": 5], "no name"),
        ("b", "a string"), (.null, "null"), (["name": .string(String(repeating: "n", count: 200))], "128 characters"),
    ]

    @Test("One tool that cannot be used does not hide the others", arguments: broken)
    func leftOut(tool: JSON, reason: String) throws {
        let channel = ScriptedChannel([
            ["protocolVersion": "2025-06-18"], ["tools": [["name": "a"], tool, ["name": "c"]]],
        ])
        let list = try MCPSession(server: "s", channel: channel).tools()
        #expect(list.tools.map(\.name) == ["a", "c"])
        #expect(list.missing.count == 1 && list.missing[0].reason.contains(reason), "\(list.missing)")
        #expect(list.problem?.contains(reason) == true)
    }

    @Test("What can be mended without a guess is mended", arguments: [
        (nil, ["type": "object", "properties": [:]]), (.null, ["type": "object", "properties": [:]]),
        (["required": []], ["required": [], "type": "object", "properties": [:]]),
        (["type": ["object", "null"]], ["type": "object", "properties": [:]]),
        (["type": "object", "properties": .null, "required": .null], ["type": "object", "properties": [:]]),
        (
            ["type": "object", "properties": ["a": ["type": "array"], "b": true, "c": ["enum": [], "required": true]]],
            ["type": "object", "properties": ["a": ["type": "array", "items": [:]], "b": true, "c": [:]]]
        ),
        (
            ["oneOf": [["properties": ["a": ["type": "string"]], "required": ["a"]], ["properties": ["b": [:]]]]],
            ["type": "object", "properties": ["a": ["type": "string"], "b": [:]]]
        ),
        (
            ["type": "object", "properties": ["a": ["$ref": "#/$defs/A~1B"]], "$defs": ["A/B": ["type": "string"]]],
            ["type": "object", "properties": ["a": ["$ref": "#/$defs/A~1B"]], "$defs": ["A/B": ["type": "string"]]]
        ),
    ] as [(JSON?, JSON)])
    func mended(given: JSON?, schema: JSON) throws {
        #expect(try MCPToolSchema.checked(given) == schema)
    }

    @Test("Of very many tools the first are kept, and the rest is named")
    func many() throws {
        let channel = ScriptedChannel([
            ["protocolVersion": "2025-06-18"], ["tools": .array((0..<300).map { ["name": .string("t\($0)")] })],
        ])
        let list = try MCPSession(server: "s", channel: channel).tools()
        #expect(list.tools.count == MCPToolList.maxTools && list.missing.count == MCPToolList.maxMissing)
    }

    @Test("The operator is told of tools left out, once for a list that stays the same, and of names that no tool has")
    func told() throws {
        let tools = #"[{"name":"good"},{"name":"bad","inputSchema":5},{"name":"other"}]"#
        let said = Mutex<[String]>([])
        let settings = ShellServer.settings(ShellServer.script(tools: tools, call: ShellServer.answer)) {
            $0.enabledTools = ["good", "bad", "gone"]
        }
        let servers = MCPServers([settings]) { _, problem in said.withLock { $0.append(problem) } }
        defer { servers.close() }
        #expect(servers.offers(waiting: 20).map(\.tool.name) == ["good"])
        #expect(servers.absences().map(\.tools) == [["bad"], ["gone"]])
        #expect(servers.absences().allSatisfy { $0.reason == .leftOut })
        #expect(said.withLock { $0.count } == 1 && said.withLock { $0[0] }.contains("bad: its schema is a number"))
        #expect(servers.report().first?.tools == 1 && servers.report().first?.problem?.contains("gone") == true)
    }

    @Test("Servers start side by side: each waits for the other's start before it answers")
    func sideBySide() throws {
        let folder = try TemporaryDirectory()
        let servers = try (0..<2).map { number in
            try #require(mkfifo("\(folder.path)/a\(number)", 0o600) == 0)
            return number
        }.map { number -> MCPServerSettings in
            // Opening one end of a FIFO waits for the other end.
            let mine = "\(folder.path)/a\(number)"
            let other = "\(folder.path)/a\(1 - number)"
            let meet = number == 0 ? "echo x > '\(mine)'; read y < '\(other)'" : "read y < '\(other)'; echo x > '\(mine)'"
            var settings = ShellServer.settings(meet + "\n" + ShellServer.script(call: ShellServer.answer))
            settings.name = "s\(number)"
            return settings
        }
        let all = MCPServers(servers)
        defer { all.close() }
        #expect(all.offers(waiting: 20).map(\.server) == ["s0", "s1"])
    }

    @Test("The wait for servers that do not answer has the bound that is given; meanwhile what is missing is known")
    func bounded() throws {
        let silent = ShellServer.settings("cat > /dev/null") { $0.enabledTools = ["find"] }
        var quick = ShellServer.settings(ShellServer.script(call: ShellServer.answer))
        quick.name = "quick"
        let servers = MCPServers([silent, quick], startSeconds: 3_600)
        defer { servers.close() }
        // The quick one is waited for, so that the look at the silent one has begun.
        while servers.offers(waiting: 0.05).isEmpty {}
        #expect(
            servers.absences() == [
                MCPServers.Absence(server: "sh", reason: .starting, tools: ["find"], detail: "it has not answered yet")
            ])
    }
}
