// The settings `server.jwt`: whose tokens are taken besides those made here. Read strictly; the secret and the keys are read
// when the server starts or needs them. Failure: FieldError that names the key, SettingsError for what cannot be read.
import DurableFiles
import Foundation
import HTTPTransport
import Identity
import TextFormats

public struct JWTSettings: Sendable {
    public var options = JWTOptions()
    var source: Source

    enum Source: Sendable, Hashable {
        case secret(environment: String?, file: String?)
        case keySetFile(String)
        case keySetURL(String)
    }

    /// Seconds and bytes of fetching a key set.
    private static let fetchSeconds = 5.0
    private static let maximumKeySet = 1 << 20
    private static let maximumSecret = 4_096

    /// - Parameter server: the reader of `server`. - Returns: nil when there is no `jwt`.
    static func read(_ server: inout ObjectReader) throws(FieldError) -> JWTSettings? {
        guard var reader = try server.object("jwt") else { return nil }
        let file = try reader.string("jwks_file", min: 1, max: 4_096)
        let url = try reader.string("jwks_url", min: 1, max: 2_000)
        let variable = try reader.string("hs256_secret_env", min: 1, max: 200)
        let secretFile = try reader.string("hs256_secret_file", min: 1, max: 4_096)
        var found: [Source] = []
        if let file { found.append(.keySetFile(file)) }
        if let url { found.append(.keySetURL(url)) }
        if variable != nil || secretFile != nil { found.append(.secret(environment: variable, file: secretFile)) }
        guard found.count == 1, let source = found.first else {
            throw reader.error(
                "jwks_url", "exactly one of jwks_url, jwks_file and hs256_secret_env (or hs256_secret_file) is needed")
        }
        var settings = JWTSettings(source: source)
        settings.options.issuer = try reader.string("issuer", min: 1, max: 500)
        settings.options.audience = try reader.string("audience", min: 1, max: 500)
        settings.options.userClaim = try reader.string("user_claim", min: 1, max: 200) ?? "sub"
        settings.options.adminScope = try reader.string("admin_scope", min: 1, max: 200)
        settings.options.readScope = try reader.string("read_scope", min: 1, max: 200)
        settings.options.leeway = Double(try reader.int("leeway_s", in: 0...600) ?? 60)
        try reader.finish()
        if case .secret = source { return settings }
        // An identity provider signs for many services with one key.
        guard settings.options.audience != nil else {
            throw reader.error(
                "audience", "is required with a key set: tokens meant for other services are signed alike")
        }
        if let url, !url.hasPrefix("https://"), !EgressPolicy.isLoopback(url: url) {
            throw reader.error("jwks_url", "must begin with https://, or be on this machine")
        }
        return settings
    }

    /// - Throws: SettingsError when the secret cannot be read or is too short.
    func verifier(
        home: NanobotHome, environment: [String: String], files: any FileSystem = LinuxFileSystem()
    ) throws(SettingsError) -> JWTVerifier {
        let keys: JWTVerifier.Keys
        switch source {
        case .secret(let variable, let file):
            keys = .secret(try secret(variable, file.map { Self.absolute($0, home) }, environment, files))
        case .keySetFile(let path):
            let path = Self.absolute(path, home)
            keys = .set { try files.readSystemFile(path, maxBytes: Self.maximumKeySet) }
        case .keySetURL(let url): keys = .set { try Self.fetch(url) }
        }
        do throws(IdentityError) {
            return try JWTVerifier(options: options, keys: keys)
        } catch {
            throw SettingsError(place: "server.jwt", detail: error.detail)
        }
    }

    private func secret(
        _ variable: String?, _ file: String?, _ environment: [String: String], _ files: any FileSystem
    ) throws(SettingsError) -> [UInt8] {
        if let variable, let value = environment[variable], !value.isEmpty { return Array(value.utf8) }
        guard let file else {
            throw SettingsError(
                place: "server.jwt.hs256_secret_env", detail: "the variable \(variable ?? "") is not set")
        }
        do throws(FileError) {
            let text = String(decoding: try files.readSystemFile(file, maxBytes: Self.maximumSecret), as: UTF8.self)
            return Array(text.trimmingCharacters(in: .whitespacesAndNewlines).utf8)
        } catch {
            throw SettingsError(place: "server.jwt.hs256_secret_file", detail: error.description)
        }
    }

    private static func absolute(_ path: String, _ home: NanobotHome) -> String {
        path.hasPrefix("/") ? path : "\(home.path)/\(path)"
    }

    private static func fetch(_ url: String) throws -> [UInt8] {
        let client = HTTPClient(policy: .anywhere)
        let request = HTTPRequest(
            url: url, deadline: fetchSeconds, connectTimeout: fetchSeconds, idleTimeout: fetchSeconds,
            maxResponseBytes: maximumKeySet)
        let response = try client.send(request)
        guard response.isSuccess else { throw TransportError(.other, "\(url) answered \(response.status)") }
        return response.body
    }
}
