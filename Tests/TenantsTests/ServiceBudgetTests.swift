// Budgets of all users together, and what plans change about one.
import DurableFiles
import Foundation
import TestSupport
import Testing
import TextFormats

@testable import Tenants

@Suite struct ServiceBudgetTests {
    private struct Bench {
        let folder: TemporaryDirectory
        let clock = ManualClock()
        let workspaces: WorkspaceManager
        let rules: BudgetDesk.Rules
        let desk: BudgetDesk

        init(_ service: UsageLimits, plans: [String: UsageLimits] = [:]) throws {
            folder = try TemporaryDirectory(inMemory: true)
            workspaces = WorkspaceManager(root: folder.path + "/w", now: clock.read)
            var rules = BudgetDesk.Rules()
            rules.everybody = UsageLimits(running: 2, waiting: 100, diskMB: 10)
            rules.service = service
            rules.plans = plans
            self.rules = rules
            desk = Bench.desk(workspaces, rules, folder.path, clock)
            for name in ["alice", "bob"] { try workspaces.create(try UserID(name)) }
        }

        static func desk(
            _ workspaces: WorkspaceManager, _ rules: BudgetDesk.Rules, _ folder: String, _ clock: ManualClock
        ) -> BudgetDesk {
            BudgetDesk(
                workspaces: workspaces, configs: UserConfigManager(workspaces: workspaces), rules: rules,
                service: ServiceUsage(folder: folder + "/usage", zone: "UTC", now: clock.read), now: clock.read)
        }

        var other: BudgetDesk { Bench.desk(workspaces, rules, folder.path, clock) }

        func spends(_ tokens: Int, cost: Double = 0, job: String, by name: String) throws {
            try desk.ended(job, user: try UserID(name), used: UsageTotal(tokens: tokens, cost: cost))
        }

        func submits(_ name: String, on desk: BudgetDesk? = nil, counts: Bool = false) throws -> BudgetRefusal? {
            try (desk ?? self.desk).refusal(of: try UserID(name), model: nil, counts: counts)
        }
    }

    @Test("what one user uses up is used up for all, in every process, until the day ends")
    func tokens() throws {
        let bench = try Bench(UsageLimits(tokensPerDay: 100))
        try bench.spends(60, job: "a", by: "alice")
        try bench.spends(90, job: "a", by: "alice")
        #expect(try bench.submits("bob") == nil)
        try bench.spends(10, job: "b", by: "bob")
        for desk in [bench.desk, bench.other] {
            let refusal = try #require(try bench.submits("bob", on: desk))
            #expect(refusal.code == .tokens)
            #expect(refusal.detail.contains("whole service"))
            #expect(refusal.resetsAt == desk.serviceDayEnd)
        }
        #expect(try bench.desk.serviceSummary()?["tokens_today"] == 100)
        bench.clock.advance(by: 86_400)
        #expect(try bench.submits("bob") == nil)
    }

    @Test("calls under way reserve what they may use, whoever's they are")
    func reservations() throws {
        let bench = try Bench(UsageLimits(tokensPerDay: 100))
        let (alice, bob) = (try UserID("alice"), try UserID("bob"))
        #expect(try bench.desk.reserve(UsageTotal(tokens: 60), job: "a", user: alice, model: "m") == nil)
        let refusal = try #require(try bench.desk.reserve(UsageTotal(tokens: 60), job: "b", user: bob, model: "m"))
        #expect(refusal.isMomentary)
        try bench.desk.spent(UsageTotal(tokens: 20), job: "a", user: alice)
        #expect(try bench.desk.reserve(UsageTotal(tokens: 60), job: "b", user: bob, model: "m") == nil)
        try bench.desk.spent(UsageTotal(tokens: 80), job: "b", user: bob)
        #expect(try bench.desk.reserve(UsageTotal(tokens: 1), job: "a", user: alice, model: "m")?.isMomentary == false)
    }

    @Test("the cost of a month begins anew with the next; a line torn by a crash is passed over")
    func cost() throws {
        let bench = try Bench(UsageLimits(costPerMonth: 2))
        try bench.spends(1, cost: 1.5, job: "a", by: "alice")
        let usage = try SealedDirectory(path: bench.folder.path + "/usage")
        let month = try #require(try usage.list("").map(\.name).first)
        #expect(month == RFC3339.string(bench.clock.now).prefix(7) + ".jsonl")
        try usage.append(month, Array(#"{"time":"20"#.utf8))
        #expect(try bench.submits("bob") == nil)
        try bench.spends(1, cost: 0.5, job: "b", by: "bob")
        #expect(try bench.submits("alice", on: bench.other)?.code == .cost)
        bench.clock.advance(by: 32 * 86_400)
        #expect(try bench.submits("alice") == nil)
    }

    @Test("requests of all users within a minute")
    func requests() throws {
        let bench = try Bench(UsageLimits(requestsPerMinute: 3))
        for name in ["alice", "bob", "alice"] { #expect(try bench.submits(name, counts: true) == nil) }
        #expect(try bench.submits("bob", counts: true)?.code == .requests)
        #expect(try bench.submits("bob", counts: false) == nil)
        bench.clock.advance(by: 60)
        #expect(try bench.submits("bob", counts: true) == nil)
    }

    @Test("a plan has its own places, queue and disk; nobody counts where nothing is bounded")
    func plans() throws {
        let pro = UsageLimits(running: 8, waiting: 1_000, diskMB: 500)
        let bench = try Bench(UsageLimits(), plans: ["pro": pro])
        try bench.desk.setPlan("pro", of: try UserID("alice"))
        #expect(bench.desk.limits(of: try UserID("alice")) == pro)
        #expect(bench.desk.limits(of: try UserID("bob")).running == 2)
        #expect(bench.desk.limits(of: try UserID("nobody")).running == 2)
        try bench.spends(10, job: "a", by: "alice")
        #expect(try bench.desk.serviceSummary() == nil)
        #expect(throws: FileError.self) { try SealedDirectory(path: bench.folder.path + "/usage") }
    }
}

extension BudgetDesk {
    fileprivate var serviceDayEnd: Date? {
        (try? serviceSummary())?["day_ends_at"]?.string.flatMap(RFC3339.date)
    }
}
