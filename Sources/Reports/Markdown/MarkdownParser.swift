// Lines to blocks. Pure, any thread; every text is valid Markdown, so it cannot fail. It works on bytes: all marks are
// ASCII, and a byte is looked at a fixed number of times. Quotes nest at most `maxQuoteDepth` deep, lists one level, tables
// have at most `maxColumns` columns.
import TextFormats

struct MarkdownParser {
    static let maxQuoteDepth = 4
    static let maxColumns = 64

    private let bytes: [UInt8]
    private let steps: StepCounter
    private let depth: Int
    /// Places of the lines in `bytes`, without their ends.
    private let lines: [Range<Int>]
    private var next = 0
    private var blocks: [MarkdownBlock] = []
    private var paragraph: [MarkdownLine] = []

    /// - Parameter steps: a stopped counter ends the parse early; the document is then incomplete.
    static func parse(_ text: String, _ steps: StepCounter = StepCounter()) -> MarkdownDocument {
        let bytes = Array(text.utf8)
        var parser = MarkdownParser(bytes: bytes, lines: MarkdownLine.split(bytes, steps), depth: 0, steps)
        return MarkdownDocument(blocks: parser.parse())
    }

    private init(bytes: [UInt8], lines: [Range<Int>], depth: Int, _ steps: StepCounter) {
        self.bytes = bytes
        self.lines = lines
        self.depth = depth
        self.steps = steps
    }

    private func line(_ index: Int) -> MarkdownLine? {
        lines.indices.contains(index) ? MarkdownLine(lines[index], bytes, steps) : nil
    }

    private mutating func parse() -> [MarkdownBlock] {
        while !steps.isStopped, let line = line(next) {
            if line.text.isEmpty {
                flush()
                next += 1
            } else if let fence = fence(line) {
                flush()
                readCode(fence)
            } else if let heading = heading(line) {
                flush()
                next += 1
                blocks.append(heading)
            } else if isRule(line) {
                flush()
                next += 1
                blocks.append(.rule)
            } else if line.first == UInt8(ascii: ">"), depth < Self.maxQuoteDepth {
                flush()
                readQuote()
            } else if let marker = ListMarker(line, bytes, steps) {
                flush()
                readList(marker)
            } else if paragraph.isEmpty, let table = tableHead(line) {
                readTable(table)
            } else {
                paragraph.append(line)
                next += 1
            }
        }
        flush()
        return blocks
    }

    private mutating func flush() {
        guard !paragraph.isEmpty else { return }
        blocks.append(.paragraph(inlines(paragraph)))
        paragraph = []
    }

    // MARK: - Inlines

    private func inlines(_ range: Range<Int>) -> [MarkdownInline] {
        steps.add(range.count)
        return InlineParser.parse(Array(bytes[range]), steps)
    }

    /// Line ends become line feeds; a line that ends in two blanks or a backslash ends in `InlineParser.hardBreak`.
    private func inlines(_ lines: [MarkdownLine]) -> [MarkdownInline] {
        var text: [UInt8] = []
        for (index, line) in lines.enumerated() {
            if index == lines.count - 1 {
                text += bytes[line.text]
            } else if backslashes(atEndOf: line.text) % 2 == 1 {
                text += bytes[line.text.dropLast()]
                text.append(InlineParser.hardBreak)
            } else {
                text += bytes[line.text]
                let isHard = line.whole.upperBound - line.text.upperBound >= 2
                text.append(isHard ? InlineParser.hardBreak : UInt8(ascii: "\n"))
            }
        }
        steps.add(text.count)
        return InlineParser.parse(text, steps)
    }

    private func backslashes(atEndOf range: Range<Int>) -> Int {
        var start = range.upperBound
        while start > range.lowerBound, bytes[start - 1] == UInt8(ascii: "\\") { start -= 1 }
        steps.add(range.upperBound - start + 1)
        return range.upperBound - start
    }

    // MARK: - Blocks of one line

    /// How many bytes from `start` on are `mark`.
    private func run(of mark: UInt8, from start: Int, to end: Int) -> Int {
        var place = start
        while place < end, bytes[place] == mark { place += 1 }
        steps.add(place - start + 1)
        return place - start
    }

    private func heading(_ line: MarkdownLine) -> MarkdownBlock? {
        let mark = UInt8(ascii: "#")
        guard line.first == mark else { return nil }
        let level = run(of: mark, from: line.text.lowerBound, to: line.text.upperBound)
        let start = line.text.lowerBound + level
        guard level <= 6, start == line.text.upperBound || MarkdownLine.isBlank(bytes[start]) else { return nil }
        var text = MarkdownLine.trimmed(start..<line.text.upperBound, bytes, steps)
        var end = text.upperBound
        while end > text.lowerBound, bytes[end - 1] == mark { end -= 1 }
        steps.add(text.upperBound - end + 1)
        if end == text.lowerBound || bytes[end - 1] == UInt8(ascii: " ") {
            text = MarkdownLine.trimmed(text.lowerBound..<end, bytes, steps)
        }
        return .heading(level: level, inlines(text))
    }

    private func isRule(_ line: MarkdownLine) -> Bool {
        guard let mark = line.first, "-*_".utf8.contains(mark) else { return false }
        var count = 0
        for place in line.text {
            if bytes[place] == mark {
                count += 1
            } else if bytes[place] != UInt8(ascii: " ") {
                steps.add(place - line.text.lowerBound + 1)
                return false
            }
        }
        steps.add(line.text.count)
        return count >= 3
    }

    // MARK: - Code and quotes

    private func fence(_ line: MarkdownLine) -> (mark: UInt8, count: Int, language: String)? {
        guard let mark = line.first, mark == UInt8(ascii: "`") || mark == UInt8(ascii: "~") else { return nil }
        let count = run(of: mark, from: line.text.lowerBound, to: line.text.upperBound)
        guard count >= 3 else { return nil }
        let info = MarkdownLine.trimmed(line.text.lowerBound + count..<line.text.upperBound, bytes, steps)
        steps.add(info.count)
        guard !bytes[info].contains(UInt8(ascii: "`")) else { return nil }
        let language = bytes[info].prefix(32).prefix { byte in
            (0x61...0x7A).contains(byte | 0x20) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-")
        }
        return (mark, count, String(decoding: language, as: UTF8.self))
    }

    private mutating func readCode(_ fence: (mark: UInt8, count: Int, language: String)) {
        next += 1
        var content: [UInt8] = []
        var isFirst = true
        while let line = line(next) {
            next += 1
            if line.first == fence.mark, line.text.count >= fence.count,
                run(of: fence.mark, from: line.text.lowerBound, to: line.text.upperBound) == line.text.count
            {
                break
            }
            if !isFirst { content.append(UInt8(ascii: "\n")) }
            isFirst = false
            content += bytes[line.whole]
            steps.add(line.whole.count)
        }
        blocks.append(.code(language: fence.language, text: String(decoding: content, as: UTF8.self)))
    }

    private mutating func readQuote() {
        var inner: [Range<Int>] = []
        while let line = line(next), line.first == UInt8(ascii: ">") {
            var start = line.text.lowerBound + 1
            if start < line.whole.upperBound, bytes[start] == UInt8(ascii: " ") { start += 1 }
            inner.append(start..<line.whole.upperBound)
            next += 1
        }
        var parser = MarkdownParser(bytes: bytes, lines: inner, depth: depth + 1, steps)
        blocks.append(.quote(parser.parse()))
    }

    // MARK: - Lists

    private struct ListMarker {
        var isOrdered: Bool
        var number = 0
        var content: Range<Int>

        init?(_ line: MarkdownLine, _ bytes: [UInt8], _ steps: StepCounter) {
            guard let first = line.first else { return nil }
            var place = line.text.lowerBound
            isOrdered = (0x30...0x39).contains(first)
            if isOrdered {
                // Nine digits fit an Int; a longer number is text.
                while place < line.text.upperBound, (0x30...0x39).contains(bytes[place]) {
                    guard place - line.text.lowerBound < 9 else { return nil }
                    number = number * 10 + Int(bytes[place] - 0x30)
                    place += 1
                }
                guard place < line.text.upperBound, ".)".utf8.contains(bytes[place]) else { return nil }
            } else {
                guard "-*+".utf8.contains(first) else { return nil }
            }
            place += 1
            guard place < line.text.upperBound, MarkdownLine.isBlank(bytes[place]) else { return nil }
            content = MarkdownLine.trimmed(place..<line.text.upperBound, bytes, steps)
        }
    }

    /// An item as lines, before their inlines are read.
    private struct RawItem {
        var lines: [MarkdownLine]
        var children: [[MarkdownLine]] = []
        var childrenAreOrdered = false
    }

    private mutating func readList(_ first: ListMarker) {
        var items: [RawItem] = []
        var indent = 0
        while let line = line(next) {
            if let marker = ListMarker(line, bytes, steps), !isRule(line) {
                if items.isEmpty { indent = line.indent(bytes) }
                let content = MarkdownLine(
                    text: marker.content, whole: marker.content.lowerBound..<line.whole.upperBound)
                if let last = items.indices.last, line.indent(bytes) >= indent + 2 {
                    if items[last].children.isEmpty { items[last].childrenAreOrdered = marker.isOrdered }
                    items[last].children.append([content])
                } else if marker.isOrdered == first.isOrdered {
                    items.append(RawItem(lines: [content]))
                } else {
                    break
                }
            } else if let last = items.indices.last, line.text.lowerBound > line.whole.lowerBound, !line.text.isEmpty {
                // Indented text goes on with the item it is under.
                if let child = items[last].children.indices.last {
                    items[last].children[child].append(line)
                } else {
                    items[last].lines.append(line)
                }
            } else {
                break
            }
            next += 1
        }
        let list = MarkdownList(isOrdered: first.isOrdered, start: first.number, items: items.map(item))
        blocks.append(.list(list))
    }

    private func item(_ raw: RawItem) -> MarkdownList.Item {
        MarkdownList.Item(
            content: inlines(raw.lines), children: raw.children.map { inlines($0) },
            childrenAreOrdered: raw.childrenAreOrdered)
    }

    // MARK: - Tables

    private typealias TableHead = (header: [Range<Int>], alignments: [MarkdownTable.Alignment?])

    private func tableHead(_ first: MarkdownLine) -> TableHead? {
        steps.add(first.text.count)
        guard bytes[first.text].contains(UInt8(ascii: "|")), let second = line(next + 1) else { return nil }
        let marks = cells(second)
        guard marks.count <= Self.maxColumns else { return nil }
        var alignments: [MarkdownTable.Alignment?] = []
        for mark in marks {
            let isLeft = !mark.isEmpty && bytes[mark.lowerBound] == UInt8(ascii: ":")
            let isRight = !mark.isEmpty && bytes[mark.upperBound - 1] == UInt8(ascii: ":")
            let start = mark.lowerBound + (isLeft ? 1 : 0)
            let dashes = run(of: UInt8(ascii: "-"), from: start, to: mark.upperBound)
            guard dashes > 0, start + dashes + (isRight ? 1 : 0) == mark.upperBound else { return nil }
            alignments.append(isRight ? (isLeft ? .center : .right) : (isLeft ? .left : nil))
        }
        let header = cells(first)
        return header.count == marks.count ? (header, alignments) : nil
    }

    /// A row has the cells that its line has, at most as many as the header. Missing cells are not made up: a line of one
    /// byte would become 64 of them.
    private mutating func readTable(_ head: TableHead) {
        next += 2
        var rows: [[[MarkdownInline]]] = []
        while !steps.isStopped, let line = line(next) {
            steps.add(line.text.count)
            guard bytes[line.text].contains(UInt8(ascii: "|")) else { break }
            rows.append(cells(line).prefix(head.header.count).map { inlines($0) })
            next += 1
        }
        blocks.append(
            .table(
                MarkdownTable(alignments: head.alignments, header: head.header.map { inlines($0) }, rows: rows)))
    }

    /// Cells between bars, at most `maxColumns` and one more; "\|" is no bar.
    private func cells(_ line: MarkdownLine) -> [Range<Int>] {
        let bar = UInt8(ascii: "|")
        var cells: [Range<Int>] = []
        var start = line.text.lowerBound
        var isEscaped = false
        for place in line.text {
            if bytes[place] == bar, !isEscaped {
                // The bar at the beginning opens the first cell.
                if place > line.text.lowerBound { cells.append(MarkdownLine.trimmed(start..<place, bytes, steps)) }
                start = place + 1
                if cells.count > Self.maxColumns { break }
            }
            isEscaped = bytes[place] == UInt8(ascii: "\\") && !isEscaped
        }
        steps.add(line.text.count)
        let last = MarkdownLine.trimmed(start..<line.text.upperBound, bytes, steps)
        if !last.isEmpty || cells.isEmpty { cells.append(last) }
        return cells
    }
}
