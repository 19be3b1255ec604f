// Says whether a user may go on: the account's standing, requests a minute, tokens a day, and cost a
// month. Asked when a job comes in, when it is begun and before each of its model calls. What running jobs
// have used but not yet written down, and what their calls under way will use at most, is in `UsageReservations`;
// usage.jsonl has the rest. Any thread; blocks for the disk. Failure: TenantError, as of the workspace.
import Foundation
import Synchronization
import TextFormats

/// Why a job may not be taken in, begun or go on.
public struct BudgetRefusal: Error, Sendable, Hashable {
    public enum Code: String, Sendable, CaseIterable {
        case suspended = "user_suspended"
        case modelNotAllowed = "model_not_allowed"
        /// A limit in money holds, and the model has no price.
        case modelUnpriced = "model_unpriced"
        case requests = "rate_limited"
        case tokens = "budget_tokens"
        case cost = "budget_cost"
    }

    public var code: Code
    /// What is used up and when it begins anew.
    public var detail: String
    /// When trying again can succeed; nil: not by waiting.
    public var resetsAt: Date?
    /// Nothing is used up: calls under way may use all that is left, and it will be known in a moment.
    public var isMomentary = false
}

public final class BudgetDesk: Sendable {
    public struct Rules: Sendable {
        public var everybody = UsageLimits()
        public var plans: [String: UsageLimits] = [:]
        /// Of all users together: requests, tokens, cost.
        public var service = UsageLimits()
        public var priced = PricedModels()
        /// Asked when a job's own model cannot answer.
        public var fallbackModels: [String] = []

        public init() {}
    }

    private struct State {
        /// Times of the last requests of each user, as seconds since 1970.
        var requests: [UserID: [Double]] = [:]
        /// The same of all users.
        var allRequests: [Double] = []
    }

    let workspaces: WorkspaceManager
    let configs: UserConfigManager
    let rules: Rules
    let ledger = UsageLedger()
    /// nil: nobody bounds the whole.
    let service: ServiceUsage?
    let reservations: UsageReservations
    let now: @Sendable () -> Date
    private let state = Mutex(State())
    /// Seconds the requests of which are counted.
    private static let minute = 60.0
    private static let rememberedUsers = 10_000

    /// - Parameters:
    ///   - service: needed where the rules bound the tokens or the cost of the whole service.
    ///   - sharedFolder: where processes tell each other what their calls under way can use; nil: this one is alone.
    public init(
        workspaces: WorkspaceManager, configs: UserConfigManager, rules: Rules, service: ServiceUsage? = nil,
        sharedFolder: String? = nil, now: @escaping @Sendable () -> Date
    ) {
        reservations = UsageReservations(folder: sharedFolder)
        self.service = rules.service.tokensPerDay > 0 || rules.service.costPerMonth > 0 ? service : nil
        self.workspaces = workspaces
        self.configs = configs
        self.rules = rules
        self.now = now
    }

    public var planNames: [String] { rules.plans.keys.sorted() }

    // MARK: - The operator's decisions

    /// - Parameter plan: nil: the limits of everybody.
    /// - Throws: `.invalidField` for a plan the settings do not have; `.userNotFound`, `.storage`.
    @discardableResult
    public func setPlan(_ plan: String?, of user: UserID) throws(TenantError) -> AccountStanding {
        if let plan, rules.plans[plan] == nil {
            let known = planNames.isEmpty ? "there are none" : planNames.joined(separator: ", ")
            throw TenantError(
                .invalidField, "There is no plan \"\(plan.prefix(AccountStanding.maximumPlan))\"; the settings have: \(known).",
                field: "plan")
        }
        return try workspaces.open(user).changeStanding { $0.plan = plan }
    }

    /// From now on the user's jobs are not taken in, and waiting ones end as `user_suspended` when their turn comes.
    @discardableResult
    public func suspend(_ user: UserID, reason: String) throws(TenantError) -> AccountStanding {
        guard (1...AccountStanding.maximumReason).contains(reason.count) else {
            throw TenantError(
                .invalidField, "A reason has 1 to \(AccountStanding.maximumReason) characters.", field: "reason")
        }
        return try workspaces.open(user).changeStanding { $0.suspension = reason }
    }

    @discardableResult
    public func resume(_ user: UserID) throws(TenantError) -> AccountStanding {
        try workspaces.open(user).changeStanding { $0.suspension = nil }
    }

    /// The limits that hold for the user. A plan that is not in the settings any more: those of everybody.
    public func limits(of standing: AccountStanding) -> UsageLimits {
        standing.plan.flatMap { rules.plans[$0] } ?? rules.everybody
    }

    /// The same by the user's name; those of everybody for one whose standing cannot be read. A look costs nothing where
    /// the settings have no plans.
    public func limits(of user: UserID) -> UsageLimits {
        guard !rules.plans.isEmpty, let standing = try? workspaces.open(user).standing() else { return rules.everybody }
        return limits(of: standing)
    }

    // MARK: - Asking

    /// When a job comes in. - Parameter counts: it is a request of a client, not one of the service itself.
    /// - Returns: nil: it may.
    public func refusal(of user: UserID, model: String?, counts: Bool) throws(TenantError) -> BudgetRefusal? {
        let workspace = try workspaces.open(user)
        let standing = try workspace.standing()
        if let reason = standing.suspension { return BudgetRefusal.suspended(reason) }
        let limits = limits(of: standing)
        if let model, let refusal = refusal(toUse: model, limits) ?? refusal(toFallBackFrom: model, limits) { return refusal }
        if counts, let refusal = tooMany(user, limits) { return refusal }
        if let refusal = try used(workspace, limits, user) { return refusal }
        return try usedByAll()
    }

    /// Whether a model may be used under these limits. nil: it may.
    func refusal(toUse model: String, _ limits: UsageLimits) -> BudgetRefusal? {
        guard limits.allows(model: model) else { return BudgetRefusal.notAllowed(model, limits) }
        let isBounded = limits.costPerMonth > 0 || rules.service.costPerMonth > 0
        guard isBounded, !rules.priced.contains(model) else { return nil }
        return BudgetRefusal.unpriced(model, isOfService: limits.costPerMonth <= 0)
    }

    /// The fallback models that the plan has may answer as well.
    private func refusal(toFallBackFrom model: String, _ limits: UsageLimits) -> BudgetRefusal? {
        guard !rules.priced.isFree(model) else { return nil }
        return rules.fallbackModels.lazy.filter { limits.allows(model: $0) }.compactMap { self.refusal(toUse: $0, limits) }
            .first
    }

    /// - Returns: those models that the user's plan has, and that a limit in money, if one holds, can count.
    public func usable(_ models: [String], by user: UserID) -> [String] {
        let limits = limits(of: user)
        return models.filter { refusal(toUse: $0, limits) == nil }
    }

    // MARK: - What is left

    /// For whoever asks: limits, use and when the periods end.
    public func summary(of user: UserID) throws(TenantError) -> JSON {
        let workspace = try workspaces.open(user)
        let standing = try workspace.standing()
        let limits = limits(of: standing)
        let periods = try Periods(now: now(), zone: configs.get(user).timeZone)
        let today = try ledger.total(of: workspace, since: periods.dayStart)
        let month = try ledger.total(of: workspace, since: periods.monthStart)
        func limit(_ value: JSON, _ isSet: Bool) -> JSON { isSet ? value : .null }
        return [
            "plan": standing.plan.map { .string($0) } ?? .null, "suspended": .bool(standing.suspension != nil),
            "reason": standing.suspension.map { .string($0) } ?? .null,
            "tokens_today": JSON(today.tokens), "tokens_per_day": limit(JSON(limits.tokensPerDay), limits.tokensPerDay > 0),
            "day_ends_at": .string(RFC3339.string(periods.dayEnd)), "cost_this_month": .double(month.cost),
            "cost_per_month": limit(.double(limits.costPerMonth), limits.costPerMonth > 0),
            "month_ends_at": .string(RFC3339.string(periods.monthEnd)),
            "requests_per_minute": limit(JSON(limits.requestsPerMinute), limits.requestsPerMinute > 0),
            "models": JSON(limits.models), "running": limit(JSON(limits.running), limits.running > 0),
            "waiting": limit(JSON(limits.waiting), limits.waiting > 0),
            "disk_mb": limit(JSON(limits.diskMB), limits.diskMB > 0),
        ]
    }

    /// What all users together have used and may use; nil where the settings do not bound it, so that nobody counts.
    public func serviceSummary() throws(TenantError) -> JSON? {
        guard let service else { return nil }
        let totals = try service.totals(of: [])
        let periods = service.periods
        let limits = rules.service
        return [
            "tokens_today": JSON(totals.day.tokens),
            "tokens_per_day": limits.tokensPerDay > 0 ? JSON(limits.tokensPerDay) : .null,
            "day_ends_at": .string(RFC3339.string(periods.dayEnd)), "cost_this_month": .double(totals.month.cost),
            "cost_per_month": limits.costPerMonth > 0 ? .double(limits.costPerMonth) : .null,
            "month_ends_at": .string(RFC3339.string(periods.monthEnd)),
        ]
    }

    // MARK: - Requests a minute

    private func tooMany(_ user: UserID, _ limits: UsageLimits) -> BudgetRefusal? {
        guard limits.requestsPerMinute > 0 || rules.service.requestsPerMinute > 0 else { return nil }
        let time = now().timeIntervalSince1970
        let refused = state.withLock { state -> (limit: Int, oldest: Double, isService: Bool)? in
            if state.requests.count >= Self.rememberedUsers, state.requests[user] == nil { state.requests.removeAll() }
            var times = Self.lastMinute(state.requests[user] ?? [], at: time)
            state.allRequests = Self.lastMinute(state.allRequests, at: time)
            if let oldest = Self.oldest(of: times, limit: limits.requestsPerMinute) {
                return (limits.requestsPerMinute, oldest, false)
            }
            let service = rules.service.requestsPerMinute
            if let oldest = Self.oldest(of: state.allRequests, limit: service) { return (service, oldest, true) }
            times.append(time)
            if limits.requestsPerMinute > 0 { state.requests[user] = times }
            if service > 0 { state.allRequests.append(time) }
            return nil
        }
        guard let refused else { return nil }
        let end = Date(timeIntervalSince1970: refused.oldest + Self.minute)
        if refused.isService { return .service(.requests, "\(refused.limit) requests of a minute", until: end) }
        return BudgetRefusal(
            code: .requests, detail: "More than \(refused.limit) requests within a minute.", resetsAt: end)
    }

    private static func lastMinute(_ times: [Double], at time: Double) -> [Double] {
        // The clock may have been set back.
        if let first = times.first, let last = times.last, first > time - minute, last <= time { return times }
        return times.filter { $0 > time - minute && $0 <= time }
    }

    /// - Returns: the request that has to leave the minute before another one may come; nil: it may come now.
    private static func oldest(of times: [Double], limit: Int) -> Double? {
        limit > 0 && times.count >= limit ? times[times.count - limit] : nil
    }
}
