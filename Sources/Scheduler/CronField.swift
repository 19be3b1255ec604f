// One of the five fields of a cron expression: its limits, its names, and how its text becomes a set.
// Pure, any thread. Errors name the field and the bad part.

/// A field's name, range and names of values.
struct CronField: Sendable {
    let label: String
    let range: ClosedRange<Int>
    /// Index 0 stands for the range's lower bound.
    var names: [String] = []
    /// Weekdays: 7 is another word for this value.
    var sevenIs: Int?

    static let minute = CronField(label: "minute", range: 0...59)
    static let hour = CronField(label: "hour", range: 0...23)
    static let day = CronField(label: "day of month", range: 1...31)
    static let month = CronField(
        label: "month", range: 1...12,
        names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])
    static let weekday = CronField(
        label: "day of week", range: 0...6, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"], sevenIs: 0)

    private var upper: Int { sevenIs == nil ? range.upperBound : 7 }

    /// Bit n set: value n. `part` is one item of the list: *, a, a-b, with or without /step.
    func bits(of part: Substring) throws(ScheduleError) -> UInt64 {
        let pieces = part.split(separator: "/", omittingEmptySubsequences: false)
        guard pieces.count <= 2 else { throw error(part, "has more than one step") }
        let span = pieces[0]
        var values: [Int]
        if span == "*" {
            values = Array(range)
        } else if let dash = span.firstIndex(of: "-") {
            let first = try value(of: span[..<dash], in: part)
            let last = try value(of: span[span.index(after: dash)...], in: part)
            values = self.values(from: first, through: last)
        } else {
            let first = try value(of: span, in: part)
            values = pieces.count == 2 ? self.values(from: first, through: range.upperBound) : [first]
        }
        if pieces.count == 2 {
            let step = try number(pieces[1], in: part)
            guard step >= 1 else { throw error(part, "has a step of 0; steps start at 1") }
            guard step <= range.upperBound else {
                throw error(part, "has a step larger than \(range.upperBound), so it would never come round")
            }
            values = values.enumerated().filter { $0.offset % step == 0 }.map(\.element)
        }
        return values.reduce(0) { $0 | 1 << UInt64(sevenIs != nil && $1 == 7 ? 0 : $1) }
    }

    /// Upwards, and past the end round again from the start: FRI-MON, 22-4, NOV-FEB.
    private func values(from first: Int, through last: Int) -> [Int] {
        if first <= last { return Array(first...last) }
        // 7-1 begins on Sunday; without this it would be Sunday twice.
        if first == 7, sevenIs != nil { return Array(range.lowerBound...last) }
        return Array(first...range.upperBound) + Array(range.lowerBound...last)
    }

    /// A number in range, or a name.
    func value(of text: Substring, in part: Substring) throws(ScheduleError) -> Int {
        if let index = names.firstIndex(of: text.lowercased()) { return range.lowerBound + index }
        let value = try number(text, in: part)
        guard value >= range.lowerBound, value <= upper else {
            throw error(part, "is out of range; allowed is \(range.lowerBound)–\(upper)")
        }
        return value
    }

    func number(_ text: Substring, in part: Substring) throws(ScheduleError) -> Int {
        guard !text.isEmpty, text.utf8.count <= 4, text.utf8.allSatisfy({ (48...57).contains($0) }),
            let value = Int(text)
        else {
            let words = names.isEmpty ? "a number" : "a number or a name such as \(names[1].uppercased())"
            throw error(part, text.isEmpty ? "lacks a value" : "is not \(words)")
        }
        return value
    }

    func error(_ part: Substring, _ what: String) -> ScheduleError {
        ScheduleError(.invalidExpression, "cron field \"\(label)\": \"\(part)\" \(what)", field: "expression")
    }
}
