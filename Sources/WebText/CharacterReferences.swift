// Decodes "&amp;", "&#8212;", "&#x2014;" (HTML Standard, section 13.2.5.72 and after). Pure; any thread; never fails:
// what is no reference stays as it is written. Linear in the bytes: a name is looked for once, letter by letter.
import TextFormats

enum CharacterReferences {
    static func decoded(_ bytes: ArraySlice<UInt8>, inAttribute: Bool, _ steps: StepCounter? = nil) -> String {
        steps?.add(bytes.count)
        guard bytes.contains(where: { $0 == UInt8(ascii: "&") || $0 == 0 }) else {
            return String(decoding: bytes, as: UTF8.self)
        }
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var place = bytes.startIndex
        while place < bytes.endIndex {
            let byte = bytes[place]
            if byte == UInt8(ascii: "&"), let (text, end) = reference(bytes, at: place, inAttribute, steps) {
                result += text.utf8
                steps?.add(end - place)
                place = end
            } else {
                if byte == 0 { result += "\u{FFFD}".utf8 } else { result.append(byte) }
                place += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func reference(
        _ bytes: ArraySlice<UInt8>, at start: Int, _ inAttribute: Bool, _ steps: StepCounter?
    ) -> (String, Int)? {
        let first = start + 1
        guard first < bytes.endIndex else { return nil }
        return bytes[first] == UInt8(ascii: "#")
            ? numeric(bytes, at: first + 1) : named(bytes, at: first, inAttribute, steps)
    }

    private static func numeric(_ bytes: ArraySlice<UInt8>, at start: Int) -> (String, Int)? {
        let isHex = start < bytes.endIndex && bytes[start] | 0x20 == UInt8(ascii: "x")
        var place = isHex ? start + 1 : start
        let firstDigit = place
        var value: UInt32 = 0
        while place < bytes.endIndex, let digit = digit(bytes[place], isHex) {
            // Beyond Unicode it stays beyond; the bound keeps it from overflowing.
            value = min(value * (isHex ? 16 : 10) + digit, 0x11_0000)
            place += 1
        }
        guard place > firstDigit else { return nil }
        if place < bytes.endIndex, bytes[place] == UInt8(ascii: ";") { place += 1 }
        return (String(scalar(value)), place)
    }

    private static func digit(_ byte: UInt8, _ isHex: Bool) -> UInt32? {
        switch byte {
        case 0x30...0x39: UInt32(byte - 0x30)
        case 0x61...0x66 where isHex: UInt32(byte - 0x61 + 10)
        case 0x41...0x46 where isHex: UInt32(byte - 0x41 + 10)
        default: nil
        }
    }

    private static func scalar(_ value: UInt32) -> Unicode.Scalar {
        if (0x80...0x9f).contains(value) { return Windows1252.scalar(UInt8(value)) }
        return value == 0 ? "\u{FFFD}" : Unicode.Scalar(value) ?? "\u{FFFD}"
    }

    /// The longest name that fits. In attributes a name without semicolon before "=" or a letter is a query's.
    private static func named(
        _ bytes: ArraySlice<UInt8>, at start: Int, _ inAttribute: Bool, _ steps: StepCounter?
    ) -> (String, Int)? {
        guard let (text, length) = NamedReferences.longest(bytes[start...], steps) else { return nil }
        let end = start + length
        let isClosed = bytes[end - 1] == UInt8(ascii: ";")
        if inAttribute, !isClosed, end < bytes.endIndex, bytes[end] == UInt8(ascii: "=") || isNameByte(bytes[end]) {
            return nil
        }
        return (text, end)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte | 0x20)
    }
}
