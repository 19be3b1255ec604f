// Budgets: what a user has used is added up from usage.jsonl once each, and what runs counts as it goes.
import DurableFiles
import Foundation
import TestSupport
import Testing
import TextFormats

@testable import Tenants

@Suite struct BudgetTests {
    private struct Bench {
        let folder: TemporaryDirectory
        let clock = ManualClock()
        let workspaces: WorkspaceManager
        let desk: BudgetDesk
        let user: UserID

        init(_ limits: UsageLimits, plans: [String: UsageLimits] = [:], zone: String = "UTC") throws {
            folder = try TemporaryDirectory(inMemory: true)
            workspaces = WorkspaceManager(root: folder.path + "/w", defaultTimeZone: zone, now: clock.read)
            var rules = BudgetDesk.Rules()
            rules.everybody = limits
            rules.plans = plans
            rules.priced.names = ["openai/x"]
            desk = BudgetDesk(
                workspaces: workspaces, configs: UserConfigManager(workspaces: workspaces), rules: rules, now: clock.read)
            user = try UserID("alice")
            try workspaces.create(user)
        }

        func wrote(_ tokens: Int, cost: Double = 0, job: String, at time: Date? = nil) throws {
            try workspaces.open(user).appendUsage([
                "id": .string("\(job):\(tokens)"), "time": .string(RFC3339.string(time ?? clock.now)),
                "job_id": .string(job), "total_tokens": JSON(tokens), "cost_usd": .double(cost),
            ])
        }

        func submits() throws -> BudgetRefusal.Code? { try desk.refusal(of: user, model: "openai/x", counts: true)?.code }
        func calls(_ estimate: Int, _ job: String) throws -> BudgetRefusal.Code? {
            try desk.reserve(UsageTotal(tokens: estimate), job: job, user: user, model: "openai/x")?.code
        }
        func spent(_ tokens: Int, _ job: String) throws {
            try desk.spent(UsageTotal(tokens: tokens), job: job, user: user)
        }
    }

    @Test("a job's later line replaces its earlier ones; another job's is added; yesterday's is forgotten")
    func sums() throws {
        let bench = try Bench(UsageLimits(tokensPerDay: 100))
        try bench.wrote(500, job: "old", at: bench.clock.now.addingTimeInterval(-86_400))
        try bench.wrote(40, job: "a")
        try bench.wrote(60, job: "a")
        #expect(try bench.submits() == nil)
        #expect(try bench.desk.summary(of: bench.user)["tokens_today"] == 60)
        try bench.wrote(39, job: "b")
        #expect(try bench.submits() == nil)
        try bench.wrote(1, job: "c")
        #expect(try bench.submits() == .tokens)
        // Another process, which reads the file for the first time, comes to the same.
        let other = BudgetDesk(
            workspaces: bench.workspaces, configs: UserConfigManager(workspaces: bench.workspaces),
            rules: BudgetDesk.Rules(), now: bench.clock.read)
        #expect(try other.summary(of: bench.user)["tokens_today"] == 100)
        bench.clock.advance(by: 86_400)
        #expect(try bench.submits() == nil)
    }

    @Test("a day ends at midnight where the user is", arguments: ["UTC", "Asia/Shanghai", "America/New_York"])
    func days(_ zone: String) throws {
        let bench = try Bench(UsageLimits(tokensPerDay: 10), zone: zone)
        try bench.wrote(10, job: "a")
        let refusal = try #require(try bench.desk.refusal(of: bench.user, model: nil, counts: false))
        let end = try #require(refusal.resetsAt)
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: zone))
        #expect(calendar.dateComponents([.hour, .minute], from: end) == DateComponents(hour: 0, minute: 0))
        bench.clock.advance(by: end.timeIntervalSince(bench.clock.now) - 1)
        #expect(try bench.submits() == .tokens)
        bench.clock.advance(by: 1)
        #expect(try bench.submits() == nil)
    }

    @Test("calls under way reserve what they may use: turns side by side do not overshoot by each other's")
    func reservations() throws {
        let bench = try Bench(UsageLimits(tokensPerDay: 100))
        // The first alone may use up what is left, however large it is.
        #expect(try bench.calls(90, "a") == nil)
        let refusal = try #require(try bench.desk.reserve(UsageTotal(tokens: 20), job: "b", user: bench.user, model: "m"))
        #expect(refusal.isMomentary)
        try bench.spent(30, "a")
        #expect(try bench.calls(20, "b") == nil)
        #expect(try bench.calls(60, "a") == .tokens)
        try bench.spent(20, "b")
        #expect(try bench.calls(60, "a") == nil)
        // Written down and still running: counted once.
        try bench.wrote(30, job: "a")
        #expect(try bench.calls(60, "a") == nil)
        try bench.spent(50, "a")
        try bench.desk.ended("b", user: bench.user, used: UsageTotal(tokens: 20))
        #expect(try bench.calls(1, "a") == nil)
        try bench.spent(100, "a")
        #expect(try bench.calls(1, "a") == .tokens)
    }

    @Test("money counts by the month")
    func months() throws {
        let bench = try Bench(UsageLimits(costPerMonth: 1))
        try bench.wrote(1, cost: 0.6, job: "a")
        #expect(try bench.submits() == nil)
        try bench.wrote(1, cost: 0.4, job: "b")
        let refusal = try #require(try bench.desk.refusal(of: bench.user, model: nil, counts: false))
        #expect(refusal.code == .cost)
        #expect(refusal.detail.contains(RFC3339.string(try #require(refusal.resetsAt))))
        bench.clock.advance(by: 32 * 86_400)
        #expect(try bench.submits() == nil)
    }

    @Test("requests a minute: the next one may come when the oldest is a minute old")
    func requests() throws {
        let bench = try Bench(UsageLimits(requestsPerMinute: 2))
        #expect(try bench.submits() == nil)
        bench.clock.advance(by: 10)
        #expect(try bench.submits() == nil)
        let refusal = try #require(try bench.desk.refusal(of: bench.user, model: nil, counts: true))
        #expect(refusal.code == .requests)
        #expect(try #require(refusal.resetsAt).timeIntervalSince(bench.clock.now) == 50)
        #expect(try bench.desk.refusal(of: bench.user, model: nil, counts: false) == nil)
        bench.clock.advance(by: 50)
        #expect(try bench.submits() == nil)
    }

    @Test("a plan's limits hold instead of everybody's; one that is gone, or an unknown one, does not")
    func plans() throws {
        let bench = try Bench(
            UsageLimits(), plans: ["free": UsageLimits(tokensPerDay: 10, models: ["openai/mini", "local/*"])])
        #expect(throws: TenantError.self) { try bench.desk.setPlan("gold", of: bench.user) }
        try bench.desk.setPlan("free", of: bench.user)
        for (model, code) in [
            ("openai/mini", nil), ("local/any", nil), ("openai/x", BudgetRefusal.Code.modelNotAllowed),
            ("localx/any", .modelNotAllowed), ("offline", .modelNotAllowed),
        ] {
            #expect(try bench.desk.refusal(of: bench.user, model: model, counts: true)?.code == code, "\(model)")
        }
        try bench.workspaces.open(bench.user).changeStanding { $0.plan = "gone" }
        #expect(try bench.submits() == nil)
    }

    @Test("a suspended user goes nowhere until resumed, and a damaged account.json lets nobody through")
    func suspension() throws {
        let bench = try Bench(UsageLimits())
        try bench.desk.suspend(bench.user, reason: "bill")
        #expect(try bench.submits() == .suspended)
        #expect(try bench.calls(1, "a") == .suspended)
        try bench.desk.resume(bench.user)
        #expect(try bench.submits() == nil)
        try LinuxFileSystem().replaceFile("\(bench.folder.path)/w/alice/account.json", Array("{".utf8))
        #expect(throws: TenantError.self) { try bench.submits() }
    }
}
