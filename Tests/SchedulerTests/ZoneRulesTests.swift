// Time zone files and their footers against expectations worked out with another implementation (Python's zoneinfo).

import DurableFiles
import Foundation
import TestSupport
import Testing
import TextFormats

@testable import Scheduler

func instant(_ text: String) throws -> Date { try #require(RFC3339.date(text), "\(text) is no time") }

struct ZoneRulesTests {
    @Test(
        "a zone's offset at an instant, from its transitions and from its footer's rule",
        arguments: [
            ("Asia/Shanghai", "2026-11-24T03:00:00Z", 28800),
            ("Europe/Berlin", "2026-03-29T00:59:59Z", 3600),
            ("Europe/Berlin", "2026-03-29T01:00:00Z", 7200),
            ("Europe/Berlin", "2099-07-01T00:00:00Z", 7200),
            ("America/New_York", "2026-11-01T05:59:59Z", -14400),
            ("America/New_York", "2026-11-01T06:00:00Z", -18000),
            ("Australia/Lord_Howe", "2026-04-04T14:59:59Z", 39600),
            ("Australia/Lord_Howe", "2026-04-04T15:00:00Z", 37800),
            ("America/Nuuk", "2050-03-27T00:59:59Z", -7200),
            ("America/Nuuk", "2050-03-27T01:00:00Z", -3600),
            ("Asia/Kathmandu", "2026-01-01T00:00:00Z", 20700),
            ("Pacific/Apia", "2011-12-30T09:59:59Z", -36000),
            ("Pacific/Apia", "2011-12-30T10:00:00Z", 50400),
            ("Asia/Gaza", "2095-04-01T00:00:00Z", 10800),
            ("America/Sao_Paulo", "2018-11-04T03:00:00Z", -7200),
            ("Europe/Dublin", "2300-07-01T00:00:00Z", 3600),
            ("America/New_York", "2600-07-01T00:00:00Z", -14400),
            ("Europe/London", "1900-01-01T00:00:00Z", 0),
            ("Asia/Calcutta", "2026-01-01T00:00:00Z", 19800),
            ("UTC", "2026-01-01T00:00:00Z", 0),
        ])
    func offsets(zone: String, time: String, offset: Int) throws {
        #expect(try ZoneRules(identifier: zone).utcOffset(at: instant(time)) == offset)
    }

    @Test("wall clock times that exist once, never and twice")
    func wallClock() throws {
        let zone = try ZoneRules(identifier: "America/New_York")
        let unix = { (text: String) in Int(try instant(text).timeIntervalSince1970) }
        let summer = zone.instants(of: LocalTime(year: 2026, month: 7, day: 1, hour: 9))
        #expect(try summer == .once(unix("2026-07-01T13:00:00Z")))
        for (hour, minute) in [(2, 0), (2, 30), (2, 59)] {
            let skipped = zone.instants(of: LocalTime(year: 2026, month: 3, day: 8, hour: hour, minute: minute))
            #expect(try skipped == .skipped(resumesAt: unix("2026-03-08T07:00:00Z")))
        }
        let repeated = zone.instants(of: LocalTime(year: 2026, month: 11, day: 1, hour: 1, minute: 30))
        #expect(try repeated == .repeated(first: unix("2026-11-01T05:30:00Z"), last: unix("2026-11-01T06:30:00Z")))
        let after = zone.instants(of: LocalTime(year: 2026, month: 11, day: 1, hour: 2))
        #expect(try after == .once(unix("2026-11-01T07:00:00Z")))
        let lostDay = try ZoneRules(identifier: "Pacific/Apia").instants(of: LocalTime(year: 2011, month: 12, day: 30))
        #expect(try lostDay == .skipped(resumesAt: unix("2011-12-30T10:00:00Z")))
    }

    @Test(
        "names that are no time zones are refused by name",
        arguments: [
            "", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe/../UTC", "Europe", "zone.tab",
            "Europe//Berlin", "a b", "UTC\u{0}",
        ])
    func unknown(name: String) {
        let error = #expect(throws: ScheduleError.self) { try ZoneRules(identifier: name) }
        #expect(error?.code == .invalidTimeZone)
    }

    @Test("a damaged zone file is refused, wherever it is cut or changed, and never crashes")
    func damaged() throws {
        let bytes = try LinuxFileSystem().readFile("\(zoneFolder)/Europe/Berlin")
        for length in stride(from: 0, to: bytes.count, by: 37) {
            #expect(throws: ScheduleError.self) {
                try TZifFile.rules(identifier: "X", bytes: Array(bytes.prefix(length)))
            }
        }
        var random = SeededGenerator(seed: 11)
        for _ in 0..<300 {
            var changed = bytes
            for _ in 0..<4 {
                changed[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            // Whatever it reads as: both answers must come without a trap.
            guard let rules = try? TZifFile.rules(identifier: "X", bytes: changed) else { continue }
            _ = rules.instants(of: LocalTime(year: 2026, month: 3, day: 29, hour: 2))
        }
    }

    @Test(
        "POSIX rules of every form",
        arguments: [
            ("<+03>-3", "2026-06-01T00:00:00Z", 10800),
            ("<-0330>3:30", "2026-06-01T00:00:00Z", -12600),
            // Days by number, with and without February 29.
            ("AAA0BBB,J60/0,J300/0", "2024-02-29T23:59:59Z", 0),
            ("AAA0BBB,J60/0,J300/0", "2024-03-01T00:00:00Z", 3600),
            ("AAA0BBB,59/0,300/0", "2024-02-29T00:00:00Z", 3600),
            ("AAA0BBB-2,M3.5.0,M10.5.0/3", "2026-03-29T02:00:00Z", 7200),
            // Beyond 24 hours and negative.
            ("EET-2EEST,M3.4.4/50,M10.4.4/50", "2026-03-27T23:59:59Z", 7200),
            ("EET-2EEST,M3.4.4/50,M10.4.4/50", "2026-03-28T00:00:00Z", 10800),
            ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T00:59:59Z", -7200),
            ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00:00Z", -3600),
            // The southern hemisphere: saving time over the new year; and saving time all year long.
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-01-01T00:00:00Z", 39600),
            ("XXX3EDT4,0/0,J365/23", "2026-01-01T04:00:00Z", -14400),
            ("XXX3EDT4,0/0,J365/23", "2026-07-01T00:00:00Z", -14400),
        ])
    func posixRules(text: String, time: String, offset: Int) throws {
        let rule = try #require(PosixZoneRule(text))
        let rules = ZoneRules(identifier: "X", firstOffset: rule.standardOffset, transitions: [], rule: rule)
        #expect(try rules.utcOffset(at: instant(time)) == offset)
    }

    @Test(
        "what is no POSIX rule is refused",
        arguments: [
            "", "AB3", "CET", "CET-1CEST", "CET-1CEST,M13.1.0,M10.5.0", "CET-1CEST,M3.5.0", "<+03-3", "CET-25",
            "CET-1CEST,M3.5.0/168,M10.5.0", "CET-1CEST,J0,J365", "CET-1CEST,M3.5.0,M10.5.0x",
        ])
    func badRules(text: String) { #expect(PosixZoneRule(text) == nil) }
}

let zoneFolder = "/usr/share/zoneinfo"
