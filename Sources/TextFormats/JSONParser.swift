// Strict RFC 8259 parsing of bytes that may come from anyone: UTF-8 is checked, depth, size and member counts are
// bounded, names that occur twice are refused. Pure; any thread.

/// Why a text is no acceptable JSON.
public struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    public var detail: String
    /// Where, in bytes from the start.
    public var offset: Int

    public var description: String { "\(detail) at byte \(offset)" }
}

extension JSON {
    /// Bounds of a text to be parsed. Sizes in bytes.
    public struct Limits: Sendable {
        public var maxBytes: Int
        public var maxDepth: Int
        public var maxMembers: Int
        /// Takes what other people's software writes: the last of two members of one name, NaN, Infinity and numbers out of
        /// range as null, half a surrogate pair and bytes that are no UTF-8 as U+FFFD, a comma behind the last element, line
        /// breaks and other control characters inside a string. Never for what is stored or signed.
        public var isLenient = false
        /// Half a surrogate pair becomes a mark instead of U+FFFD: its other half may stand in the next text (`PartialText`).
        /// Counts where `isLenient` is set.
        public var marksHalves = false

        /// For answers of services that are paid for whether they are well formed or not.
        public static let lenient: Limits = {
            var limits = Limits()
            limits.isLenient = true
            return limits
        }()

        /// For one event of a stream, whose texts may be cut inside a character.
        public static let streamed: Limits = {
            var limits = Limits.lenient
            limits.marksHalves = true
            return limits
        }()

        public init(maxBytes: Int = 64 << 20, maxDepth: Int = 64, maxMembers: Int = 4_096) {
            self.maxBytes = maxBytes
            self.maxDepth = maxDepth
            self.maxMembers = maxMembers
        }
    }

    /// - Throws: `JSONError` with the place of the first fault.
    /// - Parameter steps: counts the work; it does not end it.
    public static func parse(
        _ bytes: [UInt8], limits: Limits = Limits(), steps: StepCounter? = nil
    ) throws(JSONError) -> JSON {
        guard bytes.count <= limits.maxBytes else {
            throw JSONError(detail: "longer than \(limits.maxBytes) bytes", offset: limits.maxBytes)
        }
        var parser = JSONParser(bytes: bytes, limits: limits)
        defer { steps?.add(parser.position + parser.comparisons) }
        return try parser.document()
    }

    /// Whether `parse` would take the bytes, for less memory: no value is kept.
    public static func check(_ bytes: [UInt8], limits: Limits = Limits()) throws(JSONError) {
        guard bytes.count <= limits.maxBytes else {
            throw JSONError(detail: "longer than \(limits.maxBytes) bytes", offset: limits.maxBytes)
        }
        var parser = JSONParser(bytes: bytes, limits: limits)
        parser.keepsValues = false
        _ = try parser.document()
    }

    public static func parse(_ text: String, limits: Limits = Limits()) throws(JSONError) -> JSON {
        try parse(Array(text.utf8), limits: limits)
    }

    /// Several values one behind the other, with or without white space between them.
    /// - Returns: nil where the bytes are anything else, or more than `maxValues` values.
    public static func sequence(_ bytes: [UInt8], limits: Limits = Limits(), maxValues: Int) -> [JSON]? {
        guard bytes.count <= limits.maxBytes else { return nil }
        var parser = JSONParser(bytes: bytes, limits: limits)
        // The caller has no use for the place of a fault.
        return try? parser.sequence(maxValues: maxValues)
    }
}

private struct JSONParser {
    let bytes: [UInt8]
    let limits: JSON.Limits
    var position = 0
    var depth = 0
    /// Looks at names that the object has already. All other work moves `position` on, and nothing moves it back.
    var comparisons = 0
    var keepsValues = true

    init(bytes: [UInt8], limits: JSON.Limits) {
        self.bytes = bytes
        self.limits = limits
    }

    mutating func document() throws(JSONError) -> JSON {
        skipSpace()
        let value = try self.value()
        skipSpace()
        guard position == bytes.count else { throw fault("unexpected text after the value") }
        return value
    }

    mutating func sequence(maxValues: Int) throws(JSONError) -> [JSON] {
        var values: [JSON] = []
        skipSpace()
        while position < bytes.count {
            guard values.count < maxValues else { throw fault("more than \(maxValues) values") }
            values.append(try value())
            skipSpace()
        }
        return values
    }

    func fault(_ detail: String, at offset: Int? = nil) -> JSONError {
        JSONError(detail: detail, offset: offset ?? position)
    }

    var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    mutating func value() throws(JSONError) -> JSON {
        switch peek {
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n") where limits.isLenient && isAhead(UInt8(ascii: "a")): return try word("nan", .null)
        case UInt8(ascii: "n"): return try word("null", .null)
        case nil: throw fault("the text ends where a value should stand")
        case UInt8(ascii: "N") where limits.isLenient: return try word("NaN", .null)
        case UInt8(ascii: "I") where limits.isLenient: return try word("Infinity", .null)
        case UInt8(ascii: "-") where limits.isLenient && isAhead(UInt8(ascii: "I")): return try word("-Infinity", .null)
        case let byte?:
            guard byte == UInt8(ascii: "-") || (0x30...0x39).contains(byte) else {
                throw fault("no JSON value starts here")
            }
            return try number()
        }
    }

    func isAhead(_ byte: UInt8) -> Bool { position + 1 < bytes.count && bytes[position + 1] == byte }

    mutating func word(_ text: StaticString, _ value: JSON) throws(JSONError) -> JSON {
        let count = text.utf8CodeUnitCount
        guard position + count <= bytes.count else { throw fault("no JSON value starts here") }
        let matches = text.withUTF8Buffer { $0.elementsEqual(bytes[position..<position + count]) }
        guard matches else { throw fault("no JSON value starts here") }
        position += count
        return value
    }

    mutating func enter() throws(JSONError) {
        depth += 1
        position += 1
        guard depth <= limits.maxDepth else { throw fault("nested deeper than \(limits.maxDepth)") }
    }

    mutating func array() throws(JSONError) -> JSON {
        try enter()
        var values: [JSON] = []
        skipSpace()
        if peek == UInt8(ascii: "]") {
            position += 1
            depth -= 1
            return .array([])
        }
        while true {
            skipSpace()
            let value = try value()
            if keepsValues { values.append(value) }
            skipSpace()
            if try endsList(with: UInt8(ascii: "]")) { return .array(values) }
            if try endsAfterComma(with: UInt8(ascii: "]")) { return .array(values) }
        }
    }

    mutating func object() throws(JSONError) -> JSON {
        try enter()
        var names: [String] = []
        var values: [JSON] = []
        /// Where each name is; empty as long as there are few.
        var places: [String: Int] = [:]
        skipSpace()
        if peek == UInt8(ascii: "}") {
            position += 1
            depth -= 1
            return .object(JSONObject())
        }
        while true {
            skipSpace()
            let start = position
            guard peek == UInt8(ascii: "\"") else { throw fault("a member needs a name in double quotes") }
            let name = try string()
            let known = place(of: name, in: names, &places)
            guard known == nil || limits.isLenient else {
                throw fault("the name \"\(name.prefix(100))\" occurs twice", at: start)
            }
            guard names.count < limits.maxMembers else { throw fault("more than \(limits.maxMembers) members") }
            skipSpace()
            guard peek == UInt8(ascii: ":") else { throw fault("a colon is missing after the name") }
            position += 1
            skipSpace()
            let value = try value()
            if let known {
                values[known] = value
            } else {
                if !places.isEmpty { places[name] = names.count }
                names.append(name)
                values.append(keepsValues ? value : .null)
            }
            skipSpace()
            var isOver = try endsList(with: UInt8(ascii: "}"))
            if !isOver { isOver = try endsAfterComma(with: UInt8(ascii: "}")) }
            if isOver { return .object(JSONObject(uniqueNames: names, values: values)) }
        }
    }

    /// Most objects are small: comparing a name with a few others costs less than hashing all of them.
    private static let fewNames = 16

    mutating func place(of name: String, in names: [String], _ places: inout [String: Int]) -> Int? {
        guard names.count >= JSONParser.fewNames else {
            comparisons += names.count
            return names.firstIndex(of: name)
        }
        if places.isEmpty {
            comparisons += names.count
            for (place, name) in names.enumerated() { places[name] = place }
        }
        comparisons += 1
        return places[name]
    }

    /// Behind a comma: whether the list ends there although the comma promised one element more.
    mutating func endsAfterComma(with closing: UInt8) throws(JSONError) -> Bool {
        guard limits.isLenient else { return false }
        skipSpace()
        guard peek == closing else { return false }
        return try endsList(with: closing)
    }

    /// After an element: true at the closing byte, false at a comma.
    mutating func endsList(with closing: UInt8) throws(JSONError) -> Bool {
        switch peek {
        case closing:
            position += 1
            depth -= 1
            return true
        case UInt8(ascii: ","):
            position += 1
            return false
        case nil: throw fault("the text ends inside a list or object")
        default: throw fault("a comma or a closing bracket is missing")
        }
    }
}

// MARK: - Strings and numbers

extension JSONParser {
    mutating func string() throws(JSONError) -> String {
        position += 1
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                let text = try checked(start..<position)
                position += 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try escapedString(from: start) }
            guard byte >= 0x20 || limits.isLenient else { throw fault("a control character must be escaped") }
            position += 1
        }
        throw fault("the text ends inside a string")
    }

    func checked(_ range: Range<Int>) throws(JSONError) -> String {
        try text(of: bytes[range], at: range.lowerBound)
    }

    private func text(of bytes: some Collection<UInt8>, at offset: Int) throws(JSONError) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        guard limits.isLenient else { throw fault("the text is not valid UTF-8", at: offset) }
        return limits.marksHalves ? PartialText.decoding(Array(bytes)) : String(decoding: bytes, as: UTF8.self)
    }

    /// The rest of a string whose first escape stands at `position`.
    mutating func escapedString(from start: Int) throws(JSONError) -> String {
        var text = Array(bytes[start..<position])
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return try self.text(of: text, at: start)
            case UInt8(ascii: "\\"):
                position += 1
                try escape(into: &text)
            case 0..<0x20 where !limits.isLenient: throw fault("a control character must be escaped")
            default:
                text.append(byte)
                position += 1
            }
        }
        throw fault("the text ends inside a string")
    }

    mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        guard let byte = peek else { throw fault("the text ends inside a string") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): try unicodeEscape(into: &text)
        default: throw fault("unknown escape", at: position - 1)
        }
    }

    mutating func unicodeEscape(into text: inout [UInt8]) throws(JSONError) {
        let start = position
        let value = try hexUnit()
        if let scalar = Unicode.Scalar(value) {
            text.append(contentsOf: UTF8.encode(scalar)!)
            return
        }
        if value < 0xDC00, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
            bytes[position + 1] == UInt8(ascii: "u")
        {
            let next = position
            position += 2
            let low = try hexUnit()
            if (0xDC00..<0xE000).contains(low), let scalar = Unicode.Scalar(0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)) {
                text.append(contentsOf: UTF8.encode(scalar)!)
                return
            }
            position = next
        }
        guard limits.isLenient else { throw fault("half of a surrogate pair", at: start) }
        text.append(contentsOf: UTF8.encode(limits.marksHalves ? PartialText.mark(surrogate: value) : "\u{FFFD}")!)
    }

    mutating func hexUnit() throws(JSONError) -> UInt32 {
        guard position + 4 <= bytes.count else { throw fault("an escape \\u needs four hexadecimal digits") }
        var value: UInt32 = 0
        for byte in bytes[position..<position + 4] {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 + UInt32(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 + UInt32(byte - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 + UInt32(byte - UInt8(ascii: "A") + 10)
            default: throw fault("an escape \\u needs four hexadecimal digits")
            }
        }
        position += 4
        return value
    }

    mutating func digits() -> Int {
        let start = position
        while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        return position - start
    }

    mutating func number() throws(JSONError) -> JSON {
        let start = position
        var isWhole = true
        if peek == UInt8(ascii: "-") { position += 1 }
        let first = peek
        let count = digits()
        guard count > 0 else { throw fault("a number needs digits") }
        guard count == 1 || first != UInt8(ascii: "0") else { throw fault("a number has no leading zero", at: start) }
        if peek == UInt8(ascii: ".") {
            isWhole = false
            position += 1
            guard digits() > 0 else { throw fault("digits are missing after the decimal point") }
        }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
            isWhole = false
            position += 1
            if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { position += 1 }
            guard digits() > 0 else { throw fault("digits are missing in the exponent") }
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isWhole, let value = Int64(text) { return .int(value) }
        guard let value = Double(text), value.isFinite else {
            if limits.isLenient { return .null }
            throw fault("the number is out of range", at: start)
        }
        return .double(value)
    }
}
