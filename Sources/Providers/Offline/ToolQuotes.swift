// The answers of the tools `quotes` and `feeds` as values. Pure, any thread. What is not as promised is left out.
import TextFormats

struct ToolQuote: Sendable, Equatable {
    let symbol: String
    let name: String?
    let price: Double
    let change: Double?
    let changePercent: Double?
    let currency: String?
    let time: String?
    let source: String?

    init?(_ json: JSON) {
        guard let symbol = json["symbol"]?.string, let price = json["price"]?.double else { return nil }
        self.symbol = symbol
        self.price = price
        name = json["name"]?.string
        change = json["change"]?.double
        changePercent = json["change_percent"]?.double
        currency = json["currency"]?.string
        time = json["time"]?.string
        source = json["source"]?.string
    }
}

struct ToolQuotes: Sendable, Equatable {
    /// Symbols asked for in one call: its answer must stay below the 16,000 characters a tool result may have.
    static let symbolsPerCall = 40
    /// Symbols looked up for one wish; the rest counts as missing.
    static let maxSymbols = 1_000
    /// Characters of a symbol the tool takes; a longer one would fail its whole call.
    static let maxSymbolLength = 64

    var found: [ToolQuote] = []
    var missing: [String] = []
    /// What went wrong, as the tool tells it.
    var failures: [ToolOutcome] = []

    private static func isAskable(_ symbol: String) -> Bool { !symbol.isEmpty && symbol.count <= maxSymbolLength }

    private static func parts(of symbols: [String]) -> [ArraySlice<String>] {
        let askable = symbols.filter(isAskable).prefix(maxSymbols)
        return stride(from: askable.startIndex, to: askable.endIndex, by: symbolsPerCall).map { start in
            askable[start..<min(start + symbolsPerCall, askable.endIndex)]
        }
    }

    /// Calls for all symbols, `label` counted up.
    static func calls(_ symbols: [String], label: String, _ scope: OfflineScope) -> [ToolCall] {
        parts(of: symbols).enumerated().map { number, part in
            scope.call(
                "quotes", "\(label)\(number)", ["symbols": .array(part.map(JSON.string))])
        }
    }

    /// The answers to those calls; nil before they are made.
    static func results(_ symbols: [String], label: String, _ scope: OfflineScope) -> ToolQuotes? {
        var result = ToolQuotes()
        result.missing = symbols.filter { !isAskable($0) } + symbols.filter(isAskable).dropFirst(maxSymbols)
        for (number, part) in parts(of: symbols).enumerated() {
            guard let outcome = scope.outcome("\(label)\(number)") else { return nil }
            guard case .value(let json) = outcome, let quotes = json["quotes"]?.array else {
                result.failures.append(outcome)
                result.missing += part
                continue
            }
            result.found += quotes.compactMap(ToolQuote.init)
            result.missing += json["missing"]?.array?.compactMap(\.string) ?? []
        }
        return result
    }
}

struct ToolFeedItem: Sendable, Hashable {
    let title: String
    let link: String?
    let published: String?
    let source: String?

    init?(_ json: JSON) {
        guard let title = json["title"]?.string, !title.isEmpty else { return nil }
        self.title = title
        link = json["link"]?.string.flatMap(Self.webLink)
        published = json["published"]?.string
        source = json["source"]?.string
    }

    static func items(_ json: JSON) -> [ToolFeedItem] { json["items"]?.array?.compactMap(ToolFeedItem.init) ?? [] }

    /// A link that can stand in Markdown without ending early.
    private static func webLink(_ text: String) -> String? {
        let lower = text.lowercased()
        let isWeb = lower.hasPrefix("https://") || lower.hasPrefix("http://")
        let isClean = text.unicodeScalars.allSatisfy { $0.value > 0x20 && !"()<>\"'`\\".unicodeScalars.contains($0) }
        return isWeb && isClean && text.count <= 2_000 ? text : nil
    }

    /// "[title](link) — source, 2026-11-23"
    var markdown: String {
        let label = OfflinePhrases.markdown(title, limit: 200)
        let linked = link.map { "[\(label)](\($0))" } ?? label
        let origin = [source.map { OfflinePhrases.markdown($0, limit: 60) }, published.map(OfflinePhrases.time)]
        let tail = origin.compactMap { $0 }.joined(separator: ", ")
        return tail.isEmpty ? linked : "\(linked) — \(tail)"
    }
}
