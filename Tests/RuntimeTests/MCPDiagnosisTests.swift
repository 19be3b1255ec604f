// What `doctor` says of MCP servers: each is started and asked for its tools.

import Foundation
import TestSupport
import Testing
import TextFormats

@testable import Runtime

@Suite struct MCPDiagnosisTests {
    private static func script(_ tools: String) -> String {
        #"""
        while read -r line; do
          id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
          case "$line" in
            *'"initialize"'*) echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"protocolVersion\":\"2025-06-18\"}}";;
            *'"tools/list"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"tools":%s}}\n' "$id" '\#(tools)';;
          esac
        done
        """#
    }

    @Test("doctor names a server that cannot be used, and the tools of a server that cannot be offered", arguments: [
        (script(#"[{"name":"a"},{"name":"b"}]"#), Diagnosis.Verdict.ok, "2 tools"),
        (script(#"[{"name":"a"},{"name":"b","inputSchema":5}]"#), .warning, "1 tools; some of its tools are left out: b: its schema is a number"),
        ("echo no licence >&2; exit 1", .failure, "no licence"),
    ])
    func servers(script: String, verdict: Diagnosis.Verdict, words: String) throws {
        let settings: JSON = [
            "tools": ["mcp_servers": ["x": ["command": "/bin/sh", "args": ["-c", .string(script)]]]]
        ]
        let bench = try RuntimeBench(settings: settings.text())
        let found = try #require(bench.services.diagnose().first { $0.name == "mcp x" })
        #expect(found.verdict == verdict && found.detail.contains(words), "\(found)")
    }
}
