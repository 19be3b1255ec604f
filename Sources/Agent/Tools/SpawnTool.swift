// Hands a task to a job of its own, which outlives this turn and works in a conversation of its own; its answer comes into
// this conversation when it is ready. The turn does not wait for it. Stateless.
import Foundation
import Tenants
import TextFormats

/// Makes jobs for the agent. Implemented by Runtime. Calls block; any thread.
public protocol ChildJobs: Sendable {
    /// - Parameters:
    ///   - parent: the job that asks.
    ///   - callID: the same call makes the same job, however often it is run.
    /// - Returns: what the model is told: the job's id.
    /// - Throws: `ToolFailure` for what the model can understand (too many at once, a queue that is full).
    func spawn(user: UserID, task: String, session: SessionID, parent: String, callID: String) throws -> JSON
}

public struct SpawnTool: Tool {
    private let children: any ChildJobs

    public init(children: any ChildJobs) { self.children = children }

    public let name = "spawn"
    public let description = """
        Start a task that takes long, or can be done beside this conversation, as a job of its own. It does not see this \
        conversation: write into the task all it needs to know. You do not get its result in this turn: it appears in \
        this conversation when it is ready. Tell the user that it has been started.
        """
    public let isIdempotent = true
    public let isReadOnly = false
    public let leavesWords = true
    static let maximumTask = 8_000

    public var parameters: JSON {
        ToolSchema.object(["task": ToolSchema.text("What is to be done, complete in itself")], required: ["task"])
    }

    public func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
        var reader = try ObjectReader(arguments)
        let task = try reader.require(reader.string("task", min: 1, max: Self.maximumTask), "task")
        try reader.finish()
        guard !context.turn.isSpawned else {
            throw ToolFailure(code: "spawn_depth", detail: "a task that was started by spawn starts no others; do it yourself")
        }
        return try children.spawn(
            user: context.turn.user, task: task, session: context.turn.session, parent: context.turn.jobID,
            callID: context.callID
        ).text()
    }
}
