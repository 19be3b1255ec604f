// Feeds in the three dialects, and XML that is made to hurt its reader.
import Testing

@testable import WebText

@Suite("Feeds and XML")
struct FeedDocumentTests {
    @Test(
        "RSS 2.0, RDF and Atom say the same",
        arguments: [
            """
            <?xml version="1.0"?><!DOCTYPE rss><rss version="2.0"><channel><title>News</title><image><title>no</title></image>
            <item><title>A &amp; B</title><link>https://e.org/1</link><pubDate>T</pubDate>
            <description><![CDATA[<p>it <b>rose</b></p><script>x</script>]]></description></item></channel></rss>
            """,
            """
            <rdf:RDF xmlns:rdf="r" xmlns:dc="d"><channel><title>News</title></channel><item rdf:about="x"><title>A &#38; B</title>
            <link>https://e.org/1</link><dc:date>T</dc:date><description>it rose</description></item></rdf:RDF>
            """,
            """
            <feed xmlns='a'><title type='text'>News</title><entry><title type="html">A &amp;amp; B</title>
            <link rel="self" href="no"/><link rel='alternate' href='https://e.org/1'/><updated>T</updated>
            <summary type="html">&lt;p&gt;it rose&lt;/p&gt;</summary><author><title>no</title></author></entry></feed>
            """,
        ])
    func dialects(xml: String) throws {
        let feed = try #require(try FeedDocument(xml))
        #expect(feed.title == "News" && feed.entries.count == 1)
        let entry = try #require(feed.entries.first)
        #expect(entry.title == "A & B" || entry.title == "A &amp; B")
        #expect(entry.link == "https://e.org/1" && entry.published == "T" && entry.summary == "it rose")
    }

    @Test("Entities of a document type do not exist, so none can grow or fetch a file")
    func entities() throws {
        let bomb = """
            <!DOCTYPE rss [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>
            <rss><channel><title>&b;&f;&nbsp;x</title></channel></rss>
            """
        #expect(try FeedDocument(bomb)?.title == "&b;&f; x")
    }

    @Test(
        "What is not well formed is an error with its place",
        arguments: [
            "", "x", "<a>", "<a></b>", "<a></a><b/>", "<a b></a>", "<a b=c></a>", "<a b='<'/>", "<a b='",
            "<!DOCTYPE a [", "<a><!--",
            "<a><![CDATA[", "<a>x</a", "< a/>", "<a", String(repeating: "<a>", count: 200),
        ])
    func broken(xml: String) {
        var parser = XMLPullParser(xml)
        #expect(throws: XMLError.self) { while try parser.next() != nil {} }
    }

    @Test("Other XML is no feed")
    func other() throws {
        #expect(try FeedDocument("<opml><body/></opml>") == nil)
    }
}
