// Times as text, RFC 3339 in UTC with milliseconds. Pure; any thread. No Foundation formatter: those lock and are slow.

import Foundation

public enum RFC3339 {
    /// For example "2026-11-24T03:44:46.123Z": always UTC, always milliseconds (rounded to the nearest).
    public static func string(_ date: Date) -> String {
        let milliseconds = Int64((date.timeIntervalSince1970 * 1000).rounded())
        let (days, inDay) = floorDivide(milliseconds, 86_400_000)
        let (year, month, day) = civil(days: days)
        let seconds = inDay / 1000
        let fields = [year, month, day, seconds / 3600, seconds / 60 % 60, seconds % 60, inDay % 1000]
        return fixed(fields, "0000-00-00T00:00:00.000Z")
    }

    /// The UTC day of a time in milliseconds since 1970, as in "2026-11-24".
    public static func day(_ milliseconds: Int64) -> String {
        let (year, month, day) = civil(days: floorDivide(milliseconds, 86_400_000).quotient)
        return fixed([year, month, day], "0000-00-00")
    }

    /// Accepts any offset, "T" or a space between date and time, and up to nine decimals of a second.
    /// - Returns: nil for anything that is no time that exists (leap second :60 counts as the next minute's start).
    public static func date(_ text: String) -> Date? {
        var reader = DigitReader(Array(text.utf8))
        guard let year = reader.number(4), reader.take("-"), let month = reader.number(2), reader.take("-"),
            let day = reader.number(2), reader.take("T") || reader.take("t") || reader.take(" "),
            let hour = reader.number(2), reader.take(":"), let minute = reader.number(2), reader.take(":"),
            let second = reader.number(2), (1...12).contains(month), (1...daysIn(month, year)).contains(day),
            hour < 24, minute < 60, second <= 60
        else { return nil }
        var fraction = 0.0
        if reader.take(".") {
            guard let value = reader.fraction() else { return nil }
            fraction = value
        }
        guard let offset = reader.offsetSeconds(), reader.isAtEnd else { return nil }
        let whole = dayNumber(year: year, month: month, day: day) * 86_400 + hour * 3600 + minute * 60 + second - offset
        return Date(timeIntervalSince1970: Double(whole) + fraction)
    }

    /// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
    public static func dayNumber(year: Int, month: Int, day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = floorDivide(Int64(shifted), 400).quotient
        let yearOfEra = Int64(shifted) - era * 400
        let dayOfYear = Int64((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1)
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return Int(era * 146_097 + dayOfEra - 719_468)
    }

    /// The date of a day counted from 1970-01-01.
    public static func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let (era, dayOfEra) = floorDivide(shifted, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    public static func daysIn(_ month: Int, _ year: Int) -> Int {
        switch month {
        case 4, 6, 9, 11: return 30
        case 2: return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
        default: return 31
        }
    }

    private static func floorDivide(_ value: Int64, _ by: Int64) -> (quotient: Int64, remainder: Int64) {
        let remainder = ((value % by) + by) % by
        return ((value - remainder) / by, remainder)
    }

    /// The fields, each in as many digits as the pattern has zeros for it. A year of other than four digits stands in front.
    private static func fixed(_ fields: [Int64], _ pattern: StaticString) -> String {
        guard (0...9999).contains(fields[0]) else {
            return String(fields[0]) + fixed([0] + fields.dropFirst(), pattern).dropFirst(4)
        }
        return pattern.withUTF8Buffer { pattern in
            String(unsafeUninitializedCapacity: pattern.count) { text in
                var field = fields.count - 1
                var rest = fields[field]
                for place in pattern.indices.reversed() {
                    if pattern[place] == UInt8(ascii: "0") {
                        text[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                        rest /= 10
                    } else {
                        text[place] = pattern[place]
                        // "Z" stands behind the last field, every other sign in front of one.
                        guard place < pattern.count - 1 || pattern[place] != UInt8(ascii: "Z") else { continue }
                        field -= 1
                        rest = fields[field]
                    }
                }
                return pattern.count
            }
        }
    }
}

private struct DigitReader {
    let bytes: [UInt8]
    var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    mutating func take(_ character: Character) -> Bool {
        guard position < bytes.count, bytes[position] == character.asciiValue else { return false }
        position += 1
        return true
    }

    mutating func digit() -> Int? {
        guard position < bytes.count, (0x30...0x39).contains(bytes[position]) else { return nil }
        defer { position += 1 }
        return Int(bytes[position]) - 0x30
    }

    mutating func number(_ count: Int) -> Int? {
        var value = 0
        for _ in 0..<count {
            guard let digit = digit() else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    mutating func fraction() -> Double? {
        var value = 0.0
        var scale = 0.1
        var count = 0
        while let digit = digit() {
            count += 1
            guard count <= 9 else { return nil }
            value += Double(digit) * scale
            scale /= 10
        }
        return count > 0 ? value : nil
    }

    mutating func offsetSeconds() -> Int? {
        if take("Z") || take("z") { return 0 }
        let sign: Int
        if take("+") { sign = 1 } else if take("-") { sign = -1 } else { return nil }
        guard let hours = number(2), take(":"), let minutes = number(2), hours < 24, minutes < 60 else { return nil }
        return sign * (hours * 3600 + minutes * 60)
    }
}
