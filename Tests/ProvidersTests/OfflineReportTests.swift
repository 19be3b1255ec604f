import Foundation
import Testing
import TextFormats

@testable import Providers

@Suite("Offline reports")
struct OfflineReportTests {
    private static func message(_ fields: JSONObject) -> String {
        "Write the report.\n\n```report-request\n\(JSON.object(fields).text())\n```\n"
    }

    private static func conversation(feeds: Bool = true) -> OfflineConversation {
        OfflineConversation { call in
            switch call.name {
            case "watchlist":
                return
                    #"{"watchlist":{"stocks":["AAPL","TSLA","NVDA"],"influencers":["Elon Musk"],"#
                    + #""keywords":["AI"],"sectors":["chips"]}}"#
            case "profile": return #"{"persona":{"risk_preference":"conservative"}}"#
            case "memory": return ##"{"memory":"# Memory\n- owns 10 TSLA\n- likes tea"}"##
            case "quotes":
                return """
                    {"quotes":[{"symbol":"AAPL","price":189.84,"change_percent":1.25,"time":"2026-11-23T21:00:00.000Z",
                    "source":"data/quotes.csv"},{"symbol":"TSLA","price":240,"change_percent":-3.5,
                    "source":"data/quotes.csv"}],
                    "missing":["NVDA"]}
                    """
            case "feeds" where feeds && call.parsedArguments?["query"] == "AI":
                return
                    #"{"items":[{"title":"AI | <b>grows</b> [x](http://e)","link":"https://example.com/a","#
                    + #""published":"2026-11-23T00:00:00.000Z","source":"Wire"}]}"#
            default: return #"{"items":[],"note":"no feed files"}"#
            }
        }
    }

    private static let brief: JSONObject = [
        "type": "daily", "custom_prompt": "Compare with GOOG\nand be brief", "focus_areas": ["dividends", "AI"],
        "format": "markdown", "language": "en", "max_length": 5000,
    ]

    @Test("a report names what was asked, its facts with time and source, and what it could not know")
    func english() throws {
        var chat = Self.conversation()
        let report = try chat.ask(Self.message(Self.brief))
        #expect(chat.steps == 3)
        #expect(Set(chat.calls.map(\.name)) == ["watchlist", "profile", "memory", "quotes", "feeds"])
        #expect(report.hasPrefix("# Daily report · 2026-11-24\n"))
        for part in [
            "Compare with GOOG and be brief", "dividends, AI",
            "| AAPL | 189.84 | – | +1.25% | 2026-11-23 21:00 UTC | data/quotes.csv |",
            "Up: AAPL +1.25%", "Down: TSLA -3.5%", "### Elon Musk", "### chips", "No feed item was found",
            "(https://example.com/a) — Wire, 2026-11-23", "No quote found for: NVDA", "Quotes without a time: TSLA",
            "No language model was used", "owns 10 TSLA", "risk preference: conservative",
        ] { #expect(report.contains(part), "\(part)") }
        #expect(report.contains(#"\<b>grows"#) && !report.contains("GOOG,"))
    }

    @Test("a report is written in Chinese when the brief says so, whatever the language around it")
    func chinese() throws {
        var chat = Self.conversation(feeds: false)
        var brief = Self.brief
        brief["language"] = "zh"
        brief["type"] = "weekly"
        let report = try chat.ask(Self.message(brief))
        for part in ["# 每周报告 · 2026-11-24", "## 报告要求", "dividends、AI", "没有找到行情：NVDA", "没有可用的资讯来源", "未使用语言模型"] {
            #expect(report.contains(part), "\(part)")
        }
    }

    @Test("every number in the quote table is one the tool gave")
    func numbers() throws {
        var chat = Self.conversation()
        let report = try chat.ask(Self.message(Self.brief))
        let rows = report.split(separator: "\n").filter { $0.hasPrefix("| AAPL") || $0.hasPrefix("| TSLA") }
        #expect(rows.count == 2)
        let given: Set<String> = ["189.84", "+1.25%", "240", "-3.5%", "–", "2026-11-23 21:00 UTC", "data/quotes.csv"]
        for row in rows {
            let cells = row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }.dropFirst()
            #expect(given.isSuperset(of: cells), "\(row)")
        }
    }

    @Test("a report keeps to its length and still says who wrote it", arguments: [120, 400, 800, 1_500, 5_000])
    func length(limit: Int) throws {
        var chat = Self.conversation()
        var brief = Self.brief
        brief["max_length"] = .int(Int64(limit))
        let report = try chat.ask(Self.message(brief))
        #expect(report.unicodeScalars.count <= limit)
        #expect(report.contains("No language model was used"))
    }

    @Test("failing tools make a report that says so, not an error")
    func failures() throws {
        var chat = OfflineConversation { _ in #"{"error":{"code":"storage","detail":"disk is gone"}}"# }
        let report = try chat.ask(Self.message(Self.brief))
        #expect(report.contains("disk is gone") && report.contains("No language model was used"))
        // The context's watchlist stands in for the tool's.
        #expect(report.contains("腾讯"))
    }

    @Test("a large watchlist is asked for in parts and feeds stay bounded", arguments: [(95, 3), (1_300, 25)])
    func large(count: Int, calls: Int) throws {
        let symbols = (0..<count).map { "S\($0)X" } + [String(repeating: "X", count: 65)]
        var chat = OfflineConversation { call in
            call.name == "watchlist"
                ? JSON.object(["watchlist": .object(["stocks": .array(symbols.map(JSON.string))])]).text() : "{}"
        }
        _ = try chat.ask(Self.message(Self.brief))
        #expect(chat.calls.filter { $0.name == "quotes" }.count == calls)
        #expect(chat.most <= 32)
        #expect(chat.calls.filter { $0.name == "feeds" }.count <= OfflineReport.maxFeedCalls + 1)
    }

    @Test("a report can be had in a chat too")
    func chat() throws {
        var chat = Self.conversation()
        #expect(try chat.ask("生成今天的日报").hasPrefix("# 每日报告 · 2026-11-24"))
        #expect(try chat.ask("write a weekly report about AI").contains("### AI"))
    }
}
