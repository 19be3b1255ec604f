// Where a client may connect to. Fixed when the client is made: connections are kept open between exchanges, and one
// opened under a loose policy must never serve a request under a strict one.

/// Which addresses an `HTTPClient` may reach.
public enum EgressPolicy: String, Sendable, Hashable {
    /// Any, loopback included; the proxies of the environment are used, except for this machine. For URLs set by the
    /// operator, such as model providers.
    case anywhere
    /// Public addresses only, checked on the connected socket, and no proxy, which would hide the address. For URLs
    /// that a tenant, a model or a web page named.
    case publicInternetOnly
}

extension EgressPolicy {
    /// Whether a URL's host is this machine, by name or number: such hosts are never reached through a proxy.
    public static func isLoopback(url: String) -> Bool {
        let scheme = url.prefix { $0 != ":" }
        let authority = url.dropFirst(scheme.count).drop { ":/".contains($0) }.prefix { !"/?#\\".contains($0) }
        let hostPort = authority.split(separator: "@", omittingEmptySubsequences: false).last ?? authority
        if hostPort.hasPrefix("[") { return hostPort.hasPrefix("[::1]") }
        let host = hostPort.prefix { $0 != ":" }.lowercased()
        let numbers = host.split(separator: ".", omittingEmptySubsequences: false)
        return host == "localhost" || host.hasSuffix(".localhost")
            || (numbers.count == 4 && numbers[0] == "127" && numbers.allSatisfy { UInt8($0) != nil })
    }
}
