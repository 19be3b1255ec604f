// Where a request came from: the connection's other end or, behind proxies the operator trusts, what they say. Pure; any
// thread. Used for the audit log and for the bound on connections; nobody is let in by an address.
import Foundation
import HTTPTypes

/// A block of addresses, such as 10.0.0.0/8, 127.0.0.1 or fd00::/8.
public struct AddressBlock: Sendable, Hashable {
    private let bytes: [UInt8]
    private let bits: Int

    /// - Returns: nil for what is no address, or no `address/bits`.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let bytes = Self.bytes(of: String(parts[0])) else { return nil }
        self.bytes = bytes
        guard parts.count == 2 else {
            bits = bytes.count * 8
            return
        }
        guard let bits = Int(parts[1]), (0...bytes.count * 8).contains(bits) else { return nil }
        self.bits = bits
    }

    func contains(_ address: String) -> Bool {
        guard let other = Self.bytes(of: address), other.count == bytes.count else { return false }
        for index in 0..<bits where (bytes[index / 8] ^ other[index / 8]) & (0x80 >> UInt8(index % 8)) != 0 {
            return false
        }
        return true
    }

    /// Four or sixteen bytes; a v4 address in v6 clothes is its four.
    static func bytes(of text: String) -> [UInt8]? {
        var v4 = [UInt8](repeating: 0, count: 4)
        if inet_pton(AF_INET, text, &v4) == 1 { return v4 }
        var v6 = [UInt8](repeating: 0, count: 16)
        guard inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
        let isMapped = v6[..<10].allSatisfy { $0 == 0 } && v6[10] == 0xFF && v6[11] == 0xFF
        return isMapped ? Array(v6[12...]) : v6
    }
}

enum ClientAddress {
    /// The last address in X-Forwarded-For that no trusted proxy wrote for itself: what stands before it anybody can have
    /// written.
    static func of(peer: String?, _ headers: HTTPFields, trusted: [AddressBlock]) -> String {
        guard let peer else { return "unknown" }
        guard trusted.contains(where: { $0.contains(peer) }) else { return peer }
        let hops = headers[values: .forwardedFor].joined(separator: ",").split(separator: ",").map {
            $0.filter { $0 != " " }
        }
        for hop in hops.reversed() {
            guard AddressBlock.bytes(of: hop) != nil else { return peer }
            if !trusted.contains(where: { $0.contains(hop) }) { return hop }
        }
        return peer
    }

    static func isLoopback(_ address: String) -> Bool {
        guard let bytes = AddressBlock.bytes(of: address) else { return false }
        return bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
    }
}

extension HTTPField.Name {
    static let forwardedFor = HTTPField.Name("X-Forwarded-For")!
}
