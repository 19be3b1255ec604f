// Runs the parts of a server until SIGTERM or SIGINT, and stops them in order: workers drain first, while polls are
// still answered; then the scheduler, the drop box, and the HTTP side last. Async shell around blocking parts.

import API
import Agent
import DurableFiles
import Foundation
import Identity
import Jobs
import Logging
import Metrics
import Scheduler
import ServiceLifecycle
import Spool
import Tenants
import TextFormats
import UnixSignals
import WireTypes
import Workers

/// Which parts of a server one process runs.
public struct ServerParts: OptionSet, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }

    public static let api = ServerParts(rawValue: 1)
    public static let workers = ServerParts(rawValue: 2)
    public static let scheduler = ServerParts(rawValue: 4)
    public static let dropBox = ServerParts(rawValue: 8)
    public static let all: ServerParts = [.api, .workers, .scheduler, .dropBox]
}

public struct NanobotServer: Sendable {
    public static let version = "0.1.0"
    /// Seconds running jobs have to reach their next step after SIGTERM.
    public static let drainTime: TimeInterval = 20
    /// Exit status when a worker does not come back: the supervisor starts the service anew and the jobs resume.
    public static let wedgedStatus: Int32 = 70

    private let services: NanobotServices
    private let parts: ServerParts
    private let environment: [String: String]
    private let onRunning: @Sendable (Int) -> Void

    /// - Parameter onRunning: told the bound port once requests are answered.
    public init(
        services: NanobotServices, parts: ServerParts, environment: [String: String],
        onRunning: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.services = services
        self.parts = parts
        self.environment = environment
        self.onRunning = onRunning
    }

    /// Of this process; 0 where it runs no jobs.
    private var workers: Int { parts.contains(.workers) ? services.settings.workers : 0 }

    /// What the open files leave to the HTTP side.
    private var budget: DescriptorBudget {
        DescriptorBudget(
            left: WorkerPool.descriptorsLeft(workers: workers), connections: services.settings.server.connections,
            blockingThreads: APIOptions(version: "").blockingThreads)
    }

    /// Threads this process will have for calls that block.
    public var blockingThreads: Int { parts.contains(.api) ? budget.blockingThreads * 2 : 0 }

    /// Returns after a graceful stop.
    /// - Throws: when a part cannot start (address taken, refused binding, too many workers for the descriptors).
    public func run() async throws {
        // Also after a refusal: a log left behind would look like that of a process that had died.
        defer { services.closeSpool() }
        defer { services.toolbox?.close() }
        let logger = services.logger
        let settings = services.settings
        for exposed in services.exposedFiles() {
            logger.warning(
                "other users of this machine can read or change a secret",
                metadata: ["file": "\(exposed.path)", "detail": "\(exposed.words)"])
        }
        let hasTokens = try services.tokens.isClosed()
        let isClosed = settings.adminToken != nil || settings.jwt != nil || hasTokens
        if parts.contains(.api), let refusal = BindingPolicy.check(host: settings.host, isClosed: isClosed) {
            throw SettingsError(place: "server.host", detail: refusal)
        }
        // Before anybody is told that the service is there.
        let besides = parts.contains(.api) ? DescriptorBudget.fewest : 0
        if let problem = WorkerPool.descriptorProblem(workers: workers, besides: besides) { throw problem }
        let metrics = MetricsStore()
        MetricsSystem.bootstrap(metrics)
        let state = ServiceState(
            spool: services.spool, client: services.client, metrics: metrics, home: services.home, now: services.now)
        defer { state.end() }
        var group: [any Service] = []
        let audit = makeAudit()
        defer { audit?.flush() }
        let announcement = ServiceAnnouncement(home: services.home, files: services.spool.files, logger: logger)
        defer { announcement.withdraw() }
        if parts.contains(.api) {
            do {
                group.append(try makeAPI(state, announcement, hasTokens: hasTokens, audit: audit).makeApplication())
            } catch let problem as ProblemDetails where problem.code == "tls" {
                throw SettingsError(place: "server.tls", detail: problem.detail)
            }
        }
        let housekeeper = Housekeeper(services)
        group.append(BlockingService(name: "housekeeper", start: { housekeeper.start() }, stop: { housekeeper.stop() }))
        if parts.contains(.dropBox) { group.append(makeDropBox()) }
        if parts.contains(.scheduler) {
            group.append(makeScheduler(state))
            if let rounds = services.makeHeartbeats() {
                group.append(BlockingService(name: "heartbeats", start: { rounds.start() }, stop: { rounds.stop() }))
            }
        }
        if parts.contains(.workers) { group.append(try makeWorkers(state)) }
        if !parts.contains(.api) {
            SupervisorNotice.send(SupervisorNotice.ready, to: environment["NOTIFY_SOCKET"])
            onRunning(0)
        }
        var configuration = ServiceGroupConfiguration(
            services: group.map { .init(service: $0) }, gracefulShutdownSignals: Self.endingSignals, logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(Int64(NanobotServer.drainTime) + 10)
        try await ServiceGroup(configuration: configuration).run()
    }

    /// Where a start ignores SIGHUP (nohup) the service outlives its terminal.
    private static var endingSignals: [UnixSignal] {
        var standing = sigaction()
        let isIgnored =
            sigaction(SIGHUP, nil, &standing) == 0
            && unsafeBitCast(standing.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
        return [.sigterm, .sigint] + (isIgnored ? [] : [.sighup])
    }

    private func makeAPI(
        _ state: ServiceState, _ announcement: ServiceAnnouncement, hasTokens: Bool, audit: AuditLog?
    ) throws -> APIServer {
        let socket = environment["NOTIFY_SOCKET"]
        let running = onRunning
        var options = APIOptions(
            host: services.settings.host, port: services.settings.port, adminToken: services.settings.adminToken,
            version: NanobotServer.version, documentationAsset: services.settings.documentationAssets.flatMap(DocumentationFolder.reader),
            onRunning: { [settings = services.settings] port in
                announcement.announce(ServiceAddress.own(settings, port: port))
                SupervisorNotice.send(SupervisorNotice.ready, to: socket)
                running(port)
            }, now: services.now)
        options.jwt = try services.settings.jwt?.verifier(home: services.home, environment: environment)
        options.hasTokens = hasTokens
        options.take(services.settings.server)
        options.take(services.settings.messageBounds)
        options.take(budget)
        if options.maxConnections < services.settings.server.connections {
            services.logger.notice(
                "open files bound the connections",
                metadata: ["connections": "\(options.maxConnections)", "configured": "\(services.settings.server.connections)"])
        }
        if let audit { options.audit = { audit.add($0) } }
        return try APIServer(
            options: options,
            services: APIServices(
                accounts: services.accounts, configs: services.configs, workspaces: services.workspaces,
                budgets: services.budgets, tokens: services.tokens, jobs: services.client, watcher: StatusWatcher(spool: services.spool),
                scheduler: services.scheduler,
                conversations: ConversationShelf(workspaces: services.workspaces, now: services.now),
                clientConversations: services.clientConversations,
                skills: services.skills,
                reports: ReportShelf(workspaces: services.workspaces, renderer: services.renderer), status: state,
                models: services.modelDirectory),
            logger: services.logger)
    }

    private func makeAudit() -> AuditLog? {
        guard parts.contains(.api), services.settings.server.isAudited else { return nil }
        return AuditLog(
            folder: services.home.audit, retentionDays: services.settings.retentionDays, now: services.now,
            logger: services.logger)
    }

    private func makeDropBox() -> BlockingService {
        let logger = services.logger
        let box = DropBox(
            client: services.client, spool: services.spool,
            options: DropBoxOptions(
                now: services.now,
                notify: {
                    ServiceEvents.count($0)
                    logger.note($0)
                }))
        return BlockingService(name: "drop box", start: { box.start() }, stop: { box.stop() })
    }

    private func makeScheduler(_ state: ServiceState) -> BlockingService {
        let scheduler = services.scheduler
        return BlockingService(
            name: "scheduler",
            start: {
                try scheduler.start()
                state.setSchedulerRunning(true)
            },
            stop: {
                state.setSchedulerRunning(false)
                scheduler.stop()
            })
    }

    private func makeWorkers(_ state: ServiceState) throws -> BlockingService {
        let logger = services.logger
        var options = WorkerOptions()
        options.count = services.settings.workers
        let budgets = services.budgets
        options.userLimit = { name in (try? UserID(name)).map { budgets.limits(of: $0).running } ?? 0 }
        options.admission = DamagedUsers(
            workspaces: services.workspaces, configs: services.configs, now: services.now, logger: logger)
        options.onWedged = { job in
            logger.critical("a worker does not return: the process ends", metadata: ["job.id": "\(job)"])
            exit(NanobotServer.wedgedStatus)
        }
        let pool = WorkerPool(
            spool: services.spool, handler: services.makeRouter(), options: options, logger: logger, now: services.now)
        state.attach(pool)
        services.holds.connect { pool.holds }
        let socket = environment["NOTIFY_SOCKET"]
        return BlockingService(
            name: "workers", start: { try pool.start() },
            stop: {
                state.beginDraining()
                SupervisorNotice.send(SupervisorNotice.stopping, to: socket)
                let left = pool.drain(deadline: Date().addingTimeInterval(NanobotServer.drainTime))
                if left > 0 { logger.warning("jobs still running at the end", metadata: ["count": "\(left)"]) }
            })
    }
}

extension APIOptions {
    fileprivate mutating func take(_ server: ServerSettings) {
        tls = server.tls
        trustedProxies = server.trustedProxies
        corsOrigins = server.corsOrigins
        requestsPerMinute = server.requestsPerMinute
        maxConnections = server.connections
        connectionsPerAddress = server.connectionsPerAddress
        maxStreams = server.streams
        bodyTimeout = Int64(server.bodyTimeout)
        userTokensMayMint = server.userTokensMayMint
        writeTimeout = Int64(server.writeTimeout)
        transferBytes = server.transferMB << 20
        transferBytesOfUser = server.transferMBOfUser << 20
    }
}

extension APIOptions {
    fileprivate mutating func take(_ bounds: MessageBounds) {
        maxClientBodyBytes = bounds.request
        maxHistoryBytes = bounds.history
        maxInstructionBytes = bounds.instructions
    }

    fileprivate mutating func take(_ budget: DescriptorBudget) {
        maxConnections = budget.connections
        blockingThreads = budget.blockingThreads
        // A stream is a connection that lasts: some are left for calls that end.
        maxStreams = min(maxStreams, budget.connections / 2)
    }
}

/// A part with threads of its own as a `Service`: started at once, stopped when the group shuts down.
struct BlockingService: Service {
    let name: String
    let start: @Sendable () throws -> Void
    let stop: @Sendable () -> Void

    func run() async throws {
        try await BlockingService.onThread { try start() }
        // Thrown when the group is torn down without grace: stopping is the same.
        try? await gracefulShutdown()
        try await BlockingService.onThread { stop() }
    }

    /// Blocking work must not hold a thread of the concurrency pool.
    private static func onThread(_ body: @escaping @Sendable () throws -> Void) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
        }
    }
}

extension Logger {
    /// What became of a dropped file: static text, facts as metadata.
    fileprivate func note(_ notice: DropNotice) {
        switch notice {
        case .accepted(let name, let id, let isNew):
            info(
                isNew ? "dropped file taken in" : "dropped file is a job that is known",
                metadata: ["file": "\(name)", "job.id": "\(id)"])
        case .rejected(let name, let code, let detail):
            self.notice("dropped file rejected", metadata: ["file": "\(name)", "code": "\(code)", "detail": "\(detail)"])
        case .left(let name, let reason):
            self.notice("dropped file left where it lies", metadata: ["file": "\(name)", "reason": "\(reason)"])
        case .delayed(let name, let reason):
            warning("dropped file has to wait", metadata: ["file": "\(name)", "reason": "\(reason)"])
        case .failing(let reason):
            error("the drop box cannot be looked into", metadata: ["reason": "\(reason)"])
        }
    }
}
