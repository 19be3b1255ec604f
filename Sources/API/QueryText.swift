// The query of a request, read as forms write it: `+` is a blank, `%XX` a byte of UTF-8. Pure; any thread. Failure: FieldError that names
// the parameter.

import Foundation
import TextFormats

struct QueryText {
    /// In order; names may come more than once.
    let parameters: [(name: String, value: String)]

    /// - Parameter query: without its question mark; nil: there is none.
    /// - Throws: for percent signs without two hexadecimal digits, and for bytes that are no UTF-8.
    init(_ query: String?) throws(FieldError) {
        var found: [(name: String, value: String)] = []
        for pair in (query ?? "").split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decoded(parts[0]) else {
                throw FieldError(field: "query", detail: "has a parameter whose name \(Self.rule)")
            }
            guard let value = Self.decoded(parts.count == 2 ? parts[1] : "") else {
                throw FieldError(field: name, detail: Self.rule)
            }
            found.append((name, value))
        }
        parameters = found
    }

    static let rule = "must be UTF-8, percent-encoded: %XX for each byte that is no letter, digit or mark"

    /// The first one of that name.
    subscript(_ name: String) -> String? { parameters.first { $0.name == name }?.value }

    /// Whether two hexadecimal digits follow each percent sign.
    static func isEncoding(_ text: String) -> Bool {
        text.split(separator: "%", omittingEmptySubsequences: false).dropFirst().allSatisfy { part in
            part.utf8.count >= 2 && part.utf8.prefix(2).allSatisfy { UnicodeScalar($0).properties.isASCIIHexDigit }
        }
    }

    /// nil: not decodable.
    private static func decoded(_ text: Substring) -> String? {
        text.replacing("+", with: " ").removingPercentEncoding
    }

    /// A time whose offset begins with `+` has lost it where its sender did not encode it: 2026-12-01T08:00:00 08:00.
    static func time(_ text: String) -> String {
        guard let blank = text.lastIndex(of: " "), let mark = text.firstIndex(where: { $0 == "T" || $0 == "t" || $0 == " " }),
            mark < blank
        else { return text }
        return text.replacingCharacters(in: blank...blank, with: "+")
    }
}
