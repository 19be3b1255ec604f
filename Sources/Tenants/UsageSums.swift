// The lines of a usage file, added up by the hour. Pure values.
import Foundation
import TextFormats

/// What was used in one period.
public struct UsageTotal: Sendable, Hashable {
    public var tokens = 0
    /// USD.
    public var cost = 0.0

    public init(tokens: Int = 0, cost: Double = 0) {
        self.tokens = tokens
        self.cost = cost
    }

    /// Counts that cannot be true stop at the largest one there is.
    static func + (left: UsageTotal, right: UsageTotal) -> UsageTotal {
        let (tokens, isTooLarge) = left.tokens.addingReportingOverflow(right.tokens)
        return UsageTotal(tokens: isTooLarge ? (left.tokens > 0 ? .max : .min) : tokens, cost: left.cost + right.cost)
    }

    static func += (left: inout UsageTotal, right: UsageTotal) { left = left + right }

    /// What is more than `other`, never less than nothing.
    func beyond(_ other: UsageTotal) -> UsageTotal {
        UsageTotal(
            tokens: tokens > other.tokens ? tokens - max(0, other.tokens) : 0, cost: max(0, cost - other.cost))
    }
}

/// A job says what it has used so far each time it ends or is given back: its later lines replace its earlier ones.
struct UsageSums: Sendable {
    /// So many jobs are remembered, at least.
    private static let rememberedJobs = 512

    /// By hours since 1970: days begin at another hour in every time zone.
    private var hours: [Int: UsageTotal] = [:]
    /// What each of the last jobs has said last.
    private var jobs: [String: UsageTotal] = [:]
    private var order: [String] = []

    /// - Returns: what was used from `start` on, to the hour.
    func total(since start: Date) -> UsageTotal {
        let first = Int((start.timeIntervalSince1970 / 3_600).rounded(.down))
        return hours.reduce(UsageTotal()) { $1.key >= first ? $0 + $1.value : $0 }
    }

    /// - Returns: what the lines have of one job, if it is among the last ones.
    func said(by job: String) -> UsageTotal { jobs[job] ?? UsageTotal() }

    mutating func add(_ entry: JSON) {
        guard let time = entry["time"]?.string.flatMap(RFC3339.date) else { return }
        let hour = Int((time.timeIntervalSince1970 / 3_600).rounded(.down))
        var total = UsageTotal()
        total.tokens = max(0, entry["total_tokens"]?.int ?? 0)
        total.cost = max(0, entry["cost_usd"]?.double ?? 0)
        defer { hours[hour, default: UsageTotal()] = hours[hour, default: UsageTotal()] + total }
        guard let job = entry["job_id"]?.string else { return }
        let said = total
        if let before = jobs[job] {
            // The job's sums grow; where a later line says less, its journal was begun anew and the calls were paid for.
            guard said.tokens >= before.tokens, said.cost >= before.cost else {
                total = UsageTotal()
                return
            }
            total = UsageTotal(tokens: said.tokens - before.tokens, cost: said.cost - before.cost)
        } else {
            order.append(job)
            if order.count > 2 * Self.rememberedJobs { forget() }
        }
        jobs[job] = said
    }

    private mutating func forget() {
        let old = order.prefix(order.count - Self.rememberedJobs)
        for job in old { jobs[job] = nil }
        order.removeFirst(old.count)
    }
}
