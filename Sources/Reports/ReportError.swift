// The room's one error type.

/// Why a report could not be described or rendered.
public struct ReportError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable, CaseIterable {
        /// The page template in the program does not compile; every build is tested against it.
        case template
        /// The text is longer than what is rendered.
        case tooLarge = "report_too_large"
        /// The caller wanted no result any more.
        case stopped
    }

    public var code: Code
    public var detail: String

    public init(code: Code, detail: String) {
        self.code = code
        self.detail = detail
    }

    public var description: String { "\(code.rawValue): \(detail)" }
}
