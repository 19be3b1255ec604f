// What one entry of the shared log says, and its bytes. Pure; any thread. docs/spool-format.md describes the format.
//
// An entry repeats what was just written into files without syncing them, so that these files can be put right after a
// power cut. Repeating it on files that are right changes nothing.

import DurableFiles

enum LogRecord: Equatable, Sendable {
    /// Bytes that stand at `offset` of a job's status file; `isFirst`: the record begins with them.
    case lines(JobID, offset: Int, isFirst: Bool, [UInt8])
    /// A job that was admitted: the name of its job file in queued/, and its content.
    case job(JobFileName, [UInt8])
    /// The id's place in its order file, as the offset of its line.
    case order(OrderKey, JobID, offset: Int)
    /// What was done beside the writing of the frame with that number, in the same segment, has failed: nothing of it counts.
    case void(frame: Int)

    private static let linesKind: UInt8 = 1
    private static let jobKind: UInt8 = 2
    private static let orderKind: UInt8 = 3
    private static let voidKind: UInt8 = 4

    /// kind, length of the rest, then texts with their length in front, numbers as 8 bytes, little-endian.
    func append(to bytes: inout [UInt8]) {
        var writer = LogWriter(bytes: [])
        switch self {
        case .lines(let id, let offset, let isFirst, let text):
            bytes.append(LogRecord.linesKind)
            writer.text(id.description)
            writer.number(offset)
            writer.number(isFirst ? 1 : 0)
            writer.blob(text)
        case .job(let name, let payload):
            bytes.append(LogRecord.jobKind)
            writer.text(name.description)
            writer.blob(payload)
        case .order(let key, let id, let offset):
            bytes.append(LogRecord.orderKind)
            writer.text(key.description)
            writer.text(id.description)
            writer.number(offset)
        case .void(let frame):
            bytes.append(LogRecord.voidKind)
            writer.number(frame)
        }
        var length = LogWriter(bytes: [])
        length.number(writer.bytes.count)
        bytes += length.bytes
        bytes += writer.bytes
    }

    /// - Returns: nil when an entry is none this version can read; the frame's checksum was right, so it is not damaged.
    static func parse(_ bytes: ArraySlice<UInt8>) -> [LogRecord]? {
        var reader = LogReader(bytes: bytes)
        var records: [LogRecord] = []
        while !reader.isAtEnd {
            guard let kind = reader.byte(), let body = reader.blob() else { return nil }
            var fields = LogReader(bytes: body)
            switch kind {
            case linesKind:
                guard let id = fields.text().flatMap(JobID.init), let offset = fields.number(),
                    let isFirst = fields.number(), let text = fields.blob()
                else { return nil }
                records.append(.lines(id, offset: offset, isFirst: isFirst == 1, Array(text)))
            case jobKind:
                guard let name = fields.text().flatMap(JobFileName.init), let payload = fields.blob() else { return nil }
                records.append(.job(name, Array(payload)))
            case orderKind:
                guard let key = fields.text().flatMap(OrderKey.init), let id = fields.text().flatMap(JobID.init),
                    let offset = fields.number()
                else { return nil }
                records.append(.order(key, id, offset: offset))
            case voidKind:
                guard let frame = fields.number() else { return nil }
                records.append(.void(frame: frame))
            default: return nil
            }
        }
        return records
    }
}

struct LogWriter {
    var bytes: [UInt8]

    mutating func number(_ value: Int) {
        withUnsafeBytes(of: UInt64(value).littleEndian) { bytes.append(contentsOf: $0) }
    }
    mutating func blob(_ value: [UInt8]) {
        number(value.count)
        bytes += value
    }
    mutating func text(_ value: String) { blob(Array(value.utf8)) }
}

struct LogReader {
    var bytes: ArraySlice<UInt8>

    var isAtEnd: Bool { bytes.isEmpty }
    mutating func byte() -> UInt8? { bytes.popFirst() }
    mutating func number() -> Int? {
        guard bytes.count >= 8 else { return nil }
        let value = bytes.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        bytes = bytes.dropFirst(8)
        return Int(exactly: value)
    }
    mutating func blob() -> ArraySlice<UInt8>? {
        guard let count = number(), count <= bytes.count else { return nil }
        defer { bytes = bytes.dropFirst(count) }
        return bytes.prefix(count)
    }
    mutating func text() -> String? { blob().flatMap { String(validating: $0, as: UTF8.self) } }
}
