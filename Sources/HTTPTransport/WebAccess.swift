// Which web addresses may be read, as the operator set it: a check of names before a connection is made. The check that
// counts is the one on the socket (EgressPolicy, EgressException); this one gives clear answers early and applies the
// lists of host names. Pure values; any thread.

/// One place that is not on the public internet and may be reached all the same.
public struct EgressException: Sendable, Hashable, CustomStringConvertible {
    /// 4 or 16 bytes.
    let address: [UInt8]
    let prefixBits: Int
    /// nil: every port.
    let port: Int?
    public let description: String

    /// - Parameter text: an address and port ("127.0.0.1:9101", "[::1]:9101"), or a block ("10.1.0.0/16", "fd00::/8").
    /// - Returns: nil for anything else. Names are not accepted: what they mean is decided by whoever answers for them.
    public init?(_ text: String) {
        description = text
        if let slash = text.firstIndex(of: "/") {
            guard let bytes = Exchange.bytes(ofAddress: String(text[..<slash])), !text.contains("%"),
                let bits = Int(text[text.index(after: slash)...]), (0...bytes.count * 8).contains(bits)
            else { return nil }
            (address, prefixBits, port) = (bytes, bits, nil)
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port)
        else { return nil }
        var host = text[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if isBracketed { host = host.dropFirst().dropLast() }
        guard !host.contains("%"), let bytes = Exchange.bytes(ofAddress: String(host)),
            (bytes.count == 16) == isBracketed
        else { return nil }
        (address, prefixBits, self.port) = (bytes, bytes.count * 8, port)
    }

    func covers(_ other: [UInt8], port otherPort: Int?) -> Bool {
        guard other.count == address.count, port == nil || port == otherPort else { return false }
        return AddressGuard.Block(address, prefixBits, "").contains(other)
    }
}

/// The operator's rules for addresses that others name.
public struct WebAccess: Sendable, Hashable {
    /// Host names or `*.domain`; empty: every public host.
    public var allowedHosts: [String]
    /// Host names or `*.domain`; wins over `allowedHosts`.
    public var deniedHosts: [String]
    /// Places off the public internet that may be reached.
    public var exceptions: [EgressException]

    public init(allowedHosts: [String] = [], deniedHosts: [String] = [], exceptions: [EgressException] = []) {
        self.allowedHosts = allowedHosts
        self.deniedHosts = deniedHosts
        self.exceptions = exceptions
    }

    /// - Throws: unless the address may be asked for, as far as its text tells.
    public func check(_ url: WebURL) throws(WebRefusal) {
        if deniedHosts.contains(where: { Self.matches(url.host, $0) }) {
            throw WebRefusal(.hostNotAllowed, "the operator does not allow \(url.host)")
        }
        if !allowedHosts.isEmpty, !allowedHosts.contains(where: { Self.matches(url.host, $0) }) {
            throw WebRefusal(.hostNotAllowed, "\(url.host) is not among the hosts the operator allows")
        }
        if let address = Exchange.bytes(ofAddress: url.host) {
            if exceptions.contains(where: { $0.covers(address, port: url.port) }) { return }
            if let reason = AddressGuard.refusal(of: address) {
                throw WebRefusal(.privateAddress, "the address is not on the public internet: \(reason)")
            }
            return
        }
        let labels = url.host.split(separator: ".")
        guard labels.count > 1, let last = labels.last, !Self.specialDomains.contains(String(last)),
            !url.host.hasSuffix(".home.arpa")
        else { throw WebRefusal(.privateAddress, "\(url.host) is no name on the public internet") }
    }

    /// "example.org" means that name only, "*.example.org" every name below it.
    static func matches(_ host: String, _ pattern: String) -> Bool {
        let pattern = pattern.lowercased()
        return pattern.hasPrefix("*.") ? host.hasSuffix(pattern.dropFirst(1)) : host == pattern
    }

    private static let specialDomains: Set<String> = [
        "localhost", "local", "internal", "invalid", "test", "onion", "alt", "localdomain", "lan", "home", "corp",
        "intranet", "private", "svc",
    ]
}
