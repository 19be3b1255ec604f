// Which addresses lie on the public internet. Web tools may reach those only: everything else is the operator's own
// network, this machine, or a way around through a translator. Pure functions over address bytes; any thread.
//
// Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates), RFC 4291 for the shapes of
// IPv6 addresses. IPv4 lists what is refused. IPv6 works the other way round: only 2000::/3, the one block handed out
// for global unicast, is open, less the parts of it that are special; a block assigned later is refused until listed.

/// Tells public addresses from all others.
public enum AddressGuard {
    struct Block {
        var prefix: [UInt8]
        /// Leading bits that must match.
        var bits: Int
        var name: String

        init(_ prefix: [UInt8], _ bits: Int, _ name: String) {
            self.prefix = prefix
            self.bits = bits
            self.name = name
        }

        func contains(_ address: [UInt8]) -> Bool {
            for bit in 0..<bits {
                let place = bit / 8
                let mask = UInt8(0x80) >> UInt8(bit % 8)
                let expected = place < prefix.count ? prefix[place] : 0
                if (address[place] ^ expected) & mask != 0 { return false }
            }
            return true
        }
    }

    /// Why a connection to this address is refused, in words; nil if the address is public.
    ///
    /// - Parameter address: 4 bytes of an IPv4 or 16 bytes of an IPv6 address, in network order. Any other length is
    ///   refused.
    public static func refusal(of address: [UInt8]) -> String? {
        switch address.count {
        case 4: return blocks4.first { $0.contains(address) }?.name
        case 16:
            if let special = special6.first(where: { $0.contains(address) }) { return special.name }
            return globalUnicast6.contains(address) ? nil : "not a global unicast address"
        default: return "not an internet address"
        }
    }

    static let blocks4: [Block] = [
        Block([0], 8, "this network (0.0.0.0/8)"),
        Block([10], 8, "private (10.0.0.0/8)"),
        Block([100, 64], 10, "carrier-grade NAT (100.64.0.0/10)"),
        Block([127], 8, "loopback (127.0.0.0/8)"),
        Block([169, 254], 16, "link-local (169.254.0.0/16)"),
        Block([172, 16], 12, "private (172.16.0.0/12)"),
        Block([192, 0, 0], 24, "protocol assignments (192.0.0.0/24)"),
        Block([192, 0, 2], 24, "documentation (192.0.2.0/24)"),
        Block([192, 88, 99], 24, "6to4 relay (192.88.99.0/24)"),
        Block([192, 168], 16, "private (192.168.0.0/16)"),
        Block([198, 18], 15, "benchmarking (198.18.0.0/15)"),
        Block([198, 51, 100], 24, "documentation (198.51.100.0/24)"),
        Block([203, 0, 113], 24, "documentation (203.0.113.0/24)"),
        Block([224], 4, "multicast (224.0.0.0/4)"),
        Block([240], 4, "reserved or broadcast (240.0.0.0/4)"),
    ]

    static let globalUnicast6 = Block([0x20], 3, "global unicast")

    /// More than the rule above needs: a name that says what was meant is worth more than "not global unicast".
    static let special6: [Block] = [
        Block(Array(repeating: 0, count: 15) + [1], 128, "loopback (::1)"),
        Block([], 128, "unspecified (::)"),
        Block([], 96, "IPv4-compatible (::/96)"),
        Block(Array(repeating: 0, count: 10) + [0xff, 0xff], 96, "IPv4-mapped (::ffff:0:0/96)"),
        Block(Array(repeating: 0, count: 8) + [0xff, 0xff], 96, "IPv4-translated (::ffff:0:0:0/96)"),
        Block([0x00, 0x64, 0xff, 0x9b], 96, "NAT64 (64:ff9b::/96)"),
        Block([0x00, 0x64, 0xff, 0x9b, 0x00, 0x01], 48, "local NAT64 (64:ff9b:1::/48)"),
        Block([0x01], 64, "discard only (100::/64)"),
        Block([0x20, 0x01, 0x00, 0x00], 32, "Teredo (2001::/32)"),
        Block([0x20, 0x01, 0x00], 23, "protocol assignments (2001::/23)"),
        Block([0x20, 0x01, 0x0d, 0xb8], 32, "documentation (2001:db8::/32)"),
        Block([0x20, 0x02], 16, "6to4 (2002::/16)"),
        Block([0x3f, 0xfe], 16, "6bone, returned (3ffe::/16)"),
        Block([0x3f, 0xff], 20, "documentation (3fff::/20)"),
        Block([0x5f], 16, "segment routing (5f00::/16)"),
        Block([0xfc], 7, "unique local (fc00::/7)"),
        Block([0xfe, 0x80], 10, "link-local (fe80::/10)"),
        Block([0xfe, 0xc0], 10, "site-local (fec0::/10)"),
        Block([0xff], 8, "multicast (ff00::/8)"),
    ]
}
