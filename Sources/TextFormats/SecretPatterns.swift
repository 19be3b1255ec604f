// Finds known secrets in text of other programs, however they wrote them: plain, in another case, percent-encoded, as HTML
// character references, with JSON escapes, these inside each other, as Base64 or as hex digits. Pure; any thread.
//
// A text is decoded step by step, each byte with the place it came from: what is found in any step is hidden in the text itself.
// The work is bounded by (bytes of text) × (steps) × (secrets).
import Foundation

struct SecretPatterns: Sendable {
    /// A secret shorter than this, in bytes, would blank out ordinary words.
    static let shortest = 6
    /// Encodings inside each other.
    private static let maximumSteps = 3

    private struct Pattern: Sendable {
        /// In lower case where `ignoresCase`.
        var bytes: [UInt8]
        var ignoresCase: Bool
        /// Base64 has no borders of its own: all digits around it belong to it.
        var isBase64: Bool
    }

    private let patterns: [Pattern]
    /// In lower case, the longest first.
    let secrets: [[UInt8]]

    init(_ secrets: [String]) {
        let known = Set(secrets.map { Array($0.utf8) }.filter { $0.count >= Self.shortest })
        var patterns: [Pattern] = []
        for secret in known {
            patterns.append(Pattern(bytes: secret.map(Self.lowered), ignoresCase: true, isBase64: false))
            let hex = secret.flatMap { Array(String($0 >> 4, radix: 16).utf8) + Array(String($0 & 15, radix: 16).utf8) }
            patterns.append(Pattern(bytes: hex, ignoresCase: true, isBase64: false))
            patterns += Self.base64(secret).map { Pattern(bytes: $0, ignoresCase: false, isBase64: true) }
        }
        self.patterns = patterns
        self.secrets = known.map { $0.map(Self.lowered) }.sorted { ($0.count, $1[0]) > ($1.count, $0[0]) }
    }

    var isEmpty: Bool { secrets.isEmpty }

    /// The digits that a secret always has in Base64, for the three places it can begin at, in both alphabets.
    private static func base64(_ secret: [UInt8]) -> Set<[UInt8]> {
        var found: Set<[UInt8]> = []
        for offset in 0..<3 {
            let digits = Array(Data([UInt8](repeating: 0, count: offset) + secret).base64EncodedString().utf8)
            // Digits that hold bits of what stands before, and of what follows.
            let first = [0, 2, 3][offset]
            let last = ((offset + secret.count) * 8) / 6
            guard last - first >= 8 else { continue }
            let core = Array(digits[first..<last])
            found.insert(core)
            found.insert(
                core.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: "-") : $0 == UInt8(ascii: "/") ? UInt8(ascii: "_") : $0 })
        }
        return found
    }

    // MARK: Looking

    /// Bytes and where in the text each came from.
    private struct Step {
        var bytes: [UInt8]
        var starts: [Int]
        var ends: [Int]

        mutating func add(_ byte: UInt8, _ start: Int, _ end: Int) {
            bytes.append(byte)
            starts.append(start)
            ends.append(end)
        }
    }

    /// - Returns: the parts of `text` that hold a secret, in order, apart from each other.
    func ranges(in text: [UInt8]) -> [Range<Int>] {
        guard !isEmpty else { return [] }
        var found: [Range<Int>] = []
        // Windows that overlap bound the memory: every decoded byte has its place beside it.
        for start in stride(from: 0, to: text.count, by: Self.window) {
            let piece = text[start..<min(text.count, start + Self.window + Self.overlap)]
            for range in rangesOfPiece(Array(piece)) { found.append((start + range.lowerBound)..<(start + range.upperBound)) }
        }
        return Self.merged(found)
    }

    /// Bytes looked at together, and how many of them again with the next: the longest secret that is found in any encoding.
    private static let window = 64 << 10
    private static let overlap = 8 << 10

    private func rangesOfPiece(_ text: [UInt8]) -> [Range<Int>] {
        var found: [Range<Int>] = []
        forEachStep(text) { step in
            let lower = step.bytes.map(Self.lowered)
            for pattern in patterns {
                let bytes = pattern.ignoresCase ? lower : step.bytes
                var place = 0
                while let start = Self.find(pattern.bytes, in: bytes, from: place) {
                    var range = start..<(start + pattern.bytes.count)
                    if pattern.isBase64 { range = Self.widened(range, in: step.bytes) }
                    found.append(step.starts[range.lowerBound]..<step.ends[range.upperBound - 1])
                    place = range.upperBound
                }
            }
        }
        return found
    }

    /// Where a secret may have begun that the text ends in the middle of; nil: nowhere.
    /// - Parameter least: bytes of it that must be there.
    func beginning(in text: [UInt8], least: Int) -> Int? {
        guard !isEmpty else { return nil }
        var earliest: Int?
        forEachStep(text, mayGoOn: true) { step in
            // An encoded character that has begun: it may be any.
            let whole = Self.unfinished(step.bytes) ?? step.bytes.count
            let lower = step.bytes[..<whole].map(Self.lowered)
            for pattern in patterns {
                let bytes = pattern.ignoresCase ? lower : Array(step.bytes[..<whole])
                let longest = min(pattern.bytes.count - 1, bytes.count)
                guard longest >= least else { continue }
                for count in stride(from: longest, through: max(least, 0), by: -1)
                where bytes[(bytes.count - count)...].elementsEqual(pattern.bytes[..<count]) {
                    let start = whole - count
                    guard start < step.starts.count else { break }
                    earliest = min(earliest ?? .max, step.starts[start])
                    break
                }
            }
        }
        return earliest
    }

    /// - Parameter mayGoOn: more text may follow: a reference without its semicolon at the end is left as it is.
    private func forEachStep(_ text: [UInt8], mayGoOn: Bool = false, _ body: (Step) -> Void) {
        var step = Step(bytes: text, starts: Array(0..<text.count), ends: Array(1..<(text.count + 1)))
        body(step)
        for _ in 0..<Self.maximumSteps {
            guard let next = Self.decoded(step, mayGoOn: mayGoOn) else { return }
            step = next
            body(step)
        }
    }

    static func merged(_ ranges: [Range<Int>]) -> [Range<Int>] {
        var result: [Range<Int>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, range.lowerBound <= last.upperBound {
                result[result.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                result.append(range)
            }
        }
        return result
    }

    private static func find(_ pattern: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
        guard bytes.count >= pattern.count else { return nil }
        var place = start
        while place <= bytes.count - pattern.count {
            guard let next = bytes[place...(bytes.count - pattern.count)].firstIndex(of: pattern[0]) else { return nil }
            if bytes[next..<(next + pattern.count)].elementsEqual(pattern) { return next }
            place = next + 1
        }
        return nil
    }

    private static func widened(_ range: Range<Int>, in bytes: [UInt8]) -> Range<Int> {
        let isDigit = { (byte: UInt8) in lowered(byte).isLetter || byte.isNumber || "+/-_=".utf8.contains(byte) }
        var (start, end) = (range.lowerBound, range.upperBound)
        while start > 0, isDigit(bytes[start - 1]) { start -= 1 }
        while end < bytes.count, isDigit(bytes[end]) { end += 1 }
        return start..<end
    }

    static func lowered(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

    // MARK: Decoding

    /// - Returns: nil when nothing was encoded.
    private static func decoded(_ step: Step, mayGoOn: Bool) -> Step? {
        let bytes = step.bytes
        guard bytes.contains(where: { $0 == percent || $0 == ampersand || $0 == backslash }) else { return nil }
        var next = Step(bytes: [], starts: [], ends: [])
        var isChanged = false
        var place = 0
        while place < bytes.count {
            if let (value, count) = character(bytes, place), !(mayGoOn && isOpenReference(bytes, place, count)) {
                isChanged = true
                for byte in value { next.add(byte, step.starts[place], step.ends[place + count - 1]) }
                place += count
            } else {
                next.add(bytes[place], step.starts[place], step.ends[place])
                place += 1
            }
        }
        return isChanged ? next : nil
    }

    private static let percent = UInt8(ascii: "%")
    private static let ampersand = UInt8(ascii: "&")
    private static let backslash = UInt8(ascii: "\\")

    /// The encoded character that begins at `place`, and how many bytes it takes.
    private static func character(_ bytes: [UInt8], _ place: Int) -> (value: [UInt8], count: Int)? {
        switch bytes[place] {
        case percent: return number(bytes, place + 1, digits: 2, radix: 16).map { ([UInt8(truncatingIfNeeded: $0)], 3) }
        case ampersand: return reference(bytes, place)
        case backslash:
            guard place + 1 < bytes.count else { return nil }
            switch bytes[place + 1] {
            case UInt8(ascii: "u"): return number(bytes, place + 2, digits: 4, radix: 16).flatMap(utf8).map { ($0, 6) }
            case UInt8(ascii: "x"): return number(bytes, place + 2, digits: 2, radix: 16).flatMap(utf8).map { ($0, 4) }
            case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "/"), backslash: return ([bytes[place + 1]], 2)
            default: return nil
            }
        default: return nil
        }
    }

    /// Whether further digits, or the semicolon, may follow a reference.
    private static func isOpenReference(_ bytes: [UInt8], _ place: Int, _ count: Int) -> Bool {
        bytes[place] == ampersand && place + count == bytes.count && bytes[bytes.count - 1] != UInt8(ascii: ";")
    }

    private static let longestReference = 12

    private static func reference(_ bytes: [UInt8], _ place: Int) -> (value: [UInt8], count: Int)? {
        let rest = bytes[(place + 1)...].prefix(longestReference)
        guard rest.first == UInt8(ascii: "#") else {
            guard let end = rest.firstIndex(of: UInt8(ascii: ";")),
                let value = names[String(decoding: bytes[(place + 1)..<end], as: UTF8.self)]
            else { return nil }
            return ([value], end - place + 1)
        }
        var digits = rest.dropFirst()
        let isHex = digits.first.map(lowered) == UInt8(ascii: "x")
        if isHex { digits = digits.dropFirst() }
        digits = digits.prefix { isHex ? hexDigit($0) != nil : $0.isNumber }
        guard !digits.isEmpty, let code = UInt32(String(decoding: digits, as: UTF8.self), radix: isHex ? 16 : 10),
            let value = utf8(code)
        else { return nil }
        // A reference may end without its semicolon.
        let end = digits.endIndex
        return (value, end - place + (end < bytes.count && bytes[end] == UInt8(ascii: ";") ? 1 : 0))
    }

    private static func number(_ bytes: [UInt8], _ start: Int, digits: Int, radix: UInt32) -> UInt32? {
        guard start + digits <= bytes.count else { return nil }
        var value: UInt32 = 0
        for byte in bytes[start..<(start + digits)] {
            guard let digit = hexDigit(byte) else { return nil }
            value = value * radix + digit
        }
        return value
    }

    private static func hexDigit(_ byte: UInt8) -> UInt32? {
        switch lowered(byte) {
        case let digit where digit.isNumber: UInt32(digit - 0x30)
        case let digit where (0x61...0x66).contains(digit): UInt32(digit - 0x57)
        default: nil
        }
    }

    private static func utf8(_ code: UInt32) -> [UInt8]? { Unicode.Scalar(code).map { Array(String($0).utf8) } }

    /// Where an encoded character begins that the bytes end in the middle of.
    private static func unfinished(_ bytes: [UInt8]) -> Int? {
        let start = max(0, bytes.count - longestReference)
        guard let place = bytes[start...].lastIndex(where: { $0 == percent || $0 == ampersand || $0 == backslash }),
            character(bytes, place) == nil || bytes[place] == ampersand
        else { return nil }
        let rest = bytes[(place + 1)...]
        switch bytes[place] {
        case percent: return rest.count < 2 && rest.allSatisfy { hexDigit($0) != nil } ? place : nil
        case ampersand:
            return rest.allSatisfy { lowered($0).isLetter || $0.isNumber || $0 == UInt8(ascii: "#") } ? place : nil
        default: return rest.count < 5 && rest.allSatisfy { lowered($0).isLetter || $0.isNumber } ? place : nil
        }
    }

    /// The named references of the characters that keys are made of.
    private static let names: [String: UInt8] = [
        "amp": 0x26, "lt": 0x3C, "gt": 0x3E, "quot": 0x22, "apos": 0x27, "sol": 0x2F, "plus": 0x2B, "equals": 0x3D,
        "lowbar": 0x5F, "UnderBar": 0x5F, "period": 0x2E, "colon": 0x3A, "comma": 0x2C, "semi": 0x3B, "num": 0x23,
        "dollar": 0x24, "percnt": 0x25, "commat": 0x40, "excl": 0x21, "ast": 0x2A, "lpar": 0x28, "rpar": 0x29,
        "quest": 0x3F, "bsol": 0x5C, "lsqb": 0x5B, "rsqb": 0x5D, "lcub": 0x7B, "rcub": 0x7D, "verbar": 0x7C, "Hat": 0x5E,
        "grave": 0x60,
    ]
}

extension UInt8 {
    fileprivate var isLetter: Bool { (0x61...0x7A).contains(self) }
    fileprivate var isNumber: Bool { (0x30...0x39).contains(self) }
}
