// Numbers and times as people and exports write them. Pure functions, any thread; nil means "this is no such value",
// never a guess: "1,5" is refused because it is 1.5 in Berlin and 15 elsewhere.
import Foundation
import TextFormats

enum ValueReading {
    private static let absent: Set<String> = [
        "", "-", "--", "—", "n/a", "na", "null", "none", "nan", "#n/a", "无", "暂无",
    ]

    /// A long text is a value: it need not be made lower case to see that.
    static func isAbsent(_ text: String) -> Bool { text.utf8.count <= 8 && absent.contains(text.lowercased()) }

    /// "189.5", "1,234.56", "+1.2%", "$189", "¥ 12", "1.2亿" is refused. Finite values only.
    static func number(_ raw: String) -> Double? {
        var text = halfWidth(raw).filter { !$0.isWhitespace }
        if text.hasSuffix("%") { text.removeLast() }
        var sign = ""
        if let first = text.first, first == "+" || first == "-" || first == "−" {
            sign = first == "+" ? "" : "-"
            text.removeFirst()
        }
        if let first = text.first, "$¥€£￥".contains(first) { text.removeFirst() }
        guard let plain = withoutGrouping(text), let first = plain.utf8.first,
            first >= UInt8(ascii: "0"), first <= UInt8(ascii: "9") || first == UInt8(ascii: "."),
            plain.utf8.allSatisfy({ isNumberByte($0) }), let value = Double(sign + plain), value.isFinite
        else { return nil }
        return value
    }

    private static func isNumberByte(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || ".eE+-".utf8.contains(byte)
    }

    /// Takes commas out only where they group thousands: "1,234,567.8", not "1,5".
    private static func withoutGrouping(_ text: String) -> String? {
        guard text.contains(",") else { return text.hasPrefix(".") ? "0" + text : text }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let groups = (parts.first ?? "").split(separator: ",", omittingEmptySubsequences: false)
        let isGrouped =
            parts.count <= 2 && (1...3).contains(groups[0].count) && groups.dropFirst().allSatisfy { $0.count == 3 }
        return isGrouped ? text.filter { $0 != "," } : nil
    }

    /// Fullwidth digits, letters and signs (U+FF01…U+FF5E) as their plain forms.
    static func halfWidth(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { (0xFF01...0xFF5E).contains($0.value) }) else { return text }
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let isWide = (0xFF01...0xFF5E).contains(scalar.value)
            result.append(isWide ? Unicode.Scalar(scalar.value - 0xFEE0) ?? scalar : scalar)
        }
        return String(result)
    }

    /// RFC 3339; "2026-11-24", "2026/11/24", "20261124", "2026年11月24日", each with an optional "15:00[:00]"; or the
    /// seconds (10 digits) or milliseconds (13 digits) since 1970. A time without a zone is read as UTC.
    static func time(_ raw: String) -> Date? {
        let text = halfWidth(raw).trimmingCharacters(in: .whitespacesAndNewlines)
        if let date = RFC3339.date(text) { return date }
        if text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let count = Double(text) {
            if text.utf8.count == 10 { return Date(timeIntervalSince1970: count) }
            if text.utf8.count == 13 { return Date(timeIntervalSince1970: count / 1000) }
            if text.utf8.count != 8 { return nil }
        }
        return calendarTime(text)
    }

    private static func calendarTime(_ text: String) -> Date? {
        let parts = text.split(maxSplits: 1, whereSeparator: { $0 == " " || $0 == "T" })
        guard let day = parts.first, let (year, month, date) = dayParts(String(day)) else { return nil }
        var seconds = 0
        if parts.count == 2 {
            let clock = parts[1].hasSuffix("Z") ? parts[1].dropLast() : parts[1]
            guard let value = clockSeconds(String(clock)) else { return nil }
            seconds = value
        }
        guard let days = daysSince1970(year: year, month: month, day: date) else { return nil }
        return Date(timeIntervalSince1970: Double(days) * 86_400 + Double(seconds))
    }

    private static func dayParts(_ text: String) -> (Int, Int, Int)? {
        if text.utf8.count == 8, let all = Int(text), all > 0 { return (all / 10_000, all / 100 % 100, all % 100) }
        let parts = text.split(whereSeparator: { "-/.年月日".contains($0) })
        guard parts.count == 3, parts[0].count == 4, let year = Int(parts[0]), let month = Int(parts[1]),
            let day = Int(parts[2])
        else { return nil }
        return (year, month, day)
    }

    private static func clockSeconds(_ text: String) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count), let hour = Int(parts[0]), let minute = Int(parts[1]),
            (0...23).contains(hour), (0...59).contains(minute)
        else { return nil }
        guard parts.count == 3 else { return hour * 3600 + minute * 60 }
        guard let second = Double(parts[2]), (0..<60).contains(second) else { return nil }
        return hour * 3600 + minute * 60 + Int(second)
    }

    /// Proleptic Gregorian day number; nil for a day that does not exist.
    /// Formula: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    static func daysSince1970(year: Int, month: Int, day: Int) -> Int? {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard (1900...2200).contains(year), (1...12).contains(month), (1...lengths[month - 1]).contains(day) else {
            return nil
        }
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// One line of at most `DataLimits.textLength` characters, control characters taken out; nil when nothing is left.
    static func text(_ raw: String) -> String? {
        let parts = raw.split(whereSeparator: { $0.isWhitespace || $0.isNewline })
        let clean = parts.joined(separator: " ").unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }
        let text = String(String(String.UnicodeScalarView(clean)).prefix(DataLimits.textLength))
        return text.isEmpty || isAbsent(text) ? nil : text
    }
}
