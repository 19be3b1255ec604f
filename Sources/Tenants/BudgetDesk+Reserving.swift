// Before each model call the most that it can use is reserved; afterwards what it has used takes the reservation's place.
// Any thread; blocks for the disk. Failure: TenantError; nothing is reserved then.
//
// A call may be made if what is used, what other calls have reserved and what it can use itself are within each limit; or,
// however large it is, if something is left and no other call is under way that uses of the same limit. So one call, and
// never two, can go beyond a limit.
//
// What a job has used is in usage.jsonl before it is no longer open. Of this process's jobs it is known how much of one is
// in the other; of another process's it is not, so in between its use seems twice as large: that makes a call wait for a
// moment, and is never taken for a limit that is used up.
import Foundation
import TextFormats

extension BudgetDesk {
    /// Before a job's first and each further model call.
    /// - Parameter most: what the call can use at most; nothing: it asks no model, and no limit keeps it.
    /// - Returns: nil: it may, and the most is reserved until `spent` or `ended`.
    public func reserve(_ most: UsageTotal, job: String, user: UserID, model: String) throws(TenantError)
        -> BudgetRefusal?
    {
        let workspace = try workspaces.open(user)
        let standing = try workspace.standing()
        if let reason = standing.suspension { return BudgetRefusal.suspended(reason) }
        let limits = limits(of: standing)
        if let refusal = refusal(toUse: model, limits) { return refusal }
        guard most != UsageTotal(), limits.tokensPerDay > 0 || limits.costPerMonth > 0 || service != nil else { return nil }
        // What is long to read is read before others have to wait for it.
        _ = try ledger.said(by: job, workspace)
        return try reservations.exclusively { () throws(TenantError) -> BudgetRefusal? in
            let call = Call(job: job, most: most)
            if let refusal = try used(workspace, limits, user, by: call) { return refusal }
            if let refusal = try usedByAll(by: call) { return refusal }
            reservations.update(job, of: user) { running in
                running.reserved = most
                running.isBounded = true
            }
            do throws(TenantError) {
                try publish(user, workspace)
            } catch {
                reservations.update(job, of: user) { $0.reserved = UsageTotal() }
                throw error
            }
            return nil
        }
    }

    /// The job's use so far, in all its attempts and runs; what usage.jsonl has of it is not counted again. No call of the
    /// job is under way.
    /// - Throws: where other processes could not be told; this one counts it.
    public func spent(_ used: UsageTotal, job: String, user: UserID) throws(TenantError) {
        let isNews = reservations.update(job, of: user) { running in
            let isNews = running.isBounded && (running.used != used || running.reserved != UsageTotal())
            running.used = used
            running.reserved = UsageTotal()
            return isNews
        }
        guard isNews else { return }
        let workspace = try workspaces.open(user)
        try reservations.exclusively { () throws(TenantError) in try publish(user, workspace) }
    }

    /// The job has ended or was given back. What all users have used is written down here.
    /// - Parameters:
    ///   - used: as for `spent`.
    ///   - record: adds it to usage.jsonl.
    /// - Throws: where something could not be written down; the job has ended here in any case, and `record` was called.
    public func ended(_ job: String, user: UserID, used: UsageTotal, record: () -> Void = {}) throws(TenantError) {
        let isBounded = reservations.update(job, of: user) { running in
            running.used = used
            running.reserved = UsageTotal()
            return running.isBounded
        }
        // Before the lock: others need not wait for the disk to sync it.
        record()
        var problem: TenantError?
        do throws(TenantError) {
            if let service, used != UsageTotal() { try service.append(job: job, used) }
        } catch {
            problem = error
        }
        do throws(TenantError) {
            if isBounded { try close(job, of: user) }
        } catch {
            problem = problem ?? error
        }
        reservations.remove(job)
        if let problem { throw problem }
    }

    private func close(_ job: String, of user: UserID) throws(TenantError) {
        let workspace = try workspaces.open(user)
        try reservations.exclusively { () throws(TenantError) in
            reservations.remove(job)
            try publish(user, workspace)
        }
    }

    /// What this process has open of the user, for the others.
    private func publish(_ user: UserID, _ workspace: Workspace) throws(TenantError) {
        try reservations.publish(user, open(of: user, workspace, but: nil))
    }

    /// - Parameter job: left out are its reservation, not its use.
    private func open(of user: UserID, _ workspace: Workspace, but job: String?) throws(TenantError) -> OpenUsage {
        var open = OpenUsage()
        for (name, running) in reservations.jobs(of: user) {
            open.used += running.used.beyond(try ledger.said(by: name, workspace))
            if name != job { open.reserved += running.reserved }
        }
        return open
    }

    // MARK: - Looking

    /// A call that is to be made.
    struct Call {
        var job: String
        var most: UsageTotal
    }

    /// - Parameter call: nil: nothing is to be made now.
    func used(_ workspace: Workspace, _ limits: UsageLimits, _ user: UserID, by call: Call? = nil)
        throws(TenantError) -> BudgetRefusal?
    {
        guard limits.tokensPerDay > 0 || limits.costPerMonth > 0 else { return nil }
        let periods = try Periods(now: now(), zone: configs.get(user).timeZone)
        let (today, month, open) = try known(of: user, workspace, periods, but: call?.job)
        let elsewhere = try call == nil ? OpenUsage() : reservations.elsewhere(user)
        let tokens = Rest(limit: Double(limits.tokensPerDay), known: today, open, elsewhere, call) { Double($0.tokens) }
        if tokens.isRefused {
            return BudgetRefusal(
                code: .tokens,
                detail: "The \(limits.tokensPerDay) tokens of a day are used up (\((today + open.used).tokens) so far); the next "
                    + "day begins \(RFC3339.string(periods.dayEnd)).", resetsAt: periods.dayEnd,
                isMomentary: !tokens.isUsedUp)
        }
        let cost = Rest(limit: limits.costPerMonth, known: month, open, elsewhere, call, \.cost)
        guard cost.isRefused else { return nil }
        return BudgetRefusal(
            code: .cost,
            detail: "The \(limits.costPerMonth) USD of a month are used up; the next month begins "
                + RFC3339.string(periods.monthEnd) + ".", resetsAt: periods.monthEnd, isMomentary: !cost.isUsedUp)
    }

    /// What usage.jsonl has, and what running jobs have used beyond it. A job that ends meanwhile is in one of them: it writes
    /// without a lock, and its line must not appear between the two readings, or its use would be in neither.
    private func known(of user: UserID, _ workspace: Workspace, _ periods: Periods, but job: String?)
        throws(TenantError) -> (today: UsageTotal, month: UsageTotal, open: OpenUsage)
    {
        var before = try ledger.total(of: workspace, since: periods.monthStart)
        while true {
            let open = try open(of: user, workspace, but: job)
            let today = try ledger.total(of: workspace, since: periods.dayStart)
            let month = try ledger.total(of: workspace, since: periods.monthStart)
            // Each further round is caused by a line of a job that has ended.
            guard month != before else { return (today, month, open) }
            before = month
        }
    }

    /// What the rules say about all users together.
    func usedByAll(by call: Call? = nil) throws(TenantError) -> BudgetRefusal? {
        guard let service else { return nil }
        let running = reservations.jobs(of: nil)
        let totals = try service.totals(of: Array(running.keys))
        var open = OpenUsage()
        for ((job, running), known) in zip(running, totals.said) {
            open.used += running.used.beyond(known)
            if job != call?.job { open.reserved += running.reserved }
        }
        let elsewhere = try call == nil ? OpenUsage() : reservations.elsewhere(nil)
        let limits = rules.service
        let tokens = Rest(limit: Double(limits.tokensPerDay), known: totals.day, open, elsewhere, call) { Double($0.tokens) }
        if tokens.isRefused {
            return .service(
                .tokens, "\(limits.tokensPerDay) tokens of a day", until: service.periods.dayEnd,
                isMomentary: !tokens.isUsedUp)
        }
        let cost = Rest(limit: limits.costPerMonth, known: totals.month, open, elsewhere, call, \.cost)
        guard cost.isRefused else { return nil }
        return .service(
            .cost, "\(limits.costPerMonth) USD of a month", until: service.periods.monthEnd,
            isMomentary: !cost.isUsedUp)
    }
}

/// One limit, and what there is of it.
private struct Rest {
    /// 0: none.
    private let limit: Double
    private let used: Double
    /// By running jobs of other processes: written down or not.
    private let usedElsewhere: Double
    /// By other calls under way.
    private let reserved: Double
    /// Of the call that is to be made; 0: none is, or it uses nothing of this limit.
    private let most: Double

    /// - Parameters:
    ///   - known: what is written down.
    ///   - count: what is limited of a total.
    init(
        limit: Double, known: UsageTotal, _ open: OpenUsage, _ elsewhere: OpenUsage, _ call: BudgetDesk.Call?,
        _ count: (UsageTotal) -> Double
    ) {
        self.limit = limit
        used = count(known) + count(open.used)
        usedElsewhere = count(elsewhere.used)
        reserved = count(open.reserved) + count(elsewhere.reserved)
        most = call.map { count($0.most) } ?? 0
    }

    var isUsedUp: Bool { limit > 0 && used >= limit }

    var isRefused: Bool { isUsedUp || (limit > 0 && most > 0 && !fits) }

    /// A call that is alone may go beyond the limit: else one that is larger than the limit could never be made.
    private var fits: Bool {
        reserved > 0 ? used + usedElsewhere + reserved + most <= limit : used + usedElsewhere < limit
    }
}
