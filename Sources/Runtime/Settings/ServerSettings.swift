// The settings `server` beyond host and port: TLS, proxies, bounds, audit. Read strictly. Failure: FieldError.
import API
import TextFormats

public struct ServerSettings: Sendable, Hashable {
    /// Absolute paths.
    public var tls: CertificateFiles?
    public var trustedProxies: [AddressBlock] = []
    /// Of one token that reaches one user; 0: no bound.
    public var requestsPerMinute = 600
    public var connections = 10_000
    /// Of one address that is neither this machine nor a trusted proxy; 0: no bound.
    public var connectionsPerAddress = 256
    public var streams = 2_000
    /// Seconds a body may take to arrive.
    public var bodyTimeout = 60
    /// Seconds one piece of an answer may take to be taken.
    public var writeTimeout = 60
    /// MiB of unfinished uploads and downloads, in all and of one user's tokens.
    public var transferMB = 256
    public var transferMBOfUser = 32
    public var isAudited = true
    /// Whether users' tokens, and JSON Web Tokens of users, may make tokens over HTTP.
    public var userTokensMayMint = false
    /// As browsers write them.
    public var corsOrigins: [String] = []

    init() {}

    /// - Parameter server: the reader of `server`; its other members are left to their own parts.
    init(_ server: inout ObjectReader) throws(FieldError) {
        if var tls = try server.object("tls") {
            let certificate = try tls.require(
                try tls.string("certificate_file", min: 1, max: 4_096), "certificate_file")
            let key = try tls.require(try tls.string("key_file", min: 1, max: 4_096), "key_file")
            for (name, path) in [("certificate_file", certificate), ("key_file", key)] where !path.hasPrefix("/") {
                throw tls.error(name, "must be an absolute path")
            }
            try tls.finish()
            self.tls = CertificateFiles(certificate: certificate, key: key)
        }
        for (index, text) in (try server.strings("trusted_proxies", maxCount: 100) ?? []).enumerated() {
            guard let block = AddressBlock(text) else {
                throw server.error("trusted_proxies[\(index)]", "must be an address or a block such as 10.0.0.0/8")
            }
            trustedProxies.append(block)
        }
        requestsPerMinute = try server.int("requests_per_minute", in: 0...1_000_000) ?? requestsPerMinute
        connections = try server.int("connections", in: 1...1_000_000) ?? connections
        connectionsPerAddress = try server.int("connections_per_address", in: 0...1_000_000) ?? connectionsPerAddress
        streams = try server.int("streams", in: 1...1_000_000) ?? streams
        bodyTimeout = try server.int("body_timeout_s", in: 1...3_600) ?? bodyTimeout
        writeTimeout = try server.int("write_timeout_s", in: 1...3_600) ?? writeTimeout
        // No less than the largest file there may be.
        transferMB = try server.int("transfer_mb", in: 16...1_000_000) ?? transferMB
        transferMBOfUser = try server.int("transfer_mb_per_user", in: 16...1_000_000) ?? min(transferMBOfUser, transferMB)
        guard transferMBOfUser <= transferMB else {
            throw server.error("transfer_mb_per_user", "must not be more than transfer_mb (\(transferMB))")
        }
        isAudited = try server.bool("audit") ?? isAudited
        userTokensMayMint = try server.bool("user_tokens_may_mint") ?? userTokensMayMint
        for (index, text) in (try server.strings("cors_origins", maxCount: 100) ?? []).enumerated() {
            do throws(CrossOrigin.Refusal) {
                corsOrigins.append(try CrossOrigin.origin(text))
            } catch {
                throw server.error("cors_origins[\(index)]", error.detail)
            }
        }
    }
}
