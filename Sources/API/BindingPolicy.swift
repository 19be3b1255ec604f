// Which addresses may be bound, and which names mean this machine. Pure functions; any thread.

/// Without a token everyone who reaches the port may do everything, so only this machine may reach it.
public enum BindingPolicy {
    /// - Parameter isClosed: whether callers need a token.
    /// - Returns: why `host` must not be bound, with the remedy; nil when it may.
    public static func check(host: String, isClosed: Bool) -> String? {
        if isClosed || isLoopback(host) { return nil }
        return "refusing to serve on \(host) without a token: make one with `nanobot token create --admin`, set "
            + "NANOBOT_ADMIN_TOKEN (or a token file), or bind a loopback address such as 127.0.0.1"
    }

    /// localhost, 127.0.0.0/8 in dotted form, ::1; brackets around an IPv6 address are allowed.
    public static func isLoopback(_ host: String) -> Bool {
        var name = host.lowercased()
        if name.hasPrefix("["), name.hasSuffix("]") { name = String(name.dropFirst().dropLast()) }
        if name == "localhost" || name == "::1" { return true }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "127" else { return false }
        return parts.allSatisfy {
            $0.utf8.count <= 3 && $0.utf8.allSatisfy { (48...57).contains($0) } && UInt8($0) != nil
        }
    }
}
