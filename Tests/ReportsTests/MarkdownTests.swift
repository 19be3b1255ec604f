import Foundation
import TestSupport
import Testing

@testable import Reports

/// What a browser would see: every tag must be one the renderer writes, with its attributes, and be closed in order.
func markupFault(_ html: String) -> String? {
    let voids: Set<String> = ["hr", "br"]
    let allowed: Set<String> = [
        "h1", "h2", "h3", "h4", "h5", "h6", "p", "ul", "ol", "li", "div", "table", "thead", "tbody", "tr", "th", "td",
        "pre",
        "code", "blockquote", "strong", "em", "a", "hr", "br",
    ]
    let attribute =
        #/ (?:class="(?:left|right|center|table)"|start="\d+"|href="https?:\/\/[^"<>]*"|rel="[a-z ]+")/#
    var open: [String] = []
    var rest = html[...]
    while let start = rest.firstIndex(of: "<") {
        guard let end = rest[start...].firstIndex(of: ">") else { return "a tag that never ends" }
        var tag = String(rest[rest.index(after: start)..<end])
        rest = rest[rest.index(after: end)...]
        let isClosing = tag.hasPrefix("/")
        if isClosing { tag.removeFirst() }
        let name = String(tag.prefix(while: { $0.isLetter || $0.isNumber }))
        let attributes = tag.dropFirst(name.count).replacing(attribute, with: "")
        guard allowed.contains(name), attributes.isEmpty else { return "<\(tag)>" }
        if isClosing {
            guard open.popLast() == name else { return "</\(name)> closes another" }
        } else if !voids.contains(name) {
            open.append(name)
        }
    }
    return open.isEmpty ? nil : "open: \(open)"
}

@Suite("Markdown to HTML")
struct MarkdownTests {
    private func html(_ text: String) -> String { ReportRenderer.htmlFragment(markdown: text) }

    @Test(
        "the subset is rendered",
        arguments: [
            ("# A *b*\n\ntext\nmore", "<h1>A <em>b</em></h1>\n<p>text\nmore</p>\n"),
            (
                "a **b** `c<d>` __e__ ***f***",
                "<p>a <strong>b</strong> <code>c&lt;d&gt;</code> <strong>e</strong> <strong><em>f</em></strong></p>\n"
            ),
            (
                "- a\n- b\n  - c\n  - d\n- e",
                "<ul>\n<li>a</li>\n<li>b\n<ul>\n<li>c</li>\n<li>d</li>\n</ul>\n</li>\n<li>e</li>\n</ul>\n"
            ),
            ("3. a\n4. b", "<ol start=\"3\">\n<li>a</li>\n<li>b</li>\n</ol>\n"),
            (
                "| a | b |\n|---|--:|\n| 1 \\| 2 | **3** |",
                "<div class=\"table\"><table>\n<thead>\n<tr><th>a</th><th class=\"right\">b</th></tr>\n</thead>\n<tbody>\n"
                    + "<tr><td>1 | 2</td><td class=\"right\"><strong>3</strong></td></tr>\n</tbody>\n</table></div>\n"
            ),
            ("```html\n<script>\n```", "<pre><code>&lt;script&gt;\n</code></pre>\n"),
            ("> a\n> - b", "<blockquote>\n<p>a</p>\n<ul>\n<li>b</li>\n</ul>\n</blockquote>\n"),
            ("a\n\n---\n\nb  \nc", "<p>a</p>\n<hr>\n<p>b<br>\nc</p>\n"),
            ("snake_case_name 2 * 3 * 4 \\*x\\*", "<p>snake_case_name 2 * 3 * 4 *x*</p>\n"),
            ("# C#\n## x ##\r\n中**文**字", "<h1>C#</h1>\n<h2>x</h2>\n<p>中<strong>文</strong>字</p>\n"),
        ])
    func subset(markdown: String, expected: String) {
        #expect(html(markdown) == expected)
        #expect(markupFault(expected) == nil)
    }

    @Test(
        "raw HTML is text and only web links are links",
        arguments: [
            "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))",
            "[x](data:text/html,<b>)",
            "![x](https://e.com/a.png\" onload=\"x)", "[x](https://e.com/\"onclick=alert(1))", "[<b>](http://e.com)",
            "&lt;b&gt;",
            "[a [b](https://e.com) c](https://f.com)", "`</code><script>`", "| <b> |\n|---|\n| </td><script> |",
            "[x](JaVaScRiPt:1)",
            "# </h1><script>", "```\n</pre><script>\n", "- <li>", "[x](https://e.com/'onclick='1)", "[x](//e.com)",
            "\u{0}<b\u{0}>",
        ])
    func hostile(markdown: String) {
        let result = html(markdown)
        #expect(markupFault(result) == nil, "\(result)")
        #expect(!result.lowercased().contains("href=\"javascript") && !result.contains("<img"))
    }

    @Test("a safe link is kept with its address")
    func link() {
        #expect(html("[a](https://e.com/x_(y)?a=1&b=2)").contains("href=\"https://e.com/x_(y)?a=1&amp;b=2\""))
        #expect(html("[a](ftp://e.com)") == "<p>a (ftp://e.com)</p>\n")
    }

    @Test("random texts never yield markup of their own", arguments: 0..<8)
    func fuzz(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let pieces = [
            "*", "**", "_", "`", "```", "\n", "\n\n", "- ", "  - ", "1. ", "> ", "# ", "|", "|---|", "[", "](", ")",
            "https://e.com",
            "javascript:", "<", ">", "\"", "'", "&", "<script>", "\\", "!", "  \n", "a", "中", "👩‍👩‍👧", "\t", "~~~",
            "---",
            "\u{2028}", "\r\n", "\u{0}",
        ]
        for _ in 0..<200 {
            let count = Int.random(in: 0...60, using: &random)
            let text = (0..<count).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
            let fault = markupFault(html(text))
            #expect(fault == nil, "\(text.debugDescription)")
            _ = PlainTextWriter.text(MarkdownParser.parse(text))
        }
    }

    @Test(
        "long runs of one delimiter are rendered in bounded time",
        arguments: [
            "*", "**a ", "[", "[](", "`", "> ", "- ", "|", "_a", "![", "\\", "`a``b```c",
        ])
    func runs(unit: String) {
        #expect(markupFault(html(String(repeating: unit, count: 4_000))) == nil)
    }

    @Test("plain text has no markup, aligned tables and visible addresses")
    func plainText() {
        let text = "# T\n\n**b** [l](https://e.com)\n\n| 代码 | P |\n|---|--:|\n| A | 12 |\n\n- x\n  - y"
        #expect(
            PlainTextWriter.text(MarkdownParser.parse(text))
                == "T\n===\n\nb l <https://e.com>\n\n代码   P\n----  --\nA     12\n\n- x\n  - y\n")
    }
}
