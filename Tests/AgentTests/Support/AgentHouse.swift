// A small house for agent tests: a temporary root with users, a clock that stands still, schedules in memory.
import DurableFiles
import Foundation
import HTTPTransport
import Logging
import ModelTestSupport
import Providers
import Synchronization
import Tenants
import TextFormats

@testable import Agent

final class AgentHouse: Sendable {
    static let noon = Date(timeIntervalSince1970: 1_795_521_600)

    let root: String
    let workspaces: WorkspaceManager
    let configs: UserConfigManager
    let schedules: MemoryScheduleBook
    let registry: ToolRegistry

    init() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("agent-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        root = folder.path
        workspaces = WorkspaceManager(root: folder.path + "/workspaces", now: { AgentHouse.noon })
        configs = UserConfigManager(workspaces: workspaces)
        schedules = MemoryScheduleBook(configs: configs)
        registry = ToolRegistry.standard(logger: AgentHouse.logger)
    }

    deinit {
        // A temporary folder that stays behind harms nobody.
        try? FileManager.default.removeItem(atPath: root)
    }

    static var logger: Logger {
        Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    }

    var services: AgentServices {
        AgentServices(configs: configs, schedules: schedules, now: { AgentHouse.noon.addingTimeInterval(5) })
    }

    var loop: AgentLoop { AgentLoop(tools: registry, services: services, logger: AgentHouse.logger) }

    func addUser(_ name: String, stocks: [String] = []) throws -> UserID {
        let id = try UserID(name)
        _ = try workspaces.create(id, initial: InitialUserData(watchlist: WatchlistChange(stocks: stocks)))
        return id
    }

    func turn(
        _ user: UserID, _ message: String, model: any ChatProvider, job: String = "job-1", session: String = "default",
        kind: TurnKind = .chat, limits: TurnLimits = TurnLimits(), language: String = "en"
    ) throws -> Turn {
        Turn(
            jobID: job, user: user, session: try SessionID(session), workspace: try workspaces.open(user),
            config: try configs.get(user), kind: kind, userMessage: message,
            model: (model as? ScriptedProvider)?.resolved ?? ResolvedModel(provider: model, model: "m", fullName: model.name), limits: limits,
            now: AgentHouse.noon, timeZone: "Asia/Shanghai", language: language, ephemeralSession: kind == .report)
    }

    func store(_ user: UserID) throws -> SessionStore { SessionStore(workspace: try workspaces.open(user)) }

    /// Runs one tool as a turn of `user` would.
    func call(
        _ tool: String, _ arguments: String, as user: UserID, limits: TurnLimits = TurnLimits(), diskBytes: Int = 0
    ) throws -> JSON {
        let turn = try turn(user, "test", model: ScriptedProvider([]), limits: limits)
        let call = PlannedCall(
            step: 0, index: 0, call: ToolCall(id: "c", name: tool, arguments: arguments), refusal: nil)
        var services = services
        services.diskBytes = { _ in diskBytes }
        let context = ToolContext(
            turn: turn, services: services, callID: "job-1:0:0", cancellation: CancellationToken())
        return try JSON.parse(registry.run(call, context))
    }
}

/// Schedules that live in memory; preferences go to the real manager.
final class MemoryScheduleBook: ScheduleBook {
    private let configs: UserConfigManager
    private let kept = Mutex<[UserID: [String: JSON]]>([:])

    init(configs: UserConfigManager) { self.configs = configs }

    func updatePreferences(user: UserID, _ change: PreferencesChange) throws -> UserConfig {
        try configs.updatePreferences(user, change)
    }

    func schedules(user: UserID) throws -> JSON {
        let all = kept.withLock { $0[user] ?? [:] }
        return ["schedules": .array(all.sorted { $0.key < $1.key }.map(\.value))]
    }

    func addSchedule(
        user: UserID, expression: String, timezone: String?, message: String, session: SessionID?, id: String
    ) throws -> JSON {
        let schedule: JSON = [
            "id": .string(id), "expression": .string(expression), "message": .string(message),
            "session": JSON(session?.rawValue),
        ]
        kept.withLock { $0[user, default: [:]][id] = schedule }
        return schedule
    }

    func removeSchedule(user: UserID, id: String) throws -> Bool {
        kept.withLock { $0[user]?.removeValue(forKey: id) } != nil
    }
}
