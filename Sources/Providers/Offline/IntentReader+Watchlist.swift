// Phrases about the watchlist, prices and news.

import Foundation

extension IntentReader {
    private static let kindWords: [(WatchlistKind, [String])] = [
        (
            .influencers,
            ["influencer", "influencers", "people", "person", "大v", "博主", "人物", "影响者", "大佬", "意见领袖", "kol"]
        ),
        (.keywords, ["keyword", "keywords", "topic", "topics", "关键词", "关键字", "话题", "主题"]),
        (.sectors, ["sector", "sectors", "industry", "industries", "板块", "行业", "赛道"]),
        (.stocks, ["stock", "stocks", "ticker", "tickers", "share", "shares", "股票", "个股", "代码", "自选股"]),
    ]

    private static let englishKinds =
        "{kind:stock|stocks|ticker|tickers|shares|influencer|"
        + "influencers|people|person|keyword|keywords|topic|topics|sector"
        + "|sectors|industry|industries}"
    private static let chineseKinds = "{kind:股票|个股|大V|博主|人物|影响者|意见领袖|KOL|关键词|关键字|话题|主题|板块|行业|赛道}"
    private static let englishList = "(watchlist|watch list|watch-list|watchlists|portfolio|list)"
    private static let chineseList = "(自选股|自选|关注列表|观察列表|监控列表|关注|列表|股票池)"

    private static func kind(in phrase: String) -> WatchlistKind? {
        let keys = PhraseTokens(phrase).tokens.map(\.key).joined()
        return kindWords.first { $0.1.contains(keys) }?.0
    }

    private static let proseBeginnings = [
        "不要", "别", "不用", "不想", "不该", "为什么", "怎么", "如何", "如果", "是否", "要不要", "该不该", "应该", "我不", "我没",
        "你不", "有没有", "假如", "谁", "what ", "why ", "how ", "if ", "not ", "never ",
    ]

    /// Entries of a change; `isBare` phrases name no list, so they count only for what looks like an instrument.
    private static func change(_ match: PhraseMatch, add: Bool, isBare: Bool = false) -> OfflineIntent? {
        let named = match.has("kind") ? kind(in: match("kind")) : nil
        let isStocks = named == nil || named == .stocks
        guard let items = ItemList.parse(match("items"), tickers: isStocks) else { return nil }
        // No name begins like this: it is a refusal, a question or a condition.
        if items.contains(where: { item in proseBeginnings.contains { item.lowercased().hasPrefix($0) } }) {
            return nil
        }
        if isBare, !items.allSatisfy(ItemList.isTicker) { return nil }
        let all: Set<String> = ["everything", "all", "all stocks", "all of them", "全部", "所有", "所有股票", "一切"]
        if items.count == 1, all.contains(items[0].lowercased()) { return add ? nil : .clearWatchlist(kind: named) }
        return add ? .addToWatchlist(kind: named, items: items) : .removeFromWatchlist(kind: named, items: items)
    }

    static var watchlistRules: [IntentRule] {
        [
            IntentRule([
                "(what is|what's|whats|what are|show|show me|list|display|see|view|tell me) [what is|what's] "
                    + "[on|in] [my|the|all] "
                    + "[current] [stock|stocks on my] \(englishList)",
                "(what|which) (stocks|tickers|companies|shares|influencers|keywords|sectors) "
                    + "(do i|am i) (have|watch|follow|track|watching|following|tracking) [on my watchlist]",
                "(what|which) (stocks|tickers|items) are (on|in) (my|the) \(englishList)",
                "(what|who) (do i|am i) (watch|watching|follow|following|track|tracking)",
                "[my] (watchlist|watch list)",
                "(show|list) [me] [my] (stocks|influencers|keywords|sectors)",
                "[看看|看一下|看|查看|显示|列出|展示][一下][我的|我]\(chineseList)[里|中|上][现在|目前][都]"
                    + "[有][哪些|什么|啥|多少][股票|东西|内容|个股|公司]",
                "我[现在|目前](关注|自选|在看|跟踪|盯)[了|的]*(哪些|什么|啥)[股票|公司|个股|人]",
                "我的(股票|关键词|行业|板块|博主)[有哪些|是什么|列表]",
            ]) { _ in .showWatchlist },
            IntentRule([
                "(clear|empty|reset|wipe) [out] [my|the] [whole|entire] [\(englishKinds)] \(englishList)",
                "清空[我的]\(chineseKinds)[列表]", "清空[我的]\(chineseList)", "(删除|移除)(所有|全部)(自选|自选股)",
            ]) { match in
                guard match.has("kind") else { return .clearWatchlist(kind: nil) }
                return kind(in: match("kind")).map { .clearWatchlist(kind: $0) }
            },
            IntentRule([
                "(how is|how are|how's|how did|how has|how have) (my|the) [whole] "
                    + "(watchlist|watch list|stocks|portfolio|shares) (doing|performing|looking|do|done|today) "
                    + "[today|now|right now|this week]",
                "(quotes|prices) (for|of) [all|all of] my (watchlist|stocks|portfolio)",
                "(show|get|give|tell) me [the] (quotes|prices) (for|of|on) my (watchlist|stocks)",
                "(check|how's|hows) my (stocks|watchlist|portfolio) [today|now]",
                "(how is|how's|how are|how did) (it|they) (doing|performing|looking|do) [today|now|right now]",
                "[今天|现在|目前]表现(怎么样|如何)",
                "[看看|看一下|查看|查一下|查询]我的(自选股|自选|股票|持仓|关注列表)[们|里的股票][今天|现在|目前|今日|最近][的]"
                    + "(怎么样|如何|行情|表现|走势|价格|股价|涨跌|涨了|跌了|报价|多少钱)[怎么样|如何|了]",
            ]) { _ in .watchlistQuotes },
        ] + additionRules + removalRules
    }

    private static var additionRules: [IntentRule] {
        [
            IntentRule([
                "(add|put|include|insert) {items} (to|on|onto|into|in) [my|the] [watched|followed] "
                    + "\(englishList) as [a|an] "
                    + englishKinds,
                "(add|put|include|insert) [the] {items} (to|on|onto|into|in|as) [my|the|a|an] "
                    + "[watchlist|watched|list of] "
                    + englishKinds + " [list|watchlist|to my watchlist]",
                "(add|follow|track|watch) [the|a|an|new] \(englishKinds) [called|named|:] {items} "
                    + "[to my watchlist|to the watchlist]",
                "[把|将]{items}(加入|添加|加到|加进|放进|放入|添加到|加入到|列入|列为|设为|作为)[到|进][我的]"
                    + "[自选的|自选|自选股的|关注的|一个|一名]\(chineseKinds)[列表|里|中|里面|名单]",
                "(添加|增加|新增|加入|加|关注|跟踪|订阅)[一个|一下|新的]\(chineseKinds)[：|:|，]{items}",
            ]) { change($0, add: true) },
            IntentRule([
                "(add|put|include|insert) {items} (to|on|onto|into|in) [my|the] [stock] \(englishList)",
                "[把|将]{items}(加入|添加|加到|加进|放进|放入|添加到|加入到|添加进|列入|放到|加)[到|进|入][我的]"
                    + "\(chineseList)[里|中|里面|列表|清单]",
                "[我的](自选|自选股)(加|加入|添加|加上){items}", "(加|添加|增加|新增)(自选|自选股)[：|:]{items}",
                "(关注|加自选){items}",
            ]) { match in change(match, add: true) },
            IntentRule([
                "(add|watch|track|follow|start watching|start tracking) {items}", "(添加|加入|增加|跟踪|加上|加){items}",
            ]) { change($0, add: true, isBare: true) },
        ]
    }

    private static var removalRules: [IntentRule] {
        [
            IntentRule([
                "(remove|delete|drop|take|kick|erase) [the] {items} (from|off|out of) [my|the] [watched|list of] "
                    + "\(englishKinds) [list|watchlist]",
                "(remove|delete|drop|unfollow|stop watching|stop tracking|stop following) [the] \(englishKinds) "
                    + "[called|named|:] {items} [from my watchlist|from the watchlist|off my watchlist]",
                "[把|将|从]{items}从[我的][自选的|关注的]\(chineseKinds)[列表][里|中|里面](删除|移除|去掉|删掉|移出|拿掉|剔除)",
                "(删除|移除|去掉|删掉|取消关注|取消)\(chineseKinds)[：|:|，]{items}",
            ]) { change($0, add: false) },
            IntentRule([
                "(remove|delete|drop|take|kick|erase) {items} (from|off|out of) [my|the] [stock] \(englishList)",
                "(unfollow|stop watching|stop tracking|stop following|unwatch|untrack) {items}",
                "[把|将]{items}从[我的]\(chineseList)[里|中|里面|上](删除|移除|去掉|删掉|移出|拿掉|剔除|删了|去除)",
                "从[我的]\(chineseList)[里|中|里面|上](删除|移除|去掉|删掉|移出|拿掉|剔除)[掉]{items}",
                "[把|将]{items}(移出|踢出|剔除出)[我的]\(chineseList)", "(取消关注|不再关注|取关|不要再关注){items}",
                "(删除|移除|去掉|删掉)(自选|自选股)[里的|中的|：|:]{items}",
            ]) { change($0, add: false) },
            IntentRule([
                "(remove|delete|drop) {items}", "(删除|移除|去掉|删掉|移出|剔除)[掉]{items}", "[把|将]{items}(删除|移除|去掉|删掉|删了)",
            ]) { match in
                let isKnownForm = match("items").allSatisfy { $0 != "/" }
                guard isKnownForm else { return nil }
                return change(match, add: false, isBare: !isShortChinese(match("items")))
            },
        ]
    }

    /// A Chinese company name by its length: no sentence, no file.
    private static func isShortChinese(_ text: String) -> Bool {
        let others: Set<String> = ["它", "他", "她", "这个", "那个", "文件", "记忆", "所有", "全部", "提醒", "任务", "报告", "数据", "一切"]
        return (2...8).contains(text.count) && text.allSatisfy(OfflineLanguage.isEastAsian) && !others.contains(text)
    }
}
