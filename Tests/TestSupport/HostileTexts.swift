// Texts that make parsers look back, look ahead, nest or copy, of any size. The same for every parser: what is harmless for
// one is a trap for another. Plain values.
import Foundation
import TextFormats

/// A beginning and a piece that is repeated behind it.
public struct HostileText: Sendable, CustomStringConvertible {
    public var name: String
    public var beginning = ""
    public var piece: String

    public var description: String { name }

    /// About `size` bytes.
    public func text(size: Int) -> String {
        let count = max(1, (size - beginning.utf8.count) / max(1, piece.utf8.count))
        return beginning + String(repeating: piece, count: count)
    }

    public init(_ name: String, beginning: String = "", _ piece: String) {
        self.name = name
        self.beginning = beginning
        self.piece = piece
    }

    /// Words and full stops in lines of 72 characters: what the others are compared with.
    public static let prose = HostileText(
        "plain prose", "Shares of the maker of chips rose after its report on the third quarter.\nThe market was calm. "
    )

    public static let all: [HostileText] =
        brackets + backticks + emphasis + quotes + lists + tables + entities + nesting + markup + longLines + ordinary

    private static let brackets = named(
        "brackets",
        [
            "[", "[a](", "![", "![a](", "](", "[](", "[a]((((", "[a](b", "[[a](http://a)", "[a](http://a)", "]", "(",
            ")",
            "[a](b\n", "[`a](", "[*a](b)", "{", "}", "[{\"a\":", "{\"a\":[", "[],", "[!", "[^]", "<!-- [a](", "[a](\\",
        ])
    private static let backticks =
        named("backticks", ["`", "`a", "``a`", "```\n", "~~~\n", "`a``b```c", "\\`"]) + [
            HostileText(
                "backticks of every length", (1...120).map { String(repeating: "`", count: $0) }.joined(separator: " "))
        ]
    private static let emphasis = named(
        "emphasis",
        [
            "*", "**", "_", "**a ", "_a", "*a _b ", "a**b_c ", "*a* ", "***a", "a*", "a**", "a***b*", "**a*", "*a**b*",
            "* a*", "~~a", "*a_", "_*a ", "a*_", "*[a](", "*a [*b](c) ",
        ])
    private static let quotes = named(
        "quotes",
        [
            "> ", ">", ">>>>\n", "> > > > a\n", ">\n\n", "\"", "'", "\"a,", "\"\",", "\"a\"b\n", "\"\n", "a \"b", "“",
            "“a” ", " \"",
        ])
    private static let lists = named(
        "lists",
        [
            "- ", "- a\n", "  - a\n", "- a\n  - b\n", "1. ", "1. a\n", "- - ", "* * *\n", "+\n", "999999999. a\n",
            "- a\n\n", "? ", "? a\n: b\n", "a, ", "a and ", "add a and ", "、", "please ", "and ",
        ])
    private static let tables =
        named(
            "tables",
            [
                "|", "|\n", "|a", "|-", "|-|\n", "a|b\n-|-\n", "|a|\n|-|\n\n", ",", ",\n", "\t", ";", "a,", "\\|",
                "|:-:|\n",
            ])
        + [
            HostileText("a wide table and short rows", beginning: head(64, "a"), "|\n"),
            HostileText(
                "a wide table and long rows", beginning: head(64, "a"), String(repeating: "|a", count: 64) + "\n"),
            HostileText("a long cell and short rows", beginning: head(2, String(repeating: "a", count: 2_000)), "|a\n"),
        ]
    private static let entities = named(
        "entities",
        [
            "&", "&amp", "&amp;", "&#", "&#x", "&#1", "&#x1F600;", "&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "&a", "&no",
            "&notit;",
            "&CounterClockwiseContourIntegra", "&lol;", "\\", "\\u", "\\ud800", "%", "%41",
        ])
    private static let nesting =
        named(
            "nesting",
            [
                "<div>", "<b><i>", "<p>", "<p><b>", "<li>", "<ul><li>", "<ol start=9><li>", "<td>", "<table><tr><td>a",
                "<tr><td>", "<a href=x>", "<a href=x>a", "<a href=x>a</a>", "<pre>", "<blockquote>a<br>", "<svg>",
                "<main>",
                "<h1>", "<dl><dt>", "<button>", "<x1><x2><x3>", "<a>b</a>", "<a><b/></a>",
            ])
        + [
            HostileText("an open stack, then paragraphs", beginning: String(repeating: "<div>", count: 300), "<p>"),
            HostileText("an open stack, then divisions", beginning: String(repeating: "<b>", count: 300), "<div>a"),
            HostileText("an open stack, then words", beginning: String(repeating: "<b>", count: 300), "<i>a</i>"),
            HostileText("an open stack, then list items", beginning: String(repeating: "<ul>", count: 300), "<li>a"),
            HostileText(
                "an end tag far below", beginning: "<b><td>" + String(repeating: "<i>", count: 240), "</b>"),
            HostileText("a feed's empty pieces", beginning: feed, "a<!---->"),
            HostileText("a feed of small entries", beginning: feed, "</description></item><item><description>a"),
            HostileText("a feed of open elements", beginning: feed, "<a><b><c></c></b></a>"),
            HostileText("a feed of markup", beginning: feed, "&lt;div>&lt;b>"),
            HostileText("a feed of sections", beginning: feed, "<![CDATA[a]]>"),
            HostileText("members of one name", beginning: "{" + members, "\"m9\":1,"),
            HostileText("members of many lists", beginning: "[", "{\"a\":1},{\"b\":1},"),
        ]
    private static let markup = named(
        "markup",
        [
            "<", "<a", "</", "<a ", "<a b", "<a b=", "<a b=\"", "<a b='c' ", "<a b=c ", "<!", "<!-", "<!--", "--", "->",
            "<!-- -",
            "<![CDATA[", "]]>", "]]", "<?", "?>", "<!DOCTYPE [", "<!DOCTYPE \"", "<title>", "<title></title>",
            "<script>", "<script><!--<script>", "<textarea>", "<style>", "</script", "<plaintext>", "<img alt='a b'>",
            "<br>",
            "<meta name=description content='a'>", "<p style='display : none;'>", "<", ">", "=",
        ])
    private static let longLines =
        named(
            "long lines",
            [
                "a", " ", "\t", "a ", "a\t", "0", "1", ".", "-", "#", "###### #", "# ", "=", "\\\n", "  \n", "a  \n",
                "\n", "\r", "\r\n",
                "\u{2028}", "\u{85}", "\0", "\u{7F}", "\u{9B}", "\u{301}", "\u{1F1E9}", "\u{1F1E9}\u{1F1EA} ",
                "\u{200D}", "中", "中 ",
                "👩‍👩‍👧", "é", "\u{FEFF}", "\u{3000}", ":", ": ", "a:", "://", "1.", "1:", "data: a\n", "data:\n", "\n\n",
                "id: \n", "aaaab",
                "！", "。", "ａ",
            ])
        + [
            HostileText("one letter with marks", beginning: "a", "\u{316}\u{301}"),
            HostileText("a long word, then blanks", beginning: String(repeating: "a", count: 2_000), " "),
        ]
    private static let ordinary = [
        prose, HostileText("prose in Chinese", "芯片制造商公布第三季度报告后，股价上涨。市场平静。\n"),
        HostileText("a table of quotes", beginning: "symbol,price\n", "AAPL,189.5\n"),
    ]

    private static let feed = "<rss><channel><item><description>"
    private static let members = (0..<2_000).map { "\"m\($0)\":1," }.joined()

    private static func head(_ columns: Int, _ cell: String) -> String {
        String(repeating: "|\(cell)", count: columns) + "|\n" + String(repeating: "|:-:", count: columns) + "|\n"
    }

    private static func named(_ group: String, _ pieces: [String]) -> [HostileText] {
        pieces.map { HostileText("\(group): \(String($0.debugDescription.dropFirst().dropLast().prefix(40)))", $0) }
    }
}

/// What one parser may cost.
public struct HostileTextCheck {
    /// Steps of one byte, at most.
    public static let maxStepsPerByte = 64
    /// With NANOBOT_PARSER_FIGURES set, the time of each text beside that of plain prose is printed too
    /// (Benchmarks/parser_figures.sh makes a table of it).
    private static let printsFigures = ProcessInfo.processInfo.environment["NANOBOT_PARSER_FIGURES"] != nil

    /// Runs a parser over all texts, in two sizes, and counts.
    /// - Parameters:
    ///   - size: bytes of the smaller texts; the others have four times as many.
    ///   - largest: bytes of the texts that are measured by the clock.
    ///   - parse: adds its steps to the counter.
    /// - Returns: a sentence for each text that took too many steps.
    public static func faults(
        _ parser: String, size: Int = 4_096, largest: Int = 16_384, parse: (String, StepCounter) -> Void
    ) -> [String] {
        var faults: [String] = []
        for hostile in HostileText.all {
            for size in [size, 4 * size] {
                let text = hostile.text(size: size)
                let steps = StepCounter()
                parse(text, steps)
                let perByte = steps.steps / max(1, text.utf8.count)
                guard perByte > maxStepsPerByte else { continue }
                faults.append("\(hostile.name): \(perByte) steps a byte at \(text.utf8.count) bytes")
            }
        }
        if printsFigures { printFigures(parser, size: largest, parse) }
        return faults
    }

    /// Seconds for a byte, the best of some runs: of three short ones, or of a long one.
    private static func seconds(_ text: String, _ parse: (String, StepCounter) -> Void) -> Double {
        var best = Double.infinity
        var runs = 0
        while runs < 3, runs == 0 || best < 0.1 {
            let time = ContinuousClock().measure { parse(text, StepCounter()) }.components
            best = min(best, Double(time.attoseconds) / 1e18 + Double(time.seconds))
            runs += 1
        }
        return best / Double(text.utf8.count)
    }

    private static func printFigures(_ parser: String, size: Int, _ parse: (String, StepCounter) -> Void) {
        let plain = seconds(HostileText.prose.text(size: size), parse)
        for hostile in HostileText.all {
            let time = seconds(hostile.text(size: size), parse)
            print("FIGURE\t\(parser)\t\(hostile.name)\t\(Int(time * 1e9))\t\(Int(plain * 1e9))\t\(time / plain)")
        }
    }
}
