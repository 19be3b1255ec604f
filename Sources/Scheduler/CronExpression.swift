// Five-field cron expressions: minute, hour, day of month, month, day of week; and @daily and its kin.
// An immutable value, any thread. Reading fails with a `ScheduleError` that names the field and the bad part.
//
// Accepted: numbers, names (jan, MON), lists, ranges (a range may wrap: FRI-MON, 22-4), steps (*/15, 8-18/2,
// 5/15 = from 5 to the end), `?` in the day fields (as *), L, L-3, 15W, LW in day of month, 5L and 2#1 in day
// of week, 7 = Sunday. If both day fields are restricted, either one matches (Vixie cron's rule).
// Clock changes: docs/decisions/0003-cron-dst.md.

import Foundation

public struct CronExpression: Sendable {
    /// Longer expressions are refused.
    public static let maxLength = 256
    /// A search ends after this many months without a match; February 29 on a given weekday is 40 years apart
    /// at most (across 2100).
    private static let searchMonths = 41 * 12
    private static let shorthands = [
        "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
    ]

    /// As written, blanks at the ends and between fields made single.
    public let text: String
    private let minutes: UInt64
    private let hours: UInt64
    private let months: UInt64
    private let days: CronDays

    public init(_ text: String) throws(ScheduleError) {
        guard text.utf8.count <= Self.maxLength else {
            throw Self.error("is longer than \(Self.maxLength) bytes")
        }
        var fields = text.split(whereSeparator: { $0 == " " || $0 == "\t" })
        self.text = fields.joined(separator: " ")
        if fields.count == 1, fields[0].hasPrefix("@") {
            guard let meaning = Self.shorthands[fields[0].lowercased()] else {
                let known = Self.shorthands.keys.sorted().joined(separator: ", ")
                throw Self.error("\"\(fields[0])\" is unknown; there are \(known)")
            }
            fields = meaning.split(separator: " ")
        }
        guard fields.count == 5 else {
            throw Self.error(
                "has \(fields.count) field\(fields.count == 1 ? "" : "s"); five are needed: "
                    + "minute, hour, day of month, month, day of week")
        }
        minutes = try Self.bits(fields[0], .minute)
        hours = try Self.bits(fields[1], .hour)
        days = try CronDays(day: fields[2], weekday: fields[4])
        months = try Self.bits(fields[3], .month)
    }

    /// Every day at `hour`:`minute`, or on one weekday (0 = Sunday) only. In range by the caller's care.
    init(minute: Int, hour: Int, weekday: Int?) throws(ScheduleError) {
        try self.init("\(minute) \(hour) * * \(weekday.map(String.init) ?? "*")")
    }

    private static func bits(_ text: Substring, _ field: CronField) throws(ScheduleError) -> UInt64 {
        var bits: UInt64 = 0
        for part in try cronParts(text, field) { bits |= try field.bits(of: part) }
        return bits
    }

    private static func error(_ what: String) -> ScheduleError {
        ScheduleError(.invalidExpression, "the cron expression \(what)", field: "expression")
    }

    /// The first fire time after `instant` (not at it), in whole seconds; nil when there is none within 41 years.
    ///
    /// Each matching wall clock time fires once: at its first occurrence when clocks are set back, at the first
    /// moment after the gap when they leap over it.
    public func next(after instant: Date, in zone: ZoneRules) -> Date? {
        let seconds = instant.timeIntervalSince1970.rounded(.down)
        // Year 1 to 9999, the years RFC 3339 can write.
        guard seconds > -62_135_596_800, seconds < 253_402_300_800 else { return nil }
        let after = Int(seconds)
        // First occurrences grow with wall clock time, so the first wall time whose moment lies after `instant`
        // is the answer. Only within a repeated hour does a later wall time lie before: those are passed over.
        var wall = floorDivide(after + zone.utcOffset(atUnix: after), 60) * 60
        if case .repeated(let first, let last) = zone.instants(ofWall: wall), last <= after, first < last {
            wall = max(wall, Self.lastRepeated(after: wall, before: last, in: zone))
        }
        while let found = nextWall(after: wall) {
            let fire = zone.instants(ofWall: found).first
            if fire > after { return Date(timeIntervalSince1970: TimeInterval(fire)) }
            wall = found
        }
        return nil
    }

    /// Within a repeated span: its last minute as shown on the wall, so that a search does not walk through it.
    private static func lastRepeated(after wall: Int, before instant: Int, in zone: ZoneRules) -> Int {
        let period = zone.period(at: instant)
        let before = zone.period(at: period.start - 1)
        return floorDivide(period.start + before.offset - 1, 60) * 60
    }

    /// The first matching minute after `wall` (seconds on the wall clock, a whole minute); nil past the bound.
    private func nextWall(after wall: Int) -> Int? {
        let start = LocalTime(wallSeconds: wall + 60)
        var year = start.year
        var month = start.month
        var firstDay = start.day
        // The time of day counts on the first day only.
        var earliest: (hour: Int, minute: Int)? = (start.hour, start.minute)
        for _ in 0..<Self.searchMonths {
            if months & 1 << UInt64(month) != 0 {
                var left = days.bits(year: year, month: month) & ~UInt64(0) << UInt64(firstDay)
                while left != 0 {
                    let day = left.trailingZeroBitCount
                    left &= left - 1
                    let from = day == firstDay ? earliest : nil
                    if let time = timeOfDay(from: from) {
                        return LocalTime.dayNumber(year: year, month: month, day: day) * 86_400 + time
                    }
                }
            }
            earliest = nil
            firstDay = 1
            month += 1
            if month > 12 { (year, month) = (year + 1, 1) }
        }
        return nil
    }

    /// Seconds after midnight of the day's first match, not before `from`.
    private func timeOfDay(from: (hour: Int, minute: Int)?) -> Int? {
        let (hour, minute) = from ?? (0, 0)
        if hours & 1 << UInt64(hour) != 0 {
            let left = minutes & ~UInt64(0) << UInt64(minute)
            if left != 0 { return hour * 3600 + left.trailingZeroBitCount * 60 }
        }
        let later = hours & ~UInt64(0) << UInt64(hour + 1)
        guard later != 0 else { return nil }
        return later.trailingZeroBitCount * 3600 + minutes.trailingZeroBitCount * 60
    }
}
