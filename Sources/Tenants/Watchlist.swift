// What a user follows, and a change to it. Values; any thread. Every way in checks the bounds of EntryRules.
import TextFormats

/// The four lists of a watchlist, by the names they have in JSON.
public enum WatchlistKind: String, Sendable, CaseIterable {
    case stocks, influencers, keywords, sectors
}

public struct Watchlist: Sendable, Hashable {
    public var stocks: [String]
    public var influencers: [String]
    public var keywords: [String]
    public var sectors: [String]

    public init(
        stocks: [String] = [], influencers: [String] = [], keywords: [String] = [], sectors: [String] = []
    ) {
        self.stocks = stocks
        self.influencers = influencers
        self.keywords = keywords
        self.sectors = sectors
    }

    /// Strict: unknown keys, wrong types and entries out of bounds throw, named with `path` in front.
    public init(json: JSON, path: String = "watchlist") throws(FieldError) {
        self.init()
        apply(try WatchlistChange(json: json, path: path))
    }

    public var isEmpty: Bool { WatchlistKind.allCases.allSatisfy { self[$0].isEmpty } }

    public subscript(kind: WatchlistKind) -> [String] {
        get {
            switch kind {
            case .stocks: stocks
            case .influencers: influencers
            case .keywords: keywords
            case .sectors: sectors
            }
        }
        set {
            switch kind {
            case .stocks: stocks = newValue
            case .influencers: influencers = newValue
            case .keywords: keywords = newValue
            case .sectors: sectors = newValue
            }
        }
    }

    /// Lists the change names are replaced, the others stay.
    public mutating func apply(_ change: WatchlistChange) {
        for kind in WatchlistKind.allCases {
            if let entries = change[kind] { self[kind] = entries }
        }
    }

    /// Adds entries that are not there yet, at the end. - Returns: those that were added.
    /// - Throws: an entry that breaks a rule, or a list that would become too long; nothing is changed then.
    @discardableResult
    public mutating func add(_ entries: [String], to kind: WatchlistKind) throws(FieldError) -> [String] {
        let field = EntryRules.join("watchlist", kind.rawValue)
        let present = Set(self[kind])
        let new = try EntryRules.list(entries, field: field).filter { !present.contains($0) }
        self[kind] = try EntryRules.list(self[kind] + new, field: field)
        return new
    }

    /// Removes entries; those written in other case count too, since people type "tsla". - Returns: those removed.
    @discardableResult
    public mutating func remove(_ entries: [String], from kind: WatchlistKind) throws(FieldError) -> [String] {
        let wanted = try EntryRules.list(entries, field: EntryRules.join("watchlist", kind.rawValue))
        let folded = Set(wanted.map { $0.lowercased() })
        let removed = self[kind].filter { folded.contains($0.lowercased()) }
        self[kind].removeAll { folded.contains($0.lowercased()) }
        return removed
    }

    /// The change that leads here from any watchlist.
    var asChange: WatchlistChange {
        WatchlistChange(stocks: stocks, influencers: influencers, keywords: keywords, sectors: sectors)
    }

    public var json: JSON {
        .object(JSONObject(WatchlistKind.allCases.map { ($0.rawValue, .array(self[$0].map { .string($0) })) }))
    }
}

/// New lists for some of a watchlist's kinds; nil leaves a list as it is.
public struct WatchlistChange: Sendable, Hashable {
    public var stocks: [String]?
    public var influencers: [String]?
    public var keywords: [String]?
    public var sectors: [String]?

    public init(
        stocks: [String]? = nil, influencers: [String]? = nil, keywords: [String]? = nil, sectors: [String]? = nil
    ) {
        self.stocks = stocks
        self.influencers = influencers
        self.keywords = keywords
        self.sectors = sectors
    }

    public init(json: JSON, path: String = "watchlist") throws(FieldError) {
        var reader = try ObjectReader(json, path: path)
        try self.init(&reader, path: path)
        try reader.finish()
    }

    init(_ reader: inout ObjectReader, path: String) throws(FieldError) {
        self.init()
        for kind in WatchlistKind.allCases {
            self[kind] = try reader.strings(
                kind.rawValue, maxCount: EntryRules.maximumRawEntries, maxLength: EntryRules.maximumRawLength)
        }
        self = try validated(path: path)
    }

    public subscript(kind: WatchlistKind) -> [String]? {
        get {
            switch kind {
            case .stocks: stocks
            case .influencers: influencers
            case .keywords: keywords
            case .sectors: sectors
            }
        }
        set {
            switch kind {
            case .stocks: stocks = newValue
            case .influencers: influencers = newValue
            case .keywords: keywords = newValue
            case .sectors: sectors = newValue
            }
        }
    }

    /// The change with its entries trimmed and deduplicated. - Throws: the first entry that breaks a rule.
    public func validated(path: String = "watchlist") throws(FieldError) -> WatchlistChange {
        var result = self
        for kind in WatchlistKind.allCases {
            guard let entries = self[kind] else { continue }
            result[kind] = try EntryRules.list(entries, field: EntryRules.join(path, kind.rawValue))
        }
        return result
    }

    /// Only the lists that change.
    public var json: JSON {
        var object = JSONObject()
        for kind in WatchlistKind.allCases {
            if let entries = self[kind] { object[kind.rawValue] = .array(entries.map { .string($0) }) }
        }
        return .object(object)
    }
}
