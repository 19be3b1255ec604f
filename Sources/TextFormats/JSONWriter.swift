// JSON values as text. Pure; any thread.

extension JSON {
    /// Compact by default; `pretty` indents by two spaces. Members stand in the order they were added.
    /// A number that is not finite has no JSON form and is written as null.
    public func text(pretty: Bool = false) -> String {
        String(decoding: bytes(pretty: pretty), as: UTF8.self)
    }

    public func bytes(pretty: Bool = false) -> [UInt8] {
        var writer = JSONWriter(pretty: pretty)
        writer.write(self, indent: 0)
        return writer.out
    }
}

extension JSON: CustomStringConvertible {
    public var description: String { text() }
}

struct JSONWriter {
    var out: [UInt8] = []
    let pretty: Bool

    init(pretty: Bool) {
        self.pretty = pretty
        out.reserveCapacity(256)
    }

    mutating func write(_ value: JSON, indent: Int) {
        switch value {
        case .null: append("null")
        case .bool(let bool): append(bool ? "true" : "false")
        case .int(let int): append(String(int))
        case .double(let double): append(double.isFinite ? JSONWriter.number(double) : "null")
        case .string(let string): write(string)
        case .array(let values):
            list(values, brackets: ("[", "]"), indent: indent) { $0.write($1, indent: indent + 1) }
        case .object(let members):
            list(members, brackets: ("{", "}"), indent: indent) {
                $0.write($1.key)
                $0.append($0.pretty ? ": " : ":")
                $0.write($1.value, indent: indent + 1)
            }
        }
    }

    /// "1.5", and "3.0" as "3.0": the shortest text that reads back as the same double.
    static func number(_ value: Double) -> String { "\(value)" }

    mutating func append(_ text: String) { out.append(contentsOf: text.utf8) }

    private mutating func list<Items: Sequence>(
        _ items: Items, brackets: (String, String), indent: Int, _ body: (inout JSONWriter, Items.Element) -> Void
    ) {
        append(brackets.0)
        var isFirst = true
        for item in items {
            if !isFirst { append(",") }
            isFirst = false
            newline(indent + 1)
            body(&self, item)
        }
        if !isFirst { newline(indent) }
        append(brackets.1)
    }

    private mutating func newline(_ indent: Int) {
        guard pretty else { return }
        out.append(0x0A)
        out.append(contentsOf: repeatElement(0x20, count: indent * 2))
    }

    mutating func write(_ string: String) {
        out.append(UInt8(ascii: "\""))
        var string = string
        string.withUTF8 { bytes in
            var start = 0
            for index in bytes.indices {
                let byte = bytes[index]
                if byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { continue }
                guard let escape = JSONWriter.escape(bytes[index]) else { continue }
                out.append(contentsOf: bytes[start..<index])
                out.append(contentsOf: escape.utf8)
                start = index + 1
            }
            out.append(contentsOf: bytes[start...])
        }
        out.append(UInt8(ascii: "\""))
    }

    private static func escape(_ byte: UInt8) -> String? {
        switch byte {
        case UInt8(ascii: "\""): return "\\\""
        case UInt8(ascii: "\\"): return "\\\\"
        case 0x0A: return "\\n"
        case 0x0D: return "\\r"
        case 0x09: return "\\t"
        case 0..<0x20:
            let hex = String(byte, radix: 16)
            return "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
        default: return nil
        }
    }
}
