// Markdown that was written to be expensive: steps are counted, so no clock is asked.
import Foundation
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Reports

@Suite("Hostile Markdown")
struct HostileMarkdownTests {
    static func document(_ markdown: String) -> ReportDocument {
        ReportDocument(
            title: "T", markdown: markdown, generatedAt: Date(timeIntervalSince1970: 0), model: "m", language: "en")
    }

    @Test("No Markdown costs more than 64 steps a byte, in HTML")
    func html() {
        let faults = HostileTextCheck.faults("Markdown to HTML") { text, steps in
            _ = HTMLWriter.html(MarkdownParser.parse(text, steps), steps)
        }
        #expect(faults == [])
    }

    @Test("No Markdown costs more than 64 steps a byte, as plain text")
    func plainText() {
        let faults = HostileTextCheck.faults("Markdown to text") { text, steps in
            _ = PlainTextWriter.text(MarkdownParser.parse(text, steps), steps)
        }
        #expect(faults == [])
    }

    @Test("No Markdown becomes more than 32 times its size, and its markup is whole")
    func amplification() {
        for text in HostileText.all {
            let markdown = text.text(size: 16_384)
            let document = MarkdownParser.parse(markdown)
            let html = HTMLWriter.html(document).utf8.count / markdown.utf8.count
            let plain = PlainTextWriter.text(document).utf8.count / markdown.utf8.count
            #expect(html < 32 && plain < 32, "\(text): \(html), \(plain)")
            // As a browser sees it: marks are no part of the tag before them.
            let small = HTMLWriter.html(MarkdownParser.parse(text.text(size: 500))).unicodeScalars
                .filter { !$0.properties.isGraphemeExtend && $0 != "\u{200D}" }
            let fault = markupFault(String(String.UnicodeScalarView(small)))
            #expect(fault == nil, "\(text)")
        }
    }

    @Test("Emphasis nests at most 16 deep, whatever is written; the other marks are text")
    func depth() {
        let text = String(repeating: "*a _b ", count: 5_000) + String(repeating: "b_ a* ", count: 5_000)
        let html = HTMLWriter.html(MarkdownParser.parse(text))
        let deepest = html.split(separator: "<").reduce(into: (now: 0, most: 0)) { depth, piece in
            if piece.hasPrefix("em>") { depth.now += 1 } else if piece.hasPrefix("/em>") { depth.now -= 1 }
            depth.most = max(depth.most, depth.now)
        }
        #expect(deepest.most == InlineParser.maxDepth && deepest.now == 0)
        #expect(html.contains("*a"))
    }

    @Test("Rendering ends within some steps after its reader has gone")
    func stopping() throws {
        let renderer = try ReportRenderer()
        let paragraphs = HostileText.prose.text(size: ReportRenderer.maxBytes / 2).split(separator: "\n")
        let document = Self.document(paragraphs.joined(separator: "\n\n"))
        var looks = 0
        let error = #expect(throws: ReportError.self) {
            try renderer.render(document, as: .html) {
                looks += 1
                return looks == 3
            }
        }
        #expect(error?.code == .stopped && looks == 3)
        looks = 0
        let whole = try renderer.render(document, as: .html) {
            looks += 1
            return false
        }
        #expect(looks > 20 && whole == renderer.render(document, as: .html))
    }

    @Test("A text beyond the bound is refused to a reader who waits, and cut with a note for one who cannot be refused")
    func bound() throws {
        let renderer = try ReportRenderer()
        let long = Self.document(String(repeating: "word ", count: ReportRenderer.maxBytes / 5 + 1))
        let error = #expect(throws: ReportError.self) { try renderer.render(long, as: .html, stoppingIf: { false }) }
        #expect(error?.code == .tooLarge)
        #expect(renderer.render(long, as: .html).contains("(cut at "))
        #expect(try renderer.render(long, as: .markdown, stoppingIf: { false }) == long.markdown)
        let most = Self.document(String(repeating: "a", count: ReportRenderer.maxBytes))
        #expect(try renderer.render(most, as: .html, stoppingIf: { false }).contains("aaaa"))
    }

    @Test(
        "Links, code and emphasis are found where CommonMark finds them",
        arguments: [
            ("[a](http://e.com) [b](http://f.com)", "<a A=\"http://e.com\">a</a> <a A=\"http://f.com\">b</a>"),
            ("[a `](http://e.com)` b](http://f.com)", "<a A=\"http://f.com\">a <code>](http://e.com)</code> b</a>"),
            ("[a [b](http://e.com) c](http://f.com)", "[a <a A=\"http://e.com\">b</a> c](http://f.com)"),
            ("*[a*](http://e.com)", "*<a A=\"http://e.com\">a*</a>"),
            ("*a [b*](http://e.com) c*", "<em>a <a A=\"http://e.com\">b*</a> c</em>"),
            ("[a](http://e.com/(b)c) d)", "<a A=\"http://e.com/(b)c\">a</a> d)"), ("[a](b c)", "[a](b c)"),
            ("Wow![x]", "Wow![x]"), ("![x](http://e.com)", "<a A=\"http://e.com\">x</a>"), ("[a]", "[a]"),
            ("\\[a](http://e.com)", "[a](http://e.com)"), ("[a\\](http://e.com)", "[a](http://e.com)"),
            ("`` a ` b ``", "<code>a ` b</code>"), ("`a``b`", "<code>a``b</code>"), ("```a`", "```a`"),
            ("\\`a`", "`a`"),
            ("`*a*`", "<code>*a*</code>"), ("*a `*` b*", "<em>a <code>*</code> b</em>"),
            ("*a **b** c*", "<em>a <strong>b</strong> c</em>"), ("**a *b***", "<strong>a <em>b</em></strong>"),
            ("*a **b***", "<em>a <strong>b</strong></em>"), ("*a*b", "<em>a</em>b"), ("_a_b", "_a_b"),
            ("**a**b", "<strong>a</strong>b"), ("a**", "a**"), ("* a*", "* a*"), ("****", "****"), ("*a\n*b", "*a\n*b"),
            ("**“引”**文", "<strong>“引”</strong>文"), ("foo***bar***baz", "foo<strong><em>bar</em></strong>baz"),
            ("*foo**bar*", "<em>foo**bar</em>"), ("a\\\nb", "a<br>\nb"), ("a\\\\\nb", "a\\\nb"),
        ])
    func inlines(markdown: String, expected: String) {
        let html = HTMLWriter.html(MarkdownParser.parse("x\n\n" + markdown)).dropFirst("<p>x</p>\n".count)
        let plain = html.replacing(" rel=\"noopener noreferrer nofollow\"", with: "").replacing("a href", with: "a A")
        if markdown.hasPrefix("* ") || markdown == "****" {
            #expect(!html.contains("<em>") && !html.contains("<strong>"))
        } else {
            #expect(plain == "<p>\(expected)</p>\n")
        }
    }
}
