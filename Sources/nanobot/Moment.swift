// Times as a person says them: "3 min ago", "in 2 h", or on a zone's clock. Pure; any thread.

import Foundation
import Scheduler
import TextFormats

enum Moment {
    /// Seconds; beyond, the date says more than the distance.
    private static let farAway: TimeInterval = 60 * 86_400

    static func relative(_ date: Date, now: Date) -> String { near(date, now: now) ?? String(RFC3339.string(date).prefix(10)) }

    /// "3 min ago", "in 2 h"; nil for what is so far away that the date says more.
    static func near(_ date: Date, now: Date) -> String? {
        let distance = date.timeIntervalSince(now)
        if abs(distance) < 1 { return "now" }
        if abs(distance) > farAway { return nil }
        return distance < 0 ? "\(span(-distance)) ago" : "in \(span(distance))"
    }

    /// "850 ms", "12 s", "3 min", "2 h 5 min", "4 d".
    static func span(_ seconds: TimeInterval) -> String {
        if seconds < 1 { return "\(Int((max(0, seconds) * 1_000).rounded())) ms" }
        let whole = Int(seconds.rounded())
        switch whole {
        case ..<120: return "\(whole) s"
        case ..<7_200: return "\(whole / 60) min"
        case ..<172_800:
            let minutes = whole % 3_600 / 60
            return minutes == 0 ? "\(whole / 3_600) h" : "\(whole / 3_600) h \(minutes) min"
        default: return "\(whole / 86_400) d"
        }
    }

    /// RFC 3339 with the offset the zone has then, as in "2026-03-29T09:00:00+02:00"; milliseconds only when there
    /// are any. Offsets that are no whole minutes (before about 1920) cannot be written so: those are given in UTC.
    static func local(_ date: Date, in zone: ZoneRules) -> String {
        let milliseconds = Int((date.timeIntervalSince1970 * 1_000).rounded())
        let seconds = Int((Double(milliseconds) / 1_000).rounded(.down))
        let zoneOffset = zone.utcOffset(at: Date(timeIntervalSince1970: Double(seconds)))
        let offset = zoneOffset % 60 == 0 ? zoneOffset : 0
        let wall = LocalTime(wallSeconds: seconds + offset)
        let day = "\(pad(wall.year, 4))-\(pad(wall.month, 2))-\(pad(wall.day, 2))"
        let time = "\(pad(wall.hour, 2)):\(pad(wall.minute, 2)):\(pad(wall.second, 2))"
        let fraction = milliseconds - seconds * 1_000
        let sign = offset < 0 ? "-" : "+"
        let hours = pad(abs(offset) / 3_600, 2)
        let minutes = pad(abs(offset) % 3_600 / 60, 2)
        return "\(day)T\(time)\(fraction == 0 ? "" : "." + pad(fraction, 3))\(sign)\(hours):\(minutes)"
    }

    /// RFC 3339 as people read it: "2026-12-01 09:30:05 +01:00"; UTC without its Z, milliseconds left out.
    static func spaced(_ text: String) -> String {
        let (day, time) = (text.prefix(10), text.dropFirst(11).prefix(8))
        let offset = text.hasSuffix("Z") ? "" : " \(text.suffix(6))"
        return "\(day) \(time)\(offset)"
    }

    private static func pad(_ number: Int, _ digits: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
