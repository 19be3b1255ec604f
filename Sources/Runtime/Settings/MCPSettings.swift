// The settings `tools.mcp_servers` and `tools.mcp_wait_s`, read strictly. Keys are looked up in the environment or their files
// when a server is started or asked. Failure: FieldError that names the key.
import DurableFiles
import Foundation
import MCP
import TextFormats

enum MCPSettings {
    private static let maxServers = 32

    static func read(_ tools: inout ObjectReader, into settings: inout Settings) throws(FieldError) {
        settings.mcpServers = try servers(&tools)
        settings.mcpWait = try tools.int("mcp_wait_s", in: 0...120).map(Double.init) ?? settings.mcpWait
    }

    private static func servers(_ tools: inout ObjectReader) throws(FieldError) -> [MCPEntry] {
        guard let servers = try tools.object("mcp_servers") else { return [] }
        guard servers.members.count <= maxServers else {
            throw tools.error("mcp_servers", "has more than \(maxServers) servers")
        }
        var entries: [MCPEntry] = []
        for (name, json) in servers.members {
            let isName =
                (1...20).contains(name.utf8.count)
                && name.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) }
            guard isName else {
                throw servers.error(name, "is no name of a server: 1 to 20 lower-case letters and digits")
            }
            entries.append(try MCPEntry(name, json, path: servers.name(name)))
        }
        return entries
    }
}

/// One server as it is written in the settings.
public struct MCPEntry: Sendable, Hashable {
    var name: String
    var command: String?
    var arguments: [String]
    var environment: [String: String]
    /// Variables of ours that are handed on, by the name they get.
    var environmentFrom: [String: String]
    var url: String?
    var headers: [String: String]
    /// Values of headers from variables, by the header's name.
    var headersFrom: [String: String]
    var timeout: Int
    var isShared: Bool
    var maxConnections: Int
    var idleSeconds: Int
    var enabledTools: [String]?
    var idempotentTools: [String]

    init(_ name: String, _ json: JSON, path: String) throws(FieldError) {
        var reader = try ObjectReader(json, path: path)
        self.name = name
        command = try reader.string("command", min: 1, max: 4_096)
        arguments = try reader.strings("args", maxCount: 64, maxLength: 4_096) ?? []
        environment = try reader.stringMap("env", maxCount: 64) ?? [:]
        environmentFrom = try reader.stringMap("env_from", maxCount: 64) ?? [:]
        url = try reader.string("url", min: 1, max: 2_000)
        headers = try reader.stringMap("headers", maxCount: 32) ?? [:]
        headersFrom = try reader.stringMap("headers_from_env", maxCount: 32) ?? [:]
        timeout = try reader.int("timeout_s", in: 1...600) ?? 60
        isShared = try reader.bool("shared") ?? false
        maxConnections = try reader.int("max_connections", in: 1...1_000) ?? 8
        idleSeconds = try reader.int("idle_s", in: 1...86_400) ?? 300
        enabledTools = try reader.strings("enabled_tools", maxCount: 200)
        idempotentTools = try reader.strings("idempotent_tools", maxCount: 200) ?? []
        try reader.finish()
        guard (command == nil) != (url == nil) else {
            throw reader.error("command", "is required, or url: one of the two says where the server is")
        }
        if let command, !command.hasPrefix("/") {
            throw reader.error("command", "must be an absolute path, such as /usr/bin/python3")
        }
        if let url, !url.hasPrefix("http://"), !url.hasPrefix("https://") {
            throw reader.error("url", "must begin with http:// or https://")
        }
    }

    /// - Parameter variables: of this process.
    func settings(_ variables: [String: String]) -> MCPServerSettings? {
        let place: MCPServerSettings.Place
        if let command {
            place = .command(
                MCPCommand(program: command, arguments: arguments) { [environment, environmentFrom] in
                    var given = ["PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"]
                    given.merge(environment) { $1 }
                    for (name, source) in environmentFrom { given[name] = variables[source] }
                    return given
                })
        } else if let url {
            place = .address(
                MCPAddress(url: url) { [headers, headersFrom, name] () throws(MCPError) in
                    var given = headers.map { (name: $0.key, value: $0.value) }
                    for (header, source) in headersFrom {
                        guard let value = variables[source], !value.isEmpty else {
                            throw MCPError(.unavailable, "\(name): the variable \(source) is not set")
                        }
                        given.append((name: header, value: value))
                    }
                    return given
                })
        } else {
            return nil
        }
        var server = MCPServerSettings(name: name, place: place)
        // What comes from variables is secret, whatever it is called there; the rest where its name says so.
        let named = server.secrets
        let sources = Array(environmentFrom.values) + Array(headersFrom.values)
        server.secrets = {
            named().adding(sources.compactMap { variables[$0] })
        }
        server.timeout = Double(timeout)
        server.isShared = isShared
        server.maxConnections = maxConnections
        server.idleSeconds = Double(idleSeconds)
        server.enabledTools = enabledTools.map(Set.init)
        server.idempotentTools = Set(idempotentTools)
        return server
    }
}
