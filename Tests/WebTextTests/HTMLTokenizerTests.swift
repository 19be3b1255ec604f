// The tokenizer by examples of the HTML Standard's states, and by noise.
import TestSupport
import Testing

@testable import WebText

@Suite("The HTML tokenizer")
struct HTMLTokenizerTests {
    static func written(_ html: String) -> String {
        var tokenizer = HTMLTokenizer(html)
        var parts: [String] = []
        while let token = tokenizer.next() {
            switch token {
            case .startTag(let name, let attributes, let isSelfClosing):
                let list = attributes.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
                parts.append("<\(name)\(list)\(isSelfClosing ? "/" : "")>")
            case .endTag(let name): parts.append("</\(name)>")
            case .text(let text): parts.append("'\(text)'")
            case .comment: parts.append("!")
            case .doctype: parts.append("D")
            }
        }
        return parts.joined()
    }

    @Test(
        "reads what the Standard's states read",
        arguments: [
            ("<!DOCTYPE html><p>a</p>", "D<p>'a'</p>"),
            ("<A HREF='x&amp;y' b=1 c>t</A >", "<a b=1 c= href=x&y>'t'</a>"),
            ("<a b=1 b=2>", "<a b=1>"), ("<br/><img src=a/>", "<br/><img src=a/>"),
            ("<a =b>", "<a =b=>"), ("<a b = 'c' d>", "<a b=c d=>"), ("<a b=>", "<a b=>"),
            ("a < b <3", "'a ''<'' b ''<''3'"), ("</>x", "'x'"), ("</ p>x", "!'x'"), ("<?php x ?>y", "!'y'"),
            ("<!-- a > b -->c", "!'c'"), ("<!-->c", "!'c'"), ("<!--->c", "!'c'"), ("<!-- a --!>c", "!'c'"),
            ("<![CDATA[x]]>c", "!'c'"), ("<p", ""), ("<p a", ""), ("<p a='", ""), ("<", "'<'"), ("</", "'</'"),
            ("<script>a<b</b></script>c", "<script>'a<b</b>'</script>'c'"),
            ("<script><!-- <script> </script> --></script>x", "<script>'<!-- <script> </script> -->'</script>'x'"),
            ("<script><!--></script>x", "<script>'<!-->'</script>'x'"),
            ("<style></styles></STYLE >x", "<style>'</styles>'</style>'x'"),
            ("<title>a &lt;b <b></title>", "<title>'a <b <b>'</title>"),
            ("<textarea></textarea>x", "<textarea></textarea>'x'"), ("<script>never ends", "<script>'never ends'"),
            ("<plaintext></plaintext>", "<plaintext>'</plaintext>'"),
        ])
    func states(html: String, expected: String) {
        #expect(Self.written(html) == expected)
    }

    @Test(
        "decodes character references as the Standard does",
        arguments: [
            ("&amp;&lt;&gt;", "&<>"), ("&ampx", "&x"), ("&notit;", "¬it;"), ("&notin;", "∉"), ("&nbsp", "\u{A0}"),
            ("&#65;&#x42;&#X43;", "ABC"), ("&#128;", "€"), ("&#0;", "\u{FFFD}"), ("&#xD800;", "\u{FFFD}"),
            ("&#99999999999999;", "\u{FFFD}"), ("&#;", "&#;"), ("&#x;", "&#x;"), ("&;", "&;"),
            ("&unknown;", "&unknown;"),
            ("&hellip;&mdash;", "…—"), ("&NotEqualTilde;", "≂\u{338}"), ("a&", "a&"),
        ])
    func references(text: String, expected: String) {
        #expect(CharacterReferences.decoded(Array(text.utf8)[...], inAttribute: false) == expected)
    }

    @Test("In attributes a name without semicolon is left where it is part of a query")
    func attributeReferences() {
        #expect(Self.written("<a href='?a=1&copy=2&not;&amp'>") == "<a href=?a=1&copy=2¬&>")
    }

    @Test("Noise is read to its end and makes no token empty", arguments: 0..<200)
    func noise(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed) + 1)
        let pieces = [
            "<", ">", "/", "!", "-", "--", "=", "'", "\"", "&", ";", "#", "x", "a", " ", "\n", "\0", "<script",
            "</script>",
            "<!--", "-->", "<title>", "</title>", "<p hidden>", "é", "\u{1F600}", "&amp", "<td>", "<li>", "<table>",
            "</p>",
            "<main>", "<a href=x>", "</a>", "<pre>", "<svg/>", "<nav>",
        ]
        let html = (0..<300).map { _ in pieces[Int(random.next() % UInt64(pieces.count))] }.joined()
        var tokenizer = HTMLTokenizer(html)
        var count = 0
        while let token = tokenizer.next() {
            count += 1
            if case .text(let text) = token { #expect(!text.isEmpty) }
            guard count <= html.utf8.count else {
                Issue.record("more tokens than bytes")
                return
            }
        }
        // The builder must keep its stack and its ranges whatever comes.
        let page = ReadableText(html: html, link: { $0 })
        #expect(page.text.utf8.count <= 40 * html.utf8.count)
        var parser = XMLPullParser(html)
        var events = 0
        // An error ends the document: that is the answer for most of these.
        while events <= html.utf8.count, let event = try? parser.next() {
            events += 1
            if case .start(let name, _) = event { #expect(!name.isEmpty) }
        }
        #expect(events <= html.utf8.count)
    }
}
