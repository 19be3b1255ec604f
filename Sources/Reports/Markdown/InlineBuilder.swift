// The tree of a text's pieces and pairs. One pass with a stack; one thread; cannot fail.
import TextFormats

struct InlineBuilder {
    private let bytes: [UInt8]
    private let pairs: [EmphasisMatcher.Pair]
    /// Pairs whose marks are text: they would nest too deep.
    private var isFlat: [Bool]
    private var open: [[MarkdownInline]] = []
    private var content: [MarkdownInline] = []
    private var text: [UInt8] = []

    init(bytes: [UInt8], pairs: [EmphasisMatcher.Pair]) {
        self.bytes = bytes
        self.pairs = pairs
        isFlat = [Bool](repeating: false, count: pairs.count)
    }

    mutating func build(
        _ pieces: [InlineParser.Piece], _ runs: [EmphasisMatcher.Run], _ steps: StepCounter
    ) -> [MarkdownInline] {
        for piece in pieces {
            steps.add()
            switch piece {
            case .text(let range):
                text += bytes[range]
                steps.add(range.count)
            case .code(let range):
                flush()
                content.append(.code(code(range)))
                steps.add(range.count)
            case .lineBreak:
                flush()
                content.append(.lineBreak)
            case .marks(let number): write(runs[number], steps)
            case .linkStart: begin()
            case .linkEnd(let url): end { .link($0, url: url) }
            case .refusedTarget(let range):
                text += Array(" (".utf8) + bytes[range] + Array(")".utf8)
                steps.add(range.count)
            }
        }
        // A stopped parse may have left something open.
        while !open.isEmpty { end { .emphasis($0) } }
        flush()
        return content
    }

    /// What the run closes, then its marks that belong to nothing, then what it opens.
    private mutating func write(_ run: EmphasisMatcher.Run, _ steps: StepCounter) {
        var number = run.closed
        while number >= 0 {
            let pair = pairs[number]
            if isFlat[number] { literal(pair.mark, pair.length) } else { close(pair) }
            number = pair.nextClosed
            steps.add()
        }
        literal(run.mark, run.length)
        steps.add(run.length)
        number = run.opened
        while number >= 0 {
            let pair = pairs[number]
            if open.count >= InlineParser.maxDepth {
                isFlat[number] = true
                literal(pair.mark, pair.length)
            } else {
                begin()
            }
            number = pair.nextOpened
            steps.add()
        }
    }

    private mutating func close(_ pair: EmphasisMatcher.Pair) {
        end { pair.length == 2 ? .strong($0) : .emphasis($0) }
    }

    private mutating func begin() {
        flush()
        open.append(content)
        content = []
    }

    private mutating func end(_ make: ([MarkdownInline]) -> MarkdownInline) {
        guard !open.isEmpty else { return }
        flush()
        let inner = content
        // The list is moved: with a second reference to it each append would copy it.
        content = open.removeLast()
        content.append(make(inner))
    }

    private mutating func literal(_ mark: UInt8, _ count: Int) {
        for _ in 0..<count { text.append(mark) }
    }

    private mutating func flush() {
        guard !text.isEmpty else { return }
        content.append(.text(String(decoding: text, as: UTF8.self)))
        text.removeAll(keepingCapacity: true)
    }

    /// Line ends are blanks; one blank at both ends is taken off, so that code can begin with a backtick.
    private func code(_ range: Range<Int>) -> String {
        var code = bytes[range].map { $0 == UInt8(ascii: "\n") || $0 == InlineParser.hardBreak ? 0x20 : $0 }
        if code.count > 1, code.first == 0x20, code.last == 0x20, code.contains(where: { $0 != 0x20 }) {
            code.removeLast()
            code.removeFirst()
        }
        return String(decoding: code, as: UTF8.self)
    }
}
