// A limit in money and models without a price; plans and fallback models.
import Foundation
import TestSupport
import Testing

@testable import Tenants

@Suite struct PricedModelTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var user = UsageLimits()
        var service = UsageLimits()
        var fallbacks: [String] = []
        var model: String
        var code: BudgetRefusal.Code?
        /// What the refusal has to name.
        var names = ""
    }

    private static let money = UsageLimits(costPerMonth: 1)

    static let rows: [Row] = [
        Row(testDescription: "no limit in money asks for no price", user: UsageLimits(tokensPerDay: 10), model: "acme/new"),
        Row(testDescription: "a priced model", user: money, model: "acme/priced"),
        Row(testDescription: "a price of 0 is one", user: money, model: "acme/free"),
        Row(testDescription: "offline is 0", user: money, model: "offline"),
        Row(testDescription: "a model of an account that asks none is 0", user: money, model: "built-in/any"),
        Row(testDescription: "no price", user: money, model: "acme/new", code: .modelUnpriced, names: "acme/new"),
        Row(
            testDescription: "no price, and all users together have a limit", service: money, model: "acme/new",
            code: .modelUnpriced, names: "whole service"),
        Row(
            testDescription: "a plan's pattern admits it, the price does not",
            user: UsageLimits(costPerMonth: 1, models: ["acme/*"]), model: "acme/new", code: .modelUnpriced,
            names: "acme/new"),
        Row(
            testDescription: "a plan without it says so first", user: UsageLimits(costPerMonth: 1, models: ["acme/priced"]),
            model: "acme/new", code: .modelNotAllowed),
        Row(
            testDescription: "a fallback model without a price", user: money, fallbacks: ["acme/free", "acme/new"],
            model: "acme/priced", code: .modelUnpriced, names: "acme/new"),
        Row(
            testDescription: "a fallback model that the plan does not have is not asked",
            user: UsageLimits(costPerMonth: 1, models: ["acme/priced"]), fallbacks: ["acme/new"], model: "acme/priced"),
        Row(testDescription: "offline falls back on nothing", user: money, fallbacks: ["acme/new"], model: "offline"),
    ]

    @Test("a model without a price is refused where money is limited", arguments: rows)
    func admission(row: Row) throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let clock = ManualClock()
        let workspaces = WorkspaceManager(root: folder.path + "/w", now: clock.read)
        var rules = BudgetDesk.Rules()
        (rules.everybody, rules.service, rules.fallbackModels) = (row.user, row.service, row.fallbacks)
        rules.priced = PricedModels(names: ["acme/priced", "acme/free"], freeAccounts: ["offline", "built-in"])
        let desk = BudgetDesk(
            workspaces: workspaces, configs: UserConfigManager(workspaces: workspaces), rules: rules,
            service: ServiceUsage(folder: folder.path + "/usage", zone: "UTC", now: clock.read), now: clock.read)
        let alice = try UserID("alice")
        try workspaces.create(alice)
        let refusal = try desk.refusal(of: alice, model: row.model, counts: true)
        #expect(refusal?.code == row.code)
        if !row.names.isEmpty { #expect(refusal?.detail.contains(row.names) == true) }
        #expect(refusal?.resetsAt == nil)
        if row.fallbacks.isEmpty {
            #expect(desk.usable([row.model], by: alice) == (row.code == nil ? [row.model] : []))
            #expect(try desk.reserve(UsageTotal(), job: "a", user: alice, model: row.model)?.code == row.code)
        }
    }
}
