// "TSLA, aapl and 腾讯" as a list of watchlist entries or instruments. Pure, any thread. Tickers are written in capitals,
// everything else stays as the user wrote it.

enum ItemList {
    /// Entries of one message, and characters of one entry; more or longer ones are no list but prose.
    static let maxItems = 50
    static let maxLength = 60

    /// nil when the text is no plausible list.
    static func parse(_ text: String, tickers: Bool) -> [String]? {
        // The end of a sentence inside means that two wishes ran together.
        guard !text.contains(where: { "。！？!?；;".contains($0) || $0.isNewline }) else { return nil }
        var items: [String] = []
        for part in split(text) {
            let item = trimmed(part)
            guard !item.isEmpty else { continue }
            guard item.count <= maxLength, items.count <= maxItems else { return nil }
            for entry in tickers ? spread(item) : [item] {
                let entry = tickers ? ticker(entry) : entry
                if !items.contains(entry) { items.append(entry) }
            }
        }
        return items.isEmpty || items.count > maxItems ? nil : items
    }

    private static func split(_ text: String) -> [String] {
        var parts: [String] = []
        var current = ""
        let words = PhraseTokens(text)
        for (index, token) in words.tokens.enumerated() {
            if isSeparator(words, index) {
                parts.append(current)
                current = ""
            } else {
                // Blanks between words stay; Chinese has none.
                let gapStart = index > 0 ? words.tokens[index - 1].range.upperBound : token.range.lowerBound
                if !current.isEmpty { current += words.text[gapStart..<token.range.lowerBound] }
                current += words.text[token.range]
            }
        }
        return parts + [current]
    }

    private static func isSeparator(_ words: PhraseTokens, _ index: Int) -> Bool {
        let tokens = words.tokens
        switch tokens[index].key {
        case ",", "、", "and", "&", "+", "plus", "or": return true
        case "和", "与", "跟", "及":
            // Chinese names may hold these characters (同和药业): they join only what stands free on both sides.
            func isFree(_ other: Int, _ step: Int) -> Bool {
                guard tokens.indices.contains(other) else { return false }
                if tokens[other].kind != .ideograph { return true }
                return tokens.indices.contains(other + step) && tokens[other + step].kind == .ideograph
            }
            return isFree(index - 1, -1) && isFree(index + 1, 1)
        default: return false
        }
    }

    private static func trimmed(_ text: String) -> String {
        var rest = text[...]
        let marks: Set<Character> = ["\"", "'", "“", "”", "「", "」", "《", "》", " ", "\n", "\t", ".", "。", ":", "："]
        while let first = rest.first, marks.contains(first) { rest.removeFirst() }
        while let last = rest.last, marks.contains(last) { rest.removeLast() }
        for article in ["the ", "以及", "还有"] where rest.lowercased().hasPrefix(article) {
            rest = rest.dropFirst(article.count)
        }
        return String(rest)
    }

    /// "TSLA AAPL NVDA" is three entries, "Berkshire Hathaway" one.
    private static func spread(_ item: String) -> [String] {
        let parts = item.split(whereSeparator: \.isWhitespace).map(String.init)
        return parts.count > 1 && parts.allSatisfy(isTicker) ? parts : [item]
    }

    /// Words of up to four letters that are company names and no tickers.
    private static let shortNames: Set<String> = [
        "visa", "ford", "nike", "coke", "lego", "ikea", "sony", "aldi", "lidl",
    ]

    /// The ticker in capitals where the text can only be one; else the text.
    static func ticker(_ text: String) -> String {
        let bare = text.hasPrefix("$") && text.count > 1 ? String(text.dropFirst()) : text
        if isTicker(bare) { return bare.uppercased() }
        let stem = bare.prefix(while: { $0 != "." && $0 != "-" })
        let isLower = bare.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber || $0 == "." || $0 == "-") }
        let isShort = (1...4).contains(stem.count) && !shortNames.contains(bare)
        let isKnown = text.hasPrefix("$") || (isShort && bare.count <= 8) || stem.allSatisfy(\.isNumber)
        return isLower && isKnown && !stem.isEmpty ? bare.uppercased() : bare
    }

    private static let notTickers: Set<String> = [
        "I", "A", "OK", "HI", "HELLO", "YES", "NO", "HELP", "TEST", "STOP", "THE", "AND", "MY", "LOL", "FAQ", "WTF",
        "THX", "PLS", "HEY", "CEO", "USA", "GDP", "CPI", "ETF", "IPO", "FED", "USD", "EUR", "CNY", "PDF", "HTML",
    ]

    /// Written as a ticker: capitals ("TSLA", "BRK.B", "0700.HK"), "$tsla", or five or six digits ("600519").
    static func isTicker(_ text: String) -> Bool {
        if text.hasPrefix("$"), text.count > 1 { return text.dropFirst().allSatisfy { $0.isASCII && $0.isLetter } }
        guard (1...12).contains(text.utf8.count), !notTickers.contains(text) else { return false }
        let isPlain = text.utf8.allSatisfy { byte in
            (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || ".-^=".utf8.contains(byte)
        }
        guard isPlain, let last = text.last, last.isLetter || last.isNumber else { return false }
        return text.contains(where: \.isLetter) || (5...6).contains(text.count)
    }
}
