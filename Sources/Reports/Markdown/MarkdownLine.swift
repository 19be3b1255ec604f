// One line of a Markdown text as places in its bytes. Plain values, any thread; cannot fail.
import TextFormats

struct MarkdownLine {
    /// Without the blanks at both ends.
    var text: Range<Int>
    var whole: Range<Int>
    /// The first byte that is no blank; nil in an empty line.
    var first: UInt8?

    init(_ whole: Range<Int>, _ bytes: [UInt8], _ steps: StepCounter) {
        self.whole = whole
        text = Self.trimmed(whole, bytes, steps)
        first = text.isEmpty ? nil : bytes[text.lowerBound]
    }

    init(text: Range<Int>, whole: Range<Int>) {
        self.text = text
        self.whole = whole
    }

    /// Columns before the text; a tab counts four.
    func indent(_ bytes: [UInt8]) -> Int {
        bytes[whole.lowerBound..<text.lowerBound].reduce(0) { $0 + ($1 == UInt8(ascii: "\t") ? 4 : 1) }
    }

    static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    static func trimmed(_ range: Range<Int>, _ bytes: [UInt8], _ steps: StepCounter) -> Range<Int> {
        var (start, end) = (range.lowerBound, range.upperBound)
        while start < end, isBlank(bytes[start]) { start += 1 }
        while start < end, isBlank(bytes[end - 1]) { end -= 1 }
        steps.add(range.count - (end - start) + 1)
        return start..<end
    }

    /// The places between line ends: LF, CR, CR LF, VT, FF, U+0085, U+2028 and U+2029.
    static func split(_ bytes: [UInt8], _ steps: StepCounter) -> [Range<Int>] {
        var lines: [Range<Int>] = []
        var (start, place) = (0, 0)
        while place < bytes.count {
            let length = lineEnd(bytes, at: place)
            if length > 0 {
                lines.append(start..<place)
                start = place + length
            }
            place += max(1, length)
        }
        lines.append(start..<bytes.count)
        steps.add(bytes.count)
        return lines
    }

    /// Bytes of the line end at this place; 0 where there is none.
    private static func lineEnd(_ bytes: [UInt8], at place: Int) -> Int {
        func holds(_ offset: Int, _ byte: UInt8) -> Bool {
            place + offset < bytes.count && bytes[place + offset] == byte
        }
        switch bytes[place] {
        case 0x0A, 0x0B, 0x0C: return 1
        case 0x0D: return holds(1, 0x0A) ? 2 : 1
        case 0xC2: return holds(1, 0x85) ? 2 : 0
        case 0xE2: return holds(1, 0x80) && (holds(2, 0xA8) || holds(2, 0xA9)) ? 3 : 0
        default: return 0
        }
    }
}
