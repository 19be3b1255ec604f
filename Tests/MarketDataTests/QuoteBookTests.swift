import DurableFiles
import Foundation
import TestSupport
import Testing
import TextFormats

@testable import MarketData

/// A workspace with these files in its `data/`.
private func withData<Value>(_ files: [String: String], _ body: (SealedDirectory) throws -> Value) throws -> Value {
    let folder = try TemporaryDirectory()
    let directory = try SealedDirectory(path: folder.path)
    for (name, text) in files { try directory.write("data/\(name)", Array(text.utf8)) }
    return try body(directory)
}

private func table(_ files: [String: String]) throws -> QuoteTable {
    try withData(files) { QuoteBook(directory: $0).read() }
}

@Suite("Quotes from files")
struct QuoteBookTests {
    @Test(
        "headers are understood in several spellings and in Chinese",
        arguments: [
            "symbol,price,change,change_percent,currency,time,volume,name\n"
                + "AAPL,189.5,-1.2,-0.63,USD,2026-11-23T21:00:00Z,1000,Apple\n",
            "Ticker;Last;Chg;Change %;CCY;Timestamp;Vol;Company\n"
                + "AAPL;189.5;-1.2;-0.63%;USD;2026-11-23 21:00;1,000;Apple\n",
            "\u{FEFF}代码,名称,价格,涨跌额,涨跌幅(%),币种,日期,时间,成交量\r\nAAPL,Apple,189.5,-1.2,-0.63%,USD,2026-11-23,21:00:00,1000\r\n",
            "code\tname\tclose\tnet change\tpct_change\tcurrency\tas of\tvolume\n"
                + "AAPL\tApple\t$189.50\t-1.2\t-0.63\tUSD\t1795467600\t1000",
            "股票代码,股票简称,最新价（元）,涨跌额,涨跌幅,货币,更新时间,成交量\rAAPL,Apple,１８９.５,-1.2,-0.63,USD,2026年11月23日 21:00,1000\r",
        ])
    func spellings(text: String) throws {
        let table = try table(["quotes.csv": text])
        #expect(table.problems == [])
        let quote = try #require(table.quotes(["aapl"]).found.first)
        let time = RFC3339.date("2026-11-23T21:00:00Z")
        #expect(
            quote
                == Quote(
                    symbol: "AAPL", price: 189.5, change: -1.2, changePercent: -0.63, currency: "USD", volume: 1000,
                    time: time, source: "data/quotes.csv", name: "Apple"))
        #expect(quote.json["time"] == "2026-11-23T21:00:00.000Z")
    }

    @Test(
        "JSON comes as an array, under a key, keyed by symbol, or as plain numbers",
        arguments: [
            #"[{"symbol":"AAPL","price":189.5},{"symbol":"TSLA","price":"240"}]"#,
            #"{"quotes":[{"ticker":"AAPL","last":189.5},{"ticker":"TSLA","last":240}]}"#,
            #"{"AAPL":{"price":189.5},"TSLA":{"price":240}}"#, #"{"AAPL":189.5,"TSLA":240}"#,
        ])
    func json(text: String) throws {
        let table = try table(["quotes.json": text])
        #expect(table.problems == [])
        #expect(table.quotes(["TSLA", "AAPL"]).found.map(\.price) == [240, 189.5])
    }

    @Test("a missing value is left out and nothing is put in its place")
    func missingValues() throws {
        let table = try table(["quotes.csv": "symbol,price,change,change_percent,time\nAAPL,189.5,-,N/A,\n"])
        let answer = table.quotes(["AAPL", "NVDA", "nvda", ""])
        #expect(answer.found == [Quote(symbol: "AAPL", price: 189.5, source: "data/quotes.csv")])
        #expect(answer.found[0].json.object?.keys == ["symbol", "price", "source"])
        #expect(answer.missing == ["NVDA"])
    }

    @Test("a change is worked out only from the source's own previous close")
    func previousClose() throws {
        let table = try table(["quotes.csv": "symbol,price,previous_close\nA,110,100\nB,5,\n"])
        #expect(table.quotes(["A"]).found.map(\.changePercent) == [10] && table.quotes(["A"]).found[0].change == 10)
        #expect(table.quotes(["B"]).found.map(\.change) == [nil])
    }

    @Test("of several rows the latest is the quote and all are the history, also across files")
    func history() throws {
        let table = try table([
            "prices.csv": "date,symbol,close\n2026-11-23,AAPL,3\n2026-11-21,AAPL,1\n2026-11-22,aapl,2\n",
            "prices-TSLA.csv":
                "Date,Open,High,Low,Close,Adj Close,Volume\n2026-11-20,9,9,9,7,6.9,5\n2026-11-21,9,9,9,8,7.9,5\n",
            "quotes.csv": "symbol,price,time\nAAPL,9,2020-01-01\n",
        ])
        #expect(table.quotes(["AAPL", "TSLA"]).found.map(\.price) == [3, 8])
        #expect(table.history("aapl").map(\.close) == [9, 1, 2, 3])
        #expect(table.history("NVDA") == [])
    }

    @Test("bad rows are skipped and reported with file and line; the good ones count")
    func badRows() throws {
        let text = """
            symbol,price,time,name
            AAPL,189.5,2026-11-23,"Apple, Inc.
            of Cupertino"
            TSLA,abc,2026-11-23,
            ,5,2026-11-23,
            NVDA,7,someday,
            MSFT,"1,5",,
            GOOG,8%,,
            META,9,,"open
            """
        let table = try table(["quotes.csv": text])
        #expect(table.symbols == ["AAPL"])
        #expect(table.quotes(["AAPL"]).found[0].name == "Apple, Inc. of Cupertino")
        #expect(table.problems.map(\.line) == [9, 4, 5, 6, 7, 8])
        #expect(table.problems.allSatisfy { $0.file == "data/quotes.csv" && $0.code == .badRow })
        #expect(table.problems[1].description == "data/quotes.csv:4: the price of TSLA is no number: \"abc\"")
    }

    @Test(
        "a file that cannot be understood is reported and hides no other",
        arguments: [
            ("quotes2.json", "{", MarketDataError.Code.badFormat), ("quotes2.json", "5", .badFormat),
            ("quotes2.csv", "a,b\n1,2\n", .badFormat), ("quotes2.csv", "symbol,price\nX,\u{1}", .badRow),
        ])
    func badFiles(name: String, text: String, code: MarketDataError.Code) throws {
        let table = try table([name: text, "quotes.csv": "symbol,price\nAAPL,1\n", "readme.txt": "x", "other.csv": "x"])
        #expect(table.symbols == ["AAPL"])
        #expect(table.problems.map(\.code) == [code] && table.problems[0].file == "data/\(name)")
    }

    @Test("names find a quote only when they are exact and borne by one symbol")
    func names() throws {
        let table = try table(["行情.csv": "代码,名称,价格\n0700.HK,腾讯,400\nA,Same,1\nB,same,2\n"])
        #expect(table.quotes(["腾讯"]).found.map(\.symbol) == ["0700.HK"])
        #expect(table.quotes(["腾", "Same"]).missing == ["腾", "Same"])
        #expect(table.quotes(["0700.hk", "腾讯"]).found.count == 1)
    }

    @Test("too many rows, too large files and too many problems are cut and said")
    func bounds() throws {
        let rows = (0...DataLimits.rows).map { "S\($0),1" }.joined(separator: "\n")
        #expect(CSVReader(Array("symbol,price\n\(rows)".utf8)).isTruncated)
        let bad = String(repeating: "X,bad\n", count: 500)
        let problems = try table(["quotes.csv": "symbol,price\n" + bad]).problems
        #expect(problems.count == DataLimits.problems + 1 && problems.last?.detail == "and 450 more problems")
        let large = "symbol,price\n" + String(repeating: " ", count: DataLimits.fileBytes)
        #expect(try table(["quotes.csv": large]).problems.map(\.code) == [.tooLarge])
    }

    @Test("no data folder is no problem; a link in it is not followed")
    func folder() throws {
        let folder = try TemporaryDirectory()
        let directory = try SealedDirectory(path: folder.path)
        #expect(QuoteBook(directory: directory).read().problems == [])
    }

    @Test("any bytes are read without a trap", arguments: 0..<20)
    func fuzz(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let alphabet = Array("symbol,price\n\r\"'\t;AAPL,1.5é代码{}[]:%-\u{FEFF}".utf8) + [0, 0xFF, 0x80]
        for _ in 0..<200 {
            let bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in
                alphabet.randomElement(using: &random) ?? 0
            }
            var table = QuoteTable()
            table.add(Array("symbol,price\n".utf8) + bytes, file: "data/q.csv", symbolFromName: nil)
            table.add(bytes, file: "data/q.json", symbolFromName: nil)
            table.finish()
        }
    }
}

@Suite("Feeds from files")
struct FeedShelfTests {
    private static let files = [
        "feeds.json": #"""
        [{"title":"AI chips sell out","url":"https://example.com/1","published":"2026-11-23T10:00:00Z",
          "source":"Wire","tags":["NVDA"]},
         {"title":"He said nothing","link":"javascript:alert(1)"},{"title":""}]
        """#,
        "news.csv": "标题,链接,发布时间,来源,摘要\n芯片涨价,https://example.com/2,2026-11-24 08:00,日报,\"半导体,全线上涨\"\n",
    ]

    private func items(_ query: String?, limit: Int = 20) throws -> [String] {
        try withData(Self.files) { FeedShelf(directory: $0).items(query: query, limit: limit).items.map(\.title) }
    }

    @Test("items come newest first, undated last, within the limit")
    func order() throws {
        #expect(try items(nil) == ["芯片涨价", "AI chips sell out", "He said nothing"])
        #expect(try items(nil, limit: 1) == ["芯片涨价"] && items(nil, limit: -1) == [])
    }

    @Test("a query matches whole words in title, summary, source and tags")
    func query() throws {
        #expect(try items("ai") == ["AI chips sell out"])
        #expect(try items("nvda chips") == ["AI chips sell out"])
        #expect(try items("半导体") == ["芯片涨价"] && items("chip") == [])
    }

    @Test("only web links are kept, and an item without a title is reported")
    func links() throws {
        let result = try withData(Self.files) { FeedShelf(directory: $0).items() }
        #expect(result.items.map(\.link) == ["https://example.com/2", "https://example.com/1", nil])
        #expect(result.items[2].source == "data/feeds.json" && result.items[2].json["published"] == nil)
        #expect(result.problems.map(\.line) == [3])
    }
}
