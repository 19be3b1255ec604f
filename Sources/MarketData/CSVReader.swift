// RFC 4180 as it is found in the wild: quoted fields with commas and newlines inside, "" for a quote, CRLF, LF or CR
// line ends, a byte order mark, and comma, semicolon or tab as the separator (decided by the header line). Pure
// function over bytes; any thread; linear in them: a byte that was read is not read again. It never throws: what it cannot
// read it reports by line and goes on.
import TextFormats

/// One record of a table-like file: where it began and what its fields hold.
struct CSVRow: Sendable, Equatable {
    /// Line on which the row begins, counted from 1.
    var line: Int
    var fields: [String]
}

struct CSVReader {
    private(set) var rows: [CSVRow] = []
    /// The first `maxProblems`.
    private(set) var problems: [(line: Int, detail: String)] = []
    /// Problems that are not in `problems`.
    private(set) var unlistedProblems = 0
    private(set) var isTruncated = false

    private static let maxProblems = 10_000
    private static let quote = UInt8(ascii: "\"")
    private static let carriageReturn = UInt8(ascii: "\r")
    private static let lineFeed = UInt8(ascii: "\n")

    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private let steps: StepCounter

    init(_ bytes: [UInt8], maxRows: Int = DataLimits.rows, _ steps: StepCounter = StepCounter()) {
        self.steps = steps
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        self.bytes = bytes.starts(with: mark) ? Array(bytes.dropFirst(mark.count)) : bytes
        let separator = Self.separator(of: self.bytes, steps)
        while position < self.bytes.count, !steps.isStopped {
            guard rows.count < maxRows else {
                isTruncated = true
                break
            }
            readRow(separator: separator)
        }
    }

    /// The separator that occurs most in the first line outside quotes; comma when none does.
    private static func separator(of bytes: [UInt8], _ steps: StepCounter) -> UInt8 {
        let candidates: [UInt8] = [UInt8(ascii: ","), UInt8(ascii: "\t"), UInt8(ascii: ";")]
        var counts: [UInt8: Int] = [:]
        var isQuoted = false
        for byte in bytes {
            steps.add()
            if byte == quote { isQuoted.toggle() }
            if isQuoted { continue }
            if byte == lineFeed || byte == carriageReturn { break }
            if candidates.contains(byte) { counts[byte, default: 0] += 1 }
        }
        return candidates.max { counts[$0, default: 0] < counts[$1, default: 0] } ?? candidates[0]
    }

    private mutating func readRow(separator: UInt8) {
        let start = line
        var fields: [String] = []
        var isBad = false
        while true {
            let (field, problem) = readField(separator: separator)
            if let problem {
                report(start, problem)
                isBad = true
            }
            if fields.count < DataLimits.columns {
                fields.append(field)
            } else if !isBad {
                report(start, "more than \(DataLimits.columns) fields")
                isBad = true
            }
            if position < bytes.count, bytes[position] == separator {
                position += 1
                // A separator at the very end of the file still promises one more, empty, field.
                if position == bytes.count { fields.append("") } else { continue }
            }
            break
        }
        skipLineEnd()
        let isBlank = fields.allSatisfy(\.isEmpty)
        if !isBad && !isBlank { rows.append(CSVRow(line: start, fields: fields)) }
    }

    /// A bad row has a few bytes, its problem some hundred: those beyond the bound are counted only.
    private mutating func report(_ line: Int, _ detail: String) {
        if problems.count < Self.maxProblems { problems.append((line, detail)) } else { unlistedProblems += 1 }
    }

    private mutating func skipLineEnd() {
        guard position < bytes.count else { return }
        if bytes[position] == Self.carriageReturn {
            position += 1
            if position < bytes.count, bytes[position] == Self.lineFeed { position += 1 }
        } else if bytes[position] == Self.lineFeed {
            position += 1
        }
        line += 1
    }

    /// Reads up to the next separator or line end outside quotes and leaves `position` on it.
    private mutating func readField(separator: UInt8) -> (String, problem: String?) {
        let start = position
        // Looked at for a quote, read, checked and made a text.
        defer { steps.add(4 * (position - start) + 1) }
        var value: [UInt8] = []
        let isQuoted = startsQuoted(separator: separator)
        if isQuoted {
            while position < bytes.count {
                let byte = bytes[position]
                position += 1
                if byte == Self.quote {
                    guard position < bytes.count, bytes[position] == Self.quote else {
                        return finish(value, closed: true, separator: separator)
                    }
                    position += 1
                } else if byte == Self.lineFeed {
                    line += 1
                }
                value.append(byte)
            }
            return finish(value, closed: false, separator: separator)
        }
        while position < bytes.count, !isEnd(bytes[position], separator) { position += 1 }
        return text(bytes[start..<position])
    }

    /// Skips blanks before an opening quote and the quote itself; leaves an unquoted field untouched.
    private mutating func startsQuoted(separator: UInt8) -> Bool {
        var next = position
        while next < bytes.count, bytes[next] == UInt8(ascii: " ") { next += 1 }
        guard next < bytes.count, bytes[next] == Self.quote else { return false }
        position = next + 1
        return true
    }

    private mutating func finish(_ value: [UInt8], closed: Bool, separator: UInt8) -> (String, problem: String?) {
        guard closed else { return ("", "a quoted field is never closed") }
        var stray = false
        while position < bytes.count, !isEnd(bytes[position], separator) {
            if bytes[position] != UInt8(ascii: " ") { stray = true }
            position += 1
        }
        return stray ? ("", "text after a closing quote") : text(value[...])
    }

    private func isEnd(_ byte: UInt8, _ separator: UInt8) -> Bool {
        byte == separator || byte == Self.lineFeed || byte == Self.carriageReturn
    }

    private func text(_ value: ArraySlice<UInt8>) -> (String, problem: String?) {
        if value.isEmpty { return ("", nil) }
        guard let text = String(validating: value, as: UTF8.self) else { return ("", "not valid UTF-8") }
        return (text.trimmed(), nil)
    }
}
