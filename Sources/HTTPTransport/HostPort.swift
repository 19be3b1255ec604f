// The host and port of an address, in the one spelling that every resolver reads alike. Everything else that could mean
// a machine (127.1, 0x7f000001, 2130706433, %31, fullwidth digits, zones) is refused, not translated. Pure; any thread.
import Glibc

struct HostPort {
    var host: String
    var port: Int
    var isIPv6: Bool

    /// Characters of a host name (RFC 1035).
    static let maxHost = 253

    init(_ authority: String, scheme: WebURL.Scheme) throws(WebRefusal) {
        guard !authority.contains("@") else {
            throw WebRefusal(.credentials, "the address holds a user name or password; give it without")
        }
        let (name, portText, isIPv6) = try Self.split(authority)
        port = try Self.port(portText, scheme: scheme)
        self.isIPv6 = isIPv6
        host = isIPv6 ? try Self.checkedIPv6(name) : try Self.checkedName(name)
    }

    private static func split(_ authority: String) throws(WebRefusal) -> (String, Substring?, Bool) {
        if authority.hasPrefix("[") {
            guard let close = authority.firstIndex(of: "]") else {
                throw WebRefusal(.badURL, "the bracket of the IPv6 address is not closed")
            }
            let name = String(authority[authority.index(after: authority.startIndex)..<close])
            let rest = authority[authority.index(after: close)...]
            guard rest.isEmpty || rest.hasPrefix(":") else {
                throw WebRefusal(.badURL, "only a port may follow the IPv6 address")
            }
            return (name, rest.isEmpty ? nil : rest.dropFirst(), true)
        }
        let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2 else { throw WebRefusal(.badURL, "the host holds more than one colon") }
        return (String(parts[0]), parts.count == 2 ? parts[1] : nil, false)
    }

    private static func port(_ text: Substring?, scheme: WebURL.Scheme) throws(WebRefusal) -> Int {
        guard let text, !text.isEmpty else { return scheme.defaultPort }
        guard text.utf8.count <= 5, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(text),
            (1...65_535).contains(port)
        else { throw WebRefusal(.port, "the port is no number from 1 to 65535") }
        guard !blockedPorts.contains(port) else {
            throw WebRefusal(.port, "port \(port) belongs to a service that is no web server")
        }
        return port
    }

    private static func checkedIPv6(_ text: String) throws(WebRefusal) -> String {
        var bytes = in6_addr()
        guard text.utf8.allSatisfy({ $0 < 0x80 && $0 != UInt8(ascii: "%") }), inet_pton(AF_INET6, text, &bytes) == 1
        else { throw WebRefusal(.badURL, "the brackets hold no IPv6 address") }
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(AF_INET6, &bytes, &buffer, socklen_t(buffer.count)) != nil else {
            throw WebRefusal(.badURL, "the brackets hold no IPv6 address")
        }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func checkedName(_ text: String) throws(WebRefusal) -> String {
        var name = text.lowercased()
        if name.hasSuffix(".") { name.removeLast() }
        guard !name.isEmpty else { throw WebRefusal(.badURL, "the address names no host") }
        guard name.utf8.count <= maxHost, name.unicodeScalars.allSatisfy(mayOccur) else {
            throw WebRefusal(.badURL, "the host holds characters no host name has")
        }
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        guard labels.allSatisfy({ !$0.isEmpty && $0.utf8.count <= 63 }) else {
            throw WebRefusal(.badURL, "a part of the host name is empty or too long")
        }
        // The URL Standard reads a host whose last part is a number as an IPv4 address, in many spellings. No top-level
        // domain begins with a digit or holds a "_".
        if let last = labels.last, last.first?.isLetter != true || last.contains("_") {
            guard isDottedQuad(labels) else {
                throw WebRefusal(.badURL, "an IPv4 address is written as four decimal numbers, such as 192.0.2.1")
            }
        }
        return name
    }

    /// ASCII letters, digits, "-", "_" and ".", or letters and marks of other scripts: IDNA then decides. Digits, dots
    /// and compatibility forms of other scripts are refused, because IDNA would turn them into ASCII ones.
    private static func mayOccur(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value < 0x80 {
            let byte = UInt8(scalar.value)
            return (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte) || "-_.".utf8.contains(byte)
        }
        let properties = scalar.properties
        guard properties.isAlphabetic || properties.generalCategory == .nonspacingMark else { return false }
        guard properties.numericType == nil || isHan(scalar) else { return false }
        return !isCompatibility(scalar)
    }

    private static func isHan(_ scalar: Unicode.Scalar) -> Bool {
        (0x3400...0x9fff).contains(scalar.value) || (0x20000...0x3ffff).contains(scalar.value)
    }

    /// Blocks whose letters are other spellings of plain ones: letterlike symbols, enclosed and mathematical letters,
    /// half and full width forms.
    private static func isCompatibility(_ scalar: Unicode.Scalar) -> Bool {
        let blocks: [ClosedRange<UInt32>] = [
            0x2070...0x209f, 0x2100...0x218f, 0x2460...0x24ff, 0xfb00...0xfb06, 0xff00...0xffef, 0x1d400...0x1d7ff,
            0x1f100...0x1f1ff,
        ]
        return blocks.contains { $0.contains(scalar.value) }
    }

    private static func isDottedQuad(_ labels: [Substring]) -> Bool {
        labels.count == 4 && labels.allSatisfy { UInt8($0) != nil && ($0 == "0" || !$0.hasPrefix("0")) }
    }

    /// The ports the Fetch Standard ("port blocking") keeps browsers from.
    static let blockedPorts: Set<Int> = [
        1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
        110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530,
        531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190,
        5060, 5061, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 11211,
    ]
}
