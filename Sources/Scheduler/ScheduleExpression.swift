// When a schedule fires, in its five written forms (DESIGN §7), and the search for its fire times.
// An immutable value, any thread; pure. Reading fails with a `ScheduleError` for the field "expression".

import Foundation
import Tenants
import TextFormats

public enum ScheduleKind: String, Sendable, CaseIterable {
    /// "09:00": every day at that wall clock time.
    case daily
    /// "monday 09:00".
    case weekly
    /// Five fields, or @daily and its kin.
    case cron
    /// "PT15M": that much elapsed time after the schedule was made, and again.
    case every
    /// An RFC 3339 time, or one without an offset in the schedule's zone: once.
    case at
}

public struct ScheduleExpression: Sendable {
    private enum Rule: Sendable {
        case cron(CronExpression)
        case every(seconds: Int)
        case at(Date)
        /// Seconds of the wall clock of the schedule's zone.
        case atWall(Int)
    }

    /// Shortest and longest interval of `every`, in seconds.
    public static let intervals = 60...366 * 86_400
    private static let weekdays = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]

    public let kind: ScheduleKind
    /// In canonical form: blanks made single, weekdays in lower case.
    public let text: String
    private let rule: Rule

    /// - Parameter kind: nil finds the form out from the text.
    public init(kind: ScheduleKind? = nil, _ text: String) throws(ScheduleError) {
        guard text.utf8.count <= CronExpression.maxLength else {
            throw Self.error("is longer than \(CronExpression.maxLength) bytes")
        }
        let trimmed = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        self.kind = kind ?? Self.detect(trimmed)
        switch self.kind {
        case .daily: (rule, self.text) = (.cron(try Self.daily(trimmed)), trimmed)
        case .weekly: (rule, self.text) = try Self.weekly(trimmed)
        case .cron: (rule, self.text) = (.cron(try CronExpression(trimmed)), trimmed)
        case .every: (rule, self.text) = (.every(seconds: try Self.interval(trimmed)), trimmed.uppercased())
        case .at: (rule, self.text) = try Self.moment(trimmed)
        }
    }

    /// The next fire time after `instant` (not at it); nil when there is none.
    /// - Parameter anchor: `every` counts its intervals from here.
    public func next(after instant: Date, in zone: ZoneRules, anchor: Date) -> Date? {
        switch rule {
        case .cron(let cron):
            return cron.next(after: instant, in: zone)
        case .every(let seconds):
            let elapsed = instant.timeIntervalSince(anchor)
            // Beyond ±8,000 years counting in doubles is no longer exact to the millisecond.
            guard abs(elapsed) < 2.5e11 else { return nil }
            let count = max(1, (elapsed / Double(seconds)).rounded(.down) + 1)
            let fire = anchor.addingTimeInterval(count * Double(seconds))
            // With a fractional anchor the quotient may be rounded down by one.
            return fire > instant ? fire : anchor.addingTimeInterval((count + 1) * Double(seconds))
        case .at(let moment):
            return moment > instant ? moment : nil
        case .atWall(let wall):
            // As for cron: a time that clocks skip is the first moment after it, one that comes twice the first of the two.
            let moment = Date(timeIntervalSince1970: Double(zone.instants(ofWall: wall).first))
            return moment > instant ? moment : nil
        }
    }

    /// The next `count` fire times after `start`; fewer when there are no more.
    public func nextFires(in zone: ZoneRules, from start: Date, anchor: Date? = nil, count: Int) -> [Date] {
        var fires: [Date] = []
        while fires.count < count, let fire = next(after: fires.last ?? start, in: zone, anchor: anchor ?? start) {
            fires.append(fire)
        }
        return fires
    }

    // MARK: - Reading

    private static func detect(_ text: String) -> ScheduleKind {
        let words = text.split(separator: " ")
        if words.count == 1, !text.hasPrefix("@") {
            if text.hasPrefix("P") || text.hasPrefix("p") { return .every }
            if RFC3339.date(text) != nil || text.contains("T") { return .at }
            if text.contains(":") { return .daily }
        }
        if words.count == 2 { return RFC3339.date(text) == nil && wall(text) == nil ? .weekly : .at }
        return .cron
    }

    private static func time(_ text: some StringProtocol) -> (hour: Int, minute: Int)? {
        let bytes = Array(text.utf8)
        guard bytes.count == 5, bytes[2] == 58 else { return nil }
        let digits = [0, 1, 3, 4].map { Int(bytes[$0]) - 48 }
        guard digits.allSatisfy({ (0...9).contains($0) }) else { return nil }
        let (hour, minute) = (digits[0] * 10 + digits[1], digits[2] * 10 + digits[3])
        return hour < 24 && minute < 60 ? (hour, minute) : nil
    }

    private static func daily(_ text: String) throws(ScheduleError) -> CronExpression {
        guard let time = time(text) else {
            throw error("\"\(text)\" is no time of day from 00:00 to 23:59, such as 09:00")
        }
        return try CronExpression(minute: time.minute, hour: time.hour, weekday: nil)
    }

    private static func weekly(_ text: String) throws(ScheduleError) -> (Rule, String) {
        let words = text.lowercased().split(separator: " ")
        guard words.count == 2, let time = time(words[1]),
            let day = weekdays.firstIndex(where: { $0 == words[0] || $0.prefix(3) == words[0] })
        else {
            throw error("\"\(text)\" is no weekday with a time of day, such as \"monday 09:00\"")
        }
        let cron = try CronExpression(minute: time.minute, hour: time.hour, weekday: day)
        return (.cron(cron), "\(weekdays[day]) \(words[1])")
    }

    private static func interval(_ text: String) throws(ScheduleError) -> Int {
        guard let seconds = ISODuration.seconds(text.uppercased()) else {
            throw error(
                "\"\(text)\" is no ISO 8601 duration of whole weeks, days, hours, minutes or seconds, such as PT15M")
        }
        guard intervals.contains(seconds) else {
            throw error("\"\(text)\" is out of range; an interval has at least 1 minute and at most 366 days")
        }
        return seconds
    }

    private static func moment(_ text: String) throws(ScheduleError) -> (Rule, String) {
        if let date = RFC3339.date(text) { return (.at(date), text) }
        guard let wall = wall(text) else {
            throw error(
                "\"\(text)\" is no RFC 3339 time, such as 2026-11-24T09:00:00Z, and no time of the schedule's zone, such as "
                    + "2026-11-24T09:00")
        }
        return (.atWall(wall), text)
    }

    /// Date and time without an offset; seconds may be left out.
    private static func wall(_ text: String) -> Int? {
        let isShort = text.utf8.count == "2026-11-24T09:00".utf8.count
        return RFC3339.date(text + (isShort ? ":00Z" : "Z")).map { Int($0.timeIntervalSince1970.rounded(.down)) }
    }

    private static func error(_ what: String) -> ScheduleError {
        ScheduleError(.invalidExpression, "the expression \(what)", field: "expression")
    }
}
