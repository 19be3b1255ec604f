// A CSV or JSON file as records with known columns, whatever spelling its header uses. Pure function over bytes; any
// thread. Never throws: what cannot be read becomes a problem with file and line, the rest is kept.
import Foundation
import TextFormats

/// A set of columns with the spellings they are known by, best first.
protocol DataColumn: Hashable, Sendable, CaseIterable {
    /// Normalised spellings (see `HeaderIndex.normalized`), the preferred one first.
    var spellings: [String] { get }
}

struct DataRecord<Column: DataColumn>: Sendable {
    /// Line of a CSV row, number of a JSON record; both from 1.
    var line: Int
    /// Never holds an absent value ("", "-", "N/A").
    var values: [Column: String]
}

/// Finds the columns a list of headers means. Remembers the last list: the records of a JSON file mostly share theirs.
struct HeaderIndex<Column: DataColumn> {
    private var bySpelling: [String: [(column: Column, rank: Int)]] = [:]
    private var lastHeaders: [String] = []
    private var lastColumns: [Column: Int] = [:]

    init() {
        for column in Column.allCases {
            for (rank, spelling) in column.spellings.enumerated() {
                bySpelling[spelling, default: []].append((column, rank))
            }
        }
    }

    /// Of several headers for one column the best spelling wins.
    mutating func columns(of headers: [String]) -> [Column: Int] {
        if headers == lastHeaders { return lastColumns }
        var best: [Column: (index: Int, rank: Int)] = [:]
        for (index, header) in headers.enumerated() {
            for (column, rank) in bySpelling[Self.normalized(header)] ?? [] {
                if let known = best[column], known.rank <= rank { continue }
                best[column] = (index, rank)
            }
        }
        lastHeaders = headers
        lastColumns = best.mapValues(\.index)
        return lastColumns
    }

    /// Lower case, half width, "%" as "percent", without blanks, signs and remarks in brackets: "Change (%)" becomes
    /// "changepercent", "收盘价（元）" becomes "收盘价".
    static func normalized(_ header: String) -> String {
        var text = ValueReading.halfWidth(header).lowercased()
        if let open = text.firstIndex(of: "("), let close = text[open...].firstIndex(of: ")") {
            let remark = text[open...close]
            text.replaceSubrange(open...close, with: remark.contains("%") ? "%" : "")
        }
        text = text.replacingOccurrences(of: "%", with: "percent")
        return String(text.filter { $0.isLetter || $0.isNumber })
    }
}

struct DataTable<Column: DataColumn>: Sendable {
    private(set) var records: [DataRecord<Column>] = []
    private(set) var problems: [MarketDataError] = []
    private let file: String
    /// Members of one JSON object, so symbols in an object keyed by symbol.
    private static var maxMembers: Int { 20_000 }

    /// - Parameters:
    ///   - file: path shown in problems; its ending decides between JSON and CSV.
    ///   - required: columns without which no row of the file means anything.
    ///   - key: the column that holds the key of a JSON object of objects (`{"AAPL": {…}}`).
    ///   - scalar: the column that holds the value where such an object has plain values (`{"AAPL": 189.5}`).
    ///   - isJSON: nil: as the file's ending says.
    init(
        _ bytes: [UInt8], file: String, isJSON: Bool? = nil, required: Set<Column>, key: Column? = nil,
        scalar: Column? = nil, steps: StepCounter = StepCounter()
    ) {
        self.file = file
        if isJSON ?? file.lowercased().hasSuffix(".json") {
            readJSON(bytes, key: key, scalar: scalar, steps)
        } else {
            readCSV(bytes, required: required, steps)
        }
    }

    // MARK: - CSV

    private mutating func readCSV(_ bytes: [UInt8], required: Set<Column>, _ steps: StepCounter) {
        let reader = CSVReader(bytes, steps)
        problems += reader.problems.map { problem(.badRow, $0.line, $0.detail) }
        if reader.unlistedProblems > 0 {
            problems.append(problem(.badRow, nil, "and \(reader.unlistedProblems) more rows that cannot be read"))
        }
        guard let header = reader.rows.first else {
            if !bytes.isEmpty { problems.append(problem(.badFormat, nil, "no header line")) }
            return
        }
        var index = HeaderIndex<Column>()
        let columns = index.columns(of: header.fields)
        let lacking = required.filter { columns[$0] == nil }
        guard lacking.isEmpty else {
            let wanted = lacking.map { $0.spellings[0] }.sorted().joined(separator: ", ")
            problems.append(problem(.badFormat, header.line, "the header names no column for: \(wanted)"))
            return
        }
        for row in reader.rows.dropFirst() {
            steps.add(columns.count)
            var values: [Column: String] = [:]
            for (column, index) in columns where index < row.fields.count && !ValueReading.isAbsent(row.fields[index]) {
                values[column] = row.fields[index]
            }
            records.append(DataRecord(line: row.line, values: values))
        }
        if reader.isTruncated {
            problems.append(problem(.tooLarge, nil, "only the first \(DataLimits.rows) rows were read"))
        }
    }

    // MARK: - JSON

    private mutating func readJSON(_ bytes: [UInt8], key: Column?, scalar: Column?, _ steps: StepCounter) {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let plain = bytes.starts(with: mark) ? Array(bytes.dropFirst(mark.count)) : bytes
        let root: JSON
        do {
            root = try JSON.parse(
                plain, limits: .init(maxBytes: DataLimits.fileBytes, maxDepth: 16, maxMembers: Self.maxMembers),
                steps: steps)
        } catch {
            problems.append(problem(.badFormat, nil, "not valid JSON: \(error.detail) at byte \(error.offset)"))
            return
        }
        var index = HeaderIndex<Column>()
        for (offset, found) in Self.flattened(root, key: key, scalar: scalar, &index).enumerated() {
            let (values, isRecord) = found
            guard offset < DataLimits.rows else {
                problems.append(problem(.tooLarge, nil, "only the first \(DataLimits.rows) records were read"))
                break
            }
            if isRecord {
                records.append(DataRecord(line: offset + 1, values: values))
            } else {
                problems.append(problem(.badRow, offset + 1, "record \(offset + 1) is no object"))
            }
        }
        if root.array == nil && root.object == nil {
            problems.append(problem(.badFormat, nil, "must be an array of objects or an object"))
        }
    }

    /// The records of an array of objects, an object around such an array, or an object keyed by `key`.
    private static func flattened(
        _ root: JSON, key: Column?, scalar: Column?, _ index: inout HeaderIndex<Column>
    ) -> [([Column: String], Bool)] {
        if let array = root.array {
            var result: [([Column: String], Bool)] = []
            for item in array {
                result.append(item.object.map { (values(of: $0, &index), true) } ?? ([:], false))
            }
            return result
        }
        guard let object = root.object else { return [] }
        for name in ["quotes", "prices", "items", "feeds", "news", "data", "results"] {
            if let inner = object[name], inner.array != nil {
                return flattened(inner, key: key, scalar: scalar, &index)
            }
        }
        let own = values(of: object, &index)
        guard let key else { return [(own, true)] }
        if own[key] != nil { return [(own, true)] }
        var result: [([Column: String], Bool)] = []
        for (name, value) in object {
            for item in value.array ?? [value] {
                var found: [Column: String]
                if let inner = item.object {
                    found = values(of: inner, &index)
                } else if let scalar, let text = text(item) {
                    found = [scalar: text]
                } else {
                    result.append(([:], false))
                    continue
                }
                if found[key] == nil { found[key] = name }
                result.append((found, true))
            }
        }
        return result
    }

    private static func values(
        of object: JSONObject, _ headers: inout HeaderIndex<Column>
    ) -> [Column: String] {
        let keys = object.keys
        var result: [Column: String] = [:]
        for (column, index) in headers.columns(of: keys) {
            guard let value = object[keys[index]], let text = text(value), !ValueReading.isAbsent(text) else {
                continue
            }
            result[column] = text
        }
        return result
    }

    private static func text(_ value: JSON) -> String? {
        switch value {
        case .string(let text): return text
        case .int, .double: return value.text()
        case .array(let items): return items.compactMap(\.string).joined(separator: ";")
        case .null, .bool, .object: return nil
        }
    }

    private func problem(_ code: MarketDataError.Code, _ line: Int?, _ detail: String) -> MarketDataError {
        MarketDataError(code: code, file: file, line: line, detail: detail)
    }
}
