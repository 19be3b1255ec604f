// Everything a process of nanobot is made of, built from one home and its settings. The command line uses the parts
// directly; a server runs them. Making it opens the spool and starts no thread.

import API
import Accounts
import Agent
import DurableFiles
import Foundation
import Identity
import Jobs
import Logging
import MCP
import MarketData
import Providers
import Reports
import Scheduler
import Spool
import Synchronization
import Tenants
import TextFormats
import Workers

public final class NanobotServices: Sendable {
    public let home: NanobotHome
    public let settings: Settings
    public let logger: Logger
    public let now: @Sendable () -> Date
    public let spool: JobSpool
    public let workspaces: WorkspaceManager
    public let configs: UserConfigManager
    public let client: JobClient
    public let scheduler: ReportScheduler
    public let accounts: Accounts
    public let budgets: BudgetDesk
    public let tokens: TokenDesk
    public let factory: ProviderFactory
    /// Where the keys of services that tools use are looked up.
    let environment: [String: String]
    let renderer: ReportRenderer
    /// nil where no MCP server is configured. Servers are asked when somebody wants their tools.
    let toolbox: MCPToolbox?
    let holds = HoldBoard()

    /// - Throws: `SpoolError` when the spool cannot be opened, `SettingsError` for settings that contradict each other.
    public init(
        home: NanobotHome, settings: Settings, accountSettings: [ProviderSettings], logger: Logger,
        environment: [String: String] = [:], isServer: Bool = false,
        now: @escaping @Sendable () -> Date = { Date() }
    ) throws {
        self.home = home
        self.environment = environment
        self.settings = settings
        self.logger = logger
        self.now = now
        try LinuxFileSystem().ensureDirectory(home.path)
        spool = try NanobotServices.openSpool(home.spool, isServer: isServer, logger: logger, now: now)
        workspaces = WorkspaceManager(root: home.workspaces, defaultTimeZone: settings.defaultTimezone, now: now)
        configs = UserConfigManager(workspaces: workspaces)
        let factory = ProviderFactory(
            settings: accountSettings, prices: settings.prices, defaultModel: settings.model,
            fallbackModels: settings.fallbackModels,
            observe: { [models = settings.modelLabels] in ServiceEvents.count($0, models: models) }, logger: logger,
            now: now)
        self.factory = factory
        let holds = holds
        let budgets = BudgetDesk(
            workspaces: workspaces, configs: configs, rules: settings.budgetRules,
            service: ServiceUsage(folder: home.usage, zone: settings.defaultTimezone, now: now),
            sharedFolder: home.openUsage, now: now)
        self.budgets = budgets
        client = Self.client(spool, workspaces, configs, settings, factory, budgets, holds, now)
        scheduler = ReportScheduler(
            client: client, workspaces: workspaces, configs: configs,
            changes: ChangeMarks(folder: "\(home.workspaces)/.changed"),
            options: ReportScheduler.Options(onMisfire: { ServiceEvents.count($0) }), now: now, logger: logger)
        tokens = TokenDesk(store: TokenStore(folder: home.tokens, now: now), configs: configs, now: now)
        accounts = Accounts(
            workspaces: workspaces, configs: configs, scheduler: scheduler, client: client, tokens: tokens)
        renderer = try ReportRenderer()
        toolbox = Self.toolbox(settings, environment: environment, logger: logger)
    }

    private static func client(
        _ spool: JobSpool, _ workspaces: WorkspaceManager, _ configs: UserConfigManager, _ settings: Settings,
        _ factory: ProviderFactory, _ budgets: BudgetDesk, _ holds: HoldBoard, _ now: @escaping @Sendable () -> Date
    ) -> JobClient {
        var options = JobClientOptions(
            userWaitingLimit: { budgets.limits(of: $0).waiting }, totalWaitingLimit: settings.waitingInAll,
            holdKey: { factory.holdKey(for: $0.model) },
            refusal: { (request, source) throws(JobError) in
                let model = request.model ?? settings.model
                let window = factory.window(of: model)
                if let refusal = WindowRefusal.refusal(of: request, model: model, in: window) { return refusal }
                return try budgets.refusal(of: request, model: model, source: source, now: now())
            }, holds: { holds.current() })
        options.messageBytes = settings.messageBounds.message
        return JobClient(spool: spool, workspaces: workspaces, configs: configs, options: options, now: now)
    }

    /// Where questions of clients that bring their conversation find their session.
    var clientConversations: ClientConversationShelf {
        ClientConversationShelf(
            workspaces: workspaces, jobs: client, diskBytes: { [budgets] in budgets.limits(of: $0).diskMB << 20 },
            sessionsKept: settings.messageBounds.clientSessions,
            sessionAge: Double(settings.retentionDays) * 86_400, logger: logger, now: now)
    }

    /// A server shares one log among its threads where the file system can be trusted with it; a command that does one
    /// thing and ends syncs its files.
    private static func openSpool(
        _ root: String, isServer: Bool, logger: Logger, now: @escaping @Sendable () -> Date
    ) throws -> JobSpool {
        try LinuxFileSystem().ensureDirectory(root, mode: 0o750)
        let files = LinuxFileSystem.suited(to: root)
        let durability: JobSpool.Durability = isServer && !files.isShared ? .sharedLog : .files
        let spool = try JobSpool(root: root, files: files, durability: durability, now: now)
        report(spool, logger)
        return spool
    }

    /// What opening the spool has found, and what is found in the way from now on.
    private static func report(_ spool: JobSpool, _ logger: Logger) {
        let say: @Sendable (SetAside) -> Void = { found in
            logger.error(
                "something that is none of ours stood in the spool and was set aside",
                metadata: ["place": "\(found.place)", "kind": "\(found.kind.rawValue)", "now_at": "\(found.path)"])
        }
        spool.setAsideAtStart.forEach(say)
        spool.onSetAside(say)
        let replayed = spool.replayed
        for error in replayed.closed {
            logger.error("the log of another process cannot be looked into", metadata: ["error": "\(error)"])
        }
        if replayed.logs > 0 {
            logger.notice(
                "the log of a process that had died was replayed",
                metadata: ["logs": "\(replayed.logs)", "jobs": "\(replayed.jobs)", "restored": "\(replayed.restored)"])
        }
        for id in replayed.skipped {
            logger.error(
                "a job could not be compared with the log: something else stands in its place",
                metadata: ["job.id": "\(id)"])
        }
        if let error = replayed.withoutLog {
            logger.warning("no shared log: every file is synced by itself", metadata: ["error": "\(error)"])
        }
        for path in replayed.corrupt {
            logger.error(
                "a damaged log was set aside: jobs of that moment may be missing", metadata: ["file": "\(path)"])
        }
    }

    /// After everything has stopped: what the shared log holds goes into the files themselves.
    public func closeSpool() {
        do throws(SpoolError) {
            try spool.close()
        } catch {
            // It stays, and the next start replays it.
            logger.warning("the spool's log was not ended", metadata: ["error": "\(error.detail)"])
        }
    }

    /// Reads the settings of a home and builds everything from them.
    public static func open(
        home: NanobotHome, environment: [String: String], logger: Logger, isServer: Bool = false,
        change: (inout Settings) -> Void = { _ in }
    ) throws -> NanobotServices {
        let reader = SettingsReader(environment: environment)
        var settings = try reader.read(home)
        change(&settings)
        // A command that looks, or changes a user, works with such settings; what would spend does not start.
        if isServer { try settings.checkPrices(place: home.configuration) }
        return try NanobotServices(
            home: home, settings: settings, accountSettings: reader.accounts(settings), logger: logger,
            environment: environment, isServer: isServer)
    }

    /// What runs jobs in this process.
    func makeRouter() -> JobRouter {
        for problem in factory.keyProblems() {
            logger.error("jobs of a provider will fail", metadata: ["error": "\(problem.detail)"])
        }
        // Asked while the process starts, so that the first turn need not wait.
        toolbox?.look()
        let loop = AgentLoop(
            tools: .standard(adding: moreTools(), toolbox: toolbox, logger: logger),
            services: AgentServices(
                configs: configs, schedules: SchedulerBook(accounts: accounts, scheduler: scheduler),
                diskBytes: { [budgets] in budgets.limits(of: $0).diskMB << 20 },
                sources: DataSources(settings.dataSources.map { $0.source(environment) }), now: now),
            logger: logger)
        let runner = TurnRunner(loop: loop, factory: factory, budgets: budgets, now: now)
        let memory = MemoryDesk(
            client: client, isOn: settings.memory.isOn, maxTokens: settings.memory.maxTokens, now: now)
        return JobRouter(
            chat: ChatJobHandler(
                runner: runner,
                commands: ChatCommandHandler(
                    budgets: budgets, defaultModel: settings.model, now: now),
                memory: memory),
            report: ReportJobHandler(runner: runner, renderer: renderer, now: now),
            heartbeat: HeartbeatJobHandler(runner: runner), memory: MemoryJobHandler(runner: runner, desk: memory),
            workspaces: workspaces, configs: configs, now: now,
            logger: logger)
    }

    /// The tools of MCP servers; what cannot be used is in the log.
    private static func toolbox(
        _ settings: Settings, environment: [String: String], logger: Logger
    ) -> MCPToolbox? {
        let servers = settings.mcpServers.compactMap { $0.settings(environment) }
        guard !servers.isEmpty else { return nil }
        let all = MCPServers(servers, startSeconds: max(MCPServers.startSeconds, settings.mcpWait)) { server, problem in
            logger.warning(
                "an MCP server or a tool of it cannot be used", metadata: ["server": "\(server)", "error": "\(problem)"])
        }
        return MCPToolbox(all, patience: settings.mcpWait)
    }

    /// A user's skills, with what is wrong with them.
    public var skills: WorkspaceSkills {
        WorkspaceSkills(workspaces: workspaces, toolbox: toolbox) { [self] in
            .standard(adding: moreTools(), logger: logger)
        }
    }

    /// What the settings add to the tools that need nothing but a workspace.
    func moreTools() -> [any Tool] {
        settings.web.tools(home: home.path, environment: environment)
            + ExecSettings.tools(settings.exec, logger: logger)
            + [SpawnTool(children: ChildJobShelf(client: client, workspaces: workspaces, now: now))]
    }

    /// nil: heartbeats are switched off.
    func makeHeartbeats() -> HeartbeatRounds? {
        guard settings.heartbeatMinutes > 0 else { return nil }
        return HeartbeatRounds(
            workspaces: workspaces, configs: configs, client: client, minutes: settings.heartbeatMinutes, now: now,
            logger: logger)
    }

    /// What deletions and creations a crash cut short is finished: called once by each server at its start.
    func finishWhatCrashesLeft() {
        do {
            for user in try accounts.finishDeletions() {
                logger.notice("a deletion cut short was finished", metadata: ["user.id": "\(user)"])
            }
        } catch {
            logger.error("deletions cut short could not be finished", metadata: ["error": "\(error)"])
        }
        do throws(SpoolError) {
            try spool.sweepTemporaries()
        } catch {
            logger.warning("old temporary files were not removed", metadata: ["error": "\(error)"])
        }
    }
}

extension BudgetDesk {
    /// - Returns: why the job is not taken in, in the words of the door to the queue.
    func refusal(of request: JobRequest, model: String, source: JobSource, now: Date) throws(JobError) -> JobError? {
        let refusal: BudgetRefusal?
        do throws(TenantError) {
            refusal = try self.refusal(of: request.userID, model: model, counts: source == .api)
        } catch {
            throw JobError(error)
        }
        guard let refusal, let kind = JobError.Kind(rawValue: refusal.code.rawValue) else { return nil }
        let seconds = refusal.resetsAt.map { Int(max(1, $0.timeIntervalSince(now).rounded(.up))) }
        let field = [.modelNotAllowed, .modelUnpriced].contains(refusal.code) ? "model" : nil
        return JobError(kind, refusal.detail, field: field, retryAfter: seconds)
    }
}

/// The provider accounts on hold, as the pool of this process knows them; filled in when there is one.
final class HoldBoard: Sendable {
    private let source = Mutex<(@Sendable () -> [String: Date])?>(nil)

    func connect(_ read: @escaping @Sendable () -> [String: Date]) { source.withLock { $0 = read } }
    func current() -> [String: Date] { source.withLock { $0 }?() ?? [:] }
}
