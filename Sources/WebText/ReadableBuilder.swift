// Builds readable text from tokens: a stack of open elements, closed by rules as simple as the question allows (which
// text is hidden, which list is this item's), and a line that is being written. Used on one thread, by ReadableText. Each
// token costs a fixed number of looks at the stack, whatever is open: for every name the innermost open element is known.
import TextFormats

struct ReadableBuilder {
    /// Open elements; deeper ones are treated as if they were not there.
    static let maxDepth = 256
    /// Cells of a table row; the others are dropped.
    static let maxCells = 64
    /// Links of a page and bytes of their targets; later links keep their words only. A short reference may become a long
    /// address.
    static let maxLinks = 5_000
    static let maxLinkBytes = 256 << 10
    /// Bytes of a link's words; longer ones are text without a link.
    static let maxLinkWords = 1_500

    private struct Element {
        var kind: ElementKind
        /// The place of the next outer element of that name; -1: there is none.
        var outer: Int
        /// Nothing inside is read.
        var isHidden = false
        /// Of a list: the number of the next item, 0 for bullets.
        var nextItem = 0
        /// Of a link.
        var target: String?
        var linkStart = 0
        var linkLine = 0
    }

    private(set) var blocks: [String] = []
    private(set) var title: String?
    private(set) var summary: String?
    private let steps: StepCounter
    private var kinds = ElementKinds()
    private var stack: [Element] = []
    /// By the number of a name: the place of its innermost open element; -1: none is open.
    private var innermost: [Int] = []
    private var openLists = 0
    private var hidden = 0
    private var line: [UInt8] = []
    /// Counts the lines that were ended.
    private var lineNumber = 0
    private var prefix = ""
    private var cells: [String]?
    private var tableRows = 0
    private var isPending = false
    private var isTitle = false
    private var titleText = ""
    private var links = 0
    private var linkBytes = 0
    private var mainStart: Int?
    private var mainEnd: Int?

    init(_ steps: StepCounter) { self.steps = steps }

    /// The blocks of the `main` element; empty where there is none.
    var mainBlocks: ArraySlice<String> {
        guard let start = mainStart else { return [] }
        return blocks[start..<max(start, mainEnd ?? blocks.count)]
    }

    // MARK: Tokens

    mutating func open(
        _ name: String, _ attributes: [String: String], _ isSelfClosing: Bool, _ link: (String) -> String?
    ) {
        let kind = kinds.kind(of: name)
        if name == "title", title == nil, hidden == 0 || isOpen("head") { (isTitle, titleText) = (true, "") }
        if name == "meta", attributes["name"]?.lowercased() == "description" {
            summary = summary ?? attributes["content"].map(Self.oneLine)
        }
        closeImplied(by: name, kind)
        if hidden == 0 { begin(name, kind, attributes) }
        guard !kind.isVoid, stack.count < Self.maxDepth else { return }
        // In HTML "/>" closes nothing, but in the drawings and formulas that are embedded in it.
        if isSelfClosing, name == "svg" || name == "math" || isOpen("svg") { return }
        push(kind, name, attributes, link)
    }

    private mutating func push(
        _ kind: ElementKind, _ name: String, _ attributes: [String: String], _ link: (String) -> String?
    ) {
        while innermost.count <= kind.number { innermost.append(-1) }
        var element = Element(kind: kind, outer: innermost[kind.number])
        element.isHidden = kind.isDropped || isHidden(attributes)
        if name == "ol" { element.nextItem = max(1, attributes["start"].flatMap { Int($0) } ?? 1) }
        if name == "a", let reference = attributes["href"], links < Self.maxLinks, linkBytes < Self.maxLinkBytes {
            links += 1
            element.target = link(reference)
            linkBytes += element.target?.utf8.count ?? 0
            (element.linkStart, element.linkLine) = (line.count, lineNumber)
        }
        if element.isHidden { hidden += 1 }
        if kind.isList { openLists += 1 }
        innermost[kind.number] = stack.count
        stack.append(element)
    }

    mutating func close(_ name: String) {
        if name == "title" { endTitle() }
        let kind = kinds.kind(of: name)
        let index = place(kind.number)
        guard index >= 0 else {
            if name == "p", hidden == 0 { endBlock(blank: true) }
            return
        }
        // A stray end tag inside a cell or item does not close what is around it.
        if !kind.isBlock, innermost(of: ElementKinds.scopes) > index { return }
        while stack.count > index { pop() }
    }

    mutating func take(_ text: String) {
        steps.add(text.utf8.count)
        if isTitle {
            titleText += text
            return
        }
        guard hidden == 0 else { return }
        let bytes = Array(text.utf8)
        if isOpen("pre") {
            for (index, part) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
                if index > 0 { endLine() }
                line += part.filter { $0 != 0x0D }
            }
            return
        }
        takeWords(bytes)
    }

    /// Any white space between words becomes one blank.
    private mutating func takeWords(_ bytes: [UInt8]) {
        var place = 0
        while place < bytes.count {
            let blank = Blank.length(bytes, at: place)
            if blank > 0 {
                isPending = true
                place += blank
                continue
            }
            if isPending, !line.isEmpty, line.last != 0x20 { line.append(0x20) }
            isPending = false
            let start = place
            repeat { place += 1 } while place < bytes.count && Blank.length(bytes, at: place) == 0
            line += bytes[start..<place]
        }
        steps.add(2 * bytes.count)
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

    // MARK: Open elements

    /// The place in the stack; -1: none is open.
    private func place(_ number: Int) -> Int {
        steps.add()
        return number < innermost.count ? innermost[number] : -1
    }

    private func isOpen(_ name: String) -> Bool { place(ElementKinds.number(name)) >= 0 }

    private func innermost(of numbers: [Int]) -> Int { numbers.reduce(-1) { max($0, place($1)) } }

    // MARK: Elements

    private mutating func begin(_ name: String, _ kind: ElementKind, _ attributes: [String: String]) {
        if kind.isBlock, cells == nil || name == "tr" || name == "table" { endBlock(blank: kind.isSpaced) }
        switch name {
        case "h1", "h2", "h3", "h4", "h5", "h6":
            prefix = String(repeating: "#", count: Int(name.dropFirst()) ?? 1) + " "
        case "li": prefix = itemMark()
        case "br": cells == nil ? endLine() : line.append(0x20)
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
            clearLine()
        default: break
        }
    }

    private mutating func pop() {
        steps.add()
        let element = stack.removeLast()
        innermost[element.kind.number] = element.outer
        if element.kind.isList { openLists -= 1 }
        if element.isHidden {
            hidden -= 1
            return
        }
        guard hidden == 0 else { return }
        switch element.kind.name {
        case "a": endLink(element)
        case "td", "th": endCell()
        case "tr": endRow()
        case "table":
            endRow()
            append("")
        case "pre":
            if !line.isEmpty { append(String(decoding: line, as: UTF8.self)) }
            clearLine()
            append("```")
        case "main", "article":
            endBlock(blank: false)
            if !isOpen("main"), !isOpen("article") { mainEnd = blocks.count }
        default:
            if element.kind.isBlock, cells == nil { endBlock(blank: element.kind.isSpaced) }
        }
    }

    /// What the Standard closes without an end tag when such an element begins.
    private mutating func closeImplied(by name: String, _ kind: ElementKind) {
        guard let rule = ElementKinds.implied[name] ?? (kind.isBlock ? ElementKinds.paragraphs : nil) else { return }
        let index = innermost(of: rule.ends)
        guard index >= 0, index > innermost(of: rule.limits) else { return }
        while stack.count > index { pop() }
    }

    private mutating func itemMark() -> String {
        let index = innermost(of: ElementKinds.lists)
        guard index >= 0 else { return "- " }
        let indent = String(repeating: "  ", count: min(openLists - 1, 8))
        guard stack[index].nextItem > 0 else { return indent + "- " }
        // The largest number there is has no next one.
        defer { stack[index].nextItem = min(stack[index].nextItem, Int.max - 1) + 1 }
        return "\(indent)\(stack[index].nextItem). "
    }

    private mutating func endLink(_ element: Element) {
        guard let target = element.target, element.linkLine == lineNumber, line.count > element.linkStart,
            line.count - element.linkStart <= Self.maxLinkWords
        else { return }
        let words = line[element.linkStart...].drop { $0 == 0x20 }
        guard !words.isEmpty else { return }
        let gap = element.linkStart > 0 && line[element.linkStart] == 0x20 ? " " : ""
        let link = "\(gap)[\(String(decoding: words, as: UTF8.self))](\(target))"
        steps.add(link.utf8.count)
        line.removeSubrange(element.linkStart...)
        line += link.utf8
    }

    private mutating func endTitle() {
        guard isTitle else { return }
        isTitle = false
        let text = Self.oneLine(titleText)
        if !text.isEmpty { title = String(text.prefix(300)) }
    }

    // MARK: Lines

    private mutating func clearLine() {
        if !line.isEmpty { lineNumber += 1 }
        steps.add(line.count)
        line.removeAll(keepingCapacity: true)
    }

    private mutating func endCell() {
        guard cells != nil else { return }
        let parts = line.split(separator: UInt8(ascii: "|"))
        let text = String(decoding: Array(parts.joined(separator: "/".utf8)), as: UTF8.self).trimmed()
        let isCell = stack.last.map { $0.kind.name == "td" || $0.kind.name == "th" } ?? false
        if isCell || !text.isEmpty, cells?.count ?? 0 < Self.maxCells { cells?.append(text) }
        clearLine()
        isPending = false
    }

    private mutating func endRow() {
        guard cells != nil else { return }
        let rest = String(decoding: line, as: UTF8.self).trimmed()
        if !rest.isEmpty { cells?.append(rest) }
        let all = cells ?? []
        cells = nil
        clearLine()
        guard all.contains(where: { !$0.isEmpty }) else { return }
        append("| " + all.joined(separator: " | ") + " |")
        tableRows += 1
        if tableRows == 1, all.count > 1 { append("|" + String(repeating: " --- |", count: all.count)) }
    }

    private mutating func endLine() {
        let isPre = isOpen("pre")
        let text = String(decoding: line, as: UTF8.self)
        let shown = isPre ? text : text.trimmed()
        if !shown.isEmpty || isPre {
            append((isOpen("blockquote") ? "> " : "") + prefix + shown)
            prefix = ""
        }
        clearLine()
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

    private func isHidden(_ attributes: [String: String]) -> Bool {
        if attributes.isEmpty { return false }
        if attributes["hidden"] != nil || attributes["aria-hidden"]?.lowercased() == "true" { return true }
        guard let text = attributes["style"] else { return false }
        steps.add(6 * text.utf8.count)
        let style = text.lowercased().filter { !$0.isWhitespace }
        return ["display:none", "visibility:hidden", "font-size:0;", "opacity:0;"].contains { style.contains($0) }
            || style.hasSuffix("font-size:0") || style.hasSuffix("opacity:0")
    }
}

/// White space (Unicode's White_Space) in UTF-8.
enum Blank {
    /// Bytes of the white space at this place; 0: there is none.
    static func length(_ bytes: [UInt8], at place: Int) -> Int {
        let byte = bytes[place]
        if byte < 0x80 { return byte == 0x20 || (0x09...0x0D).contains(byte) ? 1 : 0 }
        func next(_ offset: Int) -> UInt8 { place + offset < bytes.count ? bytes[place + offset] : 0 }
        switch (byte, next(1), next(2)) {
        case (0xC2, 0x85, _), (0xC2, 0xA0, _): return 2
        case (0xE1, 0x9A, 0x80), (0xE2, 0x80, 0x80...0x8A), (0xE2, 0x80, 0xA8), (0xE2, 0x80, 0xA9), (0xE2, 0x80, 0xAF),
            (0xE2, 0x81, 0x9F), (0xE3, 0x80, 0x80):
            return 3
        default: return 0
        }
    }
}
