// The one name of a job: file, status, report, API, log line. A value; any thread.

import Foundation
import TextFormats

/// A UUIDv7 (RFC 9562): 48 bits of milliseconds since 1970, then random bits. Ids made later compare greater.
public struct JobID: Hashable, Sendable, Comparable, CustomStringConvertible {
    let high: UInt64
    let low: UInt64

    private static let version: UInt64 = 0x7000
    private static let variant: UInt64 = 0x8000_0000_0000_0000

    private init(milliseconds: UInt64, random: UInt64, moreRandom: UInt64) {
        high = (milliseconds & 0xFFFF_FFFF_FFFF) << 16 | JobID.version | (random & 0x0FFF)
        low = JobID.variant | (moreRandom & 0x3FFF_FFFF_FFFF_FFFF)
    }

    /// - Returns: nil unless the text is a version 7 UUID in lower case with hyphens.
    public init?(_ text: String) {
        var values: (UInt64, UInt64) = (0, 0)
        var digits = 0
        var place = 0
        for byte in text.utf8 {
            if place == 8 || place == 13 || place == 18 || place == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
            } else {
                guard let digit = Hex.value(byte), digits < 32 else { return nil }
                if digits < 16 {
                    values.0 = values.0 << 4 | UInt64(digit)
                } else {
                    values.1 = values.1 << 4 | UInt64(digit)
                }
                digits += 1
            }
            place += 1
        }
        guard place == 36, digits == 32, values.0 & 0xF000 == JobID.version, values.1 >> 62 == 2 else { return nil }
        high = values.0
        low = values.1
    }

    /// A new id; random bits from the system's generator.
    public static func make(now: Date) -> JobID {
        var generator = SystemRandomNumberGenerator()
        return JobID(
            milliseconds: UInt64(max(0, now.timeIntervalSince1970 * 1000)), random: generator.next(),
            moreRandom: generator.next())
    }

    /// An id that is the same whenever it is derived from the same facts: its random bits come from `digest`.
    /// - Parameter digest: at least 10 bytes of a cryptographic hash; fewer count as zero bytes.
    public static func derived(from digest: [UInt8], time: Date) -> JobID {
        let bytes = digest.prefix(10) + Array(repeating: 0, count: max(0, 10 - digest.count))
        let random = bytes.prefix(2).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let more = bytes.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return JobID(
            milliseconds: UInt64(max(0, time.timeIntervalSince1970 * 1000)), random: random, moreRandom: more)
    }

    /// When the id was made, in milliseconds since 1970.
    public var milliseconds: UInt64 { high >> 16 }
    public var time: Date { Date(timeIntervalSince1970: Double(milliseconds) / 1000) }

    /// The UTC day, as in "2026-11-24": the folder of its status file.
    public var day: String { RFC3339.day(Int64(milliseconds)) }

    /// Two hexadecimal digits of the random part: the folder inside the day.
    public var shard: String { Hex.text(low & 0xFF, digits: 2) }

    public var description: String {
        String(unsafeUninitializedCapacity: 36) { text in
            var place = 0
            for index in 0..<32 {
                if index == 8 || index == 12 || index == 16 || index == 20 {
                    text[place] = UInt8(ascii: "-")
                    place += 1
                }
                let word = index < 16 ? high : low
                text[place] = Hex.digit(word >> UInt64(60 - 4 * (index % 16)))
                place += 1
            }
            return place
        }
    }

    public static func < (left: JobID, right: JobID) -> Bool { (left.high, left.low) < (right.high, right.low) }
}

/// What a key of jobs that must run one at a time is called on disk: 128 bits, opaque to the spool.
public struct OrderKey: Hashable, Sendable, CustomStringConvertible {
    private let high: UInt64
    private let low: UInt64

    /// - Returns: nil unless the text is 32 lower-case hexadecimal digits.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 32 else { return nil }
        var values: [UInt64] = [0, 0]
        for (index, byte) in bytes.enumerated() {
            guard let digit = Hex.value(byte) else { return nil }
            values[index / 16] = values[index / 16] << 4 | UInt64(digit)
        }
        high = values[0]
        low = values[1]
    }

    public var description: String { Hex.text(high, digits: 16) + Hex.text(low, digits: 16) }
    var shard: String { Hex.text(low & 0xFF, digits: 2) }
}

enum Hex {
    static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): return byte - UInt8(ascii: "a") + 10
        default: return nil
        }
    }

    /// The digit of the lowest four bits.
    static func digit(_ value: UInt64) -> UInt8 {
        let nibble = UInt8(truncatingIfNeeded: value & 0xF)
        return nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
    }

    /// The lowest `digits` digits of a number; 1 to 16.
    static func text(_ value: UInt64, digits: Int) -> String {
        String(unsafeUninitializedCapacity: digits) { text in
            for place in 0..<digits { text[place] = digit(value >> UInt64(4 * (digits - 1 - place))) }
            return digits
        }
    }
}
