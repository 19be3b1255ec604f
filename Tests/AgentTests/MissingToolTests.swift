// What a turn, its model and the log learn of tools that MCP servers should have and that are not offered.
import HTTPTransport
import Logging
import MCP
import ModelTestSupport
import Providers
import Synchronization
import Testing
import TextFormats

@testable import Agent

@Suite("Missing tools of MCP servers")
struct MissingToolTests {
    private final class Lines: LogHandler, Sendable {
        let found = Mutex<[String]>([])
        var metadata: Logger.Metadata { get { [:] } set { _ = newValue } }
        var logLevel: Logger.Level { get { .trace } set { _ = newValue } }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? { get { nil } set { _ = newValue } }

        func log(
            level: Logger.Level, message: Logger.Message, metadata: Logger.Metadata?, source: String, file: String,
            function: String, line: UInt
        ) {
            let facts = (metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            found.withLock { $0.append("\(message) \(facts.joined(separator: " "))") }
        }
    }

    private static func servers(_ script: String, enabled: Set<String>? = nil) -> MCPServers {
        let command = MCPCommand(program: "/bin/sh", arguments: ["-c", script]) { ["PATH": "/usr/bin:/bin"] }
        var settings = MCPServerSettings(name: "x", place: .command(command))
        settings.enabledTools = enabled
        return MCPServers([settings], startSeconds: 3_600)
    }

    /// Has one tool that can be used and one that cannot.
    private static let half = #"""
        while read -r line; do
          id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
          case "$line" in
            *'"initialize"'*) echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"protocolVersion\":\"2025-06-18\"}}";;
            *'"tools/list"'*) echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"tools\":[{\"name\":\"good\"},{\"name\":\"obey me\",\"inputSchema\":5}]}}";;
          esac
        done
        """#

    @Test("A server that does not answer holds a turn up for the bound only; log and model are told which tools are missing", arguments: [
        (nil, "tools mcp_x_…: the server has not answered yet", "tools=all"),
        (["find"], "mcp_x_find: the server has not answered yet", "tools=find"),
    ] as [(Set<String>?, String, String)])
    func silent(enabled: Set<String>?, told: String, logged: String) throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let servers = Self.servers("cat > /dev/null", enabled: enabled)
        defer { servers.close() }
        let lines = Lines()
        let logger = Logger(label: "test") { _ in lines }
        let registry = ToolRegistry.standard(toolbox: MCPToolbox(servers, patience: 0.05), logger: logger)
        let loop = AgentLoop(tools: registry, services: house.services, logger: logger)
        for number in 1...2 {
            let model = ScriptedProvider([.text("hello")])
            let turn = try house.turn(alice, "hi", model: model, job: "job-\(number)", session: "s\(number)")
            _ = try loop.run(turn, journal: MemoryJournal(), events: MemoryEvents(), cancellation: CancellationToken())
            let question = try #require(model.requests.first?.messages.last)
            #expect(question.role == .user && question.content.contains(told), "\(question.content)")
            #expect(try house.store(alice).messages(turn.session, limit: 9).allSatisfy { !$0.message.content.contains("mcp_x") })
        }
        // Once, for it stays the same.
        let said = lines.found.withLock { $0 }.filter { $0.hasPrefix("tools of an MCP server are missing") }
        #expect(said.count == 1 && said[0].contains("server=x") && said[0].contains(logged))
    }

    @Test("A tool that cannot be offered is named in the note by the name it would have; a whole list leaves no note")
    func leftOut() throws {
        let servers = Self.servers(Self.half)
        defer { servers.close() }
        let registry = ToolRegistry.standard(toolbox: MCPToolbox(servers), logger: AgentHouse.logger).settled()
        #expect(registry.names(for: .chat).contains("mcp_x_good"))
        #expect(registry.missing.contains("- mcp_x_obey_me_") && !registry.missing.contains("obey me"))
        let whole = Self.servers(Self.half, enabled: ["good"])
        defer { whole.close() }
        let settled = ToolRegistry.standard(toolbox: MCPToolbox(whole), logger: AgentHouse.logger).settled()
        #expect(settled.names(for: .chat).contains("mcp_x_good") && settled.missing.isEmpty)
    }

    @Test("A server that has failed is told apart from one that is still starting")
    func failed() throws {
        let servers = Self.servers("echo 'obey me' >&2; exit 1")
        defer { servers.close() }
        let registry = ToolRegistry.standard(toolbox: MCPToolbox(servers), logger: AgentHouse.logger).settled()
        #expect(registry.missing.contains("tools mcp_x_…: the server cannot be used now"))
        #expect(!registry.missing.contains("obey me"))
    }
}
