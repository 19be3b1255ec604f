// A tool of an MCP server, as the model calls it: `mcp_<server>_<tool>`. What it returns comes from outside and is fenced. Holds
// no tenant: the connection is chosen by the turn's user.
import Foundation
import MCP
import Tenants
import TextFormats

struct MCPTool: Tool {
    /// What the models' interfaces take.
    static let maxName = 64
    private static let maxDescription = 2_000

    let name: String
    private let offer: MCPServers.Offer
    private let servers: MCPServers

    init(_ offer: MCPServers.Offer, _ servers: MCPServers) {
        self.offer = offer
        self.servers = servers
        name = Self.name(offer.server, offer.tool.name)
    }

    var description: String {
        String(offer.tool.description.prefix(Self.maxDescription)) + " (of the server \(offer.server))"
    }
    var parameters: JSON { offer.tool.inputSchema }
    var isIdempotent: Bool { servers.isIdempotent(offer) }
    var isReadOnly: Bool { offer.tool.isReadOnly }

    func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
        let result: MCPCallResult
        do throws(MCPError) {
            result = try servers.call(
                offer, arguments, user: context.turn.user.rawValue, cancellation: context.cancellation)
        } catch {
            throw ToolFailure(code: error.code.rawValue, detail: error.detail)
        }
        var fields: JSONObject = ["server": .string(offer.server)]
        if result.isError { fields["is_error"] = true }
        let content = UntrustedContent(callID: context.callID)
        return content.fitted(
            result.text, key: "content", limit: context.turn.limits.toolResultCharacters
        ) { shown in
            var fields = fields
            if shown < result.text.count { fields["characters_left_out"] = JSON(result.text.count - shown) }
            return fields
        }
    }

    /// Names that do not fit are shortened and told apart by a hash: different tools have different names.
    static func name(_ server: String, _ tool: String) -> String {
        let prefix = "mcp_\(server)_"
        let fits = tool.utf8.allSatisfy { byte in
            (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte) || (0x30...0x39).contains(byte)
                || byte == 0x5f || byte == 0x2d
        }
        if fits, prefix.utf8.count + tool.utf8.count <= maxName { return prefix + tool }
        // FNV-1a, 32 bits: equal in every process.
        let hash = tool.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        let digits = String(hash, radix: 16)
        let clean = tool.unicodeScalars.map { $0.isASCII && $0.properties.isAlphabetic ? Character($0) : "_" }
        let room = maxName - prefix.utf8.count - 9
        return prefix + String(clean.prefix(room)) + "_" + String(repeating: "0", count: 8 - digits.count) + digits
    }
}

/// The tools of all servers, as they are at the moment.
public struct MCPToolbox: Sendable {
    /// Seconds a turn waits for servers that have never said what they have.
    private static let patience = 10.0
    private let servers: MCPServers

    public init(_ servers: MCPServers) { self.servers = servers }

    func tools() -> [any Tool] { servers.offers(waiting: Self.patience).map { MCPTool($0, servers) } }
}
