// The one error of this room. What is retryable is decided here, where it is made.
import DurableFiles
import Foundation
import Providers

/// Why a turn, or an operation on a session or on memory, did not succeed.
public struct AgentError: Error, Sendable, CustomStringConvertible {
    /// Stable snake_case. From this room: `cancelled`, `timeout`, `drained`, `storage`, `lock_timeout`, `journal`, `journal_corrupt`,
    /// `context_length_exceeded`, `session_not_found`, `session_full`, `history_missing`, `message_not_found`, `memory_full`,
    /// `invalid_text`, `internal_state`; besides these the provider's own codes (`rate_limited`, `quota`, `authentication`, …).
    public var code: String
    /// What happened and what to do about it.
    public var detail: String
    /// Whether the same turn can succeed later without a person's help.
    public var isRetryable: Bool
    /// Seconds the provider asked to wait.
    public var retryAfter: Double?
    /// When the step that failed is over, whatever attempts the job has left.
    public var retryUntil: Date?
    /// What the turn has cost so far, replayed calls included.
    public var usage: TokenUsage
    /// The error underneath, for the caller that made it (such as a journal's).
    public var cause: (any Error)?

    public init(
        code: String, detail: String, isRetryable: Bool, retryAfter: Double? = nil, usage: TokenUsage = .zero,
        cause: (any Error)? = nil
    ) {
        self.code = code
        self.detail = detail
        self.isRetryable = isRetryable
        self.retryAfter = retryAfter
        self.usage = usage
        self.cause = cause
    }

    public var description: String { "\(code): \(detail)" }

    init(_ error: ProviderError) {
        self.init(
            code: error.code.rawValue, detail: error.detail, isRetryable: error.isRetryable,
            retryAfter: error.retryAfter, cause: error)
    }

    /// Calls under way may use up what is left of the budget: the job should go back and be offered again in a moment.
    public static let budgetBusy = AgentError(
        code: "budget_busy", detail: "calls under way may use up what is left of the budget; the job waits for them",
        isRetryable: true)

    /// Not even the question has room in the model's window.
    static func contextLengthExceeded(_ model: ResolvedModel) -> AgentError {
        AgentError(
            code: "context_length_exceeded",
            detail: "the message has no room in the window of \(model.fullName) (\(model.window.tokens) tokens, the answer and "
                + "the assistant's own instructions included): shorten it, or put it into a file of the workspace",
            isRetryable: false)
    }

    /// The job goes on later from where its journal ends: nothing of it belongs into the session yet.
    var isPause: Bool { code == TurnStop.drain.error.code || code == Self.budgetBusy.code }

    /// The disk did not do what a session, memory or context needs; faults of a disk pass.
    static func storage(_ error: FileError, while doing: String) -> AgentError {
        AgentError(
            code: error.code == .busy ? "lock_timeout" : "storage", detail: "\(doing): \(error.description)",
            isRetryable: true, cause: error)
    }

    func with(usage: TokenUsage) -> AgentError {
        var copy = self
        copy.usage = usage
        return copy
    }
}
