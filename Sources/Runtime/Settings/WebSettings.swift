// The settings `tools.web_fetch` and `tools.web_search`, read strictly. Pure but for the key's file, which is read when
// a search needs it. Failure: FieldError that names the key.
import Agent
import DurableFiles
import Foundation
import HTTPTransport
import TextFormats

/// What the operator lets the web tools do.
public struct WebSettings: Sendable, Hashable {
    public var isFetchEnabled = true
    public var access = WebAccess()
    public var limits = WebLimits()
    public var search: Search?

    public init() {}

    public struct Search: Sendable, Hashable {
        public var provider: WebSearchOptions.Provider
        public var baseURL: String?
        /// Name of the environment variable that holds the key.
        public var apiKeyEnvironment: String?
        /// Read if the variable is not set.
        public var apiKeyFile: String?
        public var maxResults: Int
    }

    private static let maxHosts = 1_000

    /// - Parameter tools: the reader of `tools`; its other members are left to their own parts.
    init(_ tools: inout ObjectReader) throws(FieldError) {
        if var fetch = try tools.object("web_fetch") { try readFetch(&fetch) }
        if var search = try tools.object("web_search") { self.search = try Self.readSearch(&search) }
    }

    private mutating func readFetch(_ reader: inout ObjectReader) throws(FieldError) {
        isFetchEnabled = try reader.bool("enabled") ?? true
        access.allowedHosts = try Self.hosts("allow_hosts", &reader)
        access.deniedHosts = try Self.hosts("deny_hosts", &reader)
        for (index, text) in (try reader.strings("allow_private", maxCount: 100) ?? []).enumerated() {
            guard let exception = EgressException(text) else {
                throw reader.error(
                    "allow_private[\(index)]",
                    "must be an address with a port such as 127.0.0.1:9101 or [::1]:9101, or a block such as 10.1.0.0/16"
                )
            }
            access.exceptions.append(exception)
        }
        limits.maxBytes = try reader.int("max_bytes", in: 1_024...(16 << 20)) ?? limits.maxBytes
        limits.seconds = try reader.double("timeout_s", in: 1...120) ?? limits.seconds
        limits.redirects = try reader.int("max_redirects", in: 0...20) ?? limits.redirects
        try reader.finish()
    }

    private static func hosts(_ key: String, _ reader: inout ObjectReader) throws(FieldError) -> [String] {
        let names = try reader.strings(key, maxCount: maxHosts, maxLength: 253) ?? []
        for (index, name) in names.enumerated() {
            let plain = name.hasPrefix("*.") ? String(name.dropFirst(2)) : name
            // What no address can name would silently match nothing.
            guard let url = try? WebURL("https://\(plain)/"), url.host == plain.lowercased() else {
                throw reader.error("\(key)[\(index)]", "must be a host name such as example.org or *.example.org")
            }
        }
        return names
    }

    private static func readSearch(_ reader: inout ObjectReader) throws(FieldError) -> Search {
        let provider = try reader.require(
            try reader.choice("provider", of: WebSearchOptions.Provider.self), "provider")
        let search = Search(
            provider: provider, baseURL: try reader.string("base_url", min: 1, max: 2_000),
            apiKeyEnvironment: try reader.string("api_key_env", min: 1, max: 200),
            apiKeyFile: try reader.string("api_key_file", min: 1, max: 4_096),
            maxResults: try reader.int("max_results", in: 1...WebSearchTool.maxResults) ?? 5)
        try reader.finish()
        if let url = search.baseURL, !url.hasPrefix("http://"), !url.hasPrefix("https://") {
            throw reader.error("base_url", "must begin with http:// or https://")
        }
        guard !provider.needsKey || search.apiKeyEnvironment != nil || search.apiKeyFile != nil else {
            throw reader.error("api_key_env", "is required, or api_key_file: \(provider.rawValue) needs a key")
        }
        return search
    }

    /// The tools these settings allow.
    /// - Parameter home: what a relative key file is relative to.
    func tools(home: String, environment: [String: String]) -> [any Tool] {
        var tools: [any Tool] = []
        if isFetchEnabled {
            tools.append(WebFetchTool(client: WebClient(access: access), options: .init(limits: limits)))
        }
        if let search {
            tools.append(
                WebSearchTool(
                    options: WebSearchOptions(
                        provider: search.provider, baseURL: search.baseURL, maxResults: search.maxResults,
                        key: { try Self.key(of: search, home: home, environment) })))
        }
        return tools
    }

    private static func key(of search: Search, home: String, _ environment: [String: String]) throws -> String? {
        if let name = search.apiKeyEnvironment, let key = environment[name], !key.isEmpty { return key }
        guard let file = search.apiKeyFile else { return nil }
        let path = file.hasPrefix("/") ? file : "\(home)/\(file)"
        do {
            let bytes = try LinuxFileSystem().readSystemFile(path, maxBytes: 16 << 10)
            return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        } catch {
            throw ToolFailure(
                code: "web_search_failed",
                detail: "the search service's key cannot be read; the operator has to see to it")
        }
    }
}
