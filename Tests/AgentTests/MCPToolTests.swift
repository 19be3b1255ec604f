import MCP
import Testing
import TextFormats

@testable import Agent

@Suite("Tools of MCP servers")
struct MCPToolTests {
    @Test("have names every model's interface takes, and different tools have different ones")
    func names() {
        #expect(MCPTool.name("time", "get_current_time") == "mcp_time_get_current_time")
        #expect(MCPTool.name("a", "B-c") == "mcp_a_B-c")
        let odd = ["über", "uber", "a.b", "a/b", "a b", String(repeating: "x", count: 80), String(repeating: "x", count: 81)]
        let names = odd.map { MCPTool.name("twentyletterservers", $0) }
        #expect(Set(names).count == odd.count)
        for name in names {
            #expect(name.utf8.count <= 64)
            #expect(name.wholeMatch(of: #/[A-Za-z0-9_-]+/#) != nil)
        }
    }

    @Test("a server that cannot be used leaves the house's own tools as they are")
    func unusable() {
        let command = MCPCommand(program: "/no/such", arguments: []) { [:] }
        let servers = MCPServers([MCPServerSettings(name: "x", place: .command(command))])
        let registry = ToolRegistry.standard(toolbox: MCPToolbox(servers), logger: AgentHouse.logger)
        let plain = ToolRegistry.standard(logger: AgentHouse.logger)
        #expect(registry.definitions(for: .chat).map(\.name) == plain.definitions(for: .chat).map(\.name))
    }
}
