// An RSS 2.0, RSS 1.0 (RDF) or Atom document as a list of entries. Elements are known by their local names, whatever
// prefix a feed gives its namespaces. Pure; any thread. Fails with XMLError where the document is not well formed.
import TextFormats

public struct FeedDocument: Sendable, Hashable {
    public struct Entry: Sendable, Hashable {
        public var title = ""
        /// As it is written; may be relative.
        public var link: String?
        /// As the feed writes it: RFC 822 in RSS, RFC 3339 in Atom.
        public var published: String?
        /// Without markup.
        public var summary = ""
    }

    /// Entries read; the others are left.
    public static let maxEntries = 200
    /// Characters of one field.
    static let maxField = 2_000
    /// Bytes of a field, with its markup, after which its further pieces are left.
    private static let maxFieldBytes = maxField * 16

    public private(set) var title = ""
    public private(set) var entries: [Entry] = []

    private static let roots: Set<String> = ["rss", "rdf", "feed"]
    private static let entryNames: Set<String> = ["item", "entry"]

    /// nil: the document is well formed as far as it was read, but no feed.
    public init?(_ text: String, _ steps: StepCounter = StepCounter()) throws(XMLError) {
        var parser = XMLPullParser(text, steps)
        var path: [String] = []
        var entry: Entry?
        /// Open elements that are entries; a feed may have an entry in an entry.
        var openEntries = 0
        var field = ""
        while let event = try parser.next() {
            switch event {
            case .start(let name, let attributes):
                let name = Self.localName(name)
                if path.isEmpty, !Self.roots.contains(name) { return nil }
                if Self.entryNames.contains(name), entry == nil { entry = Entry() }
                if name == "link", let target = attributes["href"] { entry?.take(link: target, attributes["rel"]) }
                if Self.entryNames.contains(name) { openEntries += 1 }
                path.append(name)
                field = ""
            case .text(let piece):
                if field.utf8.count < Self.maxFieldBytes { field += piece }
                steps.add(piece.utf8.count)
            case .end:
                let name = path.removeLast()
                if Self.entryNames.contains(name) { openEntries -= 1 }
                if Self.entryNames.contains(name), openEntries == 0 {
                    if let entry { entries.append(entry) }
                    entry = nil
                    guard entries.count < Self.maxEntries else { return }
                } else if path.last.map(Self.entryNames.contains) == true {
                    entry?.take(name, field, steps)
                } else if name == "title", entry == nil, title.isEmpty, path.last != "image" {
                    title = Self.plain(field, steps)
                }
                field = ""
            }
        }
    }

    private static func localName(_ name: String) -> String {
        (name.split(separator: ":").last.map(String.init) ?? name).lowercased()
    }

    /// Titles and summaries may hold markup, escaped or not.
    static func plain(_ text: String, _ steps: StepCounter) -> String {
        steps.add(2 * text.utf8.count)
        let isHTML = text.utf8.contains(UInt8(ascii: "<"))
        let page = isHTML ? ReadableText(html: text, steps: steps, link: { _ in nil }).text : text
        return String(page.split(whereSeparator: \.isWhitespace).joined(separator: " ").prefix(maxField))
    }
}

extension FeedDocument.Entry {
    fileprivate mutating func take(_ name: String, _ raw: String, _ steps: StepCounter) {
        switch name {
        case "title": if title.isEmpty { title = FeedDocument.plain(raw, steps) }
        case "link": if link == nil, !raw.allSatisfy(\.isWhitespace) { link = FeedDocument.plain(raw, steps) }
        case "pubdate", "published", "date": published = FeedDocument.plain(raw, steps)
        case "updated": if published == nil { published = FeedDocument.plain(raw, steps) }
        case "description", "summary": summary = FeedDocument.plain(raw, steps)
        case "content", "encoded": if summary.isEmpty { summary = FeedDocument.plain(raw, steps) }
        default: break
        }
    }

    /// Atom: the page itself is the link without `rel`, or with `alternate`.
    fileprivate mutating func take(link target: String, _ relation: String?) {
        if relation == nil || relation == "alternate" { link = target }
    }
}
