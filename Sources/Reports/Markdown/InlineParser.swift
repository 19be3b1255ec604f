// Text within a block to inlines. Pure, any thread; cannot fail. Linear in the text, whatever it holds: one pass makes
// pieces, a run of marks and a bracket each go on a stack once, and what ends a code span or a link's target is known from
// one pass made before (InlineIndex). The stack of marks follows CommonMark 0.31, "An algorithm for parsing nested
// emphasis and links"; EmphasisMatcher has it.
import TextFormats

struct InlineParser {
    /// Emphasis nests at most so deep; the marks of deeper ones are text. It bounds the recursion of the writers.
    static let maxDepth = 16
    /// Bytes of a link's target; a longer one is text.
    static let maxTarget = 2_048
    /// A hard line break in the bytes handed in; MarkdownParser puts it there, and a line never holds one.
    static let hardBreak: UInt8 = 0x0B

    enum Piece {
        case text(Range<Int>)
        case code(Range<Int>)
        case lineBreak
        /// A run of "*" or "_", by its number in `EmphasisMatcher.runs`.
        case marks(Int)
        case linkStart
        case linkEnd(url: String)
        /// The target of a link that is none, shown in brackets.
        case refusedTarget(Range<Int>)
    }

    private struct Bracket {
        /// The piece to become the link's beginning.
        var piece: Int
        /// Runs of marks before it.
        var runs: Int
    }

    private let bytes: [UInt8]
    private let steps: StepCounter
    private var position = 0
    private var pieces: [Piece] = []
    private var brackets: [Bracket] = []
    private var index: InlineIndex
    private var emphasis = EmphasisMatcher()

    static func parse(_ bytes: [UInt8], _ steps: StepCounter = StepCounter()) -> [MarkdownInline] {
        var parser = InlineParser(bytes: bytes, steps)
        parser.readPieces()
        parser.emphasis.match(from: 0, steps)
        var builder = InlineBuilder(bytes: bytes, pairs: parser.emphasis.pairs)
        return builder.build(parser.pieces, parser.emphasis.runs, steps)
    }

    private init(bytes: [UInt8], _ steps: StepCounter) {
        self.bytes = bytes
        self.steps = steps
        index = InlineIndex(bytes)
    }

    // MARK: - Pieces

    private mutating func readPieces() {
        while position < bytes.count, !steps.isStopped {
            steps.add()
            switch bytes[position] {
            case UInt8(ascii: "\\") where position + 1 < bytes.count && Self.isPunctuation(bytes[position + 1]):
                pieces.append(.text(position + 1..<position + 2))
                position += 2
            case Self.hardBreak:
                pieces.append(.lineBreak)
                position += 1
            case UInt8(ascii: "`"): readCode()
            case UInt8(ascii: "*"), UInt8(ascii: "_"): readMarks()
            case UInt8(ascii: "!") where position + 1 < bytes.count && bytes[position + 1] == UInt8(ascii: "["):
                // An image would load something from elsewhere: its description and link stay.
                openBracket(length: 2)
            case UInt8(ascii: "["): openBracket(length: 1)
            case UInt8(ascii: "]"): closeBracket()
            default: readText()
            }
        }
    }

    private mutating func readText() {
        let start = position
        position += 1
        while position < bytes.count, !Self.isSpecial(bytes[position]) { position += 1 }
        steps.add(position - start)
        pieces.append(.text(start..<position))
    }

    private mutating func literal(_ count: Int) {
        pieces.append(.text(position..<position + count))
        position += count
    }

    private static func isSpecial(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\\"), hardBreak, UInt8(ascii: "`"), UInt8(ascii: "*"), UInt8(ascii: "_"), UInt8(ascii: "!"),
            UInt8(ascii: "["), UInt8(ascii: "]"):
            true
        default: false
        }
    }

    static func isPunctuation(_ byte: UInt8) -> Bool {
        (0x21...0x2F).contains(byte) || (0x3A...0x40).contains(byte) || (0x5B...0x60).contains(byte)
            || (0x7B...0x7E).contains(byte)
    }

    // MARK: - Code

    private mutating func readCode() {
        var count = 0
        while position + count < bytes.count, bytes[position + count] == UInt8(ascii: "`") { count += 1 }
        steps.add(count)
        guard let end = index.codeEnd(after: position + count, length: count, steps) else { return literal(count) }
        pieces.append(.code(position + count..<end))
        position = end + count
    }

    // MARK: - Emphasis

    private mutating func readMarks() {
        let mark = bytes[position]
        var end = position
        while end < bytes.count, bytes[end] == mark { end += 1 }
        steps.add(end - position)
        let (before, after) = (InlineNeighbour(before: position, bytes), InlineNeighbour(after: end, bytes))
        let isUnderscore = mark == UInt8(ascii: "_")
        // More lenient than CommonMark beside punctuation, or Chinese, which has no blanks, could not emphasize a quotation.
        let canOpen = after != .blank && !(isUnderscore && before == .word)
        let canClose = before != .blank && !(isUnderscore && after == .word)
        pieces.append(.marks(emphasis.add(mark, length: end - position, canOpen: canOpen, canClose: canClose)))
        position = end
    }

    // MARK: - Links

    private mutating func openBracket(length: Int) {
        brackets.append(Bracket(piece: pieces.count, runs: emphasis.runs.count))
        literal(length)
    }

    private mutating func closeBracket() {
        guard let bracket = brackets.popLast(), let end = index.targetEnd(of: position + 1, steps),
            end - position - 2 <= Self.maxTarget
        else { return literal(1) }
        emphasis.match(from: bracket.runs, steps)
        let target = position + 2..<end
        steps.add(target.count)
        if let url = Self.safeURL(String(decoding: bytes[target], as: UTF8.self)) {
            pieces[bracket.piece] = .linkStart
            pieces.append(.linkEnd(url: url))
            // HTML knows no link in a link: no bracket before this one begins another.
            brackets.removeAll(keepingCapacity: true)
        } else {
            // A link that leads nowhere allowed is shown as what it says, with its target in plain sight.
            pieces[bracket.piece] = .text(position..<position)
            pieces.append(.refusedTarget(target))
        }
        position = end + 1
    }

    /// http and https only, without anything that could end an attribute or hide where it leads.
    static func safeURL(_ text: String) -> String? {
        let start = text.utf8.prefix(8).map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
        guard start.starts(with: "https://".utf8) || start.starts(with: "http://".utf8) else { return nil }
        let isClean = text.unicodeScalars.allSatisfy { scalar in
            scalar.value > 0x20 && scalar.value != 0x7F && !"<>\"'`\\".unicodeScalars.contains(scalar)
                && !(0x80...0x9F).contains(scalar.value) && !(0x200B...0x200F).contains(scalar.value)
                && !(0x2028...0x202E).contains(scalar.value) && !(0x2066...0x2069).contains(scalar.value)
                && (scalar.isASCII || !scalar.properties.isWhitespace)
        }
        return isClean ? text : nil
    }
}
