// Why a turn was told to stop, carried as the reason of its CancellationToken. Pure.

/// The reasons whoever cancels a turn's token gives.
public enum TurnStop: String, Sendable, Hashable, CaseIterable {
    /// Somebody cancelled the job: the session keeps what was said and done so far.
    case cancelled
    /// The job's time is over: it may be tried again.
    case timeout
    /// The process stops: the job goes on elsewhere, from its journal, so nothing is written into the session.
    case drain

    /// Any text that is none of ours counts as a cancel.
    init(reason: String?) { self = reason.flatMap(TurnStop.init(rawValue:)) ?? .cancelled }

    var error: AgentError {
        switch self {
        case .cancelled:
            AgentError(code: "cancelled", detail: "the job was cancelled", isRetryable: false)
        case .timeout:
            AgentError(
                code: "timeout", detail: "the job did not finish in its time; raise timeout_s or ask for less",
                isRetryable: true)
        case .drain:
            AgentError(
                code: "drained", detail: "the process is stopping; the job resumes at its next claim",
                isRetryable: true)
        }
    }

    /// What the model reads, should the conversation go on, in place of a result the call never had.
    var toolResult: String {
        ToolFailure(code: "cancelled", detail: "the turn was stopped (\(rawValue)) before this call had a result").text
    }
}
