// What the reader of pages has to know of an element by its name. Constants, and a table of the names of one page; one thread.

struct ElementKind {
    var name: String
    /// The same for all elements of a name; small.
    var number: Int
    var isVoid = false
    /// Begins and ends lines.
    var isBlock = false
    /// Has an empty line around it.
    var isSpaced = false
    /// Nothing in it is read.
    var isDropped = false
    var isList = false
}

struct ElementKinds {
    /// Beginning closes the innermost of `ends`, unless one of `limits` is open within it.
    struct Implied {
        var ends: [Int]
        var limits: [Int]

        init(_ ends: [String], within limits: [String]) {
            self.ends = ends.map(ElementKinds.number)
            self.limits = limits.map(ElementKinds.number)
        }
    }

    private var kinds = Self.known

    /// A name that was not met before gets the next number.
    mutating func kind(of name: String) -> ElementKind {
        if let kind = kinds[name] { return kind }
        let kind = ElementKind(name: name, number: kinds.count)
        kinds[name] = kind
        return kind
    }

    /// - Parameter name: one that is named in this file.
    static func number(_ name: String) -> Int { known[name]?.number ?? -1 }

    static let scopes = scopeNames.map(number)
    static let lists = listNames.map(number)
    static let paragraphs = Implied(["p"], within: scopeNames)

    static let implied: [String: Implied] = [
        "li": Implied(["li"], within: listNames), "dt": Implied(["dt", "dd"], within: ["dl"]),
        "dd": Implied(["dt", "dd"], within: ["dl"]), "td": Implied(["td", "th"], within: ["tr", "table"]),
        "th": Implied(["td", "th"], within: ["tr", "table"]), "tr": Implied(["tr"], within: ["table"]),
        "tbody": tableParts, "tfoot": tableParts, "thead": tableParts, "body": Implied(["head"], within: []),
    ]

    private static let tableParts = Implied(["tr", "tbody", "thead", "tfoot"], within: ["table"])
    private static let scopeNames = ["td", "th", "li", "table", "button", "caption"]
    private static let listNames = ["ul", "ol", "menu"]

    private static let known: [String: ElementKind] = {
        var kinds: [String: ElementKind] = [:]
        func change(_ names: [String], _ body: (inout ElementKind) -> Void) {
            for name in names {
                var kind = kinds[name] ?? ElementKind(name: name, number: kinds.count)
                body(&kind)
                kinds[name] = kind
            }
        }
        change(droppedElements) { $0.isDropped = true }
        change(voidElements) { $0.isVoid = true }
        change(spacedElements) { ($0.isBlock, $0.isSpaced) = (true, true) }
        change(blockElements) { $0.isBlock = true }
        change(listNames) { $0.isList = true }
        change(["a", "title"] + scopeNames) { _ in }
        return kinds
    }()

    private static let droppedElements = [
        "head", "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "embed", "canvas",
        "audio", "video", "select", "textarea", "button", "nav", "dialog", "noembed", "noframes", "datalist",
    ]

    private static let voidElements = [
        "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
    ]

    private static let spacedElements = [
        "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "pre", "section", "article",
    ]

    private static let blockElements = [
        "address", "aside", "body", "caption", "center", "dd", "details", "div", "dt", "fieldset", "figcaption",
        "figure", "footer", "form", "header", "hr", "html", "legend", "li", "main", "menu", "nav", "summary", "tbody",
        "td", "tfoot", "th", "thead", "tr",
    ]
}
