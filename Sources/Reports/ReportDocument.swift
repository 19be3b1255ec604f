// A finished report, before it takes a form. A plain value, any thread; making one cannot fail.
import Foundation
import MarketData
import TextFormats

public struct ReportDocument: Sendable {
    /// One line of plain text.
    public var title: String
    /// The body, with its title line.
    public var markdown: String
    public var generatedAt: Date
    /// `provider/model` that wrote it.
    public var model: String
    /// "zh", "en", …
    public var language: String
    /// Where its facts come from: files, addresses.
    public var sources: [String]
    /// The quotes it was written from; drawn in HTML, carried in JSON.
    public var quotes: [Quote]
    /// Price histories by symbol; drawn in HTML where there are at least two points.
    public var histories: [String: [PricePoint]]

    public init(
        title: String, markdown: String, generatedAt: Date, model: String, language: String, sources: [String] = [],
        quotes: [Quote] = [], histories: [String: [PricePoint]] = [:]
    ) {
        self.title = title
        self.markdown = markdown
        self.generatedAt = generatedAt
        self.model = model
        self.language = language
        self.sources = sources
        self.quotes = quotes
        self.histories = histories
    }

    /// Makes a document of a model's answer: takes the title from its first heading (or writes one of type and date
    /// above it), cuts it to the brief's length, collects the sources of the quotes.
    public init(
        brief: ReportBrief, text: String, generatedAt: Date, model: String, quotes: [Quote] = [],
        histories: [String: [PricePoint]] = [:]
    ) {
        var body = text.trimmed()
        let title: String
        if let heading = MarkdownParser.parse(body).firstTitle {
            title = heading
        } else {
            title = "\(brief.type.prefix(1).uppercased())\(brief.type.dropFirst()) report · \(Self.day(generatedAt))"
            body = "# \(title)\n\n\(body)"
        }
        self.init(
            title: title, markdown: ReportText.truncated(body, to: brief.maxLength, language: brief.language),
            generatedAt: generatedAt, model: model, language: brief.language,
            sources: Array(Set(quotes.map(\.source))).sorted(), quotes: quotes, histories: histories)
    }

    private static func day(_ date: Date) -> String { String(RFC3339.string(date).prefix(10)) }
}
