// Servers and channels for the tests of this room: shell scripts that speak the protocol, answers in a fixed order.
import Foundation
import HTTPTransport
import Testing
import TextFormats

@testable import MCP

/// A server of the protocol in a few lines of shell: reads a line, answers by what is in it.
enum ShellServer {
    /// - Parameter call: what it does for a call, with `$id` set.
    static func script(tools: String = #"[{"name":"echo","inputSchema":{"type":"object"}}]"#, call: String) -> String {
        #"""
        while read -r line; do
          id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
          case "$line" in
            *'"method":"initialize"'*)
              echo 'starting up' >&2
              echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"protocolVersion\":\"2025-03-26\",\"capabilities\":{}}}";;
            *'"method":"tools/list"'*)
              printf '{"jsonrpc":"2.0","id":%s,"result":{"tools":%s}}\n' "$id" '\#(tools)';;
            *'"method":"tools/call"'*)
              \#(call);;
          esac
        done
        """#
    }

    static func settings(_ script: String, _ change: (inout MCPServerSettings) -> Void = { _ in }) -> MCPServerSettings
    {
        let command = MCPCommand(program: "/bin/sh", arguments: ["-c", script]) {
            ["PATH": "/usr/bin:/bin", "SECRET": "s"]
        }
        var settings = MCPServerSettings(name: "sh", place: .command(command))
        settings.timeout = 20
        change(&settings)
        return settings
    }

    static let answer = #"""
        printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"from %s"}]}}\n' "$id" $$
        """#
}

/// Answers in the order written down.
/// `@unchecked Sendable`: each test uses one on its own thread.
final class ScriptedChannel: MCPChannel, @unchecked Sendable {
    private var answers: [JSON]
    private(set) var version: String?

    init(_ answers: [JSON]) { self.answers = answers }

    func exchange(
        _ request: JSON, id: Int, seconds: Double, cancellation: CancellationToken?, other: @escaping (JSON) -> JSON?
    ) throws(MCPError) -> JSON {
        guard !answers.isEmpty else { throw MCPError(.unavailable, "the script has ended") }
        return ["jsonrpc": "2.0", "id": JSON(id), "result": answers.removeFirst()]
    }

    func notify(_ message: JSON) throws(MCPError) {}
    func agreed(on version: String) { self.version = version }
    func listen(other: @escaping (JSON) -> JSON?) -> MCPListening { .noStream }
    func close() {}
}
