// Writes a report's Markdown from what was found. Pure, any thread. Every figure is one a tool gave; a text that grows
// beyond the length asked for is written again with less detail, and what was left out is said.
import Foundation
import TextFormats

struct ReportWriter {
    let brief: OfflineBrief
    let facts: ReportFindings
    let context: OfflineContext

    /// How much is told; the first that fits is used.
    private struct Detail {
        var rows: Int
        var itemsPerTerm: Int
        var notes: Int
        var terms: Int
        var promptLength: Int
        var hasPersona: Bool
    }

    private static let details = [
        Detail(rows: 200, itemsPerTerm: 5, notes: 20, terms: 60, promptLength: 1_000, hasPersona: true),
        Detail(rows: 100, itemsPerTerm: 3, notes: 10, terms: 40, promptLength: 500, hasPersona: true),
        Detail(rows: 50, itemsPerTerm: 2, notes: 5, terms: 25, promptLength: 300, hasPersona: true),
        Detail(rows: 25, itemsPerTerm: 1, notes: 3, terms: 12, promptLength: 200, hasPersona: true),
        Detail(rows: 10, itemsPerTerm: 1, notes: 0, terms: 6, promptLength: 100, hasPersona: false),
        Detail(rows: 5, itemsPerTerm: 0, notes: 0, terms: 3, promptLength: 60, hasPersona: false),
        Detail(rows: 3, itemsPerTerm: 0, notes: 0, terms: 0, promptLength: 40, hasPersona: false),
    ]

    func write() -> String {
        for detail in Self.details {
            let text = text(detail)
            if text.unicodeScalars.count <= brief.maxLength { return text }
        }
        return shortest()
    }

    /// Title and the sentence that says who wrote it, cut to the length.
    private func shortest() -> String {
        let text = "# \(title)\n\n\(authorship)"
        var left = brief.maxLength
        return String(
            text.prefix { character in
                left -= character.unicodeScalars.count
                return left >= 0
            })
    }

    private func text(_ detail: Detail) -> String {
        var parts = ["# \(title)"]
        if let line = subtitle { parts.append(line) }
        parts.append(asked(detail))
        parts.append(quoteTable(detail))
        parts += [movers].compactMap { $0 }
        if detail.terms > 0 { parts += topics(detail) }
        if detail.terms > 0, let latest = latestNews(detail) { parts.append(latest) }
        parts += [personal(detail)].compactMap { $0 }
        parts.append(unknown(detail))
        return parts.joined(separator: "\n\n")
    }

    private func say(_ english: String, _ chinese: String) -> String { brief.language(english, chinese) }

    private func clean(_ text: String, limit: Int = 300) -> String { OfflinePhrases.markdown(text, limit: limit) }

    // MARK: - Head

    private var moment: LocalMoment? { context.time.map { LocalMoment($0, zone: context.timeZone) } }

    private var title: String { brief.typeName + (moment.map { " · \($0.day)" } ?? "") }

    private var subtitle: String? {
        guard let moment else { return nil }
        let user = context.user.map { clean($0, limit: 64) }
        let time = "\(moment.day) \(moment.clock) (\(moment.zone))"
        return user.map { say("For \($0), written \(time).", "用户：\($0) · 生成时间：\(time)") }
            ?? say("Written \(time).", "生成时间：\(time)")
    }

    private var authorship: String {
        say(
            "No language model was used: this report was put together by fixed rules from the data named in it.",
            "本报告未使用语言模型：由固定规则根据文中所列数据整理而成。")
    }

    private func asked(_ detail: Detail) -> String {
        var lines = [
            say("## What was asked", "## 报告要求"), "",
            say("- Type: \(brief.typeName) (`\(typeCode)`)", "- 类型：\(brief.typeName)（`\(typeCode)`）"),
        ]
        if let prompt = brief.customPrompt {
            lines.append(say("- Custom request: ", "- 自定义要求：") + clean(prompt, limit: detail.promptLength))
        }
        if !brief.focusAreas.isEmpty {
            let list = brief.focusAreas.map { clean($0, limit: max(20, detail.promptLength / 2)) }
            lines.append(say("- Focus areas: ", "- 关注重点：") + list.joined(separator: say(", ", "、")))
        }
        return lines.joined(separator: "\n")
    }

    private var typeCode: String { String(brief.type.filter { $0.isASCII && ($0.isLetter || $0 == "_") }.prefix(32)) }

    // MARK: - Quotes

    private func quoteTable(_ detail: Detail) -> String {
        let title = say("## Quotes", "## 行情")
        let quotes = facts.quotes.found
        guard !quotes.isEmpty else {
            let reason =
                facts.stocks.isEmpty
                ? say("There are no stocks on the watchlist.", "自选列表中没有股票。")
                : say("No quote is available for the watchlist; see the last section.", "自选股暂无可用行情，见最后一节。")
            return "\(title)\n\n\(reason)"
        }
        var lines = [
            title, "",
            say("| Symbol | Price | Change | Change % | Time | Source |", "| 代码 | 价格 | 涨跌额 | 涨跌幅 | 时间 | 来源 |"),
            "|---|---:|---:|---:|---|---|",
        ]
        for quote in quotes.prefix(detail.rows) { lines.append(row(quote)) }
        let more = quotes.count - min(quotes.count, detail.rows)
        if more > 0 {
            lines += [
                "",
                say(
                    "\(more) more quotes were left out to keep to \(brief.maxLength) characters.",
                    "为不超过 \(brief.maxLength) 字，另有 \(more) 条行情未列出。"),
            ]
        }
        return lines.joined(separator: "\n")
    }

    private func row(_ quote: ToolQuote) -> String {
        // "–" marks what the source does not say.
        let name = quote.name.map { " \(clean($0, limit: 40))" } ?? ""
        let currency = quote.currency.map { " \(clean($0, limit: 10))" } ?? ""
        let cells = [
            clean(quote.symbol, limit: 40) + name, OfflinePhrases.number(quote.price) + currency,
            quote.change.map(OfflinePhrases.signed) ?? "–",
            quote.changePercent.map { OfflinePhrases.signed($0) + "%" } ?? "–",
            quote.time.map(OfflinePhrases.time) ?? "–", quote.source.map { clean($0, limit: 100) } ?? "–",
        ]
        return "| \(cells.joined(separator: " | ")) |"
    }

    private var movers: String? {
        let moved = facts.quotes.found.compactMap { quote in quote.changePercent.map { (quote.symbol, $0) } }
        guard !moved.isEmpty else { return nil }
        func line(_ label: String, _ list: [(String, Double)]) -> String? {
            guard !list.isEmpty else { return nil }
            let items = list.prefix(3).map { "\(clean($0.0, limit: 40)) \(OfflinePhrases.signed($0.1))%" }
            return "- \(label)\(items.joined(separator: say(", ", "、")))"
        }
        let up = moved.filter { $0.1 > 0 }.sorted { ($0.1, $1.0) > ($1.1, $0.0) }
        let down = moved.filter { $0.1 < 0 }.sorted { ($0.1, $0.0) < ($1.1, $1.0) }
        let flat = moved.count - up.count - down.count
        var lines = [line(say("Up: ", "上涨："), up), line(say("Down: ", "下跌："), down)].compactMap { $0 }
        lines.append(
            say(
                "- \(up.count) up, \(down.count) down, \(flat) unchanged.",
                "- 共 \(up.count) 只上涨，\(down.count) 只下跌，\(flat) 只持平。"))
        return ([say("## Movers", "## 涨跌情况"), ""] + lines).joined(separator: "\n")
    }

    // MARK: - News

    private func topics(_ detail: Detail) -> [String] {
        let groups: [(String, [String])] = [
            (say("## Focus areas", "## 关注重点"), brief.focusAreas),
            (say("## Influencers", "## 关注人物"), facts.watchlist[.influencers] ?? []),
            (say("## Keywords", "## 关键词"), facts.watchlist[.keywords] ?? []),
            (say("## Sectors", "## 行业板块"), facts.watchlist[.sectors] ?? []),
        ]
        let stocks = facts.stocks.filter { !facts.news(about: $0).isEmpty }
        let all = groups + [(say("## News on your stocks", "## 自选股资讯"), stocks)]
        return all.filter { !$0.1.isEmpty }.map { heading, terms in
            var lines = [heading]
            for term in terms.prefix(detail.terms) {
                lines += ["", "### \(clean(term, limit: 100))", ""] + news(term, detail)
            }
            let more = terms.count - min(terms.count, detail.terms)
            if more > 0 {
                lines += ["", say("\(more) more entries were left out for length.", "因篇幅限制，另有 \(more) 项未列出。")]
            }
            return lines.joined(separator: "\n")
        }
    }

    private func news(_ term: String, _ detail: Detail) -> [String] {
        let quotes = facts.quotes.found.filter { $0.symbol.uppercased() == term.uppercased() }
        let prices = quotes.map { quote in
            "- \(clean(quote.symbol, limit: 40)): \(OfflinePhrases.number(quote.price))"
                + (quote.changePercent.map { " (\(OfflinePhrases.signed($0))%)" } ?? "")
        }
        let items = facts.news(about: term)
        if items.isEmpty { return prices + [say("- No feed item was found for this.", "- 没有找到相关资讯。")] }
        if detail.itemsPerTerm == 0 {
            return prices + [
                say("- \(items.count) feed items, left out for length.", "- 有 \(items.count) 条相关资讯，因篇幅限制未列出。")
            ]
        }
        return prices + items.prefix(detail.itemsPerTerm).map { "- \($0.markdown)" }
    }

    /// Items that stand under no heading above.
    private func latestNews(_ detail: Detail) -> String? {
        let told = Set(facts.feeds.values.flatMap { $0 })
        let items = facts.latest.filter { !told.contains($0) }.prefix(detail.itemsPerTerm * 2)
        guard !items.isEmpty else { return nil }
        return ([say("## Other news", "## 其他资讯"), ""] + items.map { "- \($0.markdown)" }).joined(separator: "\n")
    }

    // MARK: - The user

    /// Notes that name something of this report come first.
    private func personal(_ detail: Detail) -> String? {
        let names = (facts.watchlist.values.flatMap { $0 } + brief.focusAreas).map { $0.lowercased() }
        func concerns(_ note: String) -> Bool { names.contains { note.lowercased().contains($0) } }
        let ordered = facts.notes.filter(concerns) + facts.notes.filter { !concerns($0) }
        let notes = ordered.prefix(detail.notes).map { "- \(clean($0))" }
        let persona = detail.hasPersona ? facts.persona.map { clean(String($0.dropFirst(2))) }.map { "- \($0)" } : []
        guard !notes.isEmpty || !persona.isEmpty else { return nil }
        var lines = [say("## What I know about you", "## 个人偏好与记忆"), ""]
        lines += persona + notes
        return lines.joined(separator: "\n")
    }

    // MARK: - What is missing

    private func unknown(_ detail: Detail) -> String {
        var lines = [say("## What this report could not know", "## 本报告无法得知的内容"), ""]
        let missing = facts.quotes.missing
        if !missing.isEmpty {
            let shown = missing.prefix(max(10, detail.rows)).map { clean($0, limit: 40) }
            let more =
                missing.count > shown.count
                ? say(" and \(missing.count - shown.count) more", " 等 \(missing.count) 个") : ""
            lines.append(say("- No quote found for: ", "- 没有找到行情：") + shown.joined(separator: say(", ", "、")) + more)
        }
        let undated = facts.quotes.found.filter { $0.time == nil }.prefix(max(5, detail.rows)).map {
            clean($0.symbol, limit: 40)
        }
        if !undated.isEmpty {
            lines.append(say("- Quotes without a time: ", "- 行情未注明时间：") + undated.joined(separator: say(", ", "、")))
        }
        if !facts.hasFeeds {
            lines.append(say("- No feed items were available, so there is no news here.", "- 没有可用的资讯来源，因此没有新闻内容。"))
        }
        if facts.skippedTerms > 0 {
            lines.append(
                say(
                    "- \(facts.skippedTerms) watchlist entries were not looked up in the feeds.",
                    "- 有 \(facts.skippedTerms) 个列表条目未查询资讯。"))
        }
        if detail.itemsPerTerm > 0 { lines += facts.gaps.prefix(6).map { "- \(clean($0))" } }
        if brief.customPrompt != nil {
            lines.append(
                say(
                    "- The custom request was noted above but not interpreted: that needs a language model.",
                    "- 自定义要求已列出，但无法理解其含义：这需要语言模型。"))
        }
        let isOther = !["zh", "en"].contains { brief.tag.lowercased().hasPrefix($0) }
        if isOther {
            lines.append(
                "- The language `\(String(brief.tag.filter { $0.isASCII && $0.isLetter }.prefix(8)))` needs "
                    + "a language model; this is English."
            )
        }
        lines.append("- \(authorship)")
        return lines.joined(separator: "\n")
    }
}
