// What a user may want from the offline provider. Plain values, any thread.
import TextFormats

enum WatchlistKind: String, Sendable, CaseIterable {
    case stocks, influencers, keywords, sectors
}

enum ReportKind: String, Sendable, CaseIterable {
    case daily, weekly, monthly, custom
}

enum OfflineIntent: Sendable, Equatable {
    case showWatchlist
    /// `kind` is nil where the user named none.
    case addToWatchlist(kind: WatchlistKind?, items: [String])
    case removeFromWatchlist(kind: WatchlistKind?, items: [String])
    case clearWatchlist(kind: WatchlistKind?)
    case watchlistQuotes
    case quotes(items: [String])
    case news(topic: String?)
    case report(kind: ReportKind, topic: String?)
    case remember(String)
    case forget(String)
    /// `topic` nil: everything.
    case recall(topic: String?)
    case listFiles(path: String)
    case readFile(path: String)
    case writeFile(path: String, content: String)
    case saveNote(content: String)
    case editFile(path: String, old: String, new: String)
    case setPreferences(JSONObject)
    /// Stops daily or weekly reports; nil stops all.
    case stopReports(ReportKind?)
    case showPreferences
    case showSchedule
    case addReminder(expression: String, message: String)
    case removeSchedule(id: String)
    case greeting, wellBeing, thanks, farewell, help, identity, clock
    case unknown
}

/// The captured parts of a matched phrase.
struct PhraseMatch: Sendable {
    let words: PhraseTokens
    let captures: [String: Range<Int>]

    /// The captured text as the user wrote it; empty when the phrase had no such part.
    func callAsFunction(_ name: String) -> String { captures[name].map { words.text($0) } ?? "" }

    /// From the captured part to the end of the message, final signs included.
    func rest(_ name: String) -> String { captures[name].map { words.text(from: $0.lowerBound) } ?? "" }

    func has(_ name: String) -> Bool { captures[name] != nil }
}

/// Phrases and what they mean. `make` returns nil when the captured parts make no sense there; the next rule is tried.
struct IntentRule: Sendable {
    let patterns: [PhrasePattern]
    let make: @Sendable (PhraseMatch) -> OfflineIntent?

    init(_ patterns: [String], _ make: @escaping @Sendable (PhraseMatch) -> OfflineIntent?) {
        self.patterns = patterns.map { PhrasePattern($0) }
        self.make = make
    }
}
