// Phrases about prices and news, and the reports written in a chat.

import Foundation

extension IntentReader {
    private static let notInstruments: Set<String> = [
        "you", "u", "it", "things", "everything", "life", "that", "this", "work", "your day", "ya", "he", "she", "they",
        "we", "i", "going", "my day", "weather", "你", "您", "我", "他", "她", "它", "天气", "心情", "身体", "今天", "明天",
        "昨天", "最近", "市场", "大盘", "生活", "工作", "大家", "情况", "事情", "这个", "那个", "怎么", "现在", "感觉", "你好",
        "你今天", "你最近", "你现在", "报告", "比特币和你",
    ]

    /// Words that are part of a question, not of a name.
    private static let proseWords: Set<String> = ["my", "your", "how", "what", "is", "are", "watchlist", "portfolio"]

    private static func instruments(_ match: PhraseMatch) -> [String]? {
        var text = match("x")
        for ending in ["'s", "’s"] where text.lowercased().hasSuffix(ending) { text = String(text.dropLast(2)) }
        guard let items = ItemList.parse(text, tickers: true), items.count <= 20 else { return nil }
        let isPlausible = items.allSatisfy { item in
            let lower = item.lowercased()
            let isProse = ["the ", "your ", "my ", "this ", "that ", "a "].contains { lower.hasPrefix($0) }
            let hasProse = lower.split(separator: " ").contains { proseWords.contains(String($0)) } || lower.contains("我的")
            let isSmallTalk = hasProse || notInstruments.contains(lower) || item.contains("天气") || item.contains("什么")
            return item.count <= 40 && !isProse && !isSmallTalk && item.contains { $0.isLetter || $0.isNumber }
        }
        return isPlausible ? items : nil
    }

    static var quoteRules: [IntentRule] {
        let now = "[today|now|right now|currently|at the moment|this week|lately|these days]"
        let zhNow = "[现在|今天|目前|今日|最近|当前|这周|本周]"
        return [
            IntentRule([
                "(how is|how are|how's|hows|how was|how did|how has|how have) {x} "
                    + "(doing|performing|trading|looking|do|perform"
                    + "|done|going|performed) \(now)",
                "(what is|what's|whats|show|show me|get|get me|give me|tell me|check|find|look up) [the] "
                    + "[current|latest|live|today's] [stock|share|market] (price|prices|quote|quotes|value) "
                    + "(of|for|on) {x} "
                    + now,
                "(what is|what's|whats|what are|show|show me|get|get me|give me|tell me|check) [the] "
                    + "[current|latest] {x} "
                    + "[stock|share|current|latest] (price|prices|quote|quotes|trading at|at|worth|doing) \(now)",
                "(how much is|how much are|how much does|how much do) {x} [worth|cost|trading for|trading "
                    + "at|stock] \(now)",
                "(price|quote|prices|quotes) (of|for) {x} \(now)",
                "{x} [stock|share] (price|quote|prices|quotes) \(now)",
                "(quote|price) {x}", "check [on] {x} [stock] \(now)",
                "(did|has) {x} (go up|gone up|rise|risen|fall|fallen|drop|dropped|go down|gone down|move|moved) \(now)",
                "(is|are) {x} (up|down|rising|falling) \(now)", "where is {x} [trading] \(now)",
                "what (is|are) {x} trading at \(now)", "what about {x}", "how about {x}",
            ]) { match in instruments(match).map { .quotes(items: $0) } },
            IntentRule([
                "[查|查询|看|看看|查看|告诉我|查一下|看一下|查查|问下|问一下]{x}\(zhNow)[的][最新|当前|实时][的]"
                    + "(多少钱|什么价|什么价格|股价|价格|行情|报价|涨跌幅|涨跌|走势|表现|怎么样|怎样|如何|涨了|跌了|涨了多少|跌了多少|值多少钱"
                    + "|是多少钱|市价|收盘价)[是多少|多少|怎么样|如何|是什么|了|一下|没有|没]",
                "\(zhNow){x}\(zhNow)[的][最新|当前|实时](多少钱|什么价|股价|价格|行情|报价|涨跌幅|走势|表现|怎么样|如何)[是多少|多少|怎么样|如何]",
                "(查|查询|查一下|查查){x}", "{x}\(zhNow)(涨了还是跌了|涨还是跌|是涨是跌)",
            ]) { match in instruments(match).map { .quotes(items: $0) } },
            IntentRule(["{x}"]) { match in
                guard let items = ItemList.parse(match("x"), tickers: true), items.count <= 10 else { return nil }
                // Only what is written as a ticker: a lone word is no question about a price.
                let written = match("x").split(whereSeparator: { $0.isWhitespace || ",，、".contains($0) }).map(
                    String.init)
                guard written.allSatisfy({ ItemList.isTicker($0) || $0 == "and" || $0 == "和" }) else { return nil }
                return .quotes(items: items)
            },
        ]
    }

    static var newsRules: [IntentRule] {
        let kinds = "(news|headlines|announcements|updates)"
        let zhNews = "(新闻|消息|资讯|公告|头条|动态)"
        return [
            IntentRule([
                "[what is|what's|whats|what are|any|show|show me|get|get me|give me|is there|are "
                    + "there|read|read me|tell me|do you have] "
                    + "[the|any|some] [latest|recent|new|today's|more|market] \(kinds) "
                    + "[today|now|this week|for me|for today|please]",
                "what's new", "what is new", "[最近|今天|今日|最新|看看|查看|有什么|有没有|有哪些|给我看看|现在|的|市场|一下]\(zhNews)",
                "[今天|最近|现在|最新]有(什么|哪些|啥|没有)[最新|新|重要|的]\(zhNews)",
            ]) { _ in .news(topic: nil) },
            IntentRule([
                "[what is|what's|whats|what are|any|show|show me|get|get me|give me|is there|are "
                    + "there|find|search|tell me|do you have] "
                    + "[the|any|some] [latest|recent|new|today's] \(kinds) (about|on|for|of|regarding|from) {topic}",
                "(what is|what's) (new|happening|going on) (with|at|about|in) {topic}",
                "[any|latest|recent|show me|get] [the] [latest|recent] {topic} \(kinds)",
                "[最近|今天|现在][有|有没有|看看|查看|查|搜索|找|搜一下|找一下](什么|哪些|啥|没有)[关于|有关|和|与]{topic}[相关]的[最新]\(zhNews)",
                "[看看|查看|查|搜索|找|搜一下|找一下|最近|今天](关于|有关){topic}[相关]的[最新]\(zhNews)",
                "[看看|查看|查|搜索|找|最近|今天]{topic}[最近|今天|现在](的|有什么|有哪些|有啥|有没有)[最新|新|重要]\(zhNews)",
            ]) { match in
                let topic = match("topic").trimmingEdges
                return topic.isEmpty || topic.count > 60 ? nil : .news(topic: topic)
            },
        ]
    }

    static var reportRules: [IntentRule] {
        let period =
            "{period:daily|weekly|monthly|today's|this week's|this month's|morning|market|investment|stock|watchlist}"
        let kinds = "(report|brief|briefing|summary|digest)"
        let zhPeriod = "{period:今天的|今日的|今日|每日|每天的|本周的|本周|每周|这周的|本月的|本月|每月|这个月的|月度|周度|投资|市场|自选股}"
        return [
            IntentRule([
                "(write|generate|create|make|give|prepare|produce|show|get|compile|draft|send) [me] [a|an|my|the] "
                    + "[new|full|quick|short|fresh|brief] [\(period)] [investment|market|stock] \(kinds) "
                    + "[now|today|right now]",
                "[a|my|the] \(period) \(kinds) [now|today]",
                "(write|generate|create|make|give|prepare|produce|compile|draft) [me] [a|an|my|the] "
                    + "[new|full|quick|short] "
                    + "[\(period)] [investment|market|stock] \(kinds) (on|about|for|covering|focused on) {topic}",
                "(生成|写|给我|出|做|来|准备|帮我写|帮我生成|我要|给我生成|给我写|给我出|撰写|看)[一份|一个|一篇|个|份][我的][\(zhPeriod)]"
                    + "{name:日报|周报|月报|报告|简报|投资报告|日报告|周报告|月报告|总结报告}[给我]",
                "(生成|写|给我|出|做|来|准备|给我生成|给我写|撰写)[一份|一个|一篇|个|份](关于|有关|针对){topic}的[\(zhPeriod)]"
                    + "{name:日报|周报|月报|报告|简报|投资报告}",
                "\(zhPeriod){name:日报|周报|月报|报告|简报|投资报告}",
            ]) { match in
                let words = match("period").lowercased() + match("name")
                let topic = match("topic").trimmingEdges
                let isWeekly = ["week", "周"].contains { words.contains($0) }
                let isMonthly = ["month", "月"].contains { words.contains($0) }
                let kind: ReportKind = isWeekly ? .weekly : isMonthly ? .monthly : .daily
                return .report(kind: kind, topic: topic.isEmpty ? nil : topic)
            }
        ]
    }
}

extension String {
    /// Without blanks, quotes and final signs at both ends.
    var trimmingEdges: String {
        let marks: Set<Character> = [
            " ", "\n", "\t", "\"", "“", "”", "'", ".", "。", "?", "？", "!", "！", ",", "，", ":", "：", "「", "」",
        ]
        var rest = self[...]
        while let first = rest.first, marks.contains(first) { rest.removeFirst() }
        while let last = rest.last, marks.contains(last) { rest.removeLast() }
        return String(rest)
    }
}
