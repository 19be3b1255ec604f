// Files in data/ that were written to be expensive: steps are counted, so no clock is asked.
import TestSupport
import Testing
import TextFormats

@testable import MarketData

@Suite("Hostile data files")
struct HostileDataTests {
    @Test("No file costs more than 64 steps a byte as CSV")
    func csv() {
        let faults = HostileTextCheck.faults("CSV") { text, steps in
            for header in ["", "symbol,price,name\n"] {
                _ = DataTable<QuoteColumn>(
                    Array((header + text).utf8), file: "a.csv", required: [.symbol, .price], steps: steps)
            }
        }
        #expect(faults == [])
    }

    @Test("No file costs more than 64 steps a byte as JSON")
    func json() {
        let faults = HostileTextCheck.faults("JSON data") { text, steps in
            _ = DataTable<QuoteColumn>(
                Array(text.utf8), file: "a.json", required: [.symbol, .price], key: .symbol, scalar: .price,
                steps: steps)
        }
        #expect(faults == [])
    }

    @Test("Rows that cannot be read are listed up to a bound and counted beyond it")
    func badRows() {
        let reader = CSVReader(Array(String(repeating: "\"a\"b\n", count: 12_345).utf8))
        #expect(reader.rows.isEmpty && reader.problems.count == 10_000 && reader.unlistedProblems == 2_345)
        var table = QuoteTable()
        let file = "symbol,price\n" + String(repeating: "\"a\"b\n", count: 12_345)
        table.add(Array(file.utf8), file: "a.csv", symbolFromName: nil)
        table.finish()
        #expect(table.problems.count == DataLimits.problems + 1)
    }
}
