// Reads XML 1.0 piece by piece, without ever resolving anything: document types are skipped, entities defined in them
// do not exist, nothing outside the document is fetched. So there is no external entity and no entity that grows. The
// names known are XML's five and HTML's (feeds use "&nbsp;" without declaring it); an unknown name stays as it is
// written. Namespaces are left as prefixes. A value; used on one thread; linear in the input: a byte that was read is not
// read again.
import TextFormats

/// The document is not well formed, or nested too deeply.
public struct XMLError: Error, Sendable, Hashable, CustomStringConvertible {
    public var detail: String
    /// Bytes from the beginning.
    public var offset: Int

    public var description: String { "\(detail) at byte \(offset)" }
}

public enum XMLEvent: Sendable, Hashable {
    case start(name: String, attributes: [String: String])
    case end(name: String)
    /// Character data and CDATA; one run may come in several pieces.
    case text(String)
}

public struct XMLPullParser {
    public static let maxDepth = 128
    public static let maxAttributes = 128

    private let input: [UInt8]
    private let steps: StepCounter
    private var position = 0
    private var open: [String] = []
    /// The end of an element written as `<a/>`.
    private var pendingEnd: String?
    private var hadRoot = false

    public init(_ text: String, _ steps: StepCounter = StepCounter()) {
        input = Array(text.utf8)
        self.steps = steps
    }

    /// nil at the end of a complete document.
    public mutating func next() throws(XMLError) -> XMLEvent? {
        guard !steps.isStopped else { throw error("stopped") }
        let start = position
        // Each byte is compared with a handful of others.
        defer { steps.add(4 * (position - start) + 1) }
        if let name = pendingEnd {
            pendingEnd = nil
            return .end(name: name)
        }
        while position < input.count {
            guard input[position] == UInt8(ascii: "<") else {
                if let text = try characters() { return text }
                continue
            }
            if let event = try markup() { return event }
        }
        guard open.isEmpty else { throw error("the element \(open[open.count - 1]) is not closed") }
        guard hadRoot else { throw error("there is no element") }
        return nil
    }

    private mutating func characters() throws(XMLError) -> XMLEvent? {
        let start = position
        while position < input.count, input[position] != UInt8(ascii: "<") { position += 1 }
        // Blanks and a byte order mark may stand outside the root; so may, here, anything else: it is not reported.
        guard !open.isEmpty else { return nil }
        return .text(CharacterReferences.decoded(input[start..<position], inAttribute: false, steps))
    }

    private mutating func markup() throws(XMLError) -> XMLEvent? {
        if matches("<!--") {
            try skip(past: "-->")
            return nil
        }
        if matches("<![CDATA[") {
            let start = position + 9
            try skip(past: "]]>")
            guard !open.isEmpty else { return nil }
            return .text(String(decoding: input[start..<(position - 3)], as: UTF8.self))
        }
        if matches("<!") {
            try skipDeclaration()
            return nil
        }
        if matches("<?") {
            try skip(past: "?>")
            return nil
        }
        return matches("</") ? try endTag() : try startTag()
    }

    private mutating func endTag() throws(XMLError) -> XMLEvent {
        position += 2
        let name = try name()
        skipSpace()
        guard take(">") else { throw error("an end tag is not closed") }
        guard open.last == name else { throw error("</\(name.prefix(40))> closes nothing that is open") }
        open.removeLast()
        return .end(name: name)
    }

    private mutating func startTag() throws(XMLError) -> XMLEvent {
        position += 1
        let name = try name()
        guard open.count < Self.maxDepth else { throw error("more than \(Self.maxDepth) levels") }
        guard !open.isEmpty || !hadRoot else { throw error("a second root element") }
        hadRoot = true
        var attributes: [String: String] = [:]
        while true {
            skipSpace()
            if take("/>") {
                pendingEnd = name
                return .start(name: name, attributes: attributes)
            }
            if take(">") {
                open.append(name)
                return .start(name: name, attributes: attributes)
            }
            let (key, value) = try attribute()
            guard attributes.count < Self.maxAttributes else { throw error("too many attributes") }
            attributes[key] = value
        }
    }

    private mutating func attribute() throws(XMLError) -> (String, String) {
        let key = try name()
        skipSpace()
        guard take("=") else { throw error("an attribute has no value") }
        skipSpace()
        guard position < input.count, input[position] == UInt8(ascii: "\"") || input[position] == UInt8(ascii: "'")
        else { throw error("an attribute's value is not quoted") }
        let quote = input[position]
        let start = position + 1
        position = start
        while position < input.count, input[position] != quote {
            guard input[position] != UInt8(ascii: "<") else { throw error("\"<\" in an attribute's value") }
            position += 1
        }
        guard position < input.count else { throw error("an attribute's value does not end") }
        defer { position += 1 }
        return (key, CharacterReferences.decoded(input[start..<position], inAttribute: false, steps))
    }

    private mutating func name() throws(XMLError) -> String {
        let start = position
        while position < input.count, Self.isNameByte(input[position]) { position += 1 }
        guard position > start else { throw error("a name is missing") }
        return String(decoding: input[start..<position], as: UTF8.self)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        byte >= 0x80 || (0x61...0x7a).contains(byte | 0x20) || (0x30...0x39).contains(byte)
            || "-._:".utf8.contains(byte)
    }

    /// A document type, with its brackets and quotes: read over, not read.
    private mutating func skipDeclaration() throws(XMLError) {
        var depth = 0
        var quote: UInt8?
        while position < input.count {
            let byte = input[position]
            position += 1
            if let open = quote {
                if byte == open { quote = nil }
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                quote = byte
            } else if byte == UInt8(ascii: "<") || byte == UInt8(ascii: "[") {
                depth += 1
            } else if byte == UInt8(ascii: ">") || byte == UInt8(ascii: "]") {
                depth -= 1
                if depth == 0 { return }
            }
        }
        throw error("a declaration does not end")
    }

    private mutating func skip(past text: String) throws(XMLError) {
        while position < input.count {
            if take(text) { return }
            position += 1
        }
        throw error("\"\(text)\" is missing")
    }

    private mutating func skipSpace() {
        while position < input.count, HTMLTokenizer.isSpace(input[position]) { position += 1 }
    }

    private func matches(_ text: String) -> Bool {
        guard position + text.utf8.count <= input.count else { return false }
        var place = position
        for byte in text.utf8 {
            guard input[place] == byte else { return false }
            place += 1
        }
        return true
    }

    private mutating func take(_ text: String) -> Bool {
        guard matches(text) else { return false }
        position += text.utf8.count
        return true
    }

    private func error(_ detail: String) -> XMLError { XMLError(detail: detail, offset: position) }
}
