// Sources over HTTP: what they say, what they fail to say, and how seldom they are asked.
import DurableFiles
import Foundation
import HTTPTransport
import ModelTestSupport
import TestSupport
import Testing
import TextFormats

@testable import MarketData

@Suite("Data sources")
struct DataSourcesTests {
    private func source(
        _ url: String, _ kind: DataSource.Kind = .quotes, _ format: DataSource.Format = .json,
        _ change: (inout DataSource) -> Void = { _ in }
    ) -> DataSource {
        var source = DataSource(name: "market", kind: kind, format: format, url: url)
        source.allowsPrivate = true
        change(&source)
        return source
    }

    private func table(_ sources: DataSources, _ symbols: [String]) throws -> QuoteTable {
        let folder = try TemporaryDirectory()
        let (pieces, problems) = sources.quotes(symbols)
        return QuoteBook(directory: try SealedDirectory(path: folder.path)).read(with: pieces, problems: problems)
    }

    @Test("quotes by symbol, from a place in the answer, with their names of our columns; the origin is named")
    func json() throws {
        let server = try LoopbackHTTPServer { request in
            let symbol = request.target.split(separator: "/").last.map(String.init) ?? ""
            return .json(
                #"{"data": {"quotes": [{"lastPrice": 1.5, "asOf": "2026-11-25T10:00:00Z", "id": "\#(symbol)"}]}}"#)
        }
        let sources = DataSources([
            source(server.url + "/q/{symbol}") {
                $0.path = ["data", "quotes"]
                $0.fields = ["price": "lastPrice", "time": "asOf"]
                $0.headers = { [(name: "X-Key", value: "k")] }
            }
        ])
        let found = try table(sources, ["AAPL", "0700.HK"]).quotes(["AAPL", "0700.HK", "MSFT"])
        #expect(found.found.map(\.symbol) == ["AAPL", "0700.HK"] && found.missing == ["MSFT"])
        #expect(found.found.first?.price == 1.5)
        #expect(found.found.first?.time == RFC3339.date("2026-11-25T10:00:00Z"))
        #expect(found.found.first?.source.hasPrefix("market (127.0.0.1") == true)
        #expect(server.requests.allSatisfy { $0.header("x-key") == "k" })
    }

    @Test("a source that repeats its key, from a header or its address, does not bring it into a report")
    func echoedKey() throws {
        let server = try LoopbackHTTPServer { _ in
            .json(#"[{"symbol": "AAPL", "price": 1.5, "name": "for header-key-1 and query-key-2", "currency": "USD"}]"#)
        }
        let sources = DataSources([
            source(server.url + "/q?apikey=query-key-2") { $0.headers = { [(name: "X-API-Key", value: "header-key-1")] } }
        ])
        let (pieces, problems) = sources.quotes(["AAPL"])
        #expect(problems.isEmpty)
        let text = String(decoding: try #require(pieces.first).bytes, as: UTF8.self)
        #expect(text.contains("for [key] and [key]") && text.contains("1.5"))
    }

    @Test("one symbol's answer need not name it")
    func plain() throws {
        let server = try LoopbackHTTPServer { _ in
            .json(#"{"price": 189.5, "currency": "USD", "time": "2026-11-25T15:00:00Z"}"#)
        }
        let found = try table(DataSources([source(server.url + "/{symbol}")]), ["TSLA", "AAPL"]).quotes([
            "TSLA", "AAPL",
        ]).found
        #expect(found.map(\.symbol) == ["TSLA", "AAPL"] && found.map(\.price) == [189.5, 189.5])
    }

    @Test("one answer for all users within its age, however many ask at once; then by its tag")
    func shared() throws {
        let server = try LoopbackHTTPServer { request in
            if request.header("if-none-match") == "\"t\"" { return .json("", status: 304) }
            return .json("symbol,price\nA,1\n", headers: [("ETag", "\"t\"")])
        }
        let sources = DataSources([source(server.url, .quotes, .csv)])
        DispatchQueue.concurrentPerform(iterations: 200) { _ in
            let (pieces, problems) = sources.quotes(["A"])
            #expect(pieces.count == 1 && problems.isEmpty)
        }
        #expect(server.requests.count == 1)
        let impatient = DataSources([source(server.url, .quotes, .csv) { $0.maxAge = 0 }])
        for _ in 0..<3 { #expect(try table(impatient, ["A"]).quotes(["A"]).found.count == 1) }
        #expect(server.requests.count == 4)
        #expect(server.requests.filter { $0.header("if-none-match") != nil }.count == 2)
    }

    @Test("the later of two prices counts, whoever has it")
    func precedence() throws {
        let server = try LoopbackHTTPServer { _ in
            .json(
                #"[{"symbol": "A", "price": 2, "time": "2026-11-25T10:00:00Z"}, {"symbol": "B", "price": 2, "time": "2026-11-01"}]"#
            )
        }
        let folder = try TemporaryDirectory()
        let directory = try SealedDirectory(path: folder.path)
        try directory.write("data/quotes.csv", Array("symbol,price,time\nA,1,2026-11-24\nB,1,2026-11-24\n".utf8))
        let (pieces, _) = DataSources([source(server.url)]).quotes(["A", "B"])
        let found = QuoteBook(directory: directory).read(with: pieces).quotes(["A", "B"]).found
        #expect(found.map(\.price) == [2, 1])
    }

    @Test(
        "a symbol stays one encoded part of the address, whatever stands in it",
        arguments: [
            "../../admin", "A/B", "A?x=1", "A#f", "a@evil.example", "A B", "%2e%2e", "A\r\nX: 1", "行情", "{symbol}",
            "A&b=c", "\\..\\x", "^GSPC",
        ])
    func hostile(symbol: String) throws {
        let server = try LoopbackHTTPServer { _ in .json("[]") }
        let sources = DataSources([source(server.url + "/q/{symbol}/end?s={symbol}&k=1")])
        _ = sources.quotes([symbol])
        let target = try #require(server.requests.first?.target)
        let parts = target.split(separator: "?", omittingEmptySubsequences: false)
        #expect(parts.count == 2)
        #expect(parts[0].split(separator: "/", omittingEmptySubsequences: false).count == 4)
        #expect(parts[1].split(separator: "&").count == 2)
        #expect(parts[0].split(separator: "/")[1].removingPercentEncoding == symbol)
    }

    @Test(
        "dots alone, nothing and too much are no symbols",
        arguments: ["", ".", "..", String(repeating: "A", count: 65)])
    func noSymbols(symbol: String) {
        #expect(source("http://h/{symbol}").address(for: symbol) == nil)
    }

    @Test(
        "a source that fails is a problem with its name, is left alone, and takes nothing else with it",
        arguments: [
            ScriptedAnswer.json("no", status: 500), .json("slow down", status: 429, headers: [("Retry-After", "60")]),
            .json("", status: 302, headers: [("Location", "http://127.0.0.1/")]), .json("{broken"), .json("42"),
            .json(#"{"other": 1}"#),
        ])
    func failing(answer: ScriptedAnswer) throws {
        let server = try LoopbackHTTPServer { request in
            request.target == "/good" ? .json(#"[{"symbol": "A", "price": 1}]"#) : answer
        }
        let bad = source(server.url + "/bad") {
            $0.name = "bad"
            $0.path = ["data"]
        }
        let sources = DataSources([bad, source(server.url + "/good")])
        for _ in 0..<3 {
            let table = try table(sources, ["A"])
            #expect(table.quotes(["A"]).found.count == 1)
            #expect(table.problems.contains { $0.file.hasPrefix("bad (") })
        }
        #expect(server.requests.count == 2)
    }

    @Test("an address of the inside network is not asked unless the operator allows it; a missing key asks nobody")
    func refused() throws {
        let server = try LoopbackHTTPServer { _ in .json("[]") }
        for change in [{ $0.allowsPrivate = false }, { $0.headers = { nil } }] as [(inout DataSource) -> Void] {
            let (pieces, problems) = DataSources([source(server.url, .quotes, .json, change)]).quotes(["A"])
            #expect(pieces.isEmpty && problems.count == 1)
        }
        #expect(server.requests.isEmpty)
    }

    @Test("feeds are read as RSS, with the dates of mail, and searched with the user's own")
    func feeds() throws {
        let rss = """
            <rss version="2.0"><channel><title>Wire</title><item><title>Acorn grows</title><link>https://e.example/1</link>\
            <pubDate>Wed, 25 Nov 2026 09:30:00 +0100</pubDate><description>Up &amp; up</description></item>\
            <item><title>Other</title><link>javascript:alert(1)</link></item></channel></rss>
            """
        let server = try LoopbackHTTPServer { request in
            request.target == "/rss" ? .json(rss, headers: [("Content-Type", "application/rss+xml")]) : .json("<html>")
        }
        let sources = DataSources([
            source(server.url + "/rss", .feeds, .feed), source(server.url + "/no", .feeds, .feed),
        ])
        let (items, problems) = sources.feeds([])
        #expect(items.map(\.title) == ["Acorn grows", "Other"])
        #expect(items.first?.published == RFC3339.date("2026-11-25T08:30:00Z"))
        #expect(items.first?.source == "Wire" && items.last?.link == nil)
        #expect(problems.count == 1)
        let folder = try TemporaryDirectory()
        let shelf = FeedShelf(directory: try SealedDirectory(path: folder.path))
        #expect(shelf.items(query: "acorn", more: items).items.map(\.title) == ["Acorn grows"])
    }
}
