// The rule at the end of a TZif file: a POSIX TZ string with the extensions of RFC 9636, section 3.3.1
// (names in <>, hours -167…167), for every moment after the file's last transition.
// Pure, any thread; a string it cannot read is nil, and the caller names the file.

struct PosixZoneRule: Sendable, Hashable {
    /// A day of the year on which clocks change.
    enum Day: Sendable, Hashable {
        /// `Jn`: 1–365, February 29 never counted.
        case julian(Int)
        /// `n`: 0–365, February 29 counted.
        case zeroBased(Int)
        /// `Mm.w.d`: weekday d (0 = Sunday) of week w (5 = last) of month m.
        case monthly(month: Int, week: Int, weekday: Int)
    }

    struct Change: Sendable, Hashable {
        var day: Day
        /// Seconds after local midnight by the clock before the change, -167 h … 167 h.
        var time: Int
    }

    struct Saving: Sendable, Hashable {
        /// Seconds east of Greenwich while it lasts.
        var offset: Int
        var start: Change
        var end: Change
    }

    /// Seconds east of Greenwich in standard time.
    var standardOffset: Int
    var saving: Saving?

    /// Reads e.g. "CET-1CEST,M3.5.0,M10.5.0/3" or "<+0330>-3:30".
    init?(_ text: String) {
        var reader = Reader(bytes: Array(text.utf8))
        guard reader.name(), let west = reader.offset() else { return nil }
        standardOffset = -west
        if reader.isAtEnd { return }
        guard reader.name() else { return nil }
        var savingOffset = standardOffset + 3600
        if !reader.isAt(",") {
            guard let west = reader.offset() else { return nil }
            savingOffset = -west
        }
        guard let start = reader.change(), let end = reader.change(), reader.isAtEnd else { return nil }
        saving = Saving(offset: savingOffset, start: start, end: end)
    }

    /// The moments (Unix seconds) in `year` at which the offset changes, in order, with the new offset.
    func transitions(year: Int) -> [(time: Int, offset: Int)] {
        guard let saving else { return [] }
        let start = Self.wallSeconds(of: saving.start, year: year) - standardOffset
        let end = Self.wallSeconds(of: saving.end, year: year) - saving.offset
        let both = [(time: start, offset: saving.offset), (time: end, offset: standardOffset)]
        return start <= end ? both : both.reversed()
    }

    private static func wallSeconds(of change: Change, year: Int) -> Int {
        let newYear = LocalTime.dayNumber(year: year, month: 1, day: 1)
        let day: Int
        switch change.day {
        case .julian(let number):
            day = newYear + number - 1 + (LocalTime.isLeap(year) && number >= 60 ? 1 : 0)
        case .zeroBased(let number):
            day = newYear + number
        case .monthly(let month, let week, let weekday):
            let first = LocalTime.dayNumber(year: year, month: month, day: 1)
            let ahead = (weekday - LocalTime.weekday(dayNumber: first) + 7) % 7
            let length = LocalTime.daysInMonth(year: year, month: month)
            var index = ahead + (week - 1) * 7
            if index >= length { index -= 7 }
            day = first + index
        }
        return day * 86_400 + change.time
    }
}

extension PosixZoneRule {
    private struct Reader {
        let bytes: [UInt8]
        var position = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        var isAtEnd: Bool { position == bytes.count }

        func isAt(_ character: Character) -> Bool {
            position < bytes.count && bytes[position] == character.asciiValue
        }

        mutating func skip(_ character: Character) -> Bool {
            guard isAt(character) else { return false }
            position += 1
            return true
        }

        /// A zone's name: at least three letters, or letters, digits and signs in <>.
        mutating func name() -> Bool {
            let isQuoted = skip("<")
            let start = position
            while position < bytes.count {
                let byte = bytes[position] | 0x20
                let isLetter = (97...122).contains(byte)
                let isOther = (48...57).contains(bytes[position]) || bytes[position] == 43 || bytes[position] == 45
                guard isLetter || (isQuoted && isOther) else { break }
                position += 1
            }
            let isLongEnough = position - start >= 3
            return isLongEnough && (!isQuoted || skip(">"))
        }

        mutating func number(atMost limit: Int) -> Int? {
            let start = position
            var value = 0
            while position < bytes.count, (48...57).contains(bytes[position]), position - start < 4 {
                value = value * 10 + Int(bytes[position] - 48)
                position += 1
            }
            return position > start && value <= limit ? value : nil
        }

        /// [+-]hh[:mm[:ss]] in seconds.
        mutating func clock(hoursAtMost limit: Int) -> Int? {
            let isNegative = skip("-")
            if !isNegative { _ = skip("+") }
            guard let hours = number(atMost: limit) else { return nil }
            var seconds = hours * 3600
            for unit in [60, 1] where skip(":") {
                guard let part = number(atMost: 59) else { return nil }
                seconds += part * unit
            }
            return isNegative ? -seconds : seconds
        }

        /// Seconds WEST of Greenwich, as POSIX counts.
        mutating func offset() -> Int? { clock(hoursAtMost: 24) }

        mutating func change() -> Change? {
            guard skip(","), let day = day() else { return nil }
            guard skip("/") else { return Change(day: day, time: 2 * 3600) }
            guard let time = clock(hoursAtMost: 167) else { return nil }
            return Change(day: day, time: time)
        }

        private mutating func day() -> Day? {
            if skip("J") {
                guard let number = number(atMost: 365), number >= 1 else { return nil }
                return .julian(number)
            }
            guard skip("M") else { return number(atMost: 365).map(Day.zeroBased) }
            guard let month = number(atMost: 12), month >= 1, skip("."),
                let week = number(atMost: 5), week >= 1, skip("."), let weekday = number(atMost: 6)
            else { return nil }
            return .monthly(month: month, week: week, weekday: weekday)
        }
    }
}
