// Finds what a message asks for. Pure, any thread. A phrase must cover a whole sentence (polite words aside), so that
// "don't remove NVDA" or a story about a watchlist changes nothing; what no phrase covers is `unknown`, and so is what a
// message holds beyond its PhraseBudget.
import TextFormats

enum IntentReader {
    /// Sentences of one message that are read one by one; a longer text is prose, not a list of wishes.
    static let maxSentences = 5

    private static let rules: [IntentRule] =
        smallTalkRules + reportRules + preferenceRules + scheduleRules + memoryRules + watchlistRules + fileRules
        + newsRules + quoteRules + topicRules

    /// The wishes of a message in order; `[.unknown]` when there is none.
    static func intents(in text: String, _ steps: StepCounter = StepCounter()) -> [OfflineIntent] {
        let words = PhraseTokens(text)
        // Cut into tokens, and into sentences.
        steps.add(4 * text.utf8.count)
        let budget = PhraseBudget(bytes: text.utf8.count, steps)
        if let intent = intent(in: words, 0..<words.tokens.count, budget) { return [intent] }
        let sentences = sentences(of: words)
        guard sentences.count <= maxSentences else { return [.unknown] }
        let found = sentences.flatMap { joined(in: words, $0, budget) }
        let wishes = found.filter { $0 != .greeting && $0 != .thanks }
        if !wishes.isEmpty { return wishes }
        return found.first.map { [$0] } ?? [.unknown]
    }

    /// The wish of a sentence, or two that are joined by "and". Each half must be covered by a phrase of its own, so
    /// "don't sell and buy TSLA" stays one sentence, which nothing covers.
    private static func joined(
        in words: PhraseTokens, _ range: Range<Int>, _ budget: PhraseBudget
    ) -> [OfflineIntent] {
        if let whole = intent(in: words, range, budget) { return [whole] }
        for place in range.dropFirst().dropLast() where joints.contains(words.tokens[place].key) {
            guard budget.left > 0 else { break }
            if let first = intent(in: words, range.lowerBound..<place, budget),
                let second = intent(in: words, place + 1..<range.upperBound, budget)
            {
                return [first, second]
            }
        }
        return []
    }

    private static let joints: Set<String> = ["and", "then", ",", "，", "、", "并", "再"]

    private static func intent(
        in words: PhraseTokens, _ range: Range<Int>, _ budget: PhraseBudget
    ) -> OfflineIntent? {
        guard budget.left > 0 else { return nil }
        let whole = withoutSigns(words.tokens, range)
        budget.steps.add(range.count - whole.count + 1)
        guard !whole.isEmpty else { return nil }
        let bare = withoutCourtesy(words.tokens, whole, budget)
        // Without the polite words first, or a capture at the front would take them for a name.
        let views = bare == whole ? [whole] : [bare, whole]
        for rule in rules {
            for view in views {
                for pattern in rule.patterns {
                    guard let captures = pattern.match(words.tokens, view, budget) else { continue }
                    // What a rule makes of its captures reads them once or twice.
                    budget.steps.add(4 * captures.values.reduce(0) { $0 + $1.count })
                    if let intent = rule.make(PhraseMatch(words: words, captures: captures)) { return intent }
                }
            }
        }
        return nil
    }

    // MARK: - Ranges

    private static func sentences(of words: PhraseTokens) -> [Range<Int>] {
        var result: [Range<Int>] = []
        var start = 0
        for (index, token) in words.tokens.enumerated() {
            let isLast = index == words.tokens.count - 1
            let next = isLast ? words.text.endIndex : words.tokens[index + 1].range.lowerBound
            let gap = words.text[token.range.upperBound..<next]
            let isEnd = token.kind == .sign && ".!?。；;！？".contains(words.text[token.range.lowerBound])
            if isEnd || isLast || gap.contains(where: \.isNewline) {
                result.append(start..<index + 1)
                start = index + 1
            }
        }
        return result.filter { !withoutSigns(words.tokens, $0).isEmpty }
    }

    private static let innerSigns: Set<String> = ["\"", "'", "“", "”", "「", "」", "(", ")", "《", "》"]

    private static func withoutSigns(_ tokens: [PhraseToken], _ range: Range<Int>) -> Range<Int> {
        func isOuter(_ token: PhraseToken) -> Bool { token.kind == .sign && !innerSigns.contains(token.key) }
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high, isOuter(tokens[low]) { low += 1 }
        while low < high, isOuter(tokens[high - 1]) { high -= 1 }
        return low..<high
    }

    private static let openings = courtesies([
        "please", "pls", "kindly", "hey", "hi", "hello", "nanobot", "ok", "okay", "so", "and", "then", "also", "now",
        "can you", "could you", "would you", "will you", "can i", "could i", "may i", "i want you to",
        "i would like you to", "i'd like you to", "i want to", "i'd like to", "i would like to", "i need you to",
        "i need to", "let's", "lets", "would you mind", "be so kind and", "好的", "你好", "您好", "请问", "请你", "请您",
        "请", "麻烦你", "麻烦您", "麻烦", "帮我", "帮忙", "能不能", "能否", "可不可以", "可以", "你能", "您能", "能", "我想要",
        "我想", "我要", "我希望", "然后", "另外", "再", "还有", "顺便",
    ])

    private static let closings = courtesies([
        "please", "pls", "thanks", "thank you", "thx", "for me", "ok", "okay", "will you", "could you", "would you",
        "谢谢你", "谢谢", "多谢", "好吗", "好不好", "可以吗", "行吗", "吗", "吧", "呢", "啊", "呀", "哦", "么", "嘛",
    ])

    private static func courtesies(_ phrases: [String]) -> [[String]] {
        phrases.map { PhraseTokens($0).tokens.map(\.key) }.sorted { $0.count > $1.count }
    }

    private static func withoutCourtesy(
        _ tokens: [PhraseToken], _ range: Range<Int>, _ budget: PhraseBudget
    ) -> Range<Int> {
        var range = range
        while budget.left > 0 {
            budget.steps.add(openings.count + closings.count)
            let keys = tokens[range].lazy.map(\.key)
            if let phrase = openings.first(where: { keys.count > $0.count && keys.starts(with: $0) }) {
                range = withoutSigns(tokens, range.lowerBound + phrase.count..<range.upperBound)
            } else if let phrase = closings.first(where: { keys.count > $0.count && keys.suffix($0.count).elementsEqual($0) })
            {
                range = withoutSigns(tokens, range.lowerBound..<range.upperBound - phrase.count)
            } else {
                return range
            }
            if range.isEmpty { return range }
        }
        return range
    }
}
