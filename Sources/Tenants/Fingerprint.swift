// SHA-256, the one digest of the project, in the two forms its users need. Pure; any thread.
import Crypto

public enum Fingerprint {
    /// The 32 bytes of the SHA-256 of `bytes`.
    public static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        Array(SHA256.hash(data: bytes))
    }

    /// The SHA-256 of `bytes` as 64 lower-case hex digits.
    public static func sha256Hex(_ bytes: [UInt8]) -> String {
        hex(sha256(bytes))
    }

    /// Two lower-case hex digits for each byte.
    static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// The SHA-256 of what comes piece by piece.
public struct RunningFingerprint: Sendable {
    private var hash = SHA256()

    public init() {}

    public mutating func add(_ bytes: [UInt8]) { hash.update(data: bytes) }

    /// Of all pieces so far, as 64 lower-case hex digits.
    public var hex: String { Fingerprint.hex(Array(hash.finalize())) }
}
