// The text a person would read on an HTML page, in plain Markdown: title, headings, paragraphs, lists, links, tables,
// quotations, preformatted text. Scripts, styles, navigation, forms and whatever is marked as hidden are left out: what
// no reader sees is the favourite place of texts meant for machines. A page's `main` element is taken alone where it
// holds enough. Pure; any thread; never fails; time and output are linear in the input.
import TextFormats

public struct ReadableText: Sendable, Hashable {
    public var title: String?
    /// The page's own `description`.
    public var summary: String?
    public var text: String

    /// Characters from which on the `main` element is enough of a page.
    static let enoughInMain = 200

    /// - Parameters:
    ///   - html: the document.
    ///   - steps: a stopped counter ends the reading; the text is then what was read so far.
    ///   - link: makes a reference absolute; nil drops the link and keeps its text.
    public init(html: String, steps: StepCounter = StepCounter(), link: (String) -> String?) {
        var builder = ReadableBuilder(steps)
        var tokenizer = HTMLTokenizer(html, steps)
        while let token = tokenizer.next() {
            switch token {
            case .startTag(let name, let attributes, let isSelfClosing):
                builder.open(name, attributes, isSelfClosing, link)
            case .endTag(let name): builder.close(name)
            case .text(let text): builder.take(text)
            case .comment, .doctype: break
            }
        }
        builder.finish()
        title = builder.title
        summary = builder.summary
        let main = builder.mainBlocks.joined(separator: "\n")
        text = main.count >= Self.enoughInMain ? main : builder.blocks.joined(separator: "\n")
    }
}
