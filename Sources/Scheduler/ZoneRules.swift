// When a time zone's clocks change: offsets for instants, instants for wall clock times.
// An immutable value, any thread; made from the system's TZif files by `ZoneCatalog`, or from bytes.
// Foundation's zones are not used: ICU carries data of its own, and searching it is slow.

import Foundation

public struct ZoneRules: Sendable {
    /// What a wall clock time means in a zone. Instants are Unix seconds.
    public enum Instants: Sendable, Hashable {
        case once(Int)
        /// Clocks jump over that time; the first moment after the jump.
        case skipped(resumesAt: Int)
        /// Clocks are set back over that time: it is shown at each of these, earliest first.
        case repeated(first: Int, last: Int)

        /// DESIGN §6: a skipped time means the first moment after the gap, a repeated one its first occurrence.
        public var first: Int {
            switch self {
            case .once(let instant), .skipped(let instant), .repeated(let instant, _): instant
            }
        }
    }

    /// A span with one offset: `start` ≤ t < `end`.
    struct Period {
        var start: Int
        var end: Int
        var offset: Int
    }

    /// No zone is further than this from Greenwich (RFC 9636 allows -25 h … 26 h).
    static let widestOffset = 26 * 3600
    /// After this many years the Gregorian calendar repeats, weekdays included.
    private static let cycle = 146_097 * 86_400

    /// IANA name, as asked for.
    public let identifier: String
    private let firstOffset: Int
    private let times: [Int]
    private let offsets: [Int]
    /// Set when `times` ends with 400 years of the footer's rule: later instants are looked up a cycle earlier.
    private let repeatsAfter: Int?

    /// Coordinated Universal Time; needs no file.
    public static let utc = ZoneRules(identifier: "UTC", firstOffset: 0, transitions: [], rule: nil)

    /// `transitions` in ascending order; `rule` goes on after the last of them.
    init(identifier: String, firstOffset: Int, transitions: [(time: Int, offset: Int)], rule: PosixZoneRule?) {
        self.identifier = identifier
        self.firstOffset = firstOffset
        var all = transitions
        if let rule {
            // The rule holds after the last transition, so it can only follow it.
            let last = transitions.last?.time ?? Int(Int32.min)
            let year = LocalTime(wallSeconds: last).year
            if rule.saving != nil {
                for next in (year - 1...year + 402).flatMap(rule.transitions(year:)) where next.time > last {
                    // Saving time all year long: the end of one year's is the start of the next one's.
                    if let previous = all.last, previous.time >= next.time { all.removeLast() }
                    all.append(next)
                }
            } else if (transitions.last?.offset ?? firstOffset) != rule.standardOffset {
                all.append((time: last, offset: rule.standardOffset))
            }
            repeatsAfter = rule.saving == nil ? nil : all.last.map { $0.time - Self.widestOffset }
        } else {
            repeatsAfter = nil
        }
        times = all.map(\.time)
        offsets = all.map(\.offset)
    }

    /// Seconds east of Greenwich at `instant`.
    public func utcOffset(at instant: Date) -> Int {
        utcOffset(atUnix: Int(instant.timeIntervalSince1970.rounded(.down)))
    }

    func utcOffset(atUnix instant: Int) -> Int { period(at: instant).offset }

    /// What a wall clock in this zone shows at `instant` (Unix seconds).
    public func localTime(atUnix instant: Int) -> LocalTime {
        LocalTime(wallSeconds: instant + utcOffset(atUnix: instant))
    }

    /// The instants at which a wall clock in this zone shows `local`.
    public func instants(of local: LocalTime) -> Instants { instants(ofWall: local.wallSeconds) }

    func instants(ofWall wall: Int) -> Instants {
        var current = period(at: wall - Self.widestOffset)
        // The common case: no change of clocks anywhere near.
        if current.end > wall + Self.widestOffset { return .once(wall - current.offset) }
        var first: Int?
        var last = 0
        var resumesAt: Int?
        while true {
            let instant = wall - current.offset
            if instant >= current.start, instant < current.end {
                first = first ?? instant
                last = instant
            }
            // After a leap forward the new clock is already past `wall` when it starts.
            if first == nil, resumesAt == nil, instant < current.start { resumesAt = current.start }
            if current.end > wall + Self.widestOffset { break }
            current = period(at: current.end)
        }
        if let first { return first == last ? .once(first) : .repeated(first: first, last: last) }
        // A time no period shows lies in a gap, which some period was seen to begin after.
        return .skipped(resumesAt: resumesAt ?? wall - current.offset)
    }

    func period(at instant: Int) -> Period {
        if let repeatsAfter, instant >= repeatsAfter {
            let cycles = (instant - repeatsAfter) / Self.cycle + 1
            var found = period(at: instant - cycles * Self.cycle)
            found.start += cycles * Self.cycle
            found.end += cycles * Self.cycle
            return found
        }
        // The first transition after `instant`.
        var low = 0
        var high = times.count
        while low < high {
            let middle = (low + high) / 2
            if times[middle] <= instant { low = middle + 1 } else { high = middle }
        }
        return Period(
            start: low == 0 ? Int.min / 4 : times[low - 1],
            end: low == times.count ? Int.max / 4 : times[low],
            offset: low == 0 ? firstOffset : offsets[low - 1])
    }
}
