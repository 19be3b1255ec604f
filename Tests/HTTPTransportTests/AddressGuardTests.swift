import Testing

@testable import HTTPTransport

@Suite("The address guard")
struct AddressGuardTests {
    @Test(
        "refuses every address that is not on the public internet",
        arguments: [
            "0.0.0.0", "0.255.255.255", "10.0.0.1", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1",
            "127.255.255.254", "169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.8", "192.0.2.1",
            "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1",
            "239.255.255.255", "240.0.0.1", "255.255.255.255",
            "::", "::1", "::7f00:1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8",
            "64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378::1",
            "2001:2::1", "2001:10::1", "2001:1ff:ffff::1", "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1",
            "3ffe::1", "3fff::1", "3fff:fff::1", "4000::1", "5f00::1", "fc00::1", "fdff::1", "fe80::1", "febf::1",
            "fec0::1", "ff02::1", "ffff::1",
        ])
    func refused(address: String) throws {
        let bytes = try #require(Exchange.bytes(ofAddress: address))
        #expect(AddressGuard.refusal(of: bytes) != nil)
    }

    @Test(
        "lets public addresses through, up to the edges of the special blocks",
        arguments: [
            "1.0.0.0", "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
            "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
            "192.0.1.0", "192.0.3.0", "192.88.98.1", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
            "203.0.112.1", "223.255.255.255", "2000::1", "2001:200::1", "2001:4860:4860::8888", "2001:db7::1",
            "2001:db9::1", "2003::1", "2606:4700::1111", "3fff:1000::1",
        ])
    func allowed(address: String) throws {
        let bytes = try #require(Exchange.bytes(ofAddress: address))
        #expect(AddressGuard.refusal(of: bytes) == nil)
    }

    @Test("refuses what is no internet address", arguments: [0, 1, 5, 15, 17])
    func wrongLength(count: Int) {
        #expect(AddressGuard.refusal(of: [UInt8](repeating: 8, count: count)) != nil)
    }

    @Test("is asked again for the peer of a connection that was kept open")
    func peers() {
        let exchange = Exchange(policy: .publicInternetOnly, maxResponseBytes: 1, onHead: nil, onBody: nil)
        #expect(exchange.permits(peer: "8.8.8.8"))
        #expect(exchange.refusedAddress == nil)
        #expect(!exchange.permits(peer: "::ffff:10.0.0.1"))
        #expect(!exchange.permits(peer: "fe80::1%eth0"))
        #expect(!exchange.permits(peer: "nonsense"))
        #expect(exchange.refusedAddress != nil)
        let open = Exchange(policy: .anywhere, maxResponseBytes: 1, onHead: nil, onBody: nil)
        #expect(open.permits(peer: "127.0.0.1"))
    }

    @Test(
        "knows this machine by name and number",
        arguments: [
            ("http://localhost:11434/v1", true), ("http://LOCALHOST", true), ("http://127.0.0.1/x", true),
            ("http://127.8.9.1:80", true), ("http://[::1]:8080/v1", true), ("http://a.localhost/", true),
            ("http://user:pass@127.0.0.1/", true), ("http://127.0.0.1.example.com/", false),
            ("http://127.evil.example/", false), ("http://localhost@example.com/", false),
            ("http://example.com/127.0.0.1", false), ("https://api.openai.com/v1", false), ("", false),
        ])
    func loopback(url: String, expected: Bool) {
        #expect(EgressPolicy.isLoopback(url: url) == expected)
    }
}
