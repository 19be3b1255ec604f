// The quotes a user keeps as files in the workspace's `data/` folder. Any thread; each question reads the files anew
// (bounded by DataLimits), so an edited file counts at once and no tenant's data outlives the question. Never throws:
// a file that cannot be read is a problem in the answer, not the end of it.
//
// Files read: *.csv, *.tsv and *.json directly in `data/` whose names begin with quote, price, history, market, stock,
// 行情, 价格 or 股价 ("quotes.csv", "prices-2026.csv", "行情.csv"). Where a table has no symbol column, the part of the
// name after the first "-" or "_" is the symbol ("prices-AAPL.csv"). Header spellings: QuoteColumn. A file with
// several rows per symbol is a history; the latest row is the quote.
import DurableFiles
import TextFormats

public final class QuoteBook: Sendable {
    private let folder: DataFolder

    /// - Parameter directory: the workspace's root; the files lie in its `data/`.
    public init(directory: SealedDirectory) {
        folder = DataFolder(
            directory: directory,
            beginnings: ["quote", "price", "history", "market", "stock", "行情", "价格", "股价"])
    }

    /// Everything the files say now, and what sources beside them have said: of two prices of a symbol the later counts.
    public func read(with pieces: [SourcePiece] = [], problems: [MarketDataError] = []) -> QuoteTable {
        var table = QuoteTable()
        folder.forEachFile { name, path, result in
            switch result {
            case .success(let bytes): table.add(bytes, file: path, symbolFromName: Self.symbol(inName: name))
            case .failure(let problem): table.report(problem)
            }
        }
        for piece in pieces {
            table.add(piece.bytes, file: piece.label, isJSON: piece.format == .json, symbolFromName: piece.symbol)
        }
        for problem in problems { table.report(problem) }
        table.finish()
        return table
    }

    /// See `QuoteTable.quotes`.
    public func quotes(_ symbols: [String]) -> (found: [Quote], missing: [String]) { read().quotes(symbols) }

    /// See `QuoteTable.history`.
    public func history(_ symbol: String) -> [PricePoint] { read().history(symbol) }

    private static func symbol(inName name: String) -> String? {
        let stem = name.prefix(while: { $0 != "." })
        guard let mark = stem.firstIndex(where: { $0 == "-" || $0 == "_" }) else { return nil }
        // "prices-0700.HK.csv": the symbol may hold a dot, so cut only the ending.
        let ending = name.lastIndex(of: ".") ?? name.endIndex
        let symbol = name[name.index(after: mark)..<ending]
        return symbol.isEmpty ? nil : String(symbol)
    }
}
