// The keys a token can be signed with: a shared secret (HS256), RSA (RS256), the curve P-256 (ES256). Pure; any thread.
// Which algorithm a key takes is the key's to say and never the token's: a public key is no secret for HS256, and "none"
// is no algorithm.
import Crypto
import CryptoExtras
import Foundation
import TextFormats

struct JSONWebKey: Sendable {
    private enum Material: Sendable {
        case secret(SymmetricKey)
        case rsa(_RSA.Signing.PublicKey)
        case p256(P256.Signing.PublicKey)
    }

    let keyID: String?
    private let material: Material

    /// The algorithm it takes.
    var algorithm: String {
        switch material {
        case .secret: "HS256"
        case .rsa: "RS256"
        case .p256: "ES256"
        }
    }

    /// - Parameter secret: at least 32 bytes, as RFC 7518 asks of HS256; the caller has looked.
    init(secret: [UInt8]) {
        keyID = nil
        material = .secret(SymmetricKey(data: secret))
    }

    /// A public key of a key set (RFC 7517).
    /// - Returns: nil for kinds, uses and algorithms not taken here: a set may hold others beside ours.
    init?(json: JSON) {
        guard json["use"]?.string ?? "sig" == "sig" else { return nil }
        keyID = json["kid"]?.string
        let named = json["alg"]?.string
        switch json["kty"]?.string {
        case "RSA" where named ?? "RS256" == "RS256":
            guard let n = Self.bytes(json["n"]), let e = Self.bytes(json["e"]), n.count >= Self.shortestModulus,
                let key = try? _RSA.Signing.PublicKey(n: n, e: e)  // a key that is none is left out like other kinds
            else { return nil }
            material = .rsa(key)
        case "EC" where json["crv"]?.string == "P-256" && named ?? "ES256" == "ES256":
            guard let x = Self.bytes(json["x"]), let y = Self.bytes(json["y"]), x.count == 32, y.count == 32,
                let key = try? P256.Signing.PublicKey(rawRepresentation: x + y)  // as above
            else { return nil }
            material = .p256(key)
        default: return nil
        }
    }

    /// Bytes of a modulus: 2,048 bits.
    private static let shortestModulus = 256

    private static func bytes(_ json: JSON?) -> [UInt8]? { json?.string.flatMap { Base64URL.bytes($0) } }

    func signed(_ token: JSONWebToken) -> Bool {
        guard token.algorithm == algorithm else { return false }
        switch material {
        case .secret(let key):
            // Compares in constant time.
            return HMAC<SHA256>.isValidAuthenticationCode(token.signature, authenticating: token.signed, using: key)
        case .rsa(let key):
            return key.isValidSignature(
                _RSA.Signing.RSASignature(rawRepresentation: Data(token.signature)),
                for: SHA256.hash(data: token.signed),
                padding: .insecurePKCS1v1_5)
        case .p256(let key):
            guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: token.signature) else {
                return false  // not 64 bytes: no signature of this kind
            }
            return key.isValidSignature(signature, for: token.signed)
        }
    }
}

/// The keys of an identity provider.
struct JSONWebKeySet: Sendable {
    let keys: [JSONWebKey]

    init(_ keys: [JSONWebKey]) { self.keys = keys }

    /// - Throws: `.keysUnavailable` for what is no key set, or has no key of a kind taken here.
    init(_ bytes: [UInt8]) throws(IdentityError) {
        let json: JSON
        do { json = try JSON.parse(bytes) } catch {
            throw IdentityError(.keysUnavailable, "the key set is no JSON: \(error)")
        }
        keys = (json["keys"]?.array ?? []).compactMap(JSONWebKey.init(json:))
        guard !keys.isEmpty else {
            throw IdentityError(.keysUnavailable, "the key set has no key for RS256 or ES256")
        }
    }

    /// The one key a token can have been signed with. A token that names a key means that one; one that names none is taken
    /// only where there is no choice.
    func key(for token: JSONWebToken) -> JSONWebKey? {
        let fitting = keys.filter { $0.algorithm == token.algorithm }
        if let id = token.keyID { return fitting.first { $0.keyID == id } ?? fitting.first { $0.keyID == nil } }
        return fitting.count == 1 ? fitting[0] : nil
    }
}
