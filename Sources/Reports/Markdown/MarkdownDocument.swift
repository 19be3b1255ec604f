// The subset of Markdown a report may use, as a tree. Raw HTML is no part of it: what looks like HTML is text. Values,
// any thread.

struct MarkdownDocument: Equatable, Sendable {
    var blocks: [MarkdownBlock]

    /// The plain text of the first heading of level 1; nil when there is none.
    var firstTitle: String? {
        for case .heading(let level, let content) in blocks where level == 1 {
            let text = MarkdownInline.plainText(content)
            if !text.isEmpty { return text }
        }
        return nil
    }
}

indirect enum MarkdownBlock: Equatable, Sendable {
    /// Level 1…6.
    case heading(level: Int, [MarkdownInline])
    case paragraph([MarkdownInline])
    case list(MarkdownList)
    case table(MarkdownTable)
    case code(language: String, text: String)
    case quote([MarkdownBlock])
    case rule
}

struct MarkdownList: Equatable, Sendable {
    struct Item: Equatable, Sendable {
        var content: [MarkdownInline]
        /// The nested list; nesting ends there, deeper items are taken into it.
        var children: [[MarkdownInline]]
        var childrenAreOrdered: Bool
    }

    var isOrdered: Bool
    /// The first number of an ordered list.
    var start: Int
    var items: [Item]
}

struct MarkdownTable: Equatable, Sendable {
    enum Alignment: String, Sendable { case left, center, right }

    var alignments: [Alignment?]
    var header: [[MarkdownInline]]
    /// Each at most as long as the header.
    var rows: [[[MarkdownInline]]]
}

indirect enum MarkdownInline: Equatable, Sendable {
    case text(String)
    case strong([MarkdownInline])
    case emphasis([MarkdownInline])
    case code(String)
    /// `url` begins with http:// or https:// and holds no blank, quote, bracket or control character.
    case link([MarkdownInline], url: String)
    case lineBreak

    static func plainText(_ content: [MarkdownInline]) -> String {
        content.map { part in
            switch part {
            case .text(let text), .code(let text): text
            case .strong(let inner), .emphasis(let inner), .link(let inner, _): plainText(inner)
            case .lineBreak: " "
            }
        }.joined()
    }
}
