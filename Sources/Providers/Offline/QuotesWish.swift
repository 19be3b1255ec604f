// Wishes about prices and news. Pure, any thread.
import TextFormats

enum QuotesWish {
    /// Items shown in a chat answer.
    static let newsLimit = 8

    static func quotes(_ items: [String], _ scope: OfflineScope) -> OfflineStep {
        if let result = ToolQuotes.results(items, label: "quotes", scope) {
            return .answer(description(result, scope.language))
        }
        guard scope.offers("quotes") else { return .answer(OfflinePhrases.toolMissing("quotes", scope.language)) }
        return .calls(ToolQuotes.calls(items, label: "quotes", scope))
    }

    static func watchlist(_ scope: OfflineScope) -> OfflineStep {
        let say = scope.language
        guard let outcome = scope.outcome("watchlist") else {
            guard scope.offers("watchlist") else { return .answer(OfflinePhrases.toolMissing("watchlist", say)) }
            return .calls([scope.call("watchlist", "watchlist", ["action": "show"])])
        }
        guard case .value(let result) = outcome else {
            return .answer(OfflinePhrases.failure("watchlist", outcome, say))
        }
        let stocks = WatchlistWish.entries(.stocks, in: result)
        guard !stocks.isEmpty else {
            return .answer(say("There are no stocks on your watchlist.", "你的自选列表里没有股票。"))
        }
        return quotes(stocks, scope)
    }

    private static func description(_ result: ToolQuotes, _ say: OfflineLanguage) -> String {
        var lines = result.found.map { line($0, say) }
        if let failure = result.failures.first {
            lines.append(OfflinePhrases.failure("quotes", failure, say))
        } else if !result.missing.isEmpty {
            let list = OfflinePhrases.list(result.missing, say)
            lines.append(
                say(
                    "I have no quote for: \(list). Put one into `data/quotes.csv` (symbol, price, "
                        + "change_percent, time) and ask again.",
                    "没有这些标的的行情：\(list)。可把数据放入 `data/quotes.csv`（代码、价格、涨跌幅、时间）后再问。"))
        }
        return lines.isEmpty ? say("I have no quotes.", "没有行情数据。") : lines.joined(separator: "\n")
    }

    private static func line(_ quote: ToolQuote, _ say: OfflineLanguage) -> String {
        let name = quote.name.map {
            say(" (\(OfflinePhrases.plain($0, limit: 60)))", "（\(OfflinePhrases.plain($0, limit: 60))）")
        }
        let currency = quote.currency.map { " \(OfflinePhrases.plain($0, limit: 10))" } ?? ""
        var text = "\(OfflinePhrases.plain(quote.symbol, limit: 40))\(name ?? ""): "
        text += OfflinePhrases.number(quote.price) + currency
        let change = quote.change.map(OfflinePhrases.signed)
        let percent = quote.changePercent.map { OfflinePhrases.signed($0) + "%" }
        let moves = [change, percent].compactMap { $0 }
        if !moves.isEmpty {
            text += say(", \(moves.joined(separator: " / "))", "，涨跌 \(moves.joined(separator: " / "))")
        }
        let time = quote.time.map(OfflinePhrases.time) ?? say("no time given", "未注明时间")
        let source = quote.source.map { OfflinePhrases.plain($0, limit: 100) } ?? say("no source given", "未注明来源")
        return text + say(" (\(time), source: \(source))", "（\(time)，来源：\(source)）")
    }

    // MARK: - News

    static func news(_ topic: String?, _ scope: OfflineScope) -> OfflineStep {
        var arguments: JSONObject = ["limit": .int(Int64(newsLimit))]
        if let topic { arguments["query"] = .string(topic) }
        return scope.single("feeds", arguments) { outcome in
            let say = scope.language
            guard case .value(let result) = outcome else { return OfflinePhrases.failure("feeds", outcome, say) }
            let items = ToolFeedItem.items(result).prefix(newsLimit)
            let about = topic.map { OfflinePhrases.plain($0, limit: 60) }
            guard !items.isEmpty else {
                let none =
                    about.map { say("I found no news about \($0).", "没有找到关于“\($0)”的资讯。") }
                    ?? say("I found no news.", "没有找到资讯。")
                return none
                    + say(
                        " News come from `data/feeds.json` or `data/news.csv` in your workspace.",
                        "资讯来自工作区的 `data/feeds.json` 或 `data/news.csv`。")
            }
            let title = about.map { say("News about \($0):", "关于“\($0)”的资讯：") } ?? say("Latest news:", "最新资讯：")
            return ([title] + items.map { "- \($0.markdown)" }).joined(separator: "\n")
        }
    }
}
