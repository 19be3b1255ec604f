// A JSON Web Token taken apart (RFC 7519, 7515), before anybody has looked at its signature. Pure; any thread.
import Foundation
import TextFormats

struct JSONWebToken {
    /// Bytes of a token; a longer one is not looked at.
    static let maximumLength = 8_192

    let algorithm: String
    let keyID: String?
    let claims: JSON
    /// What the signature is over.
    let signed: [UInt8]
    let signature: [UInt8]

    /// - Returns: nil for what is none, or asks for what is not understood here (`crit`).
    init?(_ text: String) {
        guard text.utf8.count <= Self.maximumLength else { return nil }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let head = Self.object(parts[0]), let body = Self.object(parts[1]),
            let signature = Base64URL.bytes(parts[2]), let algorithm = head["alg"]?.string, head["crit"] == nil
        else { return nil }
        self.algorithm = algorithm
        keyID = head["kid"]?.string
        claims = body
        signed = Array("\(parts[0]).\(parts[1])".utf8)
        self.signature = signature
    }

    private static func object(_ part: Substring) -> JSON? {
        // A text that is no JSON is no token: there is nothing more to say about it.
        guard let bytes = Base64URL.bytes(part), let json = try? JSON.parse(bytes), json.object != nil else {
            return nil
        }
        return json
    }
}

/// Base64 as in URLs, without padding (RFC 4648, 5).
enum Base64URL {
    static func bytes(_ text: some StringProtocol) -> [UInt8]? {
        guard text.utf8.allSatisfy(isDigit) else { return nil }
        var plain = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        plain += String(repeating: "=", count: (4 - plain.utf8.count % 4) % 4)
        guard let data = Data(base64Encoded: plain) else { return nil }
        return Array(data)
    }

    static func text(_ bytes: some Sequence<UInt8>) -> String {
        Data(bytes).base64EncodedString().replacingOccurrences(of: "+", with: "-")
            .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            return true
        default: return false
        }
    }
}
