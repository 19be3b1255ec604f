// Text that arrives cut inside a character. Servers stream a model's tokens, and a token may hold half a surrogate pair or
// the first bytes of a UTF-8 sequence; the other half comes with the next event. A Swift string cannot hold such a half, so
// each half becomes a mark: a scalar of the last private-use plane. The pieces are put together, and then pairs of marks
// become the character, and a mark without its other half becomes U+FFFD. Pure; any thread. A text that really holds
// scalars from U+10F700 up is read as marks: no script has characters there.

/// Marks for halves of characters, and how marks become characters again.
public enum PartialText {
    /// U+10F800 … U+10FFFF: a surrogate from U+D800 up.
    private static let surrogates: UInt32 = 0x10F800
    /// U+10F700 … U+10F7FF: a byte that is no UTF-8 on its own.
    private static let rawBytes: UInt32 = 0x10F700

    /// The mark of a half of a surrogate pair.
    /// - Parameter unit: 0xD800 … 0xDFFF.
    static func mark(surrogate unit: UInt32) -> Unicode.Scalar {
        Unicode.Scalar(surrogates + (unit - 0xD800)) ?? "\u{FFFD}"
    }

    /// The bytes as text. Bytes that are no UTF-8 become marks.
    static func decoding(_ bytes: [UInt8]) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        var text = String.UnicodeScalarView()
        var place = 0
        while place < bytes.count {
            let length = sequenceLength(bytes[place])
            let end = min(place + length, bytes.count)
            if let whole = String(validating: bytes[place..<end], as: UTF8.self), let scalar = whole.unicodeScalars.first {
                text.append(scalar)
                place = end
            } else if let unit = encodedSurrogate(bytes, at: place) {
                text.append(mark(surrogate: unit))
                place += 3
            } else {
                text.append(Unicode.Scalar(rawBytes + UInt32(bytes[place])) ?? "\u{FFFD}")
                place += 1
            }
        }
        return String(text)
    }

    /// The text with characters in place of complete pairs of marks, and U+FFFD in place of each other mark.
    public static func joined(_ text: String) -> String {
        guard mayHoldMarks(text) else { return text }
        var joiner = PartialTextJoiner()
        return joiner.feed(text) + joiner.finish()
    }

    /// All marks begin with this byte in UTF-8.
    static func mayHoldMarks(_ text: String) -> Bool { text.utf8.contains(0xF4) }

    static func isMark(_ scalar: Unicode.Scalar) -> Bool { scalar.value >= rawBytes }

    /// The surrogate of a mark; nil for the mark of a byte.
    static func surrogate(_ mark: Unicode.Scalar) -> UInt32? {
        mark.value >= surrogates ? mark.value - surrogates + 0xD800 : nil
    }

    static func byte(_ mark: Unicode.Scalar) -> UInt8 { UInt8(truncatingIfNeeded: mark.value - rawBytes) }

    static func sequenceLength(_ lead: UInt8) -> Int {
        switch lead {
        case 0xC0...0xDF: 2
        case 0xE0...0xEF: 3
        case 0xF0...0xF7: 4
        default: 1
        }
    }

    /// A surrogate that was encoded like a character of its own (CESU-8).
    private static func encodedSurrogate(_ bytes: [UInt8], at place: Int) -> UInt32? {
        guard place + 2 < bytes.count, bytes[place] == 0xED, (0xA0...0xBF).contains(bytes[place + 1]),
            (0x80...0xBF).contains(bytes[place + 2])
        else { return nil }
        return 0xD000 | UInt32(bytes[place + 1] & 0x3F) << 6 | UInt32(bytes[place + 2] & 0x3F)
    }
}

/// Joins the halves in a text that comes in pieces. The end of a piece is kept back where its other half may follow.
public struct PartialTextJoiner: Sendable {
    /// Marks whose other half has not come yet.
    private var open: [Unicode.Scalar] = []

    public init() {}

    /// - Returns: the text of all pieces so far that was not returned before, without an open half at the end.
    public mutating func feed(_ piece: String) -> String {
        guard !open.isEmpty || PartialText.mayHoldMarks(piece) else { return piece }
        var text = String.UnicodeScalarView()
        for scalar in piece.unicodeScalars {
            if PartialText.isMark(scalar) {
                open.append(scalar)
            } else {
                text.append(contentsOf: closed())
                text.append(scalar)
            }
        }
        let held = openEnd
        open.removeLast(held.count)
        text.append(contentsOf: closed())
        open = held
        return String(text)
    }

    /// The end of the text: an open half has no other half.
    public mutating func finish() -> String { String(closed()) }

    /// The marks at the end that can be the beginning of a character: a first surrogate, or a sequence that lacks bytes.
    private var openEnd: [Unicode.Scalar] {
        guard let last = open.last else { return [] }
        if let unit = PartialText.surrogate(last) { return unit < 0xDC00 ? [last] : [] }
        for count in 1...min(3, open.count) {
            let mark = open[open.count - count]
            guard PartialText.surrogate(mark) == nil else { return [] }
            let byte = PartialText.byte(mark)
            if byte & 0xC0 == 0x80 { continue }
            return PartialText.sequenceLength(byte) > count ? open.suffix(count) : []
        }
        return []
    }

    private mutating func closed() -> String.UnicodeScalarView {
        defer { open = [] }
        var text = String.UnicodeScalarView()
        var place = 0
        while place < open.count {
            guard let unit = PartialText.surrogate(open[place]) else {
                let bytes = open[place...].prefix { PartialText.surrogate($0) == nil }
                text.append(contentsOf: String(decoding: bytes.map(PartialText.byte), as: UTF8.self).unicodeScalars)
                place += bytes.count
                continue
            }
            let low = place + 1 < open.count ? PartialText.surrogate(open[place + 1]) : nil
            if unit < 0xDC00, let low, low >= 0xDC00, let scalar = Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)) {
                text.append(scalar)
                place += 2
            } else {
                text.append("\u{FFFD}")
                place += 1
            }
        }
        return text
    }
}
