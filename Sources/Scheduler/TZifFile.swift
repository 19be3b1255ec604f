// Reads a compiled time zone file: TZif version 2 and later, RFC 9636, the 64-bit block and the footer.
// Pure, any thread. Every count is checked against the file's size before it is used, so a hostile or
// damaged file gives a `ScheduleError`, never a trap.

enum TZifFile {
    /// Larger files are refused unread; the largest of tzdata has 4 KiB.
    static let maxBytes = 1 << 20

    static func rules(identifier: String, bytes: [UInt8]) throws(ScheduleError) -> ZoneRules {
        var reader = TZifReader(bytes: bytes)
        guard let old = reader.header(), old.version >= 0x32, reader.skip(old.size(timeBytes: 4)),
            let header = reader.header(), let block = reader.block(header), let footer = reader.footer()
        else {
            throw ScheduleError(
                .invalidTimeZone, "the file of time zone \(identifier) is not TZif version 2; reinstall tzdata",
                field: "timezone")
        }
        guard header.leapCount == 0 else {
            throw ScheduleError(
                .invalidTimeZone, "time zone \(identifier) counts leap seconds; use the one without \"right/\"",
                field: "timezone")
        }
        var rule: PosixZoneRule?
        if !footer.isEmpty {
            rule = PosixZoneRule(footer)
            guard rule != nil else {
                throw ScheduleError(
                    .invalidTimeZone, "the rule \"\(footer)\" of time zone \(identifier) cannot be read",
                    field: "timezone")
            }
        }
        return ZoneRules(
            identifier: identifier, firstOffset: block.firstOffset, transitions: block.transitions, rule: rule)
    }
}

private struct TZifReader {
    struct Header {
        var version: UInt8
        var utCount: Int
        var standardCount: Int
        var leapCount: Int
        var timeCount: Int
        var typeCount: Int
        var nameBytes: Int

        func size(timeBytes: Int) -> Int {
            timeCount * (timeBytes + 1) + typeCount * 6 + nameBytes + leapCount * (timeBytes + 4)
                + standardCount + utCount
        }
    }

    struct Block {
        var firstOffset: Int
        var transitions: [(time: Int, offset: Int)]
    }

    let bytes: [UInt8]
    private var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    private var left: Int { bytes.count - position }

    mutating func skip(_ count: Int) -> Bool {
        guard count <= left else { return false }
        position += count
        return true
    }

    /// A big-endian two's complement number; the caller has checked that it is there.
    private func integer(at offset: Int, count: Int) -> Int {
        var value = bytes[offset] >= 0x80 ? -1 : 0
        for byte in bytes[offset..<offset + count] { value = value << 8 | Int(byte) }
        return value
    }

    mutating func header() -> Header? {
        guard left >= 44, bytes[position..<position + 4].elementsEqual("TZif".utf8) else { return nil }
        let counts = (0..<6).map { integer(at: position + 20 + $0 * 4, count: 4) }
        guard counts.allSatisfy({ (0...TZifFile.maxBytes).contains($0) }) else { return nil }
        defer { position += 44 }
        return Header(
            version: bytes[position + 4], utCount: counts[0], standardCount: counts[1], leapCount: counts[2],
            timeCount: counts[3], typeCount: counts[4], nameBytes: counts[5])
    }

    mutating func block(_ header: Header) -> Block? {
        let size = header.size(timeBytes: 8)
        guard size <= left, header.typeCount > 0 else { return nil }
        let indexes = position + header.timeCount * 8
        let types = indexes + header.timeCount
        let offsets = (0..<header.typeCount).map { integer(at: types + $0 * 6, count: 4) }
        guard offsets.allSatisfy({ abs($0) < ZoneRules.widestOffset }) else { return nil }
        var transitions: [(time: Int, offset: Int)] = []
        transitions.reserveCapacity(header.timeCount)
        for index in 0..<header.timeCount {
            let time = integer(at: position + index * 8, count: 8)
            let type = Int(bytes[indexes + index])
            // RFC 9636: no transition before -2^59; such a bound keeps sums from overflowing.
            guard type < offsets.count, abs(time >> 1) <= 1 << 58, transitions.last.map({ $0.time < time }) ?? true
            else { return nil }
            transitions.append((time, offsets[type]))
        }
        position += size
        return Block(firstOffset: offsets[0], transitions: transitions)
    }

    /// The text between two newlines at the end; "" where there is no rule.
    mutating func footer() -> String? {
        guard left >= 2, bytes[position] == 10, let end = bytes[(position + 1)...].firstIndex(of: 10) else {
            return nil
        }
        return String(decoding: bytes[position + 1..<end], as: UTF8.self)
    }
}
