// Builds readable text from tokens: a stack of open elements, closed by rules as simple as the question allows (which
// text is hidden, which list is this item's), and a line that is being written. Used on one thread, by ReadableText.

struct ReadableBuilder {
    /// Open elements; deeper ones are treated as if they were not there.
    static let maxDepth = 256
    /// Cells of a table row; the others are dropped.
    static let maxCells = 64

    private struct Element {
        var name: String
        /// Nothing inside is read.
        var isHidden = false
        /// Of a list: the number of the next item, 0 for bullets.
        var nextItem = 0
        /// Of a link.
        var target: String?
        var linkStart = 0
    }

    private(set) var blocks: [String] = []
    private(set) var title: String?
    private(set) var summary: String?
    private var stack: [Element] = []
    private var hidden = 0
    private var line = ""
    private var prefix = ""
    private var cells: [String]?
    private var tableRows = 0
    private var isPending = false
    private var isTitle = false
    private var titleText = ""
    private var mainStart: Int?
    private var mainEnd: Int?

    /// The blocks of the `main` element; empty where there is none.
    var mainBlocks: ArraySlice<String> {
        guard let start = mainStart else { return [] }
        return blocks[start..<max(start, mainEnd ?? blocks.count)]
    }

    // MARK: Tokens

    mutating func open(
        _ name: String, _ attributes: [String: String], _ isSelfClosing: Bool, _ link: (String) -> String?
    ) {
        if name == "title", title == nil, hidden == 0 || stack.contains(where: { $0.name == "head" }) {
            (isTitle, titleText) = (true, "")
        }
        if name == "meta", attributes["name"]?.lowercased() == "description" {
            summary = summary ?? attributes["content"].map(Self.oneLine)
        }
        closeImplied(by: name)
        if hidden == 0 { begin(name, attributes) }
        guard !Self.voidElements.contains(name), stack.count < Self.maxDepth else { return }
        // In HTML "/>" closes nothing, but in the drawings and formulas that are embedded in it.
        if isSelfClosing, name == "svg" || name == "math" || stack.contains(where: { $0.name == "svg" }) { return }
        var element = Element(name: name)
        element.isHidden = Self.isHidden(name, attributes)
        if name == "ol" { element.nextItem = max(1, attributes["start"].flatMap { Int($0) } ?? 1) }
        if name == "a", let reference = attributes["href"] {
            element.target = link(reference)
            element.linkStart = line.count
        }
        if element.isHidden { hidden += 1 }
        stack.append(element)
    }

    mutating func close(_ name: String) {
        if name == "title" { endTitle() }
        guard let index = stack.lastIndex(where: { $0.name == name }) else {
            if name == "p", hidden == 0 { endBlock(blank: true) }
            return
        }
        // A stray end tag inside a cell or item does not close what is around it.
        if !Self.blockElements.contains(name), stack[(index + 1)...].contains(where: { Self.scopes.contains($0.name) })
        {
            return
        }
        while stack.count > index { pop() }
    }

    mutating func take(_ text: String) {
        if isTitle {
            titleText += text
            return
        }
        guard hidden == 0 else { return }
        if stack.contains(where: { $0.name == "pre" }) {
            for (index, part) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
                if index > 0 { endLine() }
                line += part.filter { $0 != "\r" }
            }
            return
        }
        for character in text {
            if character.isWhitespace {
                isPending = true
            } else {
                if isPending, !line.isEmpty, line.last != " " { line.append(" ") }
                isPending = false
                line.append(character)
            }
        }
    }

    mutating func finish() {
        endTitle()
        while !stack.isEmpty { pop() }
        endBlock(blank: false)
        endRow()
        while blocks.last?.isEmpty == true { blocks.removeLast() }
        if let end = mainEnd, end > blocks.count { mainEnd = blocks.count }
        if let start = mainStart, start > blocks.count { mainStart = blocks.count }
    }

    // MARK: Elements

    private mutating func begin(_ name: String, _ attributes: [String: String]) {
        if Self.blockElements.contains(name), cells == nil || name == "tr" || name == "table" {
            endBlock(blank: Self.spacedElements.contains(name))
        }
        switch name {
        case "h1", "h2", "h3", "h4", "h5", "h6":
            prefix = String(repeating: "#", count: Int(name.dropFirst()) ?? 1) + " "
        case "li": prefix = itemMark()
        case "br": cells == nil ? endLine() : line.append(" ")
        case "hr": append("---")
        case "pre": append("```")
        case "img":
            if let text = attributes["alt"].map(Self.oneLine), !text.isEmpty { take(" [\(text)] ") }
        case "main", "article": if mainStart == nil { mainStart = blocks.count }
        case "table": tableRows = 0
        case "tr":
            endRow()
            cells = []
        case "td", "th":
            endCell()
            line = ""
        default: break
        }
    }

    private mutating func pop() {
        let element = stack.removeLast()
        if element.isHidden {
            hidden -= 1
            return
        }
        guard hidden == 0 else { return }
        switch element.name {
        case "a": endLink(element)
        case "td", "th": endCell()
        case "tr": endRow()
        case "table":
            endRow()
            append("")
        case "pre":
            if !line.isEmpty { append(line) }
            line = ""
            append("```")
        case "main", "article":
            endBlock(blank: false)
            if !stack.contains(where: { $0.name == "main" || $0.name == "article" }) { mainEnd = blocks.count }
        default:
            if Self.blockElements.contains(element.name), cells == nil {
                endBlock(blank: Self.spacedElements.contains(element.name))
            }
        }
    }

    /// What the Standard closes without an end tag when such an element begins.
    private mutating func closeImplied(by name: String) {
        let ends: Set<String>
        let limits: Set<String>
        switch name {
        case "li": (ends, limits) = (["li"], ["ul", "ol", "menu"])
        case "dt", "dd": (ends, limits) = (["dt", "dd"], ["dl"])
        case "td", "th": (ends, limits) = (["td", "th"], ["tr", "table"])
        case "tr": (ends, limits) = (["tr"], ["table"])
        case "tbody", "tfoot", "thead": (ends, limits) = (["tr", "tbody", "thead", "tfoot"], ["table"])
        case "body": (ends, limits) = (["head"], [])
        default:
            guard Self.blockElements.contains(name) else { return }
            (ends, limits) = (["p"], Self.scopes)
        }
        guard let index = stack.lastIndex(where: { ends.contains($0.name) || limits.contains($0.name) }),
            ends.contains(stack[index].name)
        else { return }
        while stack.count > index { pop() }
    }

    private mutating func itemMark() -> String {
        guard let index = stack.lastIndex(where: { ["ul", "ol", "menu"].contains($0.name) }) else { return "- " }
        let depth = stack[...index].count { ["ul", "ol", "menu"].contains($0.name) } - 1
        let indent = String(repeating: "  ", count: min(depth, 8))
        guard stack[index].nextItem > 0 else { return indent + "- " }
        defer { stack[index].nextItem += 1 }
        return "\(indent)\(stack[index].nextItem). "
    }

    private mutating func endLink(_ element: Element) {
        guard let target = element.target, line.count > element.linkStart else { return }
        let start = line.index(line.startIndex, offsetBy: element.linkStart)
        let words = line[start...].drop { $0 == " " }
        guard !words.isEmpty, words.count <= 500 else { return }
        let gap = element.linkStart > 0 && line[start] == " " ? " " : ""
        line = "\(line[..<start])\(gap)[\(words)](\(target))"
    }

    private mutating func endTitle() {
        guard isTitle else { return }
        isTitle = false
        let text = Self.oneLine(titleText)
        if !text.isEmpty { title = String(text.prefix(300)) }
    }

    // MARK: Lines

    private mutating func endCell() {
        guard cells != nil else { return }
        let text = line.split(separator: "|").joined(separator: "/").trimmed()
        if stack.last.map({ $0.name == "td" || $0.name == "th" }) ?? false || !text.isEmpty {
            if cells?.count ?? 0 < Self.maxCells { cells?.append(text) }
        }
        line = ""
        isPending = false
    }

    private mutating func endRow() {
        guard let row = cells else { return }
        if !line.trimmed().isEmpty { cells?.append(line.trimmed()) }
        let all = cells ?? row
        cells = nil
        line = ""
        guard all.contains(where: { !$0.isEmpty }) else { return }
        append("| " + all.joined(separator: " | ") + " |")
        tableRows += 1
        if tableRows == 1, all.count > 1 { append("|" + String(repeating: " --- |", count: all.count)) }
    }

    private mutating func endLine() {
        let isPre = stack.contains { $0.name == "pre" }
        let text = isPre ? line : line.trimmed()
        if !text.isEmpty || isPre {
            let quote = stack.contains { $0.name == "blockquote" } ? "> " : ""
            append(quote + prefix + text)
            prefix = ""
        }
        line = ""
        isPending = false
    }

    private mutating func endBlock(blank: Bool) {
        guard cells == nil else { return }
        endLine()
        if prefix.hasPrefix("#") { prefix = "" }
        if blank { append("") }
    }

    /// Never two empty lines in a row.
    private mutating func append(_ text: String) {
        if text.isEmpty, blocks.last?.isEmpty ?? true { return }
        blocks.append(text)
    }

    private static func oneLine(_ text: String) -> String {
        text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    // MARK: Kinds of elements

    private static func isHidden(_ name: String, _ attributes: [String: String]) -> Bool {
        if droppedElements.contains(name) || attributes["hidden"] != nil { return true }
        if attributes["aria-hidden"]?.lowercased() == "true" { return true }
        guard let style = attributes["style"]?.lowercased().filter({ !$0.isWhitespace }) else { return false }
        return ["display:none", "visibility:hidden", "font-size:0;", "opacity:0;"].contains { style.contains($0) }
            || style.hasSuffix("font-size:0") || style.hasSuffix("opacity:0")
    }

    private static let droppedElements: Set<String> = [
        "head", "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "embed", "canvas",
        "audio", "video", "select", "textarea", "button", "nav", "dialog", "noembed", "noframes", "datalist",
    ]

    private static let voidElements: Set<String> = [
        "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
    ]

    private static let scopes: Set<String> = ["td", "th", "li", "table", "button", "caption"]

    private static let spacedElements: Set<String> = [
        "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "pre", "section", "article",
    ]

    private static let blockElements: Set<String> = spacedElements.union([
        "address", "aside", "body", "caption", "center", "dd", "details", "div", "dt", "fieldset", "figcaption",
        "figure", "footer", "form", "header", "hr", "html", "legend", "li", "main", "menu", "nav", "summary", "tbody",
        "td", "tfoot", "th", "thead", "tr",
    ])
}

extension String {
    fileprivate func trimmed() -> String {
        let start = drop { $0.isWhitespace }
        guard let end = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(start[...end])
    }
}
