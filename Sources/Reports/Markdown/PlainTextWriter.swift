// A Markdown tree as plain text for mail and terminals: no markup, links with their address, tables as aligned columns
// (wide characters count two columns). Pure, any thread.
import Foundation

enum PlainTextWriter {
    static func text(_ document: MarkdownDocument) -> String {
        blocks(document.blocks).trimmingCharacters(in: .newlines) + "\n"
    }

    private static func blocks(_ blocks: [MarkdownBlock]) -> String { blocks.map(block).joined(separator: "\n") }

    private static func block(_ block: MarkdownBlock) -> String {
        switch block {
        case .heading(let level, let content):
            let text = inlines(content)
            let line = String(repeating: level == 1 ? "=" : "-", count: max(3, width(text)))
            return level <= 2 ? "\(text)\n\(line)\n" : "\(text)\n"
        case .paragraph(let content): return inlines(content) + "\n"
        case .list(let list): return self.list(list)
        case .table(let table): return self.table(table)
        case .code(_, let text): return indented(text, by: "    ") + "\n"
        case .quote(let inner): return indented(blocks(inner).trimmingCharacters(in: .newlines), by: "> ") + "\n"
        case .rule: return "----------\n"
        }
    }

    private static func indented(_ text: String, by indent: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { indent + $0 }.joined(separator: "\n")
    }

    private static func list(_ list: MarkdownList) -> String {
        var lines: [String] = []
        for (offset, item) in list.items.enumerated() {
            lines.append("\(list.isOrdered ? "\(list.start + offset)." : "-") \(inlines(item.content))")
            for (index, child) in item.children.enumerated() {
                lines.append("  \(item.childrenAreOrdered ? "\(index + 1)." : "-") \(inlines(child))")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func table(_ table: MarkdownTable) -> String {
        let rows = ([table.header] + table.rows).map { $0.map(inlines) }
        let widths = table.header.indices.map { column in rows.map { width($0[column]) }.max() ?? 0 }
        var lines = rows.map { row in
            let cells = row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - width(cell))
                return table.alignments[column] == .right ? padding + cell : cell + padding
            }
            return cells.joined(separator: "  ").replacingOccurrences(
                of: " +$", with: "", options: .regularExpression)
        }
        lines.insert(widths.map { String(repeating: "-", count: $0) }.joined(separator: "  "), at: 1)
        return lines.joined(separator: "\n") + "\n"
    }

    private static func inlines(_ content: [MarkdownInline]) -> String {
        content.map { part in
            switch part {
            case .text(let text), .code(let text): text.replacingOccurrences(of: "\n", with: " ")
            case .strong(let inner), .emphasis(let inner): inlines(inner)
            case .link(let inner, let url): inlines(inner) == url ? url : "\(inlines(inner)) <\(url)>"
            case .lineBreak: "\n"
            }
        }.joined()
    }

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
