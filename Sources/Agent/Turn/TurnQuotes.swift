// The quotes that a turn's tools have read, taken from the results as the journal holds them: the facts of a report are the
// facts its model was given, also after a restart, and cost no second question to any source. A value on the turn's
// thread. What cannot be read as a quote is left out.

import DurableFiles
import MarketData
import Providers
import Tenants
import TextFormats

struct TurnQuotes {
    /// Bytes of a spilled result, at most.
    private static let maximumResult = 1 << 20

    /// In the order of their first reading.
    private(set) var all: [Quote] = []

    /// Takes in the result of a call, if the call was one of the tool `quotes`. A later quote of a symbol replaces the earlier.
    mutating func read(_ result: String, of planned: PlannedCall, in turn: Turn) {
        guard planned.call.name == QuotesTool().name, let found = Self.entries(result, planned, turn) else { return }
        for quote in found.compactMap(Quote.init(json:)) {
            if let index = all.firstIndex(where: { $0.symbol.uppercased() == quote.symbol.uppercased() }) {
                all[index] = quote
            } else {
                all.append(quote)
            }
        }
    }

    private static func entries(_ result: String, _ planned: PlannedCall, _ turn: Turn) -> [JSON]? {
        guard let json = try? JSON.parse(Array(result.utf8)) else { return nil }  // a refusal is text
        guard json["truncated"]?.bool == true else { return json["quotes"]?.array }
        // The beginning alone is no JSON: the whole result is where `ResultBound` has put it, if it is still there.
        let path = ResultBound.path(of: planned, turn)
        guard let bytes = try? turn.workspace.directory.read(path, maxBytes: maximumResult) else { return nil }
        return (try? JSON.parse(bytes))?["quotes"]?.array
    }
}
