// A Markdown tree as plain text for mail and terminals: no markup, links with their address, tables as aligned columns
// (wide characters count two columns). Pure, any thread. Output is linear in the text: a table that would be mostly padding
// is written without.
import Foundation
import TextFormats

struct PlainTextWriter {
    /// Blanks that align a table, for each character of its text; a table that needs more is written without.
    private static let paddingPerCharacter = 8
    /// What a small table may use beyond.
    private static let freePadding = 4_096

    private let steps: StepCounter

    static func text(_ document: MarkdownDocument, _ steps: StepCounter = StepCounter()) -> String {
        PlainTextWriter(steps: steps).blocks(document.blocks).trimmingCharacters(in: .newlines) + "\n"
    }

    private func blocks(_ blocks: [MarkdownBlock]) -> String { blocks.map { block($0) }.joined(separator: "\n") }

    private func block(_ block: MarkdownBlock) -> String {
        switch block {
        case .heading(let level, let content):
            let text = inlines(content)
            let line = String(repeating: level == 1 ? "=" : "-", count: max(3, Self.width(text)))
            return level <= 2 ? "\(text)\n\(line)\n" : "\(text)\n"
        case .paragraph(let content): return inlines(content) + "\n"
        case .list(let list): return self.list(list)
        case .table(let table): return self.table(table)
        case .code(_, let text): return indented(text, by: "    ") + "\n"
        case .quote(let inner): return indented(blocks(inner).trimmingCharacters(in: .newlines), by: "> ") + "\n"
        case .rule: return "----------\n"
        }
    }

    private func indented(_ text: String, by indent: String) -> String {
        steps.add(text.utf8.count)
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { indent + $0 }.joined(separator: "\n")
    }

    private func list(_ list: MarkdownList) -> String {
        var lines: [String] = []
        for (offset, item) in list.items.enumerated() {
            lines.append("\(list.isOrdered ? "\(list.start + offset)." : "-") \(inlines(item.content))")
            for (index, child) in item.children.enumerated() {
                lines.append("  \(item.childrenAreOrdered ? "\(index + 1)." : "-") \(inlines(child))")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func table(_ table: MarkdownTable) -> String {
        let rows = ([table.header] + table.rows).map { $0.map { inlines($0) } }
        let columns = rows.map { $0.map(Self.width) }
        var widths = table.header.map { _ in 0 }
        for row in columns {
            for (column, width) in row.enumerated() { widths[column] = max(widths[column], width) }
        }
        let text = columns.reduce(0) { $0 + $1.reduce(0, +) }
        let padding = columns.reduce(widths.reduce(0, +)) { sum, row in
            sum + zip(row, widths).reduce(0) { $0 + $1.1 - $1.0 }
        }
        steps.add(4 * text)
        if padding > Self.freePadding + Self.paddingPerCharacter * text { widths = widths.map { _ in 0 } }
        var lines = rows.enumerated().map { number, row in
            var line = ""
            for (column, cell) in row.enumerated() {
                if column > 0 { line += "  " }
                let padding = String(repeating: " ", count: max(0, widths[column] - columns[number][column]))
                line += table.alignments[column] == .right ? padding + cell : cell + padding
            }
            while line.utf8.last == UInt8(ascii: " ") { line.unicodeScalars.removeLast() }
            return line
        }
        lines.insert(widths.map { String(repeating: "-", count: max($0, 1)) }.joined(separator: "  "), at: 1)
        return lines.joined(separator: "\n") + "\n"
    }

    private func inlines(_ content: [MarkdownInline]) -> String {
        content.map { part in
            switch part {
            case .text(let text), .code(let text): oneLine(text)
            case .strong(let inner), .emphasis(let inner): inlines(inner)
            case .link(let inner, let url): link(inlines(inner), url)
            case .lineBreak: "\n"
            }
        }.joined()
    }

    private func oneLine(_ text: String) -> String {
        steps.add(2 * text.utf8.count + 1)
        return String(decoding: text.utf8.map { $0 == 0x0A ? 0x20 : $0 }, as: UTF8.self)
    }

    private func link(_ words: String, _ url: String) -> String { words == url ? url : "\(words) <\(url)>" }

    /// Columns in a terminal: East Asian wide characters and emoji take two.
    static func width(_ text: String) -> Int {
        text.reduce(0) { sum, character in
            let value = character.unicodeScalars.first?.value ?? 0
            let isWide =
                (0x1100...0x115F).contains(value) || (0x2E80...0xA4CF).contains(value)
                || (0xAC00...0xD7A3).contains(value) || (0xF900...0xFAFF).contains(value)
                || (0xFE30...0xFE6F).contains(value) || (0xFF00...0xFF60).contains(value)
                || (0xFFE0...0xFFE6).contains(value) || (0x1F300...0x1FAFF).contains(value)
                || (0x20000...0x3FFFD).contains(value)
            return sum + (isWide ? 2 : 1)
        }
    }
}
