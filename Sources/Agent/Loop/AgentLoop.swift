// Runs turns: the thin shell around TurnStateMachine. One instance serves all tenants and threads; it holds no tenant,
// a turn brings its own. `run` blocks its thread until the turn is over. Failure: AgentError, see its codes.
import Foundation
import HTTPTransport
import Logging
import Providers
import Tenants

public final class AgentLoop: Sendable {
    private let tools: ToolRegistry
    public let services: AgentServices
    private let logger: Logger

    public init(tools: ToolRegistry, services: AgentServices, logger: Logger) {
        self.tools = tools
        self.services = services
        self.logger = logger
    }

    /// Carries a turn out, or on from where the journal ends: recorded answers and results are taken from there.
    ///
    /// When it returns, the session holds the whole turn, durably; the caller then writes the job's final line. When it
    /// throws, the session holds the user's message and what was finished, marked as interrupted (a later run of the
    /// job replaces it) – except for `drained`, after which the job is meant to go on.
    ///
    /// - Parameters:
    ///   - journal, events, budget: used on the calling thread only.
    ///   - cancellation: its reason is a `TurnStop` raw value; heeded within milliseconds during a model call and
    ///     between steps.
    public func run(
        _ turn: Turn, journal: any RunJournal, events: any TurnEvents, cancellation: CancellationToken,
        budget: (any TurnBudget)? = nil
    ) throws(AgentError) -> TurnResult {
        var logger = logger
        logger[metadataKey: "job.id"] = "\(turn.jobID)"
        logger[metadataKey: "user.id"] = "\(turn.user)"
        var run = try TurnRun(
            turn: turn, tools: tools.settled(cancellation), services: services, journal: journal, events: events,
            cancellation: cancellation, budget: budget, logger: logger)
        return try run.toTheEnd()
    }
}
