// Lets callers in by tokens of an identity provider: checks the signature, then who it is for, from whom, and until when.
// Any thread; blocking when the keys have to be fetched. Failure: IdentityError.
//
// States of the keys: none yet → fresh (for ten minutes) → old (fetched anew by the next caller; while that fails the old
// ones go on for a day) . A token naming an unknown key fetches at once, but at most every thirty seconds: the identity
// provider may have changed its keys, or somebody is guessing.
import Foundation
import Synchronization
import Tenants
import TextFormats

public struct JWTOptions: Sendable {
    /// `iss` must be this; nil: any.
    public var issuer: String?
    /// `aud` must be or contain this; nil: any.
    public var audience: String?
    /// The claim that is the user's id.
    public var userClaim = "sub"
    /// A word in `scope` (or `scp`) that makes the caller an admin; nil: no token of the identity provider does.
    public var adminScope: String?
    /// A word in `scope` that makes the caller a reader only; nil: none does.
    public var readScope: String?
    /// Seconds by which clocks may differ.
    public var leeway: TimeInterval = 60

    public init() {}
}

public final class JWTVerifier: Sendable {
    /// Where keys come from.
    public enum Keys: Sendable {
        /// A secret shared with whoever issues tokens, at least 32 bytes: HS256.
        case secret([UInt8])
        /// A key set (RFC 7517) read from a file or fetched; blocking, bounded in time by whoever provides it.
        case set(load: @Sendable () throws -> [UInt8])
    }

    private struct State {
        var set: JSONWebKeySet?
        var readAt = Date.distantPast
        var triedAt = Date.distantPast
        var isLoading = false
        var problem: String?
    }

    private let options: JWTOptions
    private let keys: Keys
    private let now: @Sendable () -> Date
    private let state = Mutex(State())

    static let freshFor: TimeInterval = 600
    static let usableFor: TimeInterval = 86_400
    static let betweenTries: TimeInterval = 30
    /// Bytes of a shared secret, as RFC 7518 asks.
    public static let shortestSecret = 32

    /// - Throws: `.keysUnavailable` for a secret too short.
    public init(
        options: JWTOptions, keys: Keys, now: @escaping @Sendable () -> Date = { Date() }
    ) throws(IdentityError) {
        if case .secret(let secret) = keys, secret.count < Self.shortestSecret {
            throw IdentityError(.keysUnavailable, "a secret for HS256 has at least \(Self.shortestSecret) bytes")
        }
        self.options = options
        self.keys = keys
        self.now = now
    }

    /// Whether a credential looks like one of these: three parts, the first a JSON object.
    public static func isCandidate(_ credential: String) -> Bool {
        credential.hasPrefix("eyJ") && credential.utf8.filter { $0 == UInt8(ascii: ".") }.count == 2
    }

    /// - Throws: `.invalidToken`; `.keysUnavailable` when there are no keys to check with.
    public func caller(_ credential: String) throws(IdentityError) -> Caller {
        guard let token = JSONWebToken(credential) else { throw Self.invalid("is no token of the form asked for") }
        guard let key = try key(for: token), key.signed(token) else { throw Self.invalid("has no valid signature") }
        return try caller(token.claims)
    }

    // MARK: Claims

    private func caller(_ claims: JSON) throws(IdentityError) -> Caller {
        let now = now().timeIntervalSince1970
        guard let end = claims["exp"]?.double, end + options.leeway > now else { throw Self.invalid("has expired") }
        for claim in ["nbf", "iat"] {
            guard let value = claims[claim] else { continue }
            guard let start = value.double, start - options.leeway <= now else {
                throw Self.invalid("is not valid yet")
            }
        }
        if let issuer = options.issuer, claims["iss"]?.string != issuer { throw Self.invalid("is of another issuer") }
        if let audience = options.audience {
            let named = claims["aud"]?.array?.compactMap(\.string) ?? [claims["aud"]?.string].compactMap { $0 }
            guard named.contains(audience) else { throw Self.invalid("is for another audience") }
        }
        let subject = claims[options.userClaim]?.string ?? ""
        let scopes = Self.scopes(claims)
        let ends = Date(timeIntervalSince1970: end)
        let link = TokenLink.jwt(
            issuer: claims["iss"]?.string, subject: subject, id: claims["jti"]?.string, endsAt: ends)
        if let admin = options.adminScope, scopes.contains(admin) {
            return Caller(reach: .everybody, credential: "jwt \(Self.printable(subject))", link: link)
        }
        let user: UserID
        do { user = try UserID(subject) } catch { throw Self.invalid("names no user in \(options.userClaim)") }
        let isReadOnly = options.readScope.map(scopes.contains) ?? false
        return Caller(
            reach: .only(user), isReadOnly: isReadOnly, credential: "jwt \(user)",
            maker: TokenMaker(links: [link], expiresAt: ends))
    }

    private static func scopes(_ claims: JSON) -> Set<String> {
        let value = claims["scope"] ?? claims["scp"]
        if let list = value?.array { return Set(list.compactMap(\.string)) }
        return Set((value?.string ?? "").split(separator: " ").map(String.init))
    }

    /// For logs: short, nothing to inject with.
    private static func printable(_ text: String) -> String {
        String(text.prefix(64).filter { $0.isASCII && !$0.isWhitespace && !$0.isNewline })
    }

    // MARK: Keys

    private func key(for token: JSONWebToken) throws(IdentityError) -> JSONWebKey? {
        switch keys {
        case .secret(let secret): return JSONWebKey(secret: secret)
        case .set(let load):
            let now = now()
            let current = state.withLock { state -> JSONWebKeySet? in
                now.timeIntervalSince(state.readAt) < Self.freshFor ? state.set : nil
            }
            if let key = current?.key(for: token) { return key }
            refresh(load, at: now)
            return try usable(at: now).key(for: token)
        }
    }

    private func usable(at now: Date) throws(IdentityError) -> JSONWebKeySet {
        let (set, problem) = state.withLock { state -> (JSONWebKeySet?, String?) in
            (now.timeIntervalSince(state.readAt) < Self.usableFor ? state.set : nil, state.problem)
        }
        guard let set else {
            throw IdentityError(
                .keysUnavailable, "the identity provider's keys cannot be had: \(problem ?? "they are being fetched")")
        }
        return set
    }

    /// One caller at a time fetches; the others go on with what there is.
    private func refresh(_ load: @Sendable () throws -> [UInt8], at now: Date) {
        let isMine = state.withLock { state -> Bool in
            guard !state.isLoading, now.timeIntervalSince(state.triedAt) >= Self.betweenTries else { return false }
            state.isLoading = true
            state.triedAt = now
            return true
        }
        guard isMine else { return }
        var found: JSONWebKeySet?
        var problem: String?
        do { found = try JSONWebKeySet(try load()) } catch { problem = "\(error)" }
        state.withLock { state in
            state.isLoading = false
            state.problem = problem
            guard let found else { return }
            state.set = found
            state.readAt = now
        }
    }

    private static func invalid(_ why: String) -> IdentityError {
        IdentityError(.invalidToken, "the token \(why)")
    }
}
