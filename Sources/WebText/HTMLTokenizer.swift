// Splits HTML into tokens by the states of the HTML Standard, section 13.2.5 "Tokenization", without its parse errors:
// there is no input it refuses. The states of comments and doctypes, whose contents nobody here reads, are joined.
// What the tree builder would tell the tokenizer (that a script's text is raw) follows from the start tag's name.
// A value; used on one thread. Time and memory are linear in the input: a byte that was read is not read again.
import TextFormats

public struct HTMLTokenizer {
    /// Attributes kept of one tag; more are read and dropped.
    static let maxAttributes = 128

    private let input: [UInt8]
    private let steps: StepCounter
    private var position = 0
    /// The element whose end tag ends the raw text being read.
    private var rawEnd: String?

    private enum RawKind { case rcdata, rawText, script, plain }

    /// - Parameter text: UTF-8.
    public init(_ text: [UInt8], _ steps: StepCounter = StepCounter()) {
        input = text
        self.steps = steps
    }

    public init(_ text: String, _ steps: StepCounter = StepCounter()) { self.init(Array(text.utf8), steps) }

    /// nil at the end.
    public mutating func next() -> HTMLToken? {
        if steps.isStopped { return nil }
        let start = position
        // Each byte is compared with a handful of others.
        defer { steps.add(4 * (position - start) + 1) }
        if let name = rawEnd {
            rawEnd = nil
            if let text = rawText(of: name) { return text }
        }
        while position < input.count {
            guard input[position] == UInt8(ascii: "<") else { return characters() }
            if let token = markup() { return token }
        }
        return nil
    }

    // MARK: Data

    private mutating func characters() -> HTMLToken {
        let start = position
        while position < input.count, input[position] != UInt8(ascii: "<") { position += 1 }
        return .text(CharacterReferences.decoded(input[start..<position], inAttribute: false, steps))
    }

    /// From a "<": a token, or nil where the Standard emits none.
    private mutating func markup() -> HTMLToken? {
        let next = peek(1)
        if next == UInt8(ascii: "!") { return declaration() }
        if next == UInt8(ascii: "?") { return bogusComment() }
        if next == UInt8(ascii: "/") {
            guard let after = peek(2) else { return literal(2) }
            if Self.isLetter(after) {
                position += 2
                return tag(isEnd: true)
            }
            if after == UInt8(ascii: ">") {
                position += 3
                return nil
            }
            return bogusComment()
        }
        guard let next, Self.isLetter(next) else { return literal(1) }
        position += 1
        return tag(isEnd: false)
    }

    private mutating func literal(_ count: Int) -> HTMLToken {
        let text = String(decoding: input[position..<(position + count)], as: UTF8.self)
        position += count
        return .text(text)
    }

    private func peek(_ distance: Int) -> UInt8? {
        position + distance < input.count ? input[position + distance] : nil
    }

    // MARK: Comments, doctype

    private mutating func declaration() -> HTMLToken? {
        if matches("<!--", at: position) {
            position += 4
            return comment()
        }
        if matches("<!doctype", at: position) {
            skip(past: UInt8(ascii: ">"))
            return .doctype
        }
        return bogusComment()
    }

    private mutating func bogusComment() -> HTMLToken {
        skip(past: UInt8(ascii: ">"))
        return .comment
    }

    /// Ends at "-->", "--!>", or at once at ">" or "->".
    private mutating func comment() -> HTMLToken {
        if peek(0) == UInt8(ascii: ">") {
            position += 1
            return .comment
        }
        if matches("->", at: position) {
            position += 2
            return .comment
        }
        while position < input.count {
            if matches("-->", at: position) {
                position += 3
                return .comment
            }
            if matches("--!>", at: position) {
                position += 4
                return .comment
            }
            position += 1
        }
        return .comment
    }

    private mutating func skip(past byte: UInt8) {
        while position < input.count {
            position += 1
            if input[position - 1] == byte { return }
        }
    }

    // MARK: Tags

    /// From the first letter of the name. nil: the document ended inside the tag, which then is none.
    private mutating func tag(isEnd: Bool) -> HTMLToken? {
        let name = word { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: ">") || Self.isSpace($0) }
        var attributes: [String: String] = [:]
        var isSelfClosing = false
        while true {
            while let byte = peek(0), Self.isSpace(byte) { position += 1 }
            guard let byte = peek(0) else { return nil }
            if byte == UInt8(ascii: ">") {
                position += 1
                break
            }
            if byte == UInt8(ascii: "/") {
                position += 1
                isSelfClosing = peek(0) == UInt8(ascii: ">")
                continue
            }
            guard let (key, value) = attribute() else { return nil }
            if attributes[key] == nil, attributes.count < Self.maxAttributes { attributes[key] = value }
        }
        if isEnd { return .endTag(name: name) }
        if Self.rawKind(name) != nil { rawEnd = name }
        return .startTag(name: name, attributes: attributes, isSelfClosing: isSelfClosing)
    }

    /// A lower case word up to a byte that ends it. At least one byte is taken.
    private mutating func word(until isEnd: (UInt8) -> Bool) -> String {
        let start = position
        position += 1
        while position < input.count, !isEnd(input[position]) { position += 1 }
        return Self.lowered(input[start..<position])
    }

    private mutating func attribute() -> (String, String)? {
        // A "=" at the beginning belongs to the name.
        let name = word {
            $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: ">") || $0 == UInt8(ascii: "=") || Self.isSpace($0)
        }
        while let byte = peek(0), Self.isSpace(byte) { position += 1 }
        guard let sign = peek(0) else { return nil }
        guard sign == UInt8(ascii: "=") else { return (name, "") }
        position += 1
        while let byte = peek(0), Self.isSpace(byte) { position += 1 }
        guard let quote = peek(0) else { return nil }
        if quote == UInt8(ascii: ">") { return (name, "") }
        let start: Int
        if quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
            start = position + 1
            position = start
            while position < input.count, input[position] != quote { position += 1 }
            guard position < input.count else { return nil }
            defer { position += 1 }
            return (name, CharacterReferences.decoded(input[start..<position], inAttribute: true, steps))
        }
        start = position
        while let byte = peek(0), byte != UInt8(ascii: ">"), !Self.isSpace(byte) { position += 1 }
        return (name, CharacterReferences.decoded(input[start..<position], inAttribute: true, steps))
    }

    // MARK: Raw text

    private static func rawKind(_ name: String) -> RawKind? {
        switch name {
        case "title", "textarea": .rcdata
        case "style", "xmp", "iframe", "noembed", "noframes": .rawText
        case "script": .script
        case "plaintext": .plain
        default: nil
        }
    }

    /// The text up to the element's own end tag, which is left for the next call.
    private mutating func rawText(of name: String) -> HTMLToken? {
        let start = position
        let kind = Self.rawKind(name) ?? .rawText
        position = kind == .plain ? input.count : endOfRawText(name, isScript: kind == .script)
        guard position > start else { return nil }
        let bytes = input[start..<position]
        return .text(
            kind == .rcdata
                ? CharacterReferences.decoded(bytes, inAttribute: false, steps) : String(decoding: bytes, as: UTF8.self))
    }

    /// In a script, "<!--" and then "<script" hide one end tag: the script data double escaped states.
    private func endOfRawText(_ name: String, isScript: Bool) -> Int {
        var place = position
        var isEscaped = false
        var isDoubleEscaped = false
        let endTag = "</" + name
        while place < input.count {
            // Everything looked for begins with one of these.
            guard input[place] == UInt8(ascii: "<") || isEscaped && input[place] == UInt8(ascii: "-") else {
                place += 1
                continue
            }
            if isScript {
                if !isEscaped, matches("<!--", at: place) {
                    isEscaped = true
                    // "<!-->" ends what it begins.
                    place += 2
                    continue
                }
                if isEscaped, matches("-->", at: place) { (isEscaped, isDoubleEscaped) = (false, false) }
                if isEscaped, isTag("<script", at: place) { isDoubleEscaped = true }
            }
            if isTag(endTag, at: place) {
                if !isDoubleEscaped { return place }
                isDoubleEscaped = false
            }
            place += 1
        }
        return input.count
    }

    private func isTag(_ text: String, at place: Int) -> Bool {
        guard input[place] == UInt8(ascii: "<"), matches(text, at: place) else { return false }
        let end = place + text.utf8.count
        guard end < input.count else { return false }
        return Self.isSpace(input[end]) || input[end] == UInt8(ascii: "/") || input[end] == UInt8(ascii: ">")
    }

    // MARK: Bytes

    /// - Parameter text: lower case ASCII; the input's letter case does not count.
    private func matches(_ text: String, at place: Int) -> Bool {
        guard place + text.utf8.count <= input.count else { return false }
        var index = place
        for byte in text.utf8 {
            let own = input[index]
            guard (Self.isLetter(own) ? own | 0x20 : own) == byte else { return false }
            index += 1
        }
        return true
    }

    static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte | 0x20) }

    static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0a || byte == 0x09 || byte == 0x0c || byte == 0x0d
    }

    private static func lowered(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
    }
}
