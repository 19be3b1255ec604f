// The tools of the house by name, and the one way to run them: whatever a tool does, the model gets a bounded text.
// Any thread.
import DurableFiles
import Foundation
import HTTPTransport
import Logging
import Providers
import TextFormats

public final class ToolRegistry: Sendable {
    private let own: [String: any Tool]
    /// Those of servers, which may come and go.
    private let toolbox: MCPToolbox?
    /// What is said to the model of servers' tools that are missing; empty when none is.
    let missing: String
    private let logger: Logger

    /// - Parameter tools: of two with one name the later wins.
    public convenience init(_ tools: [any Tool], toolbox: MCPToolbox? = nil, logger: Logger) {
        self.init(tools, toolbox: toolbox, missing: "", logger: logger)
    }

    private init(_ tools: [any Tool], toolbox: MCPToolbox?, missing: String, logger: Logger) {
        own = Dictionary(tools.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
        self.toolbox = toolbox
        self.missing = missing
        self.logger = logger
    }

    /// The tools that need nothing but a workspace and `AgentServices`.
    /// - Parameter more: those that need settings; of two with one name theirs win.
    public static func standard(
        adding more: [any Tool] = [], toolbox: MCPToolbox? = nil, logger: Logger
    ) -> ToolRegistry {
        let own: [any Tool] =
            [
                ReadFileTool(), WriteFileTool(), EditFileTool(), ListDirTool(), FindFilesTool(), GrepTool(),
                WatchlistTool(), MemoryTool(), QuotesTool(), FeedsTool(), ProfileTool(), PreferencesTool(),
                ScheduleTool(), MessageTool(),
            ]
        return ToolRegistry(own + more, toolbox: toolbox, logger: logger)
    }

    /// This registry with the servers' tools as they are now: what one turn uses from its beginning to its end, so that
    /// what it was offered is what it can call, and nothing it asks for waits for a server again.
    func settled(_ cancellation: CancellationToken? = nil) -> ToolRegistry {
        guard let toolbox else { return self }
        let now = toolbox.snapshot(cancellation, logger)
        return ToolRegistry(Array(all(with: now.tools).values), toolbox: nil, missing: now.note, logger: logger)
    }

    /// What a turn of that kind may call, sorted by name so that the request's bytes are the same every time.
    public func definitions(for kind: TurnKind) -> [ToolDefinition] {
        offered(for: kind).map {
            ToolDefinition(name: $0.name, description: $0.description, parameters: $0.parameters)
        }
    }

    public func names(for kind: TurnKind) -> Set<String> { Set(offered(for: kind).map(\.name)) }

    /// Whether the call, as a turn of that kind may make it, changes nothing.
    func leavesWords(_ name: String) -> Bool { own[name]?.leavesWords ?? false }
    func isReadOnly(_ name: String, in kind: TurnKind) -> Bool { callable(in: kind)[name]?.isReadOnly ?? false }

    /// False for unknown names: what nobody knows must not be run again.
    func isIdempotent(_ name: String) -> Bool { all[name]?.isIdempotent ?? false }

    /// A report's words come from data files and feeds that others write: they must not reach anything that changes
    /// the user's data.
    private func offered(for kind: TurnKind) -> [any Tool] {
        callable(in: kind).values.sorted { $0.name < $1.name }
    }

    private func callable(in kind: TurnKind) -> [String: any Tool] {
        kind == .report ? all.compactMapValues(\.readingForm) : all
    }

    /// No server's tool takes the place of one of ours.
    private var all: [String: any Tool] {
        guard let toolbox else { return own }
        return all(with: toolbox.snapshot(nil, logger).tools)
    }

    private func all(with tools: [any Tool]) -> [String: any Tool] {
        own.merging(tools.map { ($0.name, $0) }) { first, _ in first }
    }

    /// Runs one call. Never fails: a failure is a text for the model.
    func run(_ planned: PlannedCall, _ context: ToolContext) -> String {
        guard let tool = callable(in: context.turn.kind)[planned.call.name],
            let arguments = planned.call.parsedArguments else {
            return ToolFailure(code: "unknown_tool", detail: "there is no tool \"\(planned.call.name)\"").text
        }
        let limit = context.turn.limits.toolResultCharacters
        do {
            let result = try tool.run(arguments, context)
            return ResultBound(limit: limit, logger: logger).bounded(result, planned, context.turn)
        } catch {
            return String(failure(error, of: tool, context).text.prefix(limit))
        }
    }

    private func failure(_ error: any Error, of tool: any Tool, _ context: ToolContext) -> ToolFailure {
        if let failure = error as? ToolFailure { return failure }
        if let error = error as? FieldError { return ToolFailure(error) }
        if let error = error as? FileError { return ToolFailure(error, path: "") }
        if let error = error as? AgentError { return ToolFailure(code: error.code, detail: error.detail) }
        logger.error(
            "a tool failed",
            metadata: [
                "tool": "\(tool.name)", "job.id": "\(context.turn.jobID)", "user.id": "\(context.turn.user)",
                "error": "\(error)",
            ])
        return ToolFailure(code: "tool_failed", detail: "\(tool.name) failed: \(String("\(error)".prefix(500)))")
    }
}
