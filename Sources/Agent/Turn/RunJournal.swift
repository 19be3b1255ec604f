// What a turn needs from outside: a record that survives the process, a way to tell how far it is, and the schedules.
// Implemented by Runtime. Journal and events are used by the turn's own thread only.
import Foundation
import MarketData
import Providers
import Tenants
import TextFormats

/// How far an earlier run got with one tool call.
public enum ToolState: Sendable, Hashable {
    case none
    /// It was about to run; whether it did is unknown.
    case intentOnly
    case result(String)
}

/// The durable record of a job's steps. A `record…` call returns after the record is on disk.
public protocol RunJournal: AnyObject {
    /// The recorded answer of that model call; steps count from 0 over all runs of the job.
    func modelResponse(step: Int) -> JSON?
    func recordModelResponse(step: Int, _ response: JSON) throws
    /// How many requests earlier attempts of this run have made for a step that has no answer yet.
    func requestsMade(step: Int) -> Int
    /// When the first of these requests was made; nil before it.
    func firstRequest(step: Int) -> Date?
    /// The number of requests so far, and when the first of them was made. Need not survive a power cut, only the process.
    func recordRequests(step: Int, count: Int, since: Date) throws
    /// - Parameter callKey: `<step>:<index>`, unique within the job.
    func toolState(callKey: String) -> ToolState
    func recordIntent(callKey: String, name: String, arguments: String) throws
    func recordResult(callKey: String, _ result: String) throws
}

public enum ToolPhase: String, Sendable, Hashable {
    case start, end
}

/// Hears how a turn goes on. Nothing depends on it: it cannot fail and keeps nothing.
public protocol TurnEvents: AnyObject {
    /// A piece of the answer's text.
    func delta(_ text: String)
    /// All text told so far is void: a part of it was the model's reasoning. The text that counts follows.
    func restart()
    func tool(name: String, phase: ToolPhase)
    /// 0 … 100, never less than before within a run.
    func progress(_ percent: Int)
}

/// Says before each model call whether the user may still spend. Used by the turn's own thread only.
public protocol TurnBudget: AnyObject {
    /// Reserves the most that the call can use, until `spent`.
    /// - Throws: what the turn then fails with.
    func reserve(_ request: ChatRequest) throws(AgentError)
    /// What the turn has used so far, calls replayed from its journal included. No call is under way.
    func spent(_ usage: TokenUsage)
}

/// The user's schedules, for the tools `preferences` and `schedule`. Calls block; any thread. What the model can put
/// right (a wrong expression, an unknown zone) is thrown as `ToolFailure` or `TenantError`; all else counts as an
/// internal error.
public protocol ScheduleBook: Sendable {
    /// Changes preferences; schedules derived from them move with them.
    func updatePreferences(user: UserID, _ change: PreferencesChange) throws -> UserConfig
    func schedules(user: UserID) throws -> JSON
    /// - Parameter id: derived from job and step: adding the same id again changes nothing.
    /// - Parameter session: the conversation that the schedule's messages go to; nil: the user's default one.
    func addSchedule(
        user: UserID, expression: String, timezone: String?, message: String, session: SessionID?, id: String
    ) throws -> JSON
    /// - Returns: false when there is none of that id.
    func removeSchedule(user: UserID, id: String) throws -> Bool
}

/// What all turns share: services that take the tenant as an argument.
public struct AgentServices: Sendable {
    public var configs: UserConfigManager
    public var schedules: any ScheduleBook
    public var now: @Sendable () -> Date
    /// Bytes a workspace may hold before the file tools write no more; 0: no limit.
    public var diskBytes: @Sendable (UserID) -> Int
    /// The operator's sources of quotes and feeds.
    public var sources: DataSources

    public init(
        configs: UserConfigManager, schedules: any ScheduleBook, diskBytes: @escaping @Sendable (UserID) -> Int = { _ in 0 },
        sources: DataSources = DataSources([]), now: @escaping @Sendable () -> Date
    ) {
        self.diskBytes = diskBytes
        self.sources = sources
        self.configs = configs
        self.schedules = schedules
        self.now = now
    }
}
