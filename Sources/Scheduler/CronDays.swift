// The two day fields of a cron expression together: which days of a given month match.
// Pure, any thread.

struct CronDays: Sendable, Hashable {
    /// Days of the month that have to be worked out for each month.
    enum MonthDay: Sendable, Hashable {
        /// `L`, `L-n`: the last day, or n days before it.
        case fromEnd(Int)
        /// `nW`: the weekday (Monday to Friday) nearest to day n, within the month.
        case nearestWeekday(Int)
        /// `LW`: the last weekday.
        case lastWeekday
    }

    /// `weekday#nth`; nth 1–5, or nil for the month's last one (`5L`).
    struct NthWeekday: Sendable, Hashable {
        var weekday: Int
        var nth: Int?
    }

    private var days: UInt64 = 0
    private var monthDays: [MonthDay] = []
    private var weekdays: UInt64 = 0
    private var nthWeekdays: [NthWeekday] = []
    /// Vixie's rule: a field that starts with a star does not restrict; if both restrict, either one matches.
    private var eitherMatches = false

    init(day: Substring, weekday: Substring) throws(ScheduleError) {
        for part in try cronParts(day, .day) { try addDay(part) }
        for part in try cronParts(weekday, .weekday) { try addWeekday(part) }
        let isFree = { (field: Substring) in field.hasPrefix("*") || field == "?" }
        eitherMatches = !isFree(day) && !isFree(weekday)
    }

    private mutating func addDay(_ part: Substring) throws(ScheduleError) {
        let field = CronField.day
        switch part.uppercased() {
        case "?": days |= try field.bits(of: "*")
        case "L": monthDays.append(.fromEnd(0))
        case "LW", "WL": monthDays.append(.lastWeekday)
        case let text where text.hasPrefix("L-"):
            let back = try field.number(part.dropFirst(2), in: part)
            guard (0...30).contains(back) else { throw field.error(part, "counts back more than 30 days") }
            monthDays.append(.fromEnd(back))
        case let text where text.hasSuffix("W"):
            monthDays.append(.nearestWeekday(try field.value(of: part.dropLast(), in: part)))
        default: days |= try field.bits(of: part)
        }
    }

    private mutating func addWeekday(_ part: Substring) throws(ScheduleError) {
        let field = CronField.weekday
        if part == "?" {
            weekdays |= try field.bits(of: "*")
        } else if part.uppercased() == "L" {
            throw field.error(part, "needs the day it is the last of: 5L is the last Friday")
        } else if part.uppercased().hasSuffix("L") {
            let value = try field.value(of: part.dropLast(), in: part)
            nthWeekdays.append(NthWeekday(weekday: value % 7, nth: nil))
        } else if let hash = part.firstIndex(of: "#") {
            let value = try field.value(of: part[..<hash], in: part)
            let nth = try field.number(part[part.index(after: hash)...], in: part)
            guard (1...5).contains(nth) else { throw field.error(part, "must have 1 to 5 after the #") }
            nthWeekdays.append(NthWeekday(weekday: value % 7, nth: nth))
        } else {
            weekdays |= try field.bits(of: part)
        }
    }

    /// Bit n set: day n of that month matches.
    func bits(year: Int, month: Int) -> UInt64 {
        let length = LocalTime.daysInMonth(year: year, month: month)
        let firstWeekday = LocalTime.weekday(dayNumber: LocalTime.dayNumber(year: year, month: month, day: 1))
        var byDay = days
        for special in monthDays {
            if let day = Self.day(special, length: length, firstWeekday: firstWeekday) { byDay |= 1 << UInt64(day) }
        }
        var byWeekday: UInt64 = 0
        for weekday in 0..<7 where weekdays & 1 << UInt64(weekday) != 0 {
            var day = 1 + (weekday - firstWeekday + 7) % 7
            while day <= length {
                byWeekday |= 1 << UInt64(day)
                day += 7
            }
        }
        for special in nthWeekdays {
            let first = 1 + (special.weekday - firstWeekday + 7) % 7
            let day = first + 7 * (special.nth.map { $0 - 1 } ?? (length - first) / 7)
            if day <= length { byWeekday |= 1 << UInt64(day) }
        }
        let inMonth: UInt64 = (1 << UInt64(length + 1)) - 2
        return (eitherMatches ? byDay | byWeekday : byDay & byWeekday) & inMonth
    }

    private static func day(_ special: MonthDay, length: Int, firstWeekday: Int) -> Int? {
        let weekday = { (day: Int) in (firstWeekday + day - 1) % 7 }
        switch special {
        case .fromEnd(let back):
            return back < length ? length - back : nil
        case .lastWeekday:
            return length - [2, 0, 0, 0, 0, 0, 1][weekday(length)]
        case .nearestWeekday(let day):
            guard day <= length else { return nil }
            switch weekday(day) {
            case 6: return day == 1 ? 3 : day - 1
            case 0: return day == length ? day - 2 : day + 1
            default: return day
            }
        }
    }
}

/// The items of a field's list.
func cronParts(_ text: Substring, _ field: CronField) throws(ScheduleError) -> [Substring] {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    guard !parts.contains("") else { throw field.error(text, "has an empty item in its list") }
    return parts
}
