// Tokens of an identity provider: whose signature counts, for whom, until when, and what happens to the keys meanwhile.
import Crypto
import Foundation
import Synchronization
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Identity

@Suite struct JWTTests {
    private static let clock = ManualClock(Date(timeIntervalSince1970: 1_800_000_000))

    private static func options(_ change: (inout JWTOptions) -> Void = { _ in }) -> JWTOptions {
        var options = JWTOptions()
        options.issuer = "https://id.example"
        options.audience = "nanobot"
        change(&options)
        return options
    }

    private static func verifier(
        secret: Bool = false, _ options: JWTOptions = options(), clock: ManualClock = clock
    ) throws -> JWTVerifier {
        let keys: JWTVerifier.Keys =
            secret ? .secret(Array(SignedTokens.secret.utf8)) : .set { Array(SignedTokens.keySet.utf8) }
        return try JWTVerifier(options: options, keys: keys, now: clock.read)
    }

    /// A token signed with the shared secret of the tests.
    static func token(_ claims: JSON, head: JSON = ["alg": "HS256"], secret: String = SignedTokens.secret)
        -> String
    {
        let open = Base64URL.text(head.bytes()) + "." + Base64URL.text(claims.bytes())
        let code = HMAC<SHA256>.authenticationCode(
            for: Array(open.utf8), using: SymmetricKey(data: Array(secret.utf8)))
        return open + "." + Base64URL.text(Array(code))
    }

    private static func code(_ verifier: JWTVerifier, _ token: String) -> IdentityError.Code? {
        do throws(IdentityError) {
            _ = try verifier.caller(token)
            return nil
        } catch { return error.code }
    }

    @Test(
        "Tokens signed by another implementation let their subject in",
        arguments: [SignedTokens.rs256, SignedTokens.es256, SignedTokens.hs256])
    func otherImplementation(token: String) throws {
        let caller = try Self.verifier(secret: token == SignedTokens.hs256).caller(token)
        #expect(caller.user == (try UserID("alice")))
        #expect(!caller.isReadOnly && !caller.isAdmin)
        #expect(caller.credential == "jwt alice")
    }

    @Test(
        "Any byte changed, anywhere, and the token is none",
        arguments: [SignedTokens.rs256, SignedTokens.es256, SignedTokens.hs256])
    func changedBytes(token: String) throws {
        let verifier = try Self.verifier(secret: token == SignedTokens.hs256)
        for place in stride(from: 0, to: token.utf8.count - 1, by: 7) {
            var bytes = Array(token.utf8)
            bytes[place] = bytes[place] == UInt8(ascii: "Q") ? UInt8(ascii: "g") : UInt8(ascii: "Q")
            #expect(Self.code(verifier, String(decoding: bytes, as: UTF8.self)) == .invalidToken, "byte \(place)")
        }
    }

    @Test("The algorithm is the key's to say: none, and a public key taken as a secret, are refused")
    func algorithmConfusion() throws {
        let verifier = try Self.verifier()
        let claims: JSON = [
            "sub": "alice", "iss": "https://id.example", "aud": "nanobot", "exp": .int(4_000_000_000),
        ]
        let open = Base64URL.text((["alg": "none"] as JSON).bytes()) + "." + Base64URL.text(claims.bytes())
        for text in ["\(open).", "\(open).AAAA", Self.token(claims, secret: SignedTokens.keySet), Self.token(claims)] {
            #expect(Self.code(verifier, text) == .invalidToken)
        }
        let secret = try Self.verifier(secret: true)
        #expect(Self.code(secret, Self.token(claims)) == nil)
        #expect(Self.code(secret, Self.token(claims, head: ["alg": "HS256", "crit": ["exp"]])) == .invalidToken)
        #expect(Self.code(secret, SignedTokens.rs256) == .invalidToken)
    }

    @Test(
        "A token that is not for this service, not now or for nobody is refused",
        arguments: [
            ("exp", JSON.int(1_799_999_939)), ("exp", .null), ("exp", "4000000000"), ("nbf", .int(1_800_000_061)),
            ("nbf", "soon"), ("iat", .int(1_800_000_061)), ("iss", "https://other.example"), ("iss", .null),
            ("aud", "other"), ("aud", JSON.array([JSON.string("other")])), ("aud", .null), ("sub", "Alice!"),
            ("sub", "admin"), ("sub", .null),
            ("sub", .int(5)),
        ])
    func claims(name: String, value: JSON) throws {
        let verifier = try Self.verifier(secret: true)
        var claims: JSONObject = [
            "sub": "alice", "iss": "https://id.example", "aud": "nanobot", "exp": .int(1_799_999_941),
            "nbf": .int(1_800_000_059), "iat": .int(1_800_000_059),
        ]
        #expect(Self.code(verifier, Self.token(.object(claims))) == nil, "clocks may differ by a minute")
        claims[name] = value
        #expect(Self.code(verifier, Self.token(.object(claims))) == .invalidToken)
    }

    @Test("Scopes make an admin or a reader only where the operator named them")
    func scopes() throws {
        let claims: JSON = [
            "sub": "alice", "iss": "https://id.example", "aud": .array([.string("nanobot")]),
            "exp": .int(4_000_000_000),
            "scope": "openid nanobot:admin nanobot:read",
        ]
        let plain = try Self.verifier(secret: true).caller(Self.token(claims))
        #expect(!plain.isAdmin && !plain.isReadOnly)
        let admin = try Self.verifier(secret: true, Self.options { $0.adminScope = "nanobot:admin" })
        #expect(try admin.caller(Self.token(claims)).isAdmin)
        let reader = try Self.verifier(secret: true, Self.options { $0.readScope = "nanobot:read" })
        #expect(try reader.caller(Self.token(claims)).isReadOnly)
    }

    @Test("Keys are fetched once for ten minutes, and the old ones go on while the provider is away, for a day")
    func keysOverTime() throws {
        let clock = ManualClock(Date(timeIntervalSince1970: 1_800_000_000))
        let fetches = Mutex(0)
        let isAway = Mutex(false)
        struct Away: Error {}
        let verifier = try JWTVerifier(
            options: Self.options(),
            keys: .set {
                fetches.withLock { $0 += 1 }
                if isAway.withLock({ $0 }) { throw Away() }
                return Array(SignedTokens.keySet.utf8)
            }, now: clock.read)
        for _ in 0..<50 { _ = try verifier.caller(SignedTokens.rs256) }
        #expect(fetches.withLock { $0 } == 1)
        isAway.withLock { $0 = true }
        clock.advance(by: 601)
        for _ in 0..<50 { _ = try verifier.caller(SignedTokens.es256) }
        #expect(fetches.withLock { $0 } == 2, "one try, and none again within half a minute")
        clock.advance(by: 86_400)
        #expect(Self.code(verifier, SignedTokens.rs256) == .keysUnavailable)
    }

    @Test("A token that names an unknown key makes the keys be fetched, once in half a minute")
    func unknownKey() throws {
        let clock = ManualClock(Date(timeIntervalSince1970: 1_800_000_000))
        let fetches = Mutex(0)
        let verifier = try JWTVerifier(
            options: Self.options(),
            keys: .set {
                fetches.withLock { $0 += 1 }
                return Array(SignedTokens.keySet.utf8)
            }, now: clock.read)
        _ = try verifier.caller(SignedTokens.rs256)
        let parts = SignedTokens.rs256.split(separator: ".")
        let head = Base64URL.text((["alg": "RS256", "kid": "guessed"] as JSON).bytes())
        let guessed = "\(head).\(parts[1]).\(parts[2])"
        for _ in 0..<50 { #expect(Self.code(verifier, guessed) == .invalidToken) }
        #expect(fetches.withLock { $0 } == 1)
        clock.advance(by: 31)
        for _ in 0..<50 { #expect(Self.code(verifier, guessed) == .invalidToken) }
        #expect(fetches.withLock { $0 } == 2)
    }

    @Test(
        "Keys that cannot be used are said to be so",
        arguments: ["", "[]", "{}", "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"oct\"}]}"])
    func badKeySets(text: String) throws {
        let verifier = try JWTVerifier(
            options: Self.options(), keys: .set { Array(text.utf8) }, now: Self.clock.read)
        #expect(Self.code(verifier, SignedTokens.rs256) == .keysUnavailable)
        #expect(throws: IdentityError.self) {
            try JWTVerifier(options: Self.options(), keys: .secret(Array("short".utf8)))
        }
    }
}
