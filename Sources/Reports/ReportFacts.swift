// Checks the numbers in a report's tables against the quotes it was given. Pure, any thread. It looks at table rows
// that name one of the quotes: each number there must be a value of that quote, rounded as it is written, or part of a
// time, the name or the symbol. Prose is not judged: a number there may be anything.
import Foundation
import MarketData
import TextFormats

public enum ReportFacts {
    /// A number in a table that no given quote has.
    public struct Finding: Sendable, Hashable {
        public var symbol: String
        /// The number as it is written.
        public var number: String
        /// The cell it stands in.
        public var cell: String
    }

    /// Every number in the tables of `markdown` that contradicts `quotes`, in order.
    public static func check(_ markdown: String, quotes: [Quote]) -> [Finding] {
        var bySymbol: [String: Quote] = [:]
        for quote in quotes {
            bySymbol[quote.symbol.uppercased()] = quote
            if let name = quote.name { bySymbol[name.uppercased()] = quote }
        }
        var findings: [Finding] = []
        for case .table(let table) in MarkdownParser.parse(markdown).blocks {
            for row in table.rows {
                let cells = row.map { MarkdownInline.plainText($0).trimmed() }
                guard let quote = cells.lazy.compactMap({ bySymbol[$0.uppercased()] }).first else { continue }
                findings += cells.flatMap { cell in check(cell, against: quote) }
            }
        }
        return findings
    }

    private static func check(_ cell: String, against quote: Quote) -> [Finding] {
        // A file or an address is no figure, nor is the instrument's own name.
        let isPlace = cell == quote.source || cell.contains("/") && cell.contains(where: \.isLetter)
        if isPlace || cell.uppercased() == quote.symbol.uppercased() || cell == quote.name || isTime(cell) { return [] }
        let values = [quote.price, quote.change, quote.changePercent, quote.volume].compactMap { $0 }
        return numbers(in: cell).filter { written in !values.contains { isSame($0, written) } }
            .map { Finding(symbol: quote.symbol, number: $0, cell: cell) }
    }

    /// A cell that holds a date or a clock time.
    private static func isTime(_ cell: String) -> Bool {
        cell.range(of: #"\d{4}-\d{2}-\d{2}|\d{1,2}:\d{2}|\d{4}年"#, options: .regularExpression) != nil
    }

    private static func numbers(in cell: String) -> [String] {
        var found: [String] = []
        var current = ""
        for character in cell.filter({ $0 != "," }) + " " {
            if character.isASCII && character.isNumber || character == "." {
                current.append(character)
            } else {
                let number = current.trimmingCharacters(in: CharacterSet(charactersIn: "."))
                if number.contains(where: \.isNumber) { found.append(number) }
                current = character == "-" || character == "−" ? "-" : character == "+" ? "+" : ""
            }
        }
        return found
    }

    /// Equal to the value when that is rounded to as many decimals as are written. Signs count where they are written:
    /// "down 2%" is fine for -2.
    private static func isSame(_ value: Double, _ written: String) -> Bool {
        guard let number = Double(written) else { return false }
        let decimals = written.split(separator: ".", omittingEmptySubsequences: false).dropFirst().first?.count ?? 0
        // Half a unit of the last written place, and a little for binary fractions.
        let isSigned = written.first == "-" || written.first == "+"
        return abs((isSigned ? value : abs(value)) - number) <= 0.5 * pow(10, -Double(decimals)) + 1e-9
            * max(1, abs(value))
    }
}
