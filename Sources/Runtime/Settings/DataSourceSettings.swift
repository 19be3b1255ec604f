// The settings `data_sources`, read strictly; keys are looked up when a source is asked. Failure: FieldError that names the key.
import Foundation
import MarketData
import TextFormats

/// One source as it is written in the settings.
public struct DataSourceEntry: Sendable, Hashable {
    private static let columns = [
        "symbol", "name", "price", "change", "changePercent", "previousClose", "currency", "volume", "time", "date",
    ]

    var name: String
    var kind: DataSource.Kind
    var format: DataSource.Format
    var url: String
    var headers: [String: String]
    var headersFrom: [String: String]
    var maxAge: Int
    var timeout: Int
    var allowsPrivate: Bool
    var path: String
    var fields: [String: String]

    init(_ name: String, _ json: JSON, path place: String) throws(FieldError) {
        var reader = try ObjectReader(json, path: place)
        self.name = name
        kind = try reader.require(try reader.choice("kind", of: DataSource.Kind.self), "kind")
        format = try reader.choice("format", of: DataSource.Format.self) ?? (kind == .quotes ? .json : .feed)
        url = try reader.require(try reader.string("url", min: 1, max: 2_000), "url")
        headers = try reader.stringMap("headers", maxCount: 32) ?? [:]
        headersFrom = try reader.stringMap("headers_from_env", maxCount: 32) ?? [:]
        maxAge = try reader.int("max_age_s", in: 1...86_400) ?? (kind == .quotes ? 60 : 600)
        timeout = try reader.int("timeout_s", in: 1...20) ?? 10
        allowsPrivate = try reader.bool("allow_private") ?? false
        path = try reader.string("json_path", max: 200) ?? ""
        fields = try reader.stringMap("fields", maxCount: 32) ?? [:]
        try reader.finish()
        guard url.hasPrefix("https://") || url.hasPrefix("http://") else {
            throw reader.error("url", "must begin with http:// or https://")
        }
        guard !url.split(separator: "/").prefix(2).contains(where: { $0.contains("{") }) else {
            throw reader.error("url", "must not have {symbol} in its host")
        }
        guard kind != .quotes || format != .feed else { throw reader.error("format", "must be json or csv for quotes") }
        if let wrong = fields.keys.first(where: { !Self.columns.contains($0) }) {
            throw reader.error("fields.\(wrong)", "is none of \(Self.columns.joined(separator: ", "))")
        }
    }

    /// - Parameter variables: of this process.
    func source(_ variables: [String: String]) -> DataSource {
        var source = DataSource(name: name, kind: kind, format: format, url: url) { [headers, headersFrom] in
            var given = headers.map { (name: $0.key, value: $0.value) }
            for (header, variable) in headersFrom {
                guard let value = variables[variable], !value.isEmpty else { return nil }
                given.append((name: header, value: value))
            }
            return given
        }
        source.maxAge = Double(maxAge)
        source.timeout = Double(timeout)
        source.allowsPrivate = allowsPrivate
        source.path = path.split(separator: ".").map(String.init)
        source.fields = fields
        return source
    }
}
