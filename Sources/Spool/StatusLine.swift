// One line of a status file: a JSON object that begins with its type and ends with its checksum.
// Pure; any thread. A line that does not check is treated as if it were not there.

import TextFormats

public enum LineType: String, Sendable {
    /// A state: answers polls.
    case status
    /// A model's response, a tool's intent, a tool's result: the journal.
    case model, intent, result
    /// Stream events: text deltas, tool activity.
    case event
}

public struct StatusLine: Sendable {
    public var type: LineType
    public var fields: JSONObject

    public init(_ type: LineType, _ fields: JSONObject) {
        self.type = type
        self.fields = fields
    }

    /// Our own writer's lines nest what models and tools made: far wider than what we take from people.
    private static let limits = JSON.Limits(maxBytes: StatusFile.maximumSize, maxDepth: 512, maxMembers: 1 << 20)
    private static let checksumPrefix = Array(#","crc":""#.utf8)
    /// `,"crc":"` + 8 digits + `"}`
    private static let checksumLength = 18

    /// The line with its checksum and newline.
    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes += "{\"t\":\"".utf8
        bytes += type.rawValue.utf8
        bytes.append(UInt8(ascii: "\""))
        if !fields.isEmpty {
            bytes.append(UInt8(ascii: ","))
            let object = JSON.object(fields).bytes()
            // Without its braces. `dropLast` here would be the one of any sequence, a byte at a time.
            bytes += object[1..<object.count - 1]
        }
        let checksum = CRC32C.checksum(bytes[...])
        bytes += StatusLine.checksumPrefix
        bytes += Hex.text(UInt64(checksum), digits: 8).utf8
        bytes += "\"}\n".utf8
        return bytes
    }

    /// - Parameter bytes: one line without its newline.
    /// - Returns: nil when the checksum or the shape is wrong.
    init?(_ bytes: ArraySlice<UInt8>) {
        guard StatusLine.checks(bytes) else { return nil }
        self.init(checked: bytes)
    }

    /// - Parameter bytes: a line for which `checks` was true.
    init?(checked bytes: ArraySlice<UInt8>) {
        guard let json = try? JSON.parse(Array(bytes), limits: StatusLine.limits),
            case .object(var object) = json, let type = json["t"]?.string.flatMap(LineType.init(rawValue:))
        else {
            // A damaged line is no line: callers go on with the ones that check.
            return nil
        }
        object["t"] = nil
        object["crc"] = nil
        self.type = type
        fields = object
    }

    static func checks(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard bytes.count > checksumLength else { return false }
        let body = bytes.dropLast(checksumLength)
        let tail = bytes.suffix(checksumLength)
        guard tail.starts(with: checksumPrefix), tail.suffix(2).elementsEqual("\"}".utf8) else { return false }
        var written: UInt32 = 0
        for byte in tail.dropFirst(checksumPrefix.count).prefix(8) {
            guard let digit = Hex.value(byte) else { return false }
            written = written << 4 | UInt32(digit)
        }
        return written == CRC32C.checksum(body)
    }

    /// Cheap test before the checksum is computed: every status line begins so.
    static let statusPrefix = Array(#"{"t":"status""#.utf8)
    static let eventPrefix = Array(#"{"t":"event""#.utf8)
}

/// CRC-32C (Castagnoli), reflected, as in RFC 3720 appendix B.4; eight bytes a step (Kounavis and Berry, "A Systematic
/// Approach to Building High Performance Software-based CRC Generators", 2005).
enum CRC32C {
    /// Table k: the effect of a byte that k more bytes follow.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for index in 0..<256 {
            tables[index] = (0..<8).reduce(UInt32(index)) { value, _ in
                value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1
            }
        }
        for index in 256..<8 * 256 {
            let before = tables[index - 256]
            tables[index] = before >> 8 ^ tables[Int(before & 0xFF)]
        }
        return tables
    }()

    static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 { bytes.withUnsafeBytes { checksum($0) } }

    static func checksum(_ buffer: UnsafeRawBufferPointer) -> UInt32 {
        tables.withUnsafeBufferPointer { table in
            var value: UInt32 = 0xFFFF_FFFF
            var place = 0
            while place + 8 <= buffer.count {
                let word = buffer.loadUnaligned(fromByteOffset: place, as: UInt64.self).littleEndian ^ UInt64(value)
                value = 0
                for step in 0..<8 { value ^= table[(7 - step) * 256 + Int(word >> UInt64(step * 8) & 0xFF)] }
                place += 8
            }
            while place < buffer.count {
                value = value >> 8 ^ table[Int((value ^ UInt32(buffer[place])) & 0xFF)]
                place += 1
            }
            return value ^ 0xFFFF_FFFF
        }
    }
}
