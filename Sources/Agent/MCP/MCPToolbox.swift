// The tools of all MCP servers as they are at the moment, and what is said of those that are missing: in the log by the operator's
// words, to models in ours. Any thread; `snapshot` blocks for at most `patience`.
import HTTPTransport
import Logging
import MCP
import Synchronization

public final class MCPToolbox: Sendable {
    /// What the names of all servers' tools begin with.
    public static let prefix = "mcp_"
    /// Seconds a turn waits for servers that have never said what they have, where the settings say nothing.
    public static let standardPatience = 10.0
    /// Of all servers together: models' interfaces take 128, ours included.
    private static let maxTools = 100
    /// Lines of the note for models.
    private static let maxLines = 20

    /// What one turn has from its beginning to its end.
    struct Snapshot {
        var tools: [MCPTool] = []
        /// In our words, for the end of the user's message; empty when nothing is missing.
        var note = ""
    }

    private let servers: MCPServers
    private let patience: Double
    /// What was logged last: the same is not logged again for every turn.
    private let logged = Mutex<[MCPServers.Absence]>([])

    /// - Parameter patience: seconds a turn waits for servers that have never said what they have.
    public init(_ servers: MCPServers, patience: Double = MCPToolbox.standardPatience) {
        self.servers = servers
        self.patience = patience
    }

    /// Begins to ask the servers that have not said yet what they have.
    public func look() { servers.look() }

    /// Ends all connections.
    public func close() { servers.close() }

    /// The names models call the tools by.
    public func names() -> Set<String> { Set(tools(nil).kept.map(\.name)) }

    /// - Parameter cancellation: ends the wait for servers.
    func snapshot(_ cancellation: CancellationToken? = nil, _ logger: Logger) -> Snapshot {
        let (kept, left) = tools(cancellation)
        let absences = servers.absences() + left
        let isNews = logged.withLock { logged in
            defer { logged = absences }
            return logged != absences
        }
        if isNews {
            for absence in absences {
                logger.warning(
                    "tools of an MCP server are missing",
                    metadata: [
                        "server": "\(absence.server)", "error": "\(absence.detail)",
                        "tools": "\(absence.tools.isEmpty ? "all" : absence.tools.joined(separator: ", "))",
                    ])
            }
        }
        return Snapshot(tools: kept, note: Self.note(absences))
    }

    /// Of two with one name the first is kept.
    private func tools(_ cancellation: CancellationToken?) -> (kept: [MCPTool], left: [MCPServers.Absence]) {
        var kept: [MCPTool] = []
        var left: [MCPServers.Absence] = []
        var names: Set<String> = []
        for offer in servers.offers(waiting: patience, cancellation: cancellation) {
            let tool = MCPTool(offer, servers)
            if kept.count < Self.maxTools, names.insert(tool.name).inserted {
                kept.append(tool)
            } else {
                left.append(
                    MCPServers.Absence(
                        server: offer.server, reason: .leftOut, tools: [offer.tool.name],
                        detail: kept.count < Self.maxTools
                            ? "another tool has the same name" : "only \(Self.maxTools) tools of servers are offered"))
            }
        }
        return (kept, left)
    }

    /// The names are made the way offered ones are: what a server calls its tools is not ours to repeat.
    private static func note(_ absences: [MCPServers.Absence]) -> String {
        guard !absences.isEmpty else { return "" }
        let lines = absences.map { absence in
            let names = absence.tools.prefix(maxLines).map { MCPTool.name(absence.server, $0) }.joined(separator: ", ")
            let reason =
                switch absence.reason {
                case .starting: "the server has not answered yet"
                case .unusable: "the server cannot be used now"
                case .leftOut: "cannot be offered"
                }
            return "- \(names.isEmpty ? "tools \(prefix)\(absence.server)_…" : names): \(reason)"
        }
        let more = lines.count > maxLines ? ["- and \(lines.count - maxLines) more"] : []
        return "\n\n[tools that are missing in this turn]\n"
            + (Array(lines.prefix(maxLines)) + more).joined(separator: "\n")
            + "\nWhere the user's request needs one of them, say that it is missing."
    }
}
