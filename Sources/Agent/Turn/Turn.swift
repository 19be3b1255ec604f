// What one turn is made of and what comes out of it. The tenant travels in here as a value: nothing that several turns
// share knows a user. Plain values; any thread.
import Foundation
import MarketData
import Providers
import Tenants

/// Why the turn is run.
public enum TurnKind: String, Sendable, Hashable, CaseIterable {
    case chat, report, heartbeat
}

/// One job's agent loop, as it is asked for.
public struct Turn: Sendable {
    /// The job's id: the root of every id this turn makes.
    public var jobID: String
    public var user: UserID
    public var session: SessionID
    public var workspace: Workspace
    /// The user's configuration when the turn began; tools that change it read the current one.
    public var config: UserConfig
    public var kind: TurnKind
    /// The user's own words, or the report's prompt.
    public var userMessage: String
    public var model: ResolvedModel
    public var limits: TurnLimits
    /// The turn's time. A resumed turn should be given the same one.
    public var now: Date
    /// IANA name, for the context block.
    public var timeZone: String
    /// Such as "zh": for the context block and the texts nanobot itself says.
    public var language: String
    /// No session is read or written (reports).
    public var ephemeralSession: Bool
    /// The job was started by another turn's `spawn`.
    public var isSpawned = false
    /// Whether the job is not tried again when this turn fails.
    public var isLastAttempt = false
    /// The instructions of the client application for this answer. They are not stored. Empty: none.
    public var clientInstructions = ""
    /// The job whose answer the turn follows: the session's later messages are not shown to it. nil: the turn follows the last.
    public var follows: String?
    /// Whether the provider is asked to deliver the text piece by piece.
    public var streams: Bool

    public init(
        jobID: String, user: UserID, session: SessionID, workspace: Workspace, config: UserConfig, kind: TurnKind,
        userMessage: String, model: ResolvedModel, limits: TurnLimits = TurnLimits(), now: Date, timeZone: String,
        language: String, ephemeralSession: Bool = false, streams: Bool = true
    ) {
        self.jobID = jobID
        self.user = user
        self.session = session
        self.workspace = workspace
        self.config = config
        self.kind = kind
        self.userMessage = userMessage
        self.model = model
        self.limits = limits
        self.now = now
        self.timeZone = timeZone
        self.language = language
        self.ephemeralSession = ephemeralSession
        self.streams = streams
    }
}

/// The bounds of a turn.
public struct TurnLimits: Sendable, Hashable {
    /// Rounds of tool calls; after the last one the model is asked once more, without tools.
    public var toolRounds = 20
    /// A call with the same name and arguments is refused from this occurrence on.
    public var identicalCalls = 3
    /// Tool calls taken from one answer; the others are answered with an error.
    public var callsPerRound = 32
    /// Further calls after an empty answer, before the model is asked for a final one.
    public var emptyRetries = 2
    /// Whether the model is then asked for a final answer; false: the turn ends with none.
    public var asksForFinalAnswer = true
    /// Continuations of an answer that was cut at the output limit.
    public var lengthRecoveries = 3
    /// Times the context is squeezed to half after the provider found it too long.
    public var contextSqueezes = 2
    /// Characters of one tool result; the rest is spilled to a file.
    public var toolResultCharacters = 16_000
    /// Estimated tokens of a request, without its answer, where the operator has set no `context_window`: what a turn costs
    /// has a bound, however large the model's window is.
    public var contextTokens = 60_000
    /// Wall clock of one model call, in seconds.
    public var modelCallSeconds: Double = 120
    /// Silence of a streaming provider, in seconds.
    public var idleSeconds: Double = 90
    /// Seconds from the first request of a step until the step has failed for good, over all attempts of the job.
    public var stepSeconds: Double?
    /// When the whole job must be over.
    public var deadline: Date?

    public init(deadline: Date? = nil) { self.deadline = deadline }

    /// One answer in a form of its own, without tools: what was cut or is empty is not worth more than one further call.
    public mutating func askOnce() {
        toolRounds = 0
        emptyRetries = 1
        asksForFinalAnswer = false
        lengthRecoveries = 0
        contextSqueezes = 0
    }
}

/// A turn that came to its end.
public struct TurnResult: Sendable, Hashable {
    /// The final answer; never empty.
    public var text: String
    /// All model calls of the job, replayed ones included.
    public var usage: TokenUsage
    /// Model calls, replayed ones included.
    public var steps: Int
    /// `provider/model` of the last answer.
    public var model: String
    /// The quotes that the turn's tools have read, each symbol's last, in the order of their first reading.
    public var quotes: [Quote] = []
    /// Why the answer ends where it does: `stop`, or `length` and `contentFilter` where it is only the beginning of one.
    public var finishReason = FinishReason.stop
}
