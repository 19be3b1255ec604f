// Reading cron expressions and finding their fire times, by table and against a walk minute by minute.

import Foundation
import TestSupport
import Testing
import TextFormats

@testable import Scheduler

struct CronExpressionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var cron: String
        var zone = "UTC"
        var from: String
        /// The fires that follow, in UTC, to the minute.
        var fires: [String]
        var testDescription: String { "\(cron) in \(zone)" }
    }

    static let cases: [Case] = [
        Case(cron: "*/20 8-9 * * *", from: "2026-01-01T08:30", fires: ["2026-01-01T08:40", "2026-01-01T09:00"]),
        Case(
            cron: "5/25 0 * * *", from: "2026-01-01T00:00",
            fires: ["2026-01-01T00:05", "2026-01-01T00:30", "2026-01-01T00:55"]),
        Case(
            cron: "0 22-2/2 * * *", from: "2026-01-01T00:30",
            fires: ["2026-01-01T02:00", "2026-01-01T22:00", "2026-01-02T00:00"]),
        Case(cron: "0 9 * jan,JUN MON", from: "2026-01-26T10:00", fires: ["2026-06-01T09:00"]),
        Case(
            cron: "0 0 * * FRI-MON", from: "2026-01-05T00:00",
            fires: [
                "2026-01-09T00:00", "2026-01-10T00:00", "2026-01-11T00:00", "2026-01-12T00:00", "2026-01-16T00:00",
            ]),
        Case(
            cron: "0 0 * * 5-7", from: "2026-01-05T00:00",
            fires: ["2026-01-09T00:00", "2026-01-10T00:00", "2026-01-11T00:00", "2026-01-16T00:00"]),
        Case(cron: "0 0 ? * 7", from: "2026-01-05T00:00", fires: ["2026-01-11T00:00", "2026-01-18T00:00"]),
        // Both day fields restricted: either one; one starting with a star: both.
        Case(
            cron: "0 0 13 * FRI", from: "2026-11-07T00:00",
            fires: [
                "2026-11-13T00:00", "2026-11-20T00:00", "2026-11-27T00:00", "2026-12-04T00:00", "2026-12-11T00:00",
                "2026-12-13T00:00",
            ]),
        Case(cron: "0 0 */2 * MON", from: "2026-11-01T00:00", fires: ["2026-11-09T00:00", "2026-11-23T00:00"]),
        Case(
            cron: "0 0 L * *", from: "2026-01-15T00:00",
            fires: ["2026-01-31T00:00", "2026-02-28T00:00", "2026-03-31T00:00"]),
        Case(
            cron: "0 0 L-3 2 *", from: "2026-01-15T00:00",
            fires: ["2026-02-25T00:00", "2027-02-25T00:00", "2028-02-26T00:00"]),
        Case(
            cron: "0 0 15W * *", from: "2026-01-20T00:00",
            fires: ["2026-02-16T00:00", "2026-03-16T00:00", "2026-04-15T00:00"]),
        // Not across the month's ends: Saturday the 1st moves forward, Sunday the 31st back.
        Case(cron: "0 0 1W 8 *", from: "2026-01-01T00:00", fires: ["2026-08-03T00:00"]),
        Case(cron: "0 0 31W 5 *", from: "2026-01-01T00:00", fires: ["2026-05-29T00:00"]),
        Case(
            cron: "0 0 LW * ?", from: "2026-01-01T00:00",
            fires: ["2026-01-30T00:00", "2026-02-27T00:00", "2026-03-31T00:00"]),
        Case(cron: "0 0 * * 5L", from: "2026-01-01T00:00", fires: ["2026-01-30T00:00", "2026-02-27T00:00"]),
        Case(
            cron: "0 0 * * MON#1,2#5", from: "2026-01-01T00:00",
            fires: ["2026-01-05T00:00", "2026-02-02T00:00", "2026-03-02T00:00", "2026-03-31T00:00"]),
        Case(cron: "0 0 29 2 *", from: "2097-01-01T00:00", fires: ["2104-02-29T00:00"]),
        Case(cron: "@weekly", from: "2026-01-01T00:00", fires: ["2026-01-04T00:00"]),
        Case(cron: "@ANNUALLY", from: "2026-01-01T00:00", fires: ["2027-01-01T00:00"]),
        Case(cron: "0 9 * * *", zone: "Asia/Shanghai", from: "2026-01-01T01:00", fires: ["2026-01-02T01:00"]),
        // DST: a skipped time fires at the first moment after the gap, a repeated one at its first occurrence.
        Case(
            cron: "30 2 * * *", zone: "America/New_York", from: "2026-03-07T12:00",
            fires: ["2026-03-08T07:00", "2026-03-09T06:30"]),
        Case(
            cron: "30 2,3 * * *", zone: "America/New_York", from: "2026-03-07T12:00",
            fires: ["2026-03-08T07:00", "2026-03-08T07:30", "2026-03-09T06:30"]),
        Case(
            cron: "0,30 2,3 * * *", zone: "America/New_York", from: "2026-03-07T12:00",
            fires: ["2026-03-08T07:00", "2026-03-08T07:30", "2026-03-09T06:00"]),
        Case(
            cron: "30 1 * * *", zone: "America/New_York", from: "2026-10-31T12:00",
            fires: ["2026-11-01T05:30", "2026-11-02T06:30"]),
        Case(
            cron: "*/30 * * * *", zone: "America/New_York", from: "2026-11-01T05:00",
            fires: ["2026-11-01T05:30", "2026-11-01T07:00", "2026-11-01T07:30"]),
        // Asked in the middle of the repeated hour.
        Case(cron: "45 1 * * *", zone: "America/New_York", from: "2026-11-01T06:15", fires: ["2026-11-02T06:45"]),
        Case(
            cron: "0 0 * * *", zone: "America/Sao_Paulo", from: "2018-11-03T12:00",
            fires: ["2018-11-04T03:00", "2018-11-05T02:00"]),
        Case(
            cron: "0 2 * * *", zone: "Australia/Lord_Howe", from: "2026-10-03T00:00",
            fires: ["2026-10-03T15:30", "2026-10-04T15:00"]),
    ]

    @Test("an expression fires at these times", arguments: cases)
    func fires(_ test: Case) throws {
        let cron = try CronExpression(test.cron)
        let zone = try ZoneRules(identifier: test.zone)
        var found: [String] = []
        var last = try instant(test.from + ":00Z")
        for _ in test.fires {
            last = try #require(cron.next(after: last, in: zone))
            found.append(String(RFC3339.string(last).prefix(16)))
        }
        #expect(found == test.fires)
    }

    @Test("a day that never comes ends the search", arguments: ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 31W 2 *"])
    func never(text: String) throws {
        #expect(try CronExpression(text).next(after: instant("2026-01-01T00:00:00Z"), in: .utc) == nil)
    }

    @Test("times beyond what can be written end the search")
    func farAway() throws {
        let cron = try CronExpression("* * * * *")
        #expect(cron.next(after: .distantFuture.addingTimeInterval(1e15), in: .utc) == nil)
        #expect(cron.next(after: Date(timeIntervalSince1970: -.infinity), in: .utc) == nil)
        #expect(cron.next(after: Date(timeIntervalSince1970: .nan), in: .utc) == nil)
    }

    @Test(
        "an error names the field and the bad part",
        arguments: [
            ("60 * * * *", "minute", "60"), ("* 24 * * *", "hour", "24"), ("* * 0 * *", "day of month", "0"),
            ("* * * 13 *", "month", "13"), ("* * * * 8", "day of week", "8"), ("*/0 * * * *", "minute", "*/0"),
            ("*/90 * * * *", "minute", "*/90"), ("1,,2 * * * *", "minute", "1,,2"), ("1-  * * * *", "minute", "1-"),
            ("* * * FOO *", "month", "FOO"), ("* * * * L", "day of week", "L"), ("* * * * 2#6", "day of week", "2#6"),
            ("* ? * * *", "hour", "?"), ("* * 32W * *", "day of month", "32W"),
            ("* * L-31 * *", "day of month", "L-31"),
            ("1/2/3 * * * *", "minute", "1/2/3"), ("-5 * * * *", "minute", "-5"),
            ("* 99999999999999999999 * * *", "hour", "999"),
            ("٣ * * * *", "minute", "٣"),
        ])
    func errors(text: String, field: String, part: String) throws {
        let error = #expect(throws: ScheduleError.self) { try CronExpression(text) }
        #expect(error?.code == .invalidExpression)
        #expect(error?.detail.contains("\"\(field)\"") == true)
        #expect(error?.detail.contains(part) == true)
    }

    @Test("the wrong number of fields is refused", arguments: ["", "* * * *", "0 * * * * *", "@reboot", "@every 5m"])
    func fieldCount(text: String) { #expect(throws: ScheduleError.self) { try CronExpression(text) } }

    @Test(
        "random expressions fire as a walk minute by minute says, across changes of clocks",
        arguments: [
            ("America/New_York", "2026-03-07T12:00:00Z", 1), ("America/New_York", "2026-10-31T12:00:00Z", 2),
            ("Australia/Lord_Howe", "2026-04-03T12:00:00Z", 3), ("Australia/Lord_Howe", "2026-10-02T12:00:00Z", 4),
            ("Pacific/Apia", "2011-12-29T00:00:00Z", 5), ("Europe/Dublin", "2060-10-30T00:00:00Z", 6),
            ("Asia/Shanghai", "2026-02-27T00:00:00Z", 7),
        ])
    func property(zone: String, from: String, seed: Int) throws {
        let rules = try ZoneRules(identifier: zone)
        let start = try instant(from)
        let walk = MinuteWalk(rules, start: Int(start.timeIntervalSince1970), minutes: 3 * 1440)
        var random = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<40 {
            let made = RandomCron(using: &random)
            let cron = try CronExpression(made.text)
            var found: [Int] = []
            var last = start
            while let fire = cron.next(after: last, in: rules), fire <= walk.end {
                found.append(Int(fire.timeIntervalSince1970))
                last = fire
            }
            #expect(found == walk.fires(of: made), "\(made.text) in \(zone)")
        }
    }
}

/// What a wall clock shows minute by minute, and which minutes it passes over.
private struct MinuteWalk {
    /// Each wall clock minute reached for the first time, or jumped over, with the instant at which that happens.
    private var steps: [(wall: Int, instant: Int)] = []
    let end: Date

    init(_ zone: ZoneRules, start: Int, minutes: Int) {
        let wall = { (instant: Int) in instant + zone.utcOffset(at: Date(timeIntervalSince1970: Double(instant))) }
        var latest = wall(start)
        for instant in stride(from: start + 60, through: start + minutes * 60, by: 60) {
            let shown = wall(instant)
            while latest < shown {
                latest += 60
                steps.append((latest, instant))
            }
        }
        end = Date(timeIntervalSince1970: Double(start + minutes * 60))
    }

    func fires(of cron: RandomCron) -> [Int] {
        var fires: [Int] = []
        for step in steps where cron.matches(step.wall) && fires.last != step.instant { fires.append(step.instant) }
        return fires
    }
}

/// An expression made together with the sets it stands for, so that nothing has to be read to know them.
private struct RandomCron {
    var text: String
    private var sets: [Set<Int>]
    private var eitherDay: Bool

    init(using random: inout SeededGenerator) {
        let ranges = [0...59, 0...23, 1...31, 1...12, 0...6]
        var texts: [String] = []
        sets = []
        for (index, range) in ranges.enumerated() {
            // Mostly stars in the day fields, or three days would seldom see a fire.
            let isStar = index >= 2 && Int.random(in: 0..<4, using: &random) != 0
            let (text, set) = isStar ? ("*", Set(range)) : Self.field(range, using: &random)
            texts.append(text)
            sets.append(set)
        }
        text = texts.joined(separator: " ")
        eitherDay = !texts[2].hasPrefix("*") && !texts[4].hasPrefix("*")
    }

    private static func field(_ range: ClosedRange<Int>, using random: inout SeededGenerator) -> (String, Set<Int>) {
        let low = Int.random(in: range, using: &random)
        let high = Int.random(in: low...range.upperBound, using: &random)
        let step = Int.random(in: 1...max(1, range.upperBound / 2), using: &random)
        let stepped = { (bounds: ClosedRange<Int>) in
            Set(stride(from: bounds.lowerBound, through: bounds.upperBound, by: step))
        }
        switch Int.random(in: 0..<5, using: &random) {
        case 0: return ("*/\(step)", stepped(range))
        case 1: return ("\(low)", [low])
        case 2: return ("\(low)-\(high)", Set(low...high))
        case 3: return ("\(low)-\(high)/\(step)", stepped(low...high))
        default: return ("\(low),\(high)", [low, high])
        }
    }

    func matches(_ wall: Int) -> Bool {
        let day = wall / 86_400
        let date = RFC3339.civil(days: Int64(day))
        guard sets[0].contains(wall / 60 % 60), sets[1].contains(wall / 3600 % 24), sets[3].contains(Int(date.month))
        else { return false }
        let byDay = sets[2].contains(Int(date.day))
        // 1970-01-01 was a Thursday.
        let byWeekday = sets[4].contains((day + 4) % 7)
        return eitherDay ? byDay || byWeekday : byDay && byWeekday
    }
}
