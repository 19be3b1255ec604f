// News and announcements a user (or a program that collects them) keeps as files in the workspace's `data/` folder.
// Any thread; every question reads the files anew, bounded by DataLimits. Never throws, see QuoteBook.
//
// Files read: *.csv, *.tsv and *.json directly in `data/` whose names begin with feed, news, announcement, 新闻, 公告 or
// 资讯. Header spellings: FeedColumn.
import DurableFiles
import Foundation
import TextFormats

enum FeedColumn: DataColumn {
    case title, link, time, date, source, summary, tags

    var spellings: [String] {
        switch self {
        case .title: ["title", "headline", "subject", "标题", "题目"]
        case .link: ["link", "url", "href", "链接", "网址"]
        case .time:
            ["published", "publishedat", "pubdate", "time", "timestamp", "datetime", "updated", "发布时间", "时间"]
        case .date: ["date", "day", "日期", "发布日期"]
        case .source: ["source", "publisher", "author", "site", "influencer", "来源", "作者", "媒体"]
        case .summary: ["summary", "description", "content", "text", "body", "摘要", "内容", "正文"]
        case .tags:
            ["tags", "symbols", "symbol", "tickers", "ticker", "keywords", "category", "categories", "标签", "代码", "关键词"]
        }
    }
}

public final class FeedShelf: Sendable {
    /// Items given for one question at most, whatever `limit` asks for.
    public static let maxItems = 200

    private let folder: DataFolder

    /// - Parameter directory: the workspace's root; the files lie in its `data/`.
    public init(directory: SealedDirectory) {
        folder = DataFolder(
            directory: directory, beginnings: ["feed", "news", "announcement", "新闻", "公告", "资讯"])
    }

    /// The items that hold every word of `query` in title, summary, source or tags (letter case ignored; ASCII words
    /// match whole words, so "AI" does not find "said"), newest first, undated ones last.
    /// - Parameters:
    ///   - more: items of other origins, to be searched with them.
    ///   - known: problems of theirs.
    public func items(
        query: String? = nil, limit: Int = 20, more: [FeedItem] = [], known: [MarketDataError] = []
    ) -> (items: [FeedItem], problems: [MarketDataError]) {
        var all = more
        var problems = known
        folder.forEachFile { _, path, result in
            switch result {
            case .success(let bytes): Self.read(bytes, file: path, into: &all, &problems)
            case .failure(let problem): problems.append(problem)
            }
        }
        let words = (query ?? "").lowercased().split(whereSeparator: \.isWhitespace).map(String.init)
        let matching = words.isEmpty ? all : all.filter { Self.matches($0, words) }
        let sorted = matching.enumerated().sorted { left, right in
            let (a, b) = (left.element.published ?? .distantPast, right.element.published ?? .distantPast)
            return a == b ? left.offset < right.offset : a > b
        }
        problems.bound()
        return (sorted.prefix(max(0, min(limit, Self.maxItems))).map(\.element), problems)
    }

    static func read(
        _ bytes: [UInt8], file: String, isJSON: Bool? = nil, into items: inout [FeedItem], _ problems: inout [MarketDataError]
    ) {
        let table = DataTable<FeedColumn>(bytes, file: file, isJSON: isJSON, required: [.title])
        problems += table.problems
        for record in table.records {
            switch item(record, file: file) {
            case .success(let item): items.append(item)
            case .failure(let problem): problems.append(problem)
            }
        }
    }

    private static func item(_ record: DataRecord<FeedColumn>, file: String) -> Result<FeedItem, MarketDataError> {
        let values = record.values
        guard let title = values[.title].flatMap(ValueReading.text) else {
            return .failure(MarketDataError(code: .badRow, file: file, line: record.line, detail: "no title"))
        }
        var item = FeedItem(title: title, source: values[.source].flatMap(ValueReading.text) ?? file, file: file)
        item.link = values[.link].flatMap(link)
        item.summary = values[.summary].flatMap(ValueReading.text)
        item.tags = (values[.tags] ?? "").split(whereSeparator: { ",;，；、|".contains($0) })
            .compactMap { ValueReading.text(String($0)) }
        // An unreadable time loses the time, not the news.
        item.published = [values[.time], values[.date]].lazy.compactMap { $0 }.compactMap(ValueReading.time).first
        return .success(item)
    }

    static func link(_ raw: String) -> String? {
        let text = raw.trimmingCharacters(in: .whitespacesAndNewlines)
        let lower = text.lowercased()
        let isWeb = lower.hasPrefix("https://") || lower.hasPrefix("http://")
        let isClean = text.unicodeScalars.allSatisfy { $0.value > 0x20 && !"<>\"'`\\".unicodeScalars.contains($0) }
        return isWeb && isClean && text.utf8.count <= 2_048 ? text : nil
    }

    private static func matches(_ item: FeedItem, _ words: [String]) -> Bool {
        let text = ([item.title, item.summary ?? "", item.source] + item.tags).joined(separator: "\n").lowercased()
        return words.allSatisfy { contains(text, word: $0) }
    }

    /// ASCII words on word boundaries, anything else (Chinese has no blanks) anywhere.
    private static func contains(_ text: String, word: String) -> Bool {
        var start = text.startIndex
        while let range = text.range(of: word, range: start..<text.endIndex) {
            let before = range.lowerBound > text.startIndex ? text[text.index(before: range.lowerBound)] : " "
            let after = range.upperBound < text.endIndex ? text[range.upperBound] : " "
            let touches =
                (word.first?.isASCII == true && isWordCharacter(before))
                || (word.last?.isASCII == true && isWordCharacter(after))
            if !touches { return true }
            start = range.upperBound
        }
        return false
    }

    private static func isWordCharacter(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber)
    }
}
