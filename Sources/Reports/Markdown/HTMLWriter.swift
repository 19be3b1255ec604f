// A Markdown tree as HTML. Every tag written here is a literal of this file; every text goes through `escape`, so no
// input can add one. Pure, any thread.

enum HTMLWriter {
    static func html(_ document: MarkdownDocument) -> String { blocks(document.blocks) }

    private static func blocks(_ blocks: [MarkdownBlock]) -> String { blocks.map(block).joined() }

    private static func block(_ block: MarkdownBlock) -> String {
        switch block {
        case .heading(let level, let content): "<h\(level)>\(inlines(content))</h\(level)>\n"
        case .paragraph(let content): "<p>\(inlines(content))</p>\n"
        case .list(let list): self.list(list)
        case .table(let table): self.table(table)
        case .code(_, let text): "<pre><code>\(escape(text))\n</code></pre>\n"
        case .quote(let inner): "<blockquote>\n\(blocks(inner))</blockquote>\n"
        case .rule: "<hr>\n"
        }
    }

    private static func list(_ list: MarkdownList) -> String {
        let start = list.isOrdered && list.start != 1 ? " start=\"\(list.start)\"" : ""
        let tag = list.isOrdered ? "ol" : "ul"
        let items = list.items.map { item in
            guard !item.children.isEmpty else { return "<li>\(inlines(item.content))</li>\n" }
            let inner = item.childrenAreOrdered ? "ol" : "ul"
            let children = item.children.map { "<li>\(inlines($0))</li>\n" }.joined()
            return "<li>\(inlines(item.content))\n<\(inner)>\n\(children)</\(inner)>\n</li>\n"
        }
        return "<\(tag)\(start)>\n\(items.joined())</\(tag)>\n"
    }

    private static func table(_ table: MarkdownTable) -> String {
        func row(_ cells: [[MarkdownInline]], _ tag: String) -> String {
            let cells = zip(cells, table.alignments).map { cell, alignment in
                let style = alignment.map { " class=\"\($0.rawValue)\"" } ?? ""
                return "<\(tag)\(style)>\(inlines(cell))</\(tag)>"
            }
            return "<tr>\(cells.joined())</tr>\n"
        }
        let body = table.rows.map { row($0, "td") }.joined()
        return """
            <div class="table"><table>
            <thead>
            \(row(table.header, "th"))</thead>
            <tbody>
            \(body)</tbody>
            </table></div>

            """
    }

    private static func inlines(_ content: [MarkdownInline]) -> String {
        content.map { part in
            switch part {
            case .text(let text): escape(text)
            case .strong(let inner): "<strong>\(inlines(inner))</strong>"
            case .emphasis(let inner): "<em>\(inlines(inner))</em>"
            case .code(let text): "<code>\(escape(text))</code>"
            case .link(let inner, let url):
                "<a href=\"\(escape(url))\" rel=\"noopener noreferrer nofollow\">\(withoutLinks(inner))</a>"
            case .lineBreak: "<br>\n"
            }
        }.joined()
    }

    /// HTML knows no link in a link.
    private static func withoutLinks(_ content: [MarkdownInline]) -> String {
        content.map { part in
            switch part {
            case .link(let inner, _): withoutLinks(inner)
            case .strong(let inner): "<strong>\(withoutLinks(inner))</strong>"
            case .emphasis(let inner): "<em>\(withoutLinks(inner))</em>"
            default: inlines([part])
            }
        }.joined()
    }

    /// For text and for attributes in double or single quotes. Control characters HTML forbids are left out.
    static func escape(_ text: String) -> String {
        var result = ""
        result.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case "\t", "\n": result.unicodeScalars.append(scalar)
            case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value): break
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
