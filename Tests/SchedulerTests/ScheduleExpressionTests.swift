// The five written forms of a schedule.

import Foundation
import Testing
import TextFormats

@testable import Scheduler

struct ScheduleExpressionTests {
    @Test(
        "each form is recognised and fires",
        arguments: [
            ("09:00", ScheduleKind.daily, "09:00", "2026-11-24T09:00:00.000Z"),
            ("Monday  09:00", .weekly, "monday 09:00", "2026-11-30T09:00:00.000Z"),
            ("fri 23:59", .weekly, "friday 23:59", "2026-11-27T23:59:00.000Z"),
            ("0 9 * * 1-5", .cron, "0 9 * * 1-5", "2026-11-24T09:00:00.000Z"),
            ("@hourly", .cron, "@hourly", "2026-11-24T04:00:00.000Z"),
            ("PT15M", .every, "PT15M", "2026-11-24T03:59:46.000Z"),
            ("p1dt12h", .every, "P1DT12H", "2026-11-25T15:44:46.000Z"),
            ("P2W", .every, "P2W", "2026-12-08T03:44:46.000Z"),
            ("2026-12-01T09:00:00+08:00", .at, "2026-12-01T09:00:00+08:00", "2026-12-01T01:00:00.000Z"),
        ])
    func forms(text: String, kind: ScheduleKind, canonical: String, next: String) throws {
        let expression = try ScheduleExpression(text)
        #expect(expression.kind == kind)
        #expect(expression.text == canonical)
        let fires = expression.nextFires(in: .utc, from: try instant("2026-11-24T03:44:46Z"), count: 1)
        #expect(fires.map(RFC3339.string) == [next])
        // Written down and read again it is the same.
        #expect(try ScheduleExpression(kind: kind, canonical).text == canonical)
    }

    @Test(
        "what is no expression is refused, and the field is named",
        arguments: [
            "", "9:00", "24:00", "09:60", "funday 09:00", "monday", "monday 9:00", "PT30S", "P1M", "P1Y", "PT", "P",
            "PT1.5H", "PT15", "P1DT", "P400D", "PT5M5H", "2026-02-30T00:00:00Z", "2026-11-24T09", "hello",
            "2026-11-24T24:00", "2026-02-30T09:00", "2026-11-24T09:00 Europe/Berlin",
            "0 9 * *",
            "P99999999999999999999D", String(repeating: "1", count: 300),
        ])
    func refused(text: String) {
        let error = #expect(throws: ScheduleError.self) { try ScheduleExpression(text) }
        #expect(error?.code == .invalidExpression)
        #expect(error?.field == "expression")
    }

    @Test("a kind that does not fit the expression is refused", arguments: ScheduleKind.allCases)
    func kinds(kind: ScheduleKind) {
        let texts: [ScheduleKind: String] = [
            .daily: "09:00", .weekly: "monday 09:00", .cron: "0 9 * * *", .every: "PT1H", .at: "2027-01-01T00:00:00Z",
        ]
        for (other, text) in texts where other != kind {
            #expect(throws: ScheduleError.self) { try ScheduleExpression(kind: kind, text) }
        }
    }

    @Test("an interval is counted from its anchor and never given twice", arguments: [0, 0.1, 0.123, 0.7])
    func every(fraction: Double) throws {
        let anchor = Date(timeIntervalSince1970: 1_764_000_000 + fraction)
        let expression = try ScheduleExpression("PT7M")
        let fires = expression.nextFires(in: .utc, from: anchor, anchor: anchor, count: 500)
        #expect(fires == (1...500).map { anchor.addingTimeInterval(Double($0) * 420) })
        let later = expression.next(after: anchor.addingTimeInterval(1000), in: .utc, anchor: anchor)
        #expect(later == anchor.addingTimeInterval(1260))
        // A schedule made in the future by another host's clock does not fire before it begins.
        #expect(expression.next(after: anchor.addingTimeInterval(-1e6), in: .utc, anchor: anchor) == fires[0])
    }

    @Test(
        "a time without an offset is one of the schedule's zone, also where clocks change",
        arguments: [
            ("2026-12-01T09:00", "Europe/Berlin", "2026-12-01T08:00:00.000Z"),
            ("2027-07-01T09:00:30", "Europe/Berlin", "2027-07-01T07:00:30.000Z"),
            ("2026-12-01 09:00", "Asia/Shanghai", "2026-12-01T01:00:00.000Z"),
            ("2027-03-28T02:30", "Europe/Berlin", "2027-03-28T01:00:00.000Z"),
            ("2027-10-31T02:30", "Europe/Berlin", "2027-10-31T00:30:00.000Z"),
            ("2026-12-01T09:00:00Z", "Europe/Berlin", "2026-12-01T09:00:00.000Z"),
            ("2026-12-01T09:00:00-05:00", "Europe/Berlin", "2026-12-01T14:00:00.000Z"),
        ])
    func wallTime(text: String, zone: String, fire: String) throws {
        #expect(try ScheduleExpression(text).kind == .at)
        let fires = try ReportScheduler.nextFires(text, timezone: zone, from: instant("2026-11-24T00:00:00Z"), count: 3)
        #expect(fires.map(RFC3339.string) == [fire])
    }

    @Test("a one-time schedule fires once")
    func once() throws {
        let expression = try ScheduleExpression("2026-12-01T00:00:00Z")
        #expect(expression.nextFires(in: .utc, from: try instant("2026-11-01T00:00:00Z"), count: 5).count == 1)
        #expect(expression.nextFires(in: .utc, from: try instant("2026-12-01T00:00:00Z"), count: 5) == [])
    }

    @Test("the next fires of any expression, for the command line")
    func nextFires() throws {
        let fires = try ReportScheduler.nextFires(
            "monday 09:00", timezone: "Asia/Shanghai", from: instant("2026-11-24T00:00:00Z"), count: 2)
        #expect(fires.map(RFC3339.string) == ["2026-11-30T01:00:00.000Z", "2026-12-07T01:00:00.000Z"])
        let error = #expect(throws: ScheduleError.self) {
            try ReportScheduler.nextFires("09:00", timezone: "Nowhere/Land", from: Date(), count: 1)
        }
        #expect(error?.code == .invalidTimeZone)
    }
}
