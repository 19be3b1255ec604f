// The room's one error type. Readers of data files do not throw it at their caller: a bad row or a bad file must not
// hide the good ones, so the errors come back in a list beside the values and the caller decides who is told.
import TextFormats

/// What was wrong with a data file, where, and what to do about it.
public struct MarketDataError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable, CaseIterable {
        /// The file system refused; the file's values are unknown.
        case unreadable
        /// Beyond `DataLimits`; what lies beyond was not read.
        case tooLarge = "too_large"
        /// The file as a whole is no CSV or JSON we can read.
        case badFormat = "bad_format"
        /// One row lacks what it needs; the others were taken.
        case badRow = "bad_row"
    }

    public var code: Code
    /// Relative to the workspace: "data/quotes.csv".
    public var file: String
    /// First line of the row, counted from 1; for JSON the number of the record. Nil when the whole file is meant.
    public var line: Int?
    public var detail: String

    public init(code: Code, file: String, line: Int? = nil, detail: String) {
        self.code = code
        self.file = file
        self.line = line
        self.detail = detail
    }

    public var description: String {
        line.map { "\(file):\($0): \(detail)" } ?? "\(file): \(detail)"
    }

    public var json: JSON {
        var fields = JSONObject()
        fields["code"] = .string(code.rawValue)
        fields["file"] = .string(file)
        if let line { fields["line"] = .int(Int64(line)) }
        fields["detail"] = .string(detail)
        return .object(fields)
    }
}

/// The bounds of what is read from `data/` for one question.
public enum DataLimits {
    /// Bytes of one file; a longer one is reported and not read.
    public static let fileBytes = 8 << 20
    /// Files of one kind (quotes or feeds) read, in order of their names.
    public static let files = 32
    /// Rows of one file; the rest is reported once.
    public static let rows = 100_000
    /// Fields of one CSV row.
    public static let columns = 256
    /// Reported problems; beyond it one line says how many more there were.
    public static let problems = 50
    /// Characters of one text value (name, title, source); longer ones are cut.
    public static let textLength = 500
    /// History points kept per symbol, the latest ones.
    public static let historyPoints = 2_000
}
