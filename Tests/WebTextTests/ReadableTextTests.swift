// What is kept of a page, what is left out, and how bytes become text.
import Testing

@testable import WebText

@Suite("Readable text")
struct ReadableTextTests {
    static func text(_ html: String) -> String {
        ReadableText(html: html, link: { $0.hasPrefix("javascript:") ? nil : "https://x.org/\($0)" }).text
    }

    @Test(
        "keeps structure as Markdown",
        arguments: [
            ("<h1>A</h1><p>b  c\n d</p><p>e", "# A\n\nb c d\n\ne"),
            ("<ul><li>a<li>b<ul><li>c</ul></ul>", "- a\n- b\n\n  - c"),
            ("<ol start=3><li>a</li><li>b</li></ol>", "3. a\n4. b"),
            ("<p>see <a href='p'>the <b>page</b></a> now", "see [the page](https://x.org/p) now"),
            ("<a href='javascript:x'>word</a>", "word"), ("a<br>b", "a\nb"), ("<img alt='a chart'>", "[a chart]"),
            (
                "<table><tr><th>a<th>b<tr><td>1|2<td><p>3</p></table>",
                "| a | b |\n| --- | --- |\n| 1/2 | 3 |"
            ),
            ("<pre>a\n  b</pre>", "```\na\n  b\n```"), ("<blockquote><p>said</p></blockquote>", "> said"),
            ("a<div>b</div>c", "a\nb\nc"), ("&lt;script&gt;", "<script>"),
        ])
    func structure(html: String, expected: String) {
        #expect(Self.text(html) == expected)
    }

    @Test(
        "leaves out what no reader sees",
        arguments: [
            "<script>BAD</script>", "<style>BAD</style>", "<nav><ul><li>BAD</ul></nav>", "<!-- BAD -->",
            "<noscript>BAD</noscript>", "<template><p>BAD</p></template>", "<div hidden><div>x</div>BAD</div>",
            "<p style='display: none'>BAD</p>", "<span style='FONT-SIZE:0'>BAD</span>",
            "<div aria-hidden=true><p>BAD<p>BAD</div>", "<select><option>BAD</select>", "<textarea>BAD</textarea>",
            "<svg><title>BAD</title><text>BAD</text></svg>", "<button>BAD</button>", "<iframe>BAD</iframe>",
            "<ul><li hidden>BAD</ul>", "<script>\"</scr\" + \"BAD</p>\"</script>",
        ])
    func hidden(html: String) {
        let text = Self.text("<html><head><title>T</title></head><body><p>before</p>\(html)<p>after</p>")
        #expect(!text.contains("BAD"), "\(text)")
        #expect(text.hasPrefix("before") && text.hasSuffix("after"), "\(text)")
    }

    @Test("Title and description come from the head, and main alone counts where it says enough")
    func parts() {
        let long = String(repeating: "word ", count: 60)
        let html = """
            <html><head><title> A &amp;\n B </title><meta name=Description content='what  it is'></head>
            <body><header>menu</header><main><p>\(long)</p></main><footer>legal</footer>
            """
        let page = ReadableText(html: html, link: { $0 })
        #expect(page.title == "A & B" && page.summary == "what it is")
        #expect(page.text.contains("word") && !page.text.contains("legal") && !page.text.contains("menu"))
        #expect(Self.text("<main>short</main><p>more").contains("more"))
    }

    @Test("Nesting without end is read in bounded depth")
    func deep() {
        let html = String(repeating: "<div><b>", count: 50_000) + "end"
        #expect(Self.text(html) == "end")
    }

    static let encoded: [(bytes: [UInt8], type: String?, text: String)] = [
        (Array("né".utf8), nil, "né"), ([0x6e, 0xe9], nil, "né"),
        ([0x6e, 0xe9], "text/html; charset=ISO-8859-1", "né"),
        ([0x80], "text/plain;charset=latin1", "€"), ([0xc4, 0xe3, 0xba, 0xc3], "text/html; charset=\"gb2312\"", "你好"),
        (Array("<meta charset=gbk>".utf8) + [0xc4, 0xe3], nil, "<meta charset=gbk>你"),
        (
            Array("<meta http-equiv=content-type content='text/html; charset=big5'>".utf8) + [0xa7, 0x41],
            "text/html", "<meta http-equiv=content-type content='text/html; charset=big5'>你"
        ),
        ([0xEF, 0xBB, 0xBF, 0x61], "text/plain; charset=gbk", "a"), ([0xFF, 0xFE, 0x61, 0], nil, "a"),
        ([0xFE, 0xFF, 0, 0x61], nil, "a"), ([0x82, 0xa0], "text/plain; charset=shift_jis", "あ"),
        (
            Array("<?xml version='1.0' encoding='windows-1251'?>".utf8) + [0xc4], nil,
            "<?xml version='1.0' encoding='windows-1251'?>Д"
        ),
        ([0xc4, 0xe3, 0xba], "text/plain; charset=gbk", "你\u{FFFD}"), (Array("éé".utf8.dropLast()), nil, "é\u{FFFD}"),
        ([0x61], "text/plain; charset=unheard-of", "a"),
    ]

    @Test("Bytes become text by mark, header, declaration, then UTF-8, then windows-1252", arguments: encoded.indices)
    func decoding(index: Int) {
        let row = Self.encoded[index]
        #expect(TextDecoding.text(row.bytes, contentType: row.type) == row.text)
    }
}
