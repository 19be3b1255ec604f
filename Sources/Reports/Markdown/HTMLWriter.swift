// A Markdown tree as HTML. Every tag written here is a literal of this file; every text goes through `escape`, so no
// input can add one. Pure, any thread. Time and output are linear in the text: no tag is written for what is not there.
import TextFormats

struct HTMLWriter {
    private var output: [UInt8] = []
    private let steps: StepCounter

    static func html(_ document: MarkdownDocument, _ steps: StepCounter = StepCounter()) -> String {
        var writer = HTMLWriter(steps: steps)
        writer.write(document.blocks)
        return String(decoding: writer.output, as: UTF8.self)
    }

    private init(steps: StepCounter) { self.steps = steps }

    private mutating func write(_ blocks: [MarkdownBlock]) {
        for block in blocks where !steps.isStopped { write(block) }
    }

    private mutating func write(_ block: MarkdownBlock) {
        switch block {
        case .heading(let level, let content): element("h\(level)", content)
        case .paragraph(let content): element("p", content)
        case .list(let list): write(list)
        case .table(let table): write(table)
        case .code(_, let text):
            tag("<pre><code>")
            escape(text)
            tag("\n</code></pre>\n")
        case .quote(let inner):
            tag("<blockquote>\n")
            write(inner)
            tag("</blockquote>\n")
        case .rule: tag("<hr>\n")
        }
    }

    private mutating func element(_ name: String, _ content: [MarkdownInline]) {
        tag("<\(name)>")
        write(content)
        tag("</\(name)>\n")
    }

    private mutating func tag(_ text: String) {
        steps.add()
        output += text.utf8
    }

    // MARK: - Lists and tables

    private mutating func write(_ list: MarkdownList) {
        let start = list.isOrdered && list.start != 1 ? " start=\"\(list.start)\"" : ""
        let name = list.isOrdered ? "ol" : "ul"
        tag("<\(name)\(start)>\n")
        for item in list.items {
            guard !item.children.isEmpty else {
                element("li", item.content)
                continue
            }
            let inner = item.childrenAreOrdered ? "ol" : "ul"
            tag("<li>")
            write(item.content)
            tag("\n<\(inner)>\n")
            for child in item.children { element("li", child) }
            tag("</\(inner)>\n</li>\n")
        }
        tag("</\(name)>\n")
    }

    private mutating func write(_ table: MarkdownTable) {
        tag("<div class=\"table\"><table>\n<thead>\n")
        row(table.header, "th", table.alignments)
        tag("</thead>\n<tbody>\n")
        for cells in table.rows where !steps.isStopped { row(cells, "td", table.alignments) }
        tag("</tbody>\n</table></div>\n")
    }

    private mutating func row(_ cells: [[MarkdownInline]], _ name: String, _ alignments: [MarkdownTable.Alignment?]) {
        tag("<tr>")
        for (cell, alignment) in zip(cells, alignments) {
            tag(alignment.map { "<\(name) class=\"\($0.rawValue)\">" } ?? "<\(name)>")
            write(cell)
            tag("</\(name)>")
        }
        tag("</tr>\n")
    }

    // MARK: - Inlines

    private mutating func write(_ content: [MarkdownInline]) {
        for part in content {
            switch part {
            case .text(let text): escape(text)
            case .strong(let inner): wrap("strong", inner)
            case .emphasis(let inner): wrap("em", inner)
            case .code(let text):
                tag("<code>")
                escape(text)
                tag("</code>")
            case .link(let inner, let url):
                tag("<a href=\"")
                escape(url)
                tag("\" rel=\"noopener noreferrer nofollow\">")
                write(inner)
                tag("</a>")
            case .lineBreak: tag("<br>\n")
            }
        }
    }

    private mutating func wrap(_ name: String, _ content: [MarkdownInline]) {
        tag("<\(name)>")
        write(content)
        tag("</\(name)>")
    }

    private mutating func escape(_ text: String) {
        steps.add(text.utf8.count)
        Self.escape(text, into: &output)
    }

    /// For text and for attributes in double or single quotes. Control characters HTML forbids are left out.
    static func escape(_ text: String) -> String {
        var result: [UInt8] = []
        result.reserveCapacity(text.utf8.count)
        escape(text, into: &result)
        return String(decoding: result, as: UTF8.self)
    }

    private static func escape(_ text: String, into output: inout [UInt8]) {
        /// The first of the two bytes of U+0080…U+00BF, of which the first 32 are control characters.
        var hasLead = false
        for byte in text.utf8 {
            if hasLead {
                hasLead = false
                if byte >= 0xA0 {
                    output.append(0xC2)
                    output.append(byte)
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "&"): output += "&amp;".utf8
            case UInt8(ascii: "<"): output += "&lt;".utf8
            case UInt8(ascii: ">"): output += "&gt;".utf8
            case UInt8(ascii: "\""): output += "&quot;".utf8
            case UInt8(ascii: "'"): output += "&#39;".utf8
            case 0xC2: hasLead = true
            case 0x09, 0x0A, 0x20..<0x7F, 0x80...: output.append(byte)
            default: break
            }
        }
    }
}
