// An http or https address as a person, a model or a web page wrote it, taken apart strictly and put together again.
// What is sent is always the text made here, never the text that came in: two readers of one URL that see two hosts in
// it is how address checks are walked around. Pure values; any thread. Fails with WebRefusal.
//
// Sources: RFC 3986 for the parts and for resolving references; the WHATWG URL Standard for what is refused beyond that
// (numbers as hosts) and for ports; RFC 6761, 6762, 8375, 9476 and ICANN's `internal` for names that are not public.

/// A checked address: scheme, host, port, path and query, without credentials or fragment.
public struct WebURL: Sendable, Hashable, CustomStringConvertible {
    public enum Scheme: String, Sendable, Hashable {
        case http, https

        var defaultPort: Int { self == .https ? 443 : 80 }
    }

    /// Bytes of an address as it is given.
    public static let maxBytes = 8_192

    public let scheme: Scheme
    /// Lower case, without a trailing dot; IPv6 without brackets.
    public let host: String
    public let port: Int
    /// Begins with "/"; with the query, if there is one.
    public let target: String
    let isIPv6: Bool

    /// - Throws: `WebRefusal`, whose detail says what is wrong.
    public init(_ text: String) throws(WebRefusal) {
        let parts = try URLParts(checking: text)
        guard let scheme = parts.scheme.flatMap({ Scheme(rawValue: $0.lowercased()) }) else {
            throw WebRefusal(.scheme, "only http:// and https:// addresses can be read")
        }
        guard let authority = parts.authority, !authority.isEmpty else {
            throw WebRefusal(.badURL, "the address names no host")
        }
        let place = try HostPort(authority, scheme: scheme)
        self.scheme = scheme
        host = place.host
        port = place.port
        isIPv6 = place.isIPv6
        target = Self.target(path: parts.path, query: parts.query)
    }

    private init(scheme: Scheme, host: String, port: Int, isIPv6: Bool, target: String) {
        self.scheme = scheme
        self.host = host
        self.port = port
        self.isIPv6 = isIPv6
        self.target = target
    }

    /// The text that is sent.
    public var description: String { origin + target }

    /// Scheme, host and port.
    public var origin: String {
        let name = isIPv6 ? "[\(host)]" : host
        return port == scheme.defaultPort ? "\(scheme.rawValue)://\(name)" : "\(scheme.rawValue)://\(name):\(port)"
    }

    /// The address without its query, which may hold a key.
    public var withoutQuery: String { origin + target.prefix { $0 != "?" } }

    /// The address that `reference` means on this page (RFC 3986, section 5.2).
    public func resolving(_ reference: String) throws(WebRefusal) -> WebURL {
        let parts = try URLParts(checking: reference)
        if parts.scheme != nil { return try WebURL(reference) }
        if let authority = parts.authority {
            return try WebURL("\(scheme.rawValue)://\(authority)\(parts.path)\(parts.query.map { "?" + $0 } ?? "")")
        }
        let own = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let path: String
        if parts.path.isEmpty {
            path = own[0]
        } else if parts.path.hasPrefix("/") {
            path = parts.path
        } else {
            path = own[0][...(own[0].lastIndex(of: "/") ?? own[0].startIndex)] + parts.path
        }
        let query = parts.query ?? (parts.path.isEmpty && own.count > 1 ? own[1] : nil)
        return WebURL(
            scheme: scheme, host: host, port: port, isIPv6: isIPv6, target: Self.target(path: path, query: query))
    }

    private static func target(path: String, query: String?) -> String {
        let clean = PercentEncoding.encoded(withoutDots(path))
        return clean + (query.map { "?" + PercentEncoding.encoded($0) } ?? "")
    }

    /// RFC 3986, section 5.2.4, on whole segments.
    private static func withoutDots(_ path: String) -> String {
        var kept: [Substring] = []
        let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst(
            path.hasPrefix("/") ? 1 : 0)
        for (index, segment) in segments.enumerated() {
            let isLast = index == segments.count - 1
            switch segment.lowercased().replacingPercentDots() {
            case ".": if isLast { kept.append("") }
            case "..":
                _ = kept.popLast()
                if isLast { kept.append("") }
            default: kept.append(segment)
            }
        }
        return "/" + kept.joined(separator: "/")
    }
}

extension String {
    /// "%2e" counts as a dot where segments are compared.
    fileprivate func replacingPercentDots() -> String {
        contains("%2e") ? split(separator: "%2e", omittingEmptySubsequences: false).joined(separator: ".") : self
    }
}

/// The parts of a reference, unchecked but for characters that no part may hold.
struct URLParts {
    var scheme: String?
    var authority: String?
    var path: String
    var query: String?

    init(checking text: String) throws(WebRefusal) {
        guard text.utf8.count <= WebURL.maxBytes else {
            throw WebRefusal(.badURL, "the address is longer than \(WebURL.maxBytes) bytes")
        }
        guard text.unicodeScalars.allSatisfy({ Self.mayOccur($0) }) else {
            throw WebRefusal(.badURL, "the address holds a control character, a line end or a backslash")
        }
        var rest = text.prefix { $0 != "#" }
        if let colon = rest.firstIndex(of: ":"), Self.isScheme(rest[..<colon]) {
            scheme = String(rest[..<colon])
            rest = rest[rest.index(after: colon)...]
        }
        if rest.hasPrefix("//") {
            rest = rest.dropFirst(2)
            let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
            authority = String(rest[..<end])
            rest = rest[end...]
        }
        let mark = rest.firstIndex(of: "?") ?? rest.endIndex
        path = String(rest[..<mark])
        query = mark < rest.endIndex ? String(rest[rest.index(after: mark)...]) : nil
    }

    /// Backslashes are slashes to browsers and ordinary characters to others: refused, so that nobody has to choose.
    private static func mayOccur(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value >= 0x20 && !(0x7f...0x9f).contains(scalar.value) && scalar != "\\"
            && !(0x2028...0x2029).contains(scalar.value)
    }

    private static func isScheme(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, (first | 0x20) >= 0x61, (first | 0x20) <= 0x7a else { return false }
        return text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte | 0x20) || "+-.".utf8.contains(byte)
        }
    }
}

enum PercentEncoding {
    /// Bytes that may not stand in a path or query are encoded; what is encoded already stays as it is.
    static func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        let kept = Set("!$&'()*+,-./:;=?@_~%".utf8)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            let isWord =
                (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
            if isWord || kept.contains(byte) {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// For a value that is put into an address: everything but letters, digits and "-._~" is encoded.
    static func component(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            let isPlain =
                (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                || "-._~".utf8.contains(byte)
            bytes += isPlain ? [byte] : [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension WebURL {
    /// A value made fit to be put into a path or query.
    public static func component(_ text: String) -> String { PercentEncoding.component(text) }
}
