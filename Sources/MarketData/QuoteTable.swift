// What the quote files of one workspace say at one moment: the latest quote and the history of every symbol, and what
// could not be read. A value: any thread. Built by QuoteBook; the rules for rows that disagree are here.
import Foundation
import TextFormats

enum QuoteColumn: DataColumn {
    case symbol, name, price, change, changePercent, previousClose, currency, volume, time, date

    var spellings: [String] {
        switch self {
        case .symbol:
            ["symbol", "ticker", "code", "stockcode", "tickersymbol", "代码", "股票代码", "证券代码", "代號"]
        case .name:
            ["name", "company", "companyname", "shortname", "longname", "名称", "股票名称", "证券名称", "简称", "股票简称"]
        case .price:
            [
                "price", "last", "lastprice", "currentprice", "close", "closeprice", "closingprice", "adjclose",
                "value",
                "最新价", "现价", "价格", "当前价", "收盘价", "收盘", "股价",
            ]
        case .change:
            ["change", "chg", "pricechange", "changeamount", "netchange", "涨跌额", "涨跌", "变动"]
        case .changePercent:
            [
                "changepercent", "changepct", "pctchange", "percentchange", "pct", "chgpercent", "chgpct", "pctchg",
                "percent", "涨跌幅percent", "涨跌幅", "涨幅percent", "涨幅", "变动幅度", "涨跌百分比",
            ]
        case .previousClose:
            ["previousclose", "prevclose", "preclose", "lastclose", "昨收", "昨收价", "前收盘", "前收盘价"]
        case .currency:
            ["currency", "ccy", "货币", "币种"]
        case .volume:
            ["volume", "vol", "turnovervolume", "成交量"]
        case .time:
            ["time", "timestamp", "datetime", "asof", "updatedat", "updated", "quotetime", "时间", "更新时间", "行情时间"]
        case .date:
            ["date", "day", "tradedate", "tradingday", "日期", "交易日", "交易日期"]
        }
    }
}

public struct QuoteTable: Sendable {
    /// Every symbol's latest quote, keyed by the symbol in upper case.
    private var latest: [String: Quote] = [:]
    private var points: [String: [PricePoint]] = [:]
    /// Names in lower case to symbol keys; a name borne by two symbols maps to nil and finds neither.
    private var names: [String: String?] = [:]
    /// What could not be read, in file order, at most `DataLimits.problems` and one line that counts the rest.
    public private(set) var problems: [MarketDataError] = []

    public init() {}

    /// All symbols with a quote, sorted.
    public var symbols: [String] { latest.values.map(\.symbol).sorted() }

    public var isEmpty: Bool { latest.isEmpty }

    /// Finds each symbol, by symbol or by exact name, letter case ignored. `found` and `missing` keep the order asked
    /// for; a symbol asked for twice comes once.
    public func quotes(_ wanted: [String]) -> (found: [Quote], missing: [String]) {
        var found: [Quote] = []
        var missing: [String] = []
        var seen: Set<String> = []
        for text in wanted {
            let asked = text.trimmingCharacters(in: .whitespacesAndNewlines)
            let key = resolve(asked)
            guard !asked.isEmpty, seen.insert(key ?? asked.uppercased()).inserted else { continue }
            if let key, let quote = latest[key] {
                found.append(quote)
            } else {
                missing.append(asked)
            }
        }
        return (found, missing)
    }

    /// The known closes of a symbol (or exact name), oldest first, one per point in time.
    public func history(_ symbol: String) -> [PricePoint] {
        resolve(symbol.trimmingCharacters(in: .whitespacesAndNewlines)).flatMap { points[$0] } ?? []
    }

    private func resolve(_ asked: String) -> String? {
        let key = ValueReading.halfWidth(asked).uppercased()
        if latest[key] != nil { return key }
        if key.hasPrefix("$"), latest[String(key.dropFirst())] != nil { return String(key.dropFirst()) }
        return names[asked.lowercased()] ?? nil
    }

    // MARK: - Building

    mutating func report(_ problem: MarketDataError) { problems.append(problem) }

    /// Takes a file's rows in. Of two rows for one symbol the later time wins; a row with a time beats one without;
    /// between equals the row read last.
    mutating func add(_ bytes: [UInt8], file: String, isJSON: Bool? = nil, symbolFromName: String?) {
        let required: Set<QuoteColumn> = symbolFromName == nil ? [.symbol, .price] : [.price]
        let table = DataTable<QuoteColumn>(
            bytes, file: file, isJSON: isJSON, required: required, key: .symbol, scalar: .price)
        problems += table.problems
        for record in table.records {
            switch Self.quote(record, file: file, symbolFromName: symbolFromName) {
            case .success(let quote): take(quote)
            case .failure(let problem): problems.append(problem)
            }
        }
    }

    private mutating func take(_ quote: Quote) {
        let key = quote.symbol.uppercased()
        if let time = quote.time { points[key, default: []].append(PricePoint(time: time, close: quote.price)) }
        if let known = latest[key], (known.time ?? .distantPast) > (quote.time ?? .distantPast) { return }
        latest[key] = quote
    }

    /// Sorts the histories, indexes the names and bounds the problem list. Called once, after the last file.
    mutating func finish() {
        for (key, list) in points {
            var byTime: [Date: PricePoint] = [:]
            for point in list { byTime[point.time] = point }
            let sorted = byTime.values.sorted { $0.time < $1.time }
            points[key] = Array(sorted.suffix(DataLimits.historyPoints))
        }
        for (key, quote) in latest {
            guard let name = quote.name?.lowercased() else { continue }
            names[name] = .some(names[name] == nil ? key : nil)
        }
        problems.bound()
    }

    private static func quote(
        _ record: DataRecord<QuoteColumn>, file: String, symbolFromName: String?
    ) -> Result<Quote, MarketDataError> {
        func bad(_ detail: String) -> Result<Quote, MarketDataError> {
            .failure(MarketDataError(code: .badRow, file: file, line: record.line, detail: detail))
        }
        let values = record.values
        guard let symbol = (values[.symbol] ?? symbolFromName).flatMap(ValueReading.text) else {
            return bad("no symbol")
        }
        guard let raw = values[.price] else { return bad("no price for \(symbol)") }
        guard let price = number(raw), price >= 0 else {
            return bad("the price of \(symbol) is no number: \(short(raw))")
        }
        var quote = Quote(symbol: symbol, price: price, source: file)
        for (column, text) in values where [.change, .changePercent, .previousClose, .volume].contains(column) {
            let isPercent = column == .changePercent
            if (isPercent ? ValueReading.number(text) : number(text)) == nil {
                return bad("\(column.spellings[0]) of \(symbol) is no number: \(short(text))")
            }
        }
        quote.change = values[.change].flatMap(number)
        quote.changePercent = values[.changePercent].flatMap(ValueReading.number)
        quote.volume = values[.volume].flatMap(number)
        quote.currency = values[.currency].flatMap(ValueReading.text)
        quote.name = values[.name].flatMap(ValueReading.text)
        if let before = values[.previousClose].flatMap(number), before > 0 {
            // Six decimals hide the noise of binary subtraction; no exchange quotes finer.
            if quote.change == nil { quote.change = rounded(price - before, places: 6) }
            if quote.changePercent == nil { quote.changePercent = rounded((price - before) / before * 100, places: 4) }
        }
        if let raw = timeText(values) {
            guard let time = ValueReading.time(raw) else {
                return bad("the time of \(symbol) is not readable: \(short(raw))")
            }
            quote.time = time
        }
        return .success(quote)
    }

    /// A percent sign makes a number a share, not a price.
    private static func number(_ text: String) -> Double? {
        ValueReading.halfWidth(text).contains("%") ? nil : ValueReading.number(text)
    }

    private static func rounded(_ value: Double, places: Int) -> Double {
        let factor = places == 6 ? 1_000_000.0 : 10_000.0
        return (value * factor).rounded() / factor
    }

    /// The time column, with the date column before it where the time is a clock time only.
    private static func timeText(_ values: [QuoteColumn: String]) -> String? {
        guard let time = values[.time] else { return values[.date] }
        guard let date = values[.date], ValueReading.time(time) == nil else { return time }
        return "\(date) \(time)"
    }

    private static func short(_ text: String) -> String { "\"\(text.prefix(40))\"" }
}

extension [MarketDataError] {
    /// Cuts the list to its named bound and says what was cut.
    mutating func bound() {
        guard count > DataLimits.problems, let file = last?.file else { return }
        let more = count - DataLimits.problems
        removeLast(more)
        append(MarketDataError(code: .badRow, file: file, detail: "and \(more) more problems"))
    }
}
