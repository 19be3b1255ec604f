// How a token is written, and read back without looking anywhere. Pure; any thread.
//
//     nbt_admin.<id>.<secret><check>          nbt_alice.<id>.<secret><check>
//
// The prefix lets secret scanners find a token in a repository; the check (CRC-32) lets them, and this program, tell a real
// one from noise without a lookup; the owner and the id name the one file that can know it.
import Crypto
import Foundation
import Tenants

struct TokenText: Hashable, Sendable {
    static let prefix = "nbt_"
    /// Of a ticket for one event stream, which is written the same way.
    static let ticketPrefix = "nbs_"
    /// Owner of tokens that reach every user; no user may be called so (`UserID.reserved`).
    static let adminOwner = "admin"
    static let idLength = 12
    private static let secretLength = 43
    private static let checkLength = 6
    /// Longest token, in bytes; a longer header is not looked at.
    static let maximumLength = prefix.utf8.count + UserID.maximumLength + idLength + secretLength + checkLength + 2

    /// "admin" or a user id.
    let owner: String
    /// 12 lower-case letters and digits.
    let id: String
    /// The whole token.
    let text: String

    /// A new one, from the system's random numbers: 43 characters of 62, about 256 bits.
    init(owner: String, prefix: String = prefix) {
        self.owner = owner
        id = Self.random(Self.idLength, of: Self.idAlphabet)
        let open = "\(prefix)\(owner).\(id).\(Self.random(Self.secretLength, of: Self.alphabet))"
        text = open + Self.check(open)
    }

    /// - Returns: nil for what this program never wrote.
    init?(_ text: String, prefix: String = prefix) {
        guard text.utf8.count <= Self.maximumLength, text.hasPrefix(prefix) else { return nil }
        let parts = text.dropFirst(prefix.count).split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[2].utf8.count == Self.secretLength + Self.checkLength,
            text.hasSuffix(Self.check(String(text.dropLast(Self.checkLength))))
        else { return nil }
        owner = String(parts[0])
        id = String(parts[1])
        guard Self.isID(id), owner == Self.adminOwner || (try? UserID(owner)) != nil else { return nil }
        self.text = text
    }

    var hash: String { Fingerprint.sha256Hex(Array(text.utf8)) }

    static func isID(_ text: String) -> Bool {
        text.utf8.count == idLength && text.utf8.allSatisfy { idAlphabet.contains($0) }
    }

    private static let idAlphabet = Array("0123456789abcdefghijklmnopqrstuvwxyz".utf8)
    private static let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    private static func random(_ count: Int, of alphabet: [UInt8]) -> String {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// CRC-32 in six characters of 62.
    private static func check(_ text: String) -> String {
        var crc: UInt32 = 0xFFFF_FFFF
        for byte in text.utf8 {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0xEDB8_8320 : crc >> 1 }
        }
        var rest = ~crc
        var digits: [UInt8] = []
        for _ in 0..<checkLength {
            digits.insert(alphabet[Int(rest % 62)], at: 0)
            rest /= 62
        }
        return String(decoding: digits, as: UTF8.self)
    }
}
