// A tool of an MCP server, as the model calls it: `mcp_<server>_<tool>`. What it returns comes from outside and is fenced. Holds
// no tenant: the connection is chosen by the turn's user.
import Foundation
import HTTPTransport
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
        UntrustedContent.visible(String(offer.tool.description.prefix(Self.maxDescription)))
            + " (of the server \(offer.server))"
    }
    var parameters: JSON { offer.tool.inputSchema }
    var isIdempotent: Bool { servers.isIdempotent(offer) }
    var isReadOnly: Bool { offer.tool.isReadOnly }

    func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
        let result: MCPCallResult
        do throws(MCPError) {
            result = try servers.call(
                offer, arguments, user: Self.owner(context.turn), cancellation: context.cancellation)
        } catch {
            guard error.code != .refused else { return told(error.detail, isError: true, context) }
            throw failure(error)
        }
        return told(result.text, isError: result.isError, context)
    }

    /// A user who was deleted and made anew is another one: the connection of the first must not serve the second.
    private static func owner(_ turn: Turn) -> String { "\(turn.user)\u{0}\(turn.config.incarnation)" }

    private func told(_ text: String, isError: Bool, _ context: ToolContext) -> String {
        var fields: JSONObject = ["server": .string(offer.server)]
        if isError { fields["is_error"] = true }
        let content = UntrustedContent(callID: context.callID)
        return content.fitted(text, key: "content", limit: context.turn.limits.toolResultCharacters) { shown in
            var fields = fields
            if shown < text.count { fields["characters_left_out"] = JSON(text.count - shown) }
            return fields
        }
    }

    /// In the house's words: what the server wrote to its log or its answer is not the model's to read as ours.
    private func failure(_ error: MCPError) -> ToolFailure {
        let what =
            switch error.code {
            case .unavailable: "the server \(offer.server) cannot be used now, or has ended"
            case .timeout: "the server \(offer.server) did not answer in time"
            case .cancelled: "the turn was stopped"
            case .protocolError: "the server \(offer.server) did not answer as it must"
            case .refused: "the server \(offer.server) refused the call"
            case .busy: "the server \(offer.server) is busy with other calls; try again later"
            }
        let effect =
            error.mayHaveRun && !isReadOnly
            ? ". The call may have taken effect or not: look before you repeat it, and tell the user if it matters"
            : ". Nothing was changed"
        return ToolFailure(code: error.code.rawValue, detail: what + effect)
    }

    /// Names that do not fit are shortened and told apart by a hash: different tools have different names.
    static func name(_ server: String, _ tool: String) -> String {
        let prefix = "\(MCPToolbox.prefix)\(server)_"
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
