// What an answer of the web says, as text, by its media type. Pure; any thread. Fails with a ToolFailure where the
// answer is no text.
import HTTPTransport
import TextFormats
import WebText

struct WebPage {
    enum Kind {
        case html, json, xml, text

        /// nil: nothing that can be read as text.
        init?(_ essence: String) {
            switch essence {
            case "text/html", "application/xhtml+xml": self = .html
            case "application/json", "text/json": self = .json
            case "application/xml", "text/xml": self = .xml
            case "application/javascript", "application/x-ndjson", "application/yaml", "application/toml": self = .text
            default:
                if essence.hasSuffix("+json") {
                    self = .json
                } else if essence.hasSuffix("+xml"), essence != "image/svg+xml" {
                    self = .xml
                } else if essence.hasPrefix("text/") {
                    self = .text
                } else {
                    return nil
                }
            }
        }
    }

    /// Title and description, each on a line of its own; may be empty.
    var head = ""
    var text: String
    /// The media type, or what was found where none was named.
    var type: String

    init(_ answer: WebAnswer) throws(ToolFailure) {
        let header = answer.header("Content-Type")
        let named = header.flatMap(MediaType.init)?.essence
        if let named, Kind(named) == nil {
            throw ToolFailure(
                code: "unsupported_content_type", detail: "the address holds \(named.prefix(100)), which is no text")
        }
        // A zero byte occurs in no text but UTF-16, which says so at its beginning or in the header.
        let isWide =
            answer.body.starts(with: [0xFF, 0xFE]) || answer.body.starts(with: [0xFE, 0xFF])
            || header?.lowercased().contains("utf-16") == true
        guard isWide || !answer.body.prefix(4_096).contains(0) else {
            throw ToolFailure(code: "unsupported_content_type", detail: "the address holds binary data, no text")
        }
        let source = TextDecoding.text(answer.body, contentType: header)
        type = named ?? (Self.looksLikeHTML(source) ? "text/html" : "text/plain")
        switch Kind(type) ?? .text {
        case .html:
            let url = answer.url
            // A reference that cannot be resolved is text without a link.
            let page = ReadableText(html: source, link: { (try? url.resolving($0))?.description })
            text = page.text
            if let title = page.title { head += "Title: \(title)\n" }
            if let summary = page.summary { head += "Description: \(summary.prefix(500))\n" }
            if !head.isEmpty { head += "\n" }
        case .xml: text = Self.feed(source, answer.url) ?? source
        case .json, .text: text = source
        }
    }

    /// The entries of a feed, one below the other; nil for other XML, which is then shown as it is.
    private static func feed(_ source: String, _ url: WebURL) -> String? {
        // What is not well formed is no feed either: its source says more than an error would.
        guard let feed = try? FeedDocument(source) else { return nil }
        let entries = feed.entries.map { entry in
            var lines = ["- \(entry.title.isEmpty ? "(no title)" : entry.title)"]
            if let time = entry.published { lines.append("  time: \(time)") }
            if let link = entry.link.flatMap({ try? url.resolving($0) }) { lines.append("  link: \(link)") }
            if !entry.summary.isEmpty { lines.append("  \(entry.summary)") }
            return lines.joined(separator: "\n")
        }
        return (["Feed: \(feed.title)"] + (entries.isEmpty ? ["(no entries)"] : entries)).joined(separator: "\n")
    }

    private static func looksLikeHTML(_ text: String) -> Bool {
        let start = text.prefix(512).lowercased()
        return ["<!doctype html", "<html", "<head", "<body"].contains { start.contains($0) }
    }
}
