// Trimming and searching against Foundation's, which is slower and says the same.

import Foundation
import Testing
import TextFormats

@Suite struct PlainTextTests {
    private static let texts = [
        "", " ", "\n\t \r\n", "a", "  a b \n", "\u{3000}观察列表\u{00A0}\u{2028}", "e\u{301} \u{85}", "\r\n- x\r\n", "🙂 \u{200A}🙂",
    ]

    @Test("a trimmed text is what Foundation makes of it", arguments: texts)
    func trims(text: String) {
        #expect(text.trimmed() == text.trimmingCharacters(in: .whitespacesAndNewlines))
        #expect(("x" + text + "y")[...].trimmed() == "x" + text + "y")
    }

    @Test(
        "a place is the first or the last one, and none where there is none",
        arguments: [
            ("aXbXc", "X"), ("X", "X"), ("", "X"), ("报告\n---\n[context]\n报告\n---\n[context]", "\n---\n[context]"), ("aaa", "aa"),
            ("日本", "本"), ("x", "xy"),
        ])
    func finds(text: String, searched: String) throws {
        #expect(text.firstRange(ofBytes: searched) == text.range(of: searched, options: .literal))
        #expect(text.lastRange(ofBytes: searched) == text.range(of: searched, options: [.literal, .backwards]))
        guard let first = text.firstRange(ofBytes: searched) else { return }
        #expect(text[first] == searched)
        let next = text.firstRange(ofBytes: searched, from: first.upperBound)
        #expect(next == text.range(of: searched, options: .literal, range: first.upperBound..<text.endIndex))
    }
}
