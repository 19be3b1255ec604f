// Pages and feeds that were written to be expensive: steps are counted, so no clock is asked.
import TestSupport
import Testing
import TextFormats

@testable import WebText

@Suite("Hostile pages and feeds")
struct HostileWebTextTests {
    static let base = "https://example.org/" + String(repeating: "a/", count: 500)

    @Test("No page costs more than 64 steps a byte")
    func page() {
        let faults = HostileTextCheck.faults("HTML") { text, steps in
            _ = ReadableText(html: text, steps: steps, link: { $0 })
        }
        #expect(faults == [])
    }

    @Test("No text in an attribute costs more than 64 steps a byte")
    func attribute() {
        let faults = HostileTextCheck.faults("HTML attribute") { text, steps in
            _ = ReadableText(html: "<a href='\(text)'>a</a>", steps: steps, link: { $0 })
        }
        #expect(faults == [])
    }

    @Test("No feed costs more than 64 steps a byte")
    func feed() {
        let faults = HostileTextCheck.faults("XML") { text, steps in
            // Most of them are not well formed: what counts is how long it takes to see that.
            _ = try? FeedDocument(text, steps)
            let rest = "<rss><channel><item><title>\(text)</title></item></channel></rss>"
            _ = try? FeedDocument(rest, steps)
        }
        #expect(faults == [])
    }

    @Test("A page becomes at most 16 times its size, and 512 KiB for links")
    func amplification() {
        for text in HostileText.all {
            let html = text.text(size: 16_384)
            let page = ReadableText(html: html, link: { Self.base + $0 })
            #expect(page.text.utf8.count <= 16 * html.utf8.count + 2 * ReadableBuilder.maxLinkBytes, "\(text)")
        }
    }

    @Test("Links beyond the bounds of a page keep their words")
    func links() {
        let html = String(repeating: "<p><a href=x>w</a></p>", count: ReadableBuilder.maxLinks + 2)
        let lines = ReadableText(html: html, link: { $0 }).text.split(separator: "\n")
        #expect(lines.count == ReadableBuilder.maxLinks + 2)
        #expect(lines.first == "[w](x)" && lines.last == "w")
    }

    @Test("A stopped counter ends the reading")
    func stopping() {
        let html = HostileText.prose.text(size: 1 << 20)
        let pieces = String(repeating: "<p>\(html.prefix(200))</p>", count: 4_000)
        let steps = StepCounter(stoppingIf: { true })
        _ = ReadableText(html: pieces, steps: steps, link: { $0 })
        #expect(steps.isStopped && steps.steps < 4 * StepCounter.stepsBetweenLooks)
    }

    @Test(
        "Elements in odd orders are closed as before",
        arguments: [
            ("<ul><li>a<li>b</ul><p>c", "- a\n- b\n\nc"), ("<b><ul><li>a</b>b</ul>c", "- ab\n\nc"),
            ("<table><tr><td>a<td>b<tr><td>c</table>", "| a | b |\n| --- | --- |\n| c |"),
            ("<dl><dt>a<dd>b<dt>c</dl>", "a\nb\nc"), ("<p>a<div>b</div>c", "a\n\nb\nc"), ("<x-y>a</x-y>b", "ab"),
            ("<a href=u><h2>a</h2>b</a>", "## a\n\nb"), ("a <a href=u>b</a>c", "a [b](u)c"),
            ("<blockquote><p>a<br>b</p></blockquote>", "> a\n> b"),
            ("<ol start=9223372036854775807><li>a<li>b</ol>", ""),
        ])
    func structure(html: String, expected: String) {
        let text = ReadableText(html: html, link: { $0 }).text
        // The largest number there is must not overflow.
        if html.contains("9223372036854775807") {
            #expect(text.contains("9223372036854775807. a"))
        } else {
            #expect(text == expected)
        }
    }

    @Test("Text in another encoding is decoded near its bad bytes too, and in a bounded number of parts")
    func lossyDecoding() {
        let good: [UInt8] = [0xc4, 0xe3, 0xba, 0xc3, 0x0a]
        let bad: [UInt8] = [0xff, 0xff, 0x61, 0x0a]
        let lines = [[UInt8]](repeating: good, count: 100) + [bad] + [[UInt8]](repeating: good, count: 100)
        let text = TextDecoding.text(Array(lines.joined()), contentType: "text/html; charset=gbk")
        #expect(text.split(separator: "\n").count { $0 == "你好" } >= 190 && text.contains("??a"))
        let empty = TextDecoding.text(
            [UInt8](repeating: 0x0a, count: 100_000) + [0xff, 0xff], contentType: "text/html; charset=gbk")
        #expect(empty.utf8.count >= 100_000)
    }
}
