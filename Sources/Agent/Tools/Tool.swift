// What a tool is. Tools are shared by all turns and hold no tenant: who it is for comes in with every call.
import Foundation
import HTTPTransport
import Tenants
import TextFormats

/// Something the model may call.
public protocol Tool: Sendable {
    /// [a-z0-9_]{1,64}, unique in a registry.
    var name: String { get }
    /// What it does and when to use it, for the model.
    var description: String { get }
    /// JSON Schema of the arguments; an object schema.
    var parameters: JSON { get }
    /// Running it twice with the same arguments leaves what running it once leaves: it is simply run again when a crash
    /// left its outcome unknown.
    var isIdempotent: Bool { get }
    /// It changes nothing.
    var isReadOnly: Bool { get }
    /// The form of it that changes nothing, for turns that only read (reports); nil: it has none.
    var readingForm: (any Tool)? { get }

    /// What it starts may write into the turn's conversation while the turn is still running: then the question must stand
    /// there first.
    var leavesWords: Bool { get }

    /// Runs on the turn's thread and blocks.
    /// - Parameter arguments: an object, otherwise unchecked.
    /// - Returns: the result as the model reads it, JSON text; the registry bounds it.
    /// - Throws: `ToolFailure` to tell the model; any other error is told as an internal one.
    func run(_ arguments: JSON, _ context: ToolContext) throws -> String
}

extension Tool {
    public var readingForm: (any Tool)? { isReadOnly ? self : nil }
    public var leavesWords: Bool { false }
}

extension ToolContext {
    /// - Parameter bytes: what is to be written; what it replaces is not taken off, for both stand on the disk for a moment.
    /// - Throws: when the workspace would hold more than it may.
    func checkSpace(for bytes: Int) throws {
        let allowed = services.diskBytes(turn.user)
        guard allowed > 0 else { return }
        let used = try turn.workspace.diskUsage().bytes
        guard used + bytes > allowed else { return }
        throw ToolFailure(
            code: "disk_quota",
            detail: "the workspace holds \(used) bytes of the \(allowed) it may hold; nothing was written. Tell the "
                + "user that files have to be removed first")
    }
}

extension ToolContext {
    /// Counts the steps of work on foreign text and ends it when the call is cancelled.
    func steps() -> StepCounter { StepCounter(stoppingIf: { [cancellation] in cancellation.isCancelled }) }

    /// - Throws: when the call was cancelled (by its user, by the job's time limit, or because the service stops): what was
    ///   found so far must not pass for the whole.
    func checkCancelled() throws(ToolFailure) {
        guard cancellation.isCancelled else { return }
        throw ToolFailure(code: "cancelled", detail: "the call was ended: \(cancellation.reason ?? "cancelled")")
    }
}

/// The call a tool is run for.
public struct ToolContext: Sendable {
    public var turn: Turn
    public var services: AgentServices
    /// `<job>:<step>:<index>`: the root of the ids of everything the call creates, the same however often it is run.
    public var callID: String
    public var cancellation: CancellationToken

    public init(turn: Turn, services: AgentServices, callID: String, cancellation: CancellationToken) {
        self.turn = turn
        self.services = services
        self.callID = callID
        self.cancellation = cancellation
    }
}
