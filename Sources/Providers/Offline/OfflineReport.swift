// A report in three steps: ask for profile, memory and watchlist; ask for quotes and feeds; write what they said.
// Pure, any thread; cannot fail: what a tool does not give is named in the report's last section.
import TextFormats

enum OfflineReport {
    /// Feed questions of one report, one per watched name.
    static let maxFeedCalls = 24
    /// Items asked for per question.
    static let itemsPerFeed = 5
    static let maxQuoteCallsBesideFeeds = 6

    static func step(_ brief: OfflineBrief, scope: OfflineScope) -> OfflineStep {
        let first: [(String, JSONObject)] = [
            ("watchlist", ["action": "show"]), ("profile", [:]), ("memory", ["action": "show"]),
        ]
        let open = first.filter { scope.outcome($0.0) == nil && scope.offers($0.0) }
        if !open.isEmpty { return .calls(open.map { scope.call($0.0, $0.0, $0.1) }) }

        var facts = ReportFindings(brief: brief, scope: scope)
        let symbols = facts.stocks + facts.mentioned
        var calls: [ToolCall] = []
        if !symbols.isEmpty, scope.offers("quotes"), ToolQuotes.results(symbols, label: "quotes", scope) == nil {
            calls += ToolQuotes.calls(symbols, label: "quotes", scope)
        }
        // One answer may make 32 calls: with many quotes to ask for, the feeds wait for the next.
        if calls.count > maxQuoteCallsBesideFeeds { return .calls(calls) }
        if scope.offers("feeds"), scope.outcome("feed") == nil {
            calls.append(scope.call("feeds", "feed", ["limit": 10]))
            for (index, term) in facts.feedTerms.enumerated() {
                let arguments: JSONObject = ["query": .string(term), "limit": .int(Int64(itemsPerFeed))]
                calls.append(scope.call("feeds", "feed\(index)", arguments))
            }
        }
        if !calls.isEmpty { return .calls(calls) }
        facts.readQuotes(symbols, scope)
        facts.readFeeds(scope)
        return .answer(ReportWriter(brief: brief, facts: facts, context: scope.turn.context).write())
    }
}

/// What the tools have said, ready to be written down.
struct ReportFindings: Sendable {
    private(set) var watchlist: [WatchlistKind: [String]] = [:]
    private(set) var persona: [String] = []
    private(set) var avoided: [String] = []
    private(set) var notes: [String] = []
    /// Symbols the prompt or the focus areas name as tickers; a miss is no gap, for they may be no tickers at all.
    private(set) var mentioned: [String] = []
    /// What the feeds are asked for, one question each.
    private(set) var feedTerms: [String] = []
    private(set) var skippedTerms = 0
    private(set) var quotes = ToolQuotes()
    private(set) var feeds: [String: [ToolFeedItem]] = [:]
    private(set) var latest: [ToolFeedItem] = []
    /// Tools that failed or were not offered, with the reason in the report's language.
    private(set) var gaps: [String] = []
    private(set) var hasFeeds = false

    var stocks: [String] { watchlist[.stocks] ?? [] }

    init(brief: OfflineBrief, scope: OfflineScope) {
        let say = brief.language
        readWatchlist(scope, say)
        if let result = value("profile", scope, say) {
            persona = MemoryWish.personaLines(result["persona"], say)
            avoided = result["persona"]?["avoid_topics"]?.array?.compactMap(\.string) ?? []
        }
        if let result = value("memory", scope, say) { notes = MemoryWish.lines(result["memory"]?.string ?? "") }
        let prose = ([brief.customPrompt ?? ""] + brief.focusAreas).joined(separator: "\n")
        let known = Set(stocks.map { $0.uppercased() })
        for token in PhraseTokens(String(prose.prefix(2_000))).tokens where token.kind == .word && mentioned.count < 20
        {
            let word = String(prose[token.range])
            let isNew = !known.contains(word) && !mentioned.contains(word)
            if word.count > 1, isNew, ItemList.isTicker(word) { mentioned.append(word) }
        }
        let terms =
            brief.focusAreas + (watchlist[.influencers] ?? []) + (watchlist[.keywords] ?? [])
            + (watchlist[.sectors] ?? []) + stocks
        var seen: Set<String> = []
        let unique = terms.filter { seen.insert($0.lowercased()).inserted }
        feedTerms = Array(unique.prefix(OfflineReport.maxFeedCalls))
        skippedTerms = unique.count - feedTerms.count
    }

    /// From the tool; where it is missing or fails, from the context of the message.
    private mutating func readWatchlist(_ scope: OfflineScope, _ say: OfflineLanguage) {
        let result =
            scope.offers("watchlist") || scope.outcome("watchlist") != nil ? value("watchlist", scope, say) : nil
        for kind in WatchlistKind.allCases {
            let items = result.map { WatchlistWish.entries(kind, in: $0) } ?? scope.turn.context.entries(kind.rawValue)
            var seen: Set<String> = []
            watchlist[kind] = items.filter { !$0.isEmpty && seen.insert($0.uppercased()).inserted }
        }
    }

    private mutating func value(_ tool: String, _ scope: OfflineScope, _ say: OfflineLanguage) -> JSON? {
        switch scope.outcome(tool) {
        case .value(let json)?: return json
        case nil: gaps.append(OfflinePhrases.toolMissing(tool, say))
        case let outcome?: gaps.append(OfflinePhrases.failure(tool, outcome, say))
        }
        return nil
    }

    mutating func readQuotes(_ symbols: [String], _ scope: OfflineScope) {
        guard !symbols.isEmpty else { return }
        guard let result = ToolQuotes.results(symbols, label: "quotes", scope) else {
            gaps.append(OfflinePhrases.toolMissing("quotes", scope.language))
            quotes.missing = stocks
            return
        }
        quotes = result
        let onlyMentioned = Set(mentioned)
        quotes.missing.removeAll { onlyMentioned.contains($0) }
        gaps += result.failures.map { OfflinePhrases.failure("quotes", $0, scope.language) }.prefix(1)
    }

    mutating func readFeeds(_ scope: OfflineScope) {
        guard let general = scope.outcome("feed") else {
            gaps.append(OfflinePhrases.toolMissing("feeds", scope.language))
            return
        }
        guard case .value(let json) = general else {
            gaps.append(OfflinePhrases.failure("feeds", general, scope.language))
            return
        }
        latest = items(json)
        for (index, term) in feedTerms.enumerated() {
            guard case .value(let json)? = scope.outcome("feed\(index)") else { continue }
            feeds[term.lowercased()] = items(json)
        }
        hasFeeds = !latest.isEmpty || feeds.values.contains { !$0.isEmpty }
    }

    /// Without what the user wants to hear nothing of.
    private func items(_ json: JSON) -> [ToolFeedItem] {
        ToolFeedItem.items(json).filter { item in
            !avoided.contains { !$0.isEmpty && item.title.lowercased().contains($0.lowercased()) }
        }
    }

    func news(about term: String) -> [ToolFeedItem] { feeds[term.lowercased()] ?? [] }
}
