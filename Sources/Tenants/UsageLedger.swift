// How much a user has used today and this month: usage.jsonl, added up. The file is the record and only grows, so it is
// read on from where the last look ended; a look costs one stat while nothing was added. Any thread. Failure: TenantError.
import DurableFiles
import Foundation
import Synchronization
import TextFormats

/// What was used in one period.
public struct UsageTotal: Sendable, Hashable {
    public var tokens = 0
    /// USD.
    public var cost = 0.0

    static func + (left: UsageTotal, right: UsageTotal) -> UsageTotal {
        UsageTotal(tokens: left.tokens.addingReportingOverflow(right.tokens).partialValue, cost: left.cost + right.cost)
    }
}

public final class UsageLedger: Sendable {
    /// Users kept in memory; beyond it the sums are made anew from the files.
    private static let maximumUsers = 10_000
    /// A job says what it has used so far each time it ends or is given back: its later lines replace its earlier ones.
    /// So many jobs are remembered, at least.
    private static let rememberedJobs = 512

    private struct Account {
        var inode: UInt64
        var offset = 0
        /// By hours since 1970: days begin at another hour in every time zone.
        var hours: [Int: UsageTotal] = [:]
        /// What each of the last jobs has said last.
        var jobs: [String: UsageTotal] = [:]
        var order: [String] = []
    }

    private let accounts = Mutex<[UserID: Account]>([:])

    public init() {}

    /// - Returns: what the user has used from `start` on, to the hour.
    public func total(of workspace: Workspace, since start: Date) throws(TenantError) -> UsageTotal {
        let first = Int((start.timeIntervalSince1970 / 3_600).rounded(.down))
        let account = try upToDate(workspace)
        return account.hours.reduce(UsageTotal()) { $1.key >= first ? $0 + $1.value : $0 }
    }

    /// - Returns: what usage.jsonl has of one job, if it is among the last ones.
    func said(by job: String, _ workspace: Workspace) throws(TenantError) -> UsageTotal {
        try upToDate(workspace).jobs[job] ?? UsageTotal()
    }

    private func upToDate(_ workspace: Workspace) throws(TenantError) -> Account {
        var account = accounts.withLock { $0[workspace.user] }
        let status: FileStatus?
        do throws(FileError) {
            status = try workspace.directory.status(Workspace.usage)
        } catch {
            guard error.code == .notFound else {
                throw TenantError(error, doing: "read usage.jsonl of \"\(workspace.user)\"")
            }
            status = nil
        }
        guard let status else { return Account(inode: 0) }
        // Another file, or one that has shrunk: begin anew.
        if account?.inode != status.inode || (account?.offset ?? 0) > status.size { account = nil }
        var known = account ?? Account(inode: status.inode)
        guard known.offset < status.size else { return known }
        while let next = try Self.read(on: &known, workspace), next > known.offset { known.offset = next }
        let sums = known
        accounts.withLock { accounts in
            if accounts.count >= Self.maximumUsers, accounts[workspace.user] == nil { accounts.removeAll() }
            accounts[workspace.user] = sums
        }
        return sums
    }

    private static func read(on account: inout Account, _ workspace: Workspace) throws(TenantError) -> Int? {
        let page = try workspace.usage(from: account.offset)
        for entry in page.entries { add(entry, to: &account) }
        return page.next
    }

    private static func add(_ entry: JSON, to account: inout Account) {
        guard let time = entry["time"]?.string.flatMap(RFC3339.date) else { return }
        let hour = Int((time.timeIntervalSince1970 / 3_600).rounded(.down))
        var total = UsageTotal()
        total.tokens = max(0, entry["total_tokens"]?.int ?? 0)
        total.cost = max(0, entry["cost_usd"]?.double ?? 0)
        guard let job = entry["job_id"]?.string else {
            account.hours[hour, default: UsageTotal()] = account.hours[hour, default: UsageTotal()] + total
            return
        }
        if let before = account.jobs[job] {
            // The job's sums grow; where a later line says less, its journal was begun anew and the calls were paid for.
            guard total.tokens >= before.tokens, total.cost >= before.cost else { return }
            account.jobs[job] = total
            total = UsageTotal(tokens: total.tokens - before.tokens, cost: total.cost - before.cost)
        } else {
            account.jobs[job] = total
            account.order.append(job)
            if account.order.count > 2 * rememberedJobs { forget(&account) }
        }
        account.hours[hour, default: UsageTotal()] = account.hours[hour, default: UsageTotal()] + total
    }

    private static func forget(_ account: inout Account) {
        let old = account.order.prefix(account.order.count - rememberedJobs)
        for job in old { account.jobs[job] = nil }
        account.order.removeFirst(old.count)
    }
}
