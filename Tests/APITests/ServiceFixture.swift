// The whole API over a real spool and real workspaces in a temporary home, with a tiny worker that a test directs.

import API
import Accounts
import DurableFiles
import Foundation
import Hummingbird
import Identity
import Jobs
import Logging
import Scheduler
import ServiceLifecycle
import Spool
import Synchronization
import Tenants
import TestSupport
import Testing
import TextFormats
import WireTypes

/// What the worker makes of a claimed job.
enum WorkerAct: Sendable {
    case complete(JSON)
    case fail(code: String)
}

final class ServiceFixture: Sendable {
    typealias Work = @Sendable (ClaimedJob, RunRecord) throws -> WorkerAct

    let home: TemporaryDirectory
    let spool: JobSpool
    let workspaces: WorkspaceManager
    let configs: UserConfigManager
    let jobs: JobClient
    let budgets: BudgetDesk
    let watcher: StatusWatcher
    let scheduler: ReportScheduler
    let accounts: Accounts
    let tokens: TokenDesk
    let shelf = StubShelf()

    init() throws {
        home = try TemporaryDirectory()
        spool = try JobSpool(root: home.path + "/spool")
        workspaces = WorkspaceManager(root: home.path + "/workspaces", defaultTimeZone: "UTC")
        configs = UserConfigManager(workspaces: workspaces)
        // As the service refuses what has no room in a window.
        let options = JobClientOptions(refusal: { request, _ in
            request.message?.hasPrefix("TOO LONG") == true
                ? JobError(.contextLengthExceeded, "shorten it", field: "message") : nil
        })
        jobs = JobClient(spool: spool, workspaces: workspaces, configs: configs, options: options)
        var rules = BudgetDesk.Rules()
        rules.plans["free"] = UsageLimits(tokensPerDay: 100, models: ["openai/*"])
        budgets = BudgetDesk(workspaces: workspaces, configs: configs, rules: rules, now: { Date() })
        watcher = StatusWatcher(spool: spool)
        scheduler = ReportScheduler(
            client: jobs, workspaces: workspaces, configs: configs,
            changes: ChangeMarks(folder: home.path + "/workspaces/.changed"))
        tokens = TokenDesk(store: TokenStore(folder: home.path + "/tokens"), configs: configs)
        accounts = Accounts(
            workspaces: workspaces, configs: configs, scheduler: scheduler, client: jobs, tokens: tokens)
    }

    /// Its inotify instance is one of 128 there are for all tests of the machine's user.
    deinit { watcher.stop() }

    var services: APIServices {
        APIServices(
            accounts: accounts, configs: configs, workspaces: workspaces, budgets: budgets, tokens: tokens,
            jobs: jobs, watcher: watcher, scheduler: scheduler, conversations: shelf, clientConversations: StubConversations(jobs: jobs), skills: shelf, reports: shelf, status: shelf,
            models: ModelDirectory(names: ["offline", "openai/m"], since: Date()) { name in
                name.hasPrefix("openai/") || name == "offline" ? nil : "there is no model \"\(name)\""
            })
    }

    /// Claims the job and does with it what the test says, on the calling thread.
    func work(_ id: JobID, _ work: Work) throws {
        for name in try spool.names(in: .queued) where name.id == id {
            switch try spool.claim(name) {
            case .claimed(let claim):
                switch try work(claim.job, claim.record) {
                case .complete(let result): try claim.complete(result: result, usage: ["total_tokens": 7])
                case .fail(let code):
                    try claim.bury(JobFailure(code: code, detail: "it would not work", isRetryable: false))
                }
            case .busy: continue
            case .blocked: continue
            case .isolated: continue
            case .gone: continue
            case .finished: continue
            }
        }
    }

    /// From now on a thread takes every job as soon as it is queued.
    func startWorker(_ work: @escaping Work) {
        spool.addListener { [self] event in
            // The spool tells of other events too; they ask for no work.
            guard case .queued(let name) = event else { return }
            DispatchQueue.global().async {
                do { try self.work(name.id, work) } catch { Issue.record(error) }
            }
        }
    }

    /// Serves on a free port of loopback while `body` runs.
    func serve(
        _ change: (inout APIOptions) -> Void = { _ in }, _ body: @escaping @Sendable (ProbeClient) async throws -> Void
    ) async throws {
        try await serveInGroup(change) { http, _ in try await body(http) }
    }

    /// The same, with the group that can be told to shut down.
    func serveInGroup(
        _ change: (inout APIOptions) -> Void = { _ in },
        _ body: @escaping @Sendable (ProbeClient, ServiceGroup) async throws -> Void
    ) async throws {
        let (ports, found) = AsyncStream.makeStream(of: Int.self)
        var options = APIOptions(port: 0, version: "9.9.9", onRunning: { found.yield($0) })
        // Hundreds of tests serve at the same time, and the machine has a bound on threads.
        options.blockingThreads = 8
        change(&options)
        var logger = Logger(label: "api-tests")
        logger.logLevel = .critical
        let application = try APIServer(options: options, services: services, logger: logger).makeApplication()
        let services = ServiceGroup(configuration: .init(services: [application], logger: logger))
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await services.run()
                return false
            }
            group.addTask {
                var iterator = ports.makeAsyncIterator()
                try await body(ProbeClient(port: try #require(await iterator.next())), services)
                return true
            }
            defer { group.cancelAll() }
            // The server ends only when it is told to, or when it cannot start.
            while let isBody = try await group.next(), !isBody {}
        }
    }

    /// A user there is, without going through HTTP.
    @discardableResult
    func makeUser(_ id: String) throws -> UserID {
        let user = try UserID(id)
        try accounts.create(user)
        return user
    }
}

/// Stands for Runtime's part: conversations, reports and the service's state, in memory.
final class StubShelf: ConversationDirectory, SkillDirectory, ReportLibrary, ServiceStatus {
    private struct State {
        var reports: [String: String] = [:]
        /// How often a report was put, as its files' size: they look different then.
        var versions: [String: Int] = [:]
        var readings = 0
        var titles: [String: String] = ["default": "First talk", "a:b": "Odd key"]
        var isReady = true
        var messages = ["line 1", "line 2"]
        /// Whose reports there are; nil: whoever asks.
        var owner: UserID?
    }

    var owner: UserID? {
        get { state.withLock { $0.owner } }
        set { state.withLock { $0.owner = newValue } }
    }

    private let state = Mutex(State())

    func put(report: String, text: String) {
        state.withLock { state in
            state.reports[report] = text
            state.versions[report, default: 0] += 1
        }
    }

    func remove(report: String) {
        state.withLock { state in
            state.reports[report] = nil
            state.versions[report] = nil
        }
    }

    func remove(_ reportID: String, user: UserID) throws -> Bool {
        state.withLock { state in
            guard state.owner.map({ $0 == user }) ?? true else { return false }
            state.versions[reportID] = nil
            return state.reports.removeValue(forKey: reportID) != nil
        }
    }

    func size(of reportID: String, user: UserID) throws -> Int? {
        state.withLock { state in state.owner.map { $0 == user } ?? true ? state.reports[reportID]?.utf8.count : nil }
    }

    /// How often a report's text was read.
    var readings: Int { state.withLock { $0.readings } }

    func stamp(of reportID: String, user: UserID, format: ReportFormat) -> ReportStamp? {
        state.withLock { $0.versions[reportID] }.map { version in
            let status = FileStatus(
                kind: .regular, size: version, modified: Date(timeIntervalSince1970: 0), inode: 1, device: 1, links: 1,
                owner: 0, mode: 0)
            return ReportStamp(text: status, sidecar: status)
        }
    }

    /// Of every conversation.
    func put(messages: [String]) { state.withLock { $0.messages = messages } }

    func skills(of user: UserID) throws -> [SkillAnswer] {
        [
            SkillAnswer(
                name: "launch", description: nil, isAlways: false, obstacle: "name must be the folder's name, launch",
                problems: ["name must be the folder's name, launch"], path: "skills/launch/SKILL.md", source: .workspace),
            SkillAnswer(
                name: "reminders", description: "Of \(user).", isAlways: true, obstacle: nil, problems: [],
                path: "skills/reminders/SKILL.md", source: .builtIn),
        ]
    }

    func setReady(_ isReady: Bool) { state.withLock { $0.isReady = isReady } }

    func text(of reportID: String, user: UserID, format: ReportFormat?) throws -> ReportText? {
        let found = state.withLock { state in
            state.readings += 1
            return state.reports[reportID]
        }
        guard let text = found else { return nil }
        return ReportText(format: format ?? .markdown, text: format == .html ? "<h1>\(text)</h1>" : text)
    }

    /// Renders for as long as its reader waits, if the report says so.
    func text(
        of reportID: String, user: UserID, format: ReportFormat?, stoppingIf isGone: @escaping @Sendable () -> Bool
    ) throws -> ReportText? {
        guard let found = try text(of: reportID, user: user, format: format) else { return nil }
        guard found.text.contains("ENDLESS") else { return found }
        renderings.continuation.yield(true)
        // As a renderer does: it asks again and again.
        let pause = DispatchSemaphore(value: 0)
        while !isGone() { _ = pause.wait(timeout: .now() + .milliseconds(5)) }
        renderings.continuation.yield(false)
        throw ProblemDetails.clientGone
    }

    /// True when the rendering of an endless report has begun, false when it has ended.
    let renderings = AsyncStream.makeStream(of: Bool.self)

    func reports(of user: UserID, limit: Int, after: String?) throws -> [ReportSummary] {
        let ids = state.withLock { $0.reports.keys.sorted(by: >) }.filter { after == nil || $0 < after! }
        return ids.prefix(limit).map {
            ReportSummary(
                id: $0, type: "daily", format: .markdown, title: nil, createdAt: Date(timeIntervalSince1970: 0),
                size: 1)
        }
    }

    private func summary(_ id: String, _ title: String) throws -> ConversationSummary {
        let time = Date(timeIntervalSince1970: 0)
        return ConversationSummary(
            session: try SessionID(id), title: title, createdAt: time, updatedAt: time, messageCount: 2)
    }

    func conversations(of user: UserID, limit: Int, after: String?) throws -> [ConversationSummary] {
        let titles = state.withLock { $0.titles }.sorted { $0.key < $1.key }
        return try titles.filter { after == nil || $0.key > after! }.prefix(limit).map(summary)
    }

    func conversation(_ session: SessionID, of user: UserID) throws -> ConversationSummary? {
        let title = state.withLock { $0.titles[session.rawValue] }
        return try title.map { try summary(session.rawValue, $0) }
    }

    func messages(
        of session: SessionID, user: UserID, order: MessageOrder, limit: Int, after: String?
    ) throws -> ConversationPage? {
        guard state.withLock({ $0.titles[session.rawValue] }) != nil else { return nil }
        var all = state.withLock { $0.messages }.enumerated().map {
            ConversationMessage(id: "\($0 + 1)", role: "user", content: $1, createdAt: nil, jobID: nil)
        }
        if order == .desc { all.reverse() }
        let start = after.flatMap { after in all.firstIndex { $0.id == after } }.map { $0 + 1 } ?? 0
        let page = Array(all[start...].prefix(limit))
        return ConversationPage(ids: page.map(\.id), sizes: page.map(\.content.utf8.count)) { Array(page[$0]) }
    }

    func setTitle(_ title: String, session: SessionID, user: UserID) throws -> ConversationSummary? {
        let isThere = state.withLock { state in
            guard state.titles[session.rawValue] != nil else { return false }
            state.titles[session.rawValue] = title
            return true
        }
        return isThere ? try summary(session.rawValue, title) : nil
    }

    func delete(_ session: SessionID, user: UserID) throws -> Bool {
        state.withLock { $0.titles.removeValue(forKey: session.rawValue) } != nil
    }

    func readiness() -> Readiness {
        Readiness(checks: [ReadinessCheck(name: "spool_writable", isOK: state.withLock { $0.isReady })])
    }

    func isSchedulerRunning() -> Bool { true }
    func metricsText() -> String { "nanobot_jobs_queued 0\n" }
}

/// Puts each question into the session it names, or into one of its own; keeps no history.
struct StubConversations: ClientConversations {
    let jobs: JobClient

    func submit(
        _ conversation: ClientConversation, route: String, job: @escaping (ConversationPlace) throws -> JobRequest
    ) throws -> (job: JobRequest, submitted: SubmittedJob) {
        let own = try SessionID("v1-\(UUID().uuidString.lowercased())")
        let session = conversation.session ?? conversation.previous?.session ?? own
        let job = try job(ConversationPlace(session: session, history: ClientHistoryReference(digest: "\(conversation.history.count)")))
        return (job, try jobs.submit(job, source: .api, route: route))
    }

    func input(of job: JobRequest) throws -> [JSON]? {
        guard let message = job.message, message != "FORGOTTEN" else { return nil }
        return [["role": "user", "content": "before"], ["role": "assistant", "content": "answered"], ["role": "user", "content": .string(message)]]
    }
}
