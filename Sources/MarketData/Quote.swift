// The value types of the room: a quote, one point of a price history, one feed item. Plain values, usable from any
// thread. A field the source does not give is nil here and absent in the JSON: nothing is computed to fill a gap, with
// one exception stated at `Quote.change`.
import Foundation
import TextFormats

/// One price of one instrument, with the time it was true and the place it was read from.
public struct Quote: Sendable, Hashable {
    /// As the source writes it ("AAPL", "0700.HK", "600519").
    public var symbol: String
    public var price: Double
    /// In the price's currency. Given by the source, or price minus the source's own previous close.
    public var change: Double?
    /// In percent: 1.5 means one and a half percent. From the same origins as `change`.
    public var changePercent: Double?
    public var currency: String?
    public var volume: Double?
    public var time: Date?
    /// The file it was read from, relative to the workspace: "data/quotes.csv".
    public var source: String
    public var name: String?

    public init(
        symbol: String, price: Double, change: Double? = nil, changePercent: Double? = nil, currency: String? = nil,
        volume: Double? = nil, time: Date? = nil, source: String, name: String? = nil
    ) {
        self.symbol = symbol
        self.price = price
        self.change = change
        self.changePercent = changePercent
        self.currency = currency
        self.volume = volume
        self.time = time
        self.source = source
        self.name = name
    }

    /// Reads the form below. - Returns: nil without symbol, price or source.
    public init?(json: JSON) {
        guard let symbol = json["symbol"]?.string, let price = json["price"]?.double,
            let source = json["source"]?.string
        else { return nil }
        self.init(
            symbol: symbol, price: price, change: json["change"]?.double,
            changePercent: json["change_percent"]?.double, currency: json["currency"]?.string,
            volume: json["volume"]?.double, time: json["time"]?.string.flatMap(RFC3339.date), source: source,
            name: json["name"]?.string)
    }

    /// `{symbol, name?, price, change?, change_percent?, currency?, volume?, time?, source}`; times in RFC 3339.
    public var json: JSON {
        var fields = JSONObject()
        fields["symbol"] = .string(symbol)
        fields["name"] = name.map(JSON.string)
        fields["price"] = .double(price)
        fields["change"] = change.map(JSON.double)
        fields["change_percent"] = changePercent.map(JSON.double)
        fields["currency"] = currency.map(JSON.string)
        fields["volume"] = volume.map(JSON.double)
        fields["time"] = time.map { .string(RFC3339.string($0)) }
        fields["source"] = .string(source)
        return .object(fields)
    }
}

/// One closing (or last) price at one time.
public struct PricePoint: Sendable, Hashable {
    public var time: Date
    public var close: Double

    public init(time: Date, close: Double) {
        self.time = time
        self.close = close
    }
}

/// One piece of news. `link` is http or https, or absent.
public struct FeedItem: Sendable, Hashable {
    public var title: String
    public var link: String?
    public var published: Date?
    /// Who said it, as the file names it; else the file itself.
    public var source: String
    public var summary: String?
    /// Symbols, keywords, sectors or people the item is filed under.
    public var tags: [String]
    /// The file it was read from, relative to the workspace.
    public var file: String

    public init(
        title: String, link: String? = nil, published: Date? = nil, source: String, summary: String? = nil,
        tags: [String] = [], file: String
    ) {
        self.title = title
        self.link = link
        self.published = published
        self.source = source
        self.summary = summary
        self.tags = tags
        self.file = file
    }

    /// `{title, link?, published?, source, summary?, tags?, file}`.
    public var json: JSON {
        var fields = JSONObject()
        fields["title"] = .string(title)
        fields["link"] = link.map(JSON.string)
        fields["published"] = published.map { .string(RFC3339.string($0)) }
        fields["source"] = .string(source)
        fields["summary"] = summary.map(JSON.string)
        if !tags.isEmpty { fields["tags"] = .array(tags.map(JSON.string)) }
        fields["file"] = .string(file)
        return .object(fields)
    }
}
