// Lines to blocks. Pure, any thread; every text is valid Markdown, so it cannot fail. Time is linear in the text:
// quotes nest at most `maxQuoteDepth` deep, lists one level, tables have at most `maxColumns` columns.

struct MarkdownParser {
    static let maxQuoteDepth = 4
    static let maxColumns = 64

    private var lines: ArraySlice<Substring>
    private let depth: Int
    private var blocks: [MarkdownBlock] = []
    private var paragraph: [Substring] = []

    static func parse(_ text: String) -> MarkdownDocument {
        // In Swift "\r\n" is one Character, so a plain split on "\n" would not see it.
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: { $0.isNewline })
        var parser = MarkdownParser(lines: lines[...], depth: 0)
        return MarkdownDocument(blocks: parser.parse())
    }

    private init(lines: ArraySlice<Substring>, depth: Int) {
        self.lines = lines
        self.depth = depth
    }

    private mutating func parse() -> [MarkdownBlock] {
        while let line = lines.first {
            let trimmed = line.trimmed
            if trimmed.isEmpty {
                flush()
                lines.removeFirst()
            } else if let fence = Self.fence(trimmed) {
                flush()
                readCode(fence)
            } else if let heading = Self.heading(trimmed) {
                flush()
                lines.removeFirst()
                blocks.append(heading)
            } else if Self.isRule(trimmed) {
                flush()
                lines.removeFirst()
                blocks.append(.rule)
            } else if trimmed.hasPrefix(">"), depth < Self.maxQuoteDepth {
                flush()
                readQuote()
            } else if ListMarker(line) != nil {
                flush()
                readList()
            } else if paragraph.isEmpty, let table = tableHead() {
                readTable(table)
            } else {
                paragraph.append(line)
                lines.removeFirst()
            }
        }
        flush()
        return blocks
    }

    private mutating func flush() {
        guard !paragraph.isEmpty else { return }
        blocks.append(.paragraph(InlineParser.parse(Self.joined(paragraph))))
        paragraph = []
    }

    /// Line ends become "\n"; a line that ends in two blanks or a backslash ends in `InlineParser.hardBreak`.
    private static func joined(_ lines: [Substring]) -> String {
        var text = ""
        for (index, line) in lines.enumerated() {
            let isLast = index == lines.count - 1
            var content = line.trimmed
            if !isLast, content.hasSuffix("\\") {
                content = content.dropLast()
                text += content + String(InlineParser.hardBreak)
            } else {
                text += content
                if !isLast { text.append(line.hasSuffix("  ") ? InlineParser.hardBreak : "\n") }
            }
        }
        return text
    }

    // MARK: - Blocks of one line

    private static func heading(_ line: Substring) -> MarkdownBlock? {
        let level = line.prefix(while: { $0 == "#" }).count
        guard (1...6).contains(level) else { return nil }
        let rest = line.dropFirst(level)
        guard rest.isEmpty || rest.first == " " || rest.first == "\t" else { return nil }
        var text = rest.trimmed
        let bare = text.reversed().drop(while: { $0 == "#" })
        if bare.isEmpty || bare.first == " " { text = text.dropLast(text.count - bare.count).trimmed }
        return .heading(level: level, InlineParser.parse(String(text)))
    }

    private static func isRule(_ line: Substring) -> Bool {
        let marks = line.filter { $0 != " " }
        guard marks.count >= 3, let first = marks.first, "-*_".contains(first) else { return false }
        return marks.allSatisfy { $0 == first }
    }

    // MARK: - Code and quotes

    private static func fence(_ line: Substring) -> (mark: Character, count: Int, language: String)? {
        guard let mark = line.first, mark == "`" || mark == "~" else { return nil }
        let count = line.prefix(while: { $0 == mark }).count
        let info = line.dropFirst(count)
        guard count >= 3, !info.contains("`") else { return nil }
        let language = info.trimmed.prefix(while: { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") })
        return (mark, count, String(language.prefix(32)))
    }

    private mutating func readCode(_ fence: (mark: Character, count: Int, language: String)) {
        lines.removeFirst()
        var content: [Substring] = []
        while let line = lines.popFirst() {
            let trimmed = line.trimmed
            if trimmed.count >= fence.count, trimmed.allSatisfy({ $0 == fence.mark }) { break }
            content.append(line)
        }
        blocks.append(.code(language: fence.language, text: content.joined(separator: "\n")))
    }

    private mutating func readQuote() {
        var inner: [Substring] = []
        while let line = lines.first, line.trimmed.hasPrefix(">") {
            let rest = line.trimmed.dropFirst()
            inner.append(rest.first == " " ? rest.dropFirst() : rest)
            lines.removeFirst()
        }
        var parser = MarkdownParser(lines: inner[...], depth: depth + 1)
        blocks.append(.quote(parser.parse()))
    }

    // MARK: - Lists

    private struct ListMarker {
        var indent: Int
        var isOrdered: Bool
        var number: Int
        var content: Substring

        init?(_ line: Substring) {
            indent = line.prefix(while: { $0 == " " || $0 == "\t" }).reduce(0) { $0 + ($1 == "\t" ? 4 : 1) }
            let text = line.trimmed
            guard let first = text.first else { return nil }
            let rest: Substring
            if "-*+".contains(first) {
                isOrdered = false
                number = 0
                rest = text.dropFirst()
            } else {
                let digits = text.prefix(while: { $0.isASCII && $0.isNumber })
                guard (1...9).contains(digits.count), let value = Int(digits) else { return nil }
                let mark = text.dropFirst(digits.count)
                guard mark.first == "." || mark.first == ")" else { return nil }
                isOrdered = true
                number = value
                rest = mark.dropFirst()
            }
            guard rest.first == " " || rest.first == "\t" else { return nil }
            content = rest.trimmed
        }
    }

    /// An item as lines, before their inlines are read.
    private struct RawItem {
        var lines: [Substring]
        var children: [[Substring]] = []
        var childrenAreOrdered = false
    }

    private mutating func readList() {
        guard let first = lines.first.flatMap(ListMarker.init) else { return }
        var items: [RawItem] = []
        while let line = lines.first {
            if let marker = ListMarker(line), !Self.isRule(line.trimmed) {
                if marker.indent >= first.indent + 2, let last = items.indices.last {
                    if items[last].children.isEmpty { items[last].childrenAreOrdered = marker.isOrdered }
                    items[last].children.append([marker.content])
                } else if marker.isOrdered == first.isOrdered {
                    items.append(RawItem(lines: [marker.content]))
                } else {
                    break
                }
            } else if let last = items.indices.last, line.first == " " || line.first == "\t", !line.trimmed.isEmpty {
                // Indented text goes on with the item it stands under.
                if let child = items[last].children.indices.last {
                    items[last].children[child].append(line)
                } else {
                    items[last].lines.append(line)
                }
            } else {
                break
            }
            lines.removeFirst()
        }
        blocks.append(.list(MarkdownList(isOrdered: first.isOrdered, start: first.number, items: items.map(Self.item))))
    }

    private static func item(_ raw: RawItem) -> MarkdownList.Item {
        MarkdownList.Item(
            content: InlineParser.parse(joined(raw.lines)),
            children: raw.children.map { InlineParser.parse(joined($0)) },
            childrenAreOrdered: raw.childrenAreOrdered)
    }

    // MARK: - Tables

    private func tableHead() -> (header: [Substring], alignments: [MarkdownTable.Alignment?])? {
        guard let first = lines.first, first.contains("|"), let second = lines.dropFirst().first else { return nil }
        let header = Self.cells(first)
        let marks = Self.cells(second)
        guard second.contains("-"), header.count == marks.count, header.count <= Self.maxColumns else { return nil }
        var alignments: [MarkdownTable.Alignment?] = []
        for mark in marks {
            let dashes = mark.drop(while: { $0 == ":" }).prefix(while: { $0 == "-" })
            let (isLeft, isRight) = (mark.hasPrefix(":"), mark.hasSuffix(":"))
            guard !dashes.isEmpty, dashes.count + (isLeft ? 1 : 0) + (isRight ? 1 : 0) == mark.count else { return nil }
            alignments.append(isRight ? (isLeft ? .center : .right) : (isLeft ? .left : nil))
        }
        return (header, alignments)
    }

    private mutating func readTable(_ head: (header: [Substring], alignments: [MarkdownTable.Alignment?])) {
        lines.removeFirst(2)
        var rows: [[[MarkdownInline]]] = []
        while let line = lines.first, line.contains("|") {
            var cells = Self.cells(line).prefix(head.header.count).map { InlineParser.parse(String($0)) }
            while cells.count < head.header.count { cells.append([]) }
            rows.append(cells)
            lines.removeFirst()
        }
        let header = head.header.map { InlineParser.parse(String($0)) }
        blocks.append(.table(MarkdownTable(alignments: head.alignments, header: header, rows: rows)))
    }

    /// Cells between bars; "\|" is no bar.
    private static func cells(_ line: Substring) -> [Substring] {
        let text = line.trimmed
        var cells: [Substring] = []
        var start = text.startIndex
        var isEscaped = false
        for index in text.indices {
            if text[index] == "|", !isEscaped {
                cells.append(text[start..<index].trimmed)
                start = text.index(after: index)
            }
            isEscaped = text[index] == "\\" && !isEscaped
        }
        cells.append(text[start...].trimmed)
        if text.hasPrefix("|") { cells.removeFirst() }
        if cells.count > 1, cells.last?.isEmpty == true { cells.removeLast() }
        return cells
    }
}

extension Substring {
    /// Without blanks and tabs at both ends.
    fileprivate var trimmed: Substring {
        var text = self.drop(while: { $0 == " " || $0 == "\t" })
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }
}
