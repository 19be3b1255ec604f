// Prices from the data files of the user and the sources of the operator, each with its time and origin; what is not there is named
// as missing. Stateless.
import MarketData
import Tenants
import TextFormats

struct QuotesTool: Tool {
    static let maxSymbols = 100
    /// Lines about data files that could not be read.
    static let maxProblems = 5

    let name = "quotes"
    let description = """
        Latest known prices of ticker symbols, each with time and source. Symbols without data are listed as missing: \
        never invent a price for them.
        """
    let isIdempotent = true
    let isReadOnly = true
    var parameters: JSON {
        ToolSchema.object(["symbols": ToolSchema.texts("Such as [\"AAPL\", \"600519\"]")], required: ["symbols"])
    }

    func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
        var reader = try ObjectReader(arguments)
        let symbols = try reader.require(
            reader.strings("symbols", maxCount: Self.maxSymbols, maxLength: 64), "symbols")
        try reader.finish()
        guard !symbols.isEmpty else {
            throw ToolFailure(code: "invalid_arguments", detail: "symbols: name at least one symbol")
        }
        let (pieces, problems) = context.services.sources.quotes(symbols, cancellation: context.cancellation)
        let table = QuoteBook(directory: context.turn.workspace.directory).read(with: pieces, problems: problems)
        let (found, missing) = table.quotes(symbols)
        var fields: JSONObject = ["quotes": .array(found.map(\.json)), "missing": JSON(missing)]
        if !table.problems.isEmpty {
            fields["problems"] = JSON(table.problems.prefix(Self.maxProblems).map(\.description))
        }
        return JSON.object(fields).text()
    }
}
