// Which fire times of one schedule are due, which of them are made up for, and when it fires next.
// The deciding half of the scheduler: a pure value from pure values; any thread.

import Foundation

struct FirePlan: Sendable, Equatable {
    struct Fire: Sendable, Equatable {
        var time: Date
        /// Its time passed while nothing ran.
        var isLate: Bool
    }

    /// Fires this many seconds late still count as on time.
    static let grace: TimeInterval = 60
    /// Most fires `misfire: all` makes up for at once: the latest ones.
    static let maxMadeUp = 100

    /// To be submitted, in order.
    var fires: [Fire] = []
    /// Passed and not made up for: the latest of them.
    var missed: Date?
    /// nil: it will not fire again.
    var next: Date?

    /// Nothing to do, now or later: a paused schedule.
    init() {}

    /// - Parameters:
    ///   - handledThrough: fire times up to here are dealt with.
    ///   - attempted: a fire time whose submission failed and is being tried again: it and later ones count as on time.
    init(_ schedule: Schedule, in zone: ZoneRules, handledThrough: Date, attempted: Date? = nil, now: Date) {
        let find = { (after: Date) in schedule.expression.next(after: after, in: zone, anchor: schedule.anchor) }
        next = find(now)
        let due = Self.latest(Self.maxMadeUp, after: handledThrough, through: now, find).map { time in
            let isRetry = attempted.map { time >= $0 } ?? false
            return Fire(time: time, isLate: !isRetry && now.timeIntervalSince(time) > Self.grace)
        }
        switch schedule.misfire {
        case .all:
            fires = due
        case .skip:
            fires = due.filter { !$0.isLate }
            missed = due.last(where: \.isLate)?.time
        case .latest:
            fires = due.filter { !$0.isLate }
            if fires.isEmpty, let last = due.last { fires = [last] }
        }
    }

    /// The last `count` fire times in (`after`, `through`], found by looking back from the end over spans that double,
    /// so that a year of downtime costs no more than an hour.
    private static func latest(
        _ count: Int, after: Date, through: Date, _ next: (Date) -> Date?
    ) -> [Date] {
        var span: TimeInterval = 3_600
        while true {
            let start = max(after, through.addingTimeInterval(-span))
            var found: [Date] = []
            var last = start
            while let fire = next(last), fire <= through {
                found.append(fire)
                last = fire
                // Twice the bound before it is cut, so that cutting costs nothing on average.
                if found.count >= 2 * count { found.removeFirst(count) }
            }
            if found.count >= count || start <= after { return Array(found.suffix(count)) }
            span *= 2
        }
    }
}
