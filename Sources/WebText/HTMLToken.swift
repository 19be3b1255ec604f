// What an HTML document is made of, as the tokenizer hands it out. Plain values; any thread.

public enum HTMLToken: Sendable, Hashable {
    /// Name and attribute names in lower case; of two attributes with one name the first counts.
    case startTag(name: String, attributes: [String: String], isSelfClosing: Bool)
    case endTag(name: String)
    /// Character references are decoded; never empty. One run of text may come in several pieces.
    case text(String)
    case comment
    case doctype
}
