// A source of quotes or feeds that the operator configured, and how its addresses are made. Plain values; pure.
import Foundation
import TextFormats

public struct DataSource: Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        case quotes, feeds
    }

    /// The form of the answers.
    public enum Format: String, Sendable, CaseIterable {
        case json, csv
        /// RSS or Atom.
        case feed
    }

    /// Shown as the origin of every figure.
    public var name: String
    public var kind: Kind
    public var format: Format
    /// May hold `{symbol}` once or more: one address for each symbol.
    public var url: String
    /// Asked before every exchange; nil: a key that is configured cannot be had.
    public var headers: @Sendable () -> [(name: String, value: String)]?
    /// Seconds an answer serves all users.
    public var maxAge = 60.0
    /// Seconds of one exchange.
    public var timeout = 10.0
    /// Whether its address may be one of the inside network.
    public var allowsPrivate = false
    /// Where in a JSON answer the records are, such as "data.quotes"; empty: at its top.
    public var path: [String] = []
    /// Their names of our columns: {"price": "regularMarketPrice"}.
    public var fields: [String: String] = [:]

    public init(
        name: String, kind: Kind, format: Format, url: String,
        headers: @escaping @Sendable () -> [(name: String, value: String)]? = { [] }
    ) {
        self.name = name
        self.kind = kind
        self.format = format
        self.url = url
        self.headers = headers
    }

    static let placeholder = "{symbol}"

    public var isPerSymbol: Bool { url.contains(Self.placeholder) }

    /// "name (host)": what figures name as their source.
    var label: String {
        let rest = url.drop { $0 != "/" }.drop { $0 == "/" }
        return "\(name) (\(rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }))"
    }

    /// The address for a symbol; nil for a symbol that is none. Whatever stands in a symbol stays one part of a path or one value:
    /// all but letters, digits, "-", "." and "_" is percent-encoded, and dots alone are no symbol.
    func address(for symbol: String?) -> String? {
        guard let symbol else { return isPerSymbol ? nil : url }
        guard (1...64).contains(symbol.unicodeScalars.count), symbol.contains(where: { $0 != "." }) else { return nil }
        let plain = CharacterSet(charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._")
        guard let encoded = symbol.addingPercentEncoding(withAllowedCharacters: plain) else { return nil }
        return url.replacingOccurrences(of: Self.placeholder, with: encoded)
    }

    /// Hides the credentials of one exchange: in its headers, and in the query of its address.
    func secrets(_ headers: [(name: String, value: String)], _ address: String) -> SecretScrubber {
        let query = URLComponents(string: address)?.queryItems ?? []
        return SecretScrubber(
            headers: (headers + query.map { ($0.name, $0.value ?? "") }).filter { SecretScrubber.isCredential(name: $0.name) })
    }

    /// The records of a JSON answer, with our names of their columns; other forms as they are.
    func records(_ bytes: [UInt8]) throws(MarketDataError) -> [UInt8] {
        guard format == .json, isPerSymbol || !path.isEmpty || !fields.isEmpty else { return bytes }
        var value: JSON
        do throws(JSONError) {
            value = try JSON.parse(
                bytes, limits: .init(maxBytes: DataLimits.fileBytes, maxDepth: 32, maxMembers: 20_000))
        } catch {
            throw MarketDataError(code: .badFormat, file: label, detail: "not valid JSON: \(error)")
        }
        for part in path {
            let next = Int(part).flatMap { value[$0] } ?? value[part]
            guard let next else {
                throw MarketDataError(
                    code: .badFormat, file: label, detail: "the answer has no \(path.joined(separator: "."))")
            }
            value = next
        }
        let records = renamed(value)
        // One symbol's record need not name the symbol: alone it would look like a table of symbols.
        let isRecord = records.object?.allSatisfy { $0.value.object == nil && $0.value.array == nil } ?? false
        return (isPerSymbol && isRecord ? JSON.array([records]) : records).bytes()
    }

    private func renamed(_ value: JSON) -> JSON {
        if let array = value.array { return .array(array.map(renamed)) }
        guard var object = value.object else { return value }
        for (ours, theirs) in fields {
            if let found = object[theirs] { object[ours] = found }
        }
        return .object(object)
    }
}

/// An answer, ready to be read like a file of the user's own.
public struct SourcePiece: Sendable {
    var label: String
    var format: DataSource.Format
    var bytes: [UInt8]
    /// The symbol that was asked for, where a table need not name it.
    var symbol: String?
}
