// Every way we know to make a reader of web addresses connect to the inside: none of these may make a socket. A listener
// on all addresses of this machine counts who connects, and the client counts the sockets it makes, so that a case is
// passed by what did not happen and not by what a function said. `P` stands for the listener's port.
import Foundation
import Testing

@testable import HTTPTransport

@Suite("Addresses that lead inside")
struct AddressEscapeTests {
    /// Hosts that some resolver or parser takes for an address which is not on the public internet.
    static let hosts: [String] = [
        // Loopback and this host, plainly.
        "127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254", "0.0.0.0", "0.1.2.3", "0.255.255.255",
        // Short forms.
        "127.1", "127.0.1", "127.00.1", "0", "00", "0.0", "0.0.0", "10.1", "192.168.1", "169.254.43518",
        // Decimal, octal, hexadecimal, mixed.
        "2130706433", "02130706433", "017700000001", "0177.0.0.1", "0177.0.1", "0177.1", "00000177.0.0.1",
        "127.0.0.01", "127.000.000.001", "0x7f000001", "0x7F000001", "0x7f.0.0.1", "0x7f.0x0.0x0.0x1", "0x7f.1",
        "0X7F.0.0.1", "0x0000007f.0.0.1", "127.0x0.0.1", "127.0.0.0x1", "0x.0x.0x.0x", "0x", "3232235777", "167772161",
        "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "0xA9.0xFE.0xA9.0xFE", "4294967295", "4294967296",
        "42949672961", "127.0.0.256", "127.0.0.1.1", "1.127.0.0.1", "999.999.999.999", "-127.0.0.1", "+127.0.0.1",
        "127.0.0.1.", "127.0.0.1..", ".127.0.0.1", "127..0.1", "127.0.0.1e0", "1e3", "127.0.0.1_", "2130706433.",
        // Private, shared, link-local, documentation, benchmark, multicast, reserved.
        "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254", "192.168.0.1", "192.168.255.255", "100.64.0.1",
        "100.100.100.200", "100.127.255.254", "169.254.169.254", "169.254.170.2", "169.254.0.1", "192.0.0.1",
        "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.254", "198.51.100.1", "203.0.113.1",
        "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
        // IPv6: loopback, unspecified, mapped, compatible, translated, tunnels, local.
        "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000:0000:0000:0000:0000:0000:0000:0001]", "[::0:1]", "[0::1]",
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::FFFF:127.0.0.1]", "[0:0:0:0:0:ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[::ffff:0.0.0.0]", "[::ffff:8.8.8.8]",
        "[::127.0.0.1]", "[::7f00:1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]",
        "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::10.0.0.1]", "[64:ff9b:1:ffff::1]", "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]", "[2002:c0a8:101::1]", "[2001::1]", "[2001:0:7f00:1::]", "[2001:0:4136:e378::80ff:fffe]",
        "[fc00::1]", "[fd00::1]", "[fd00:ec2::254]", "[fe80::1]", "[febf::1]", "[fec0::1]", "[ff02::1]", "[ff0e::1]",
        "[100::1]", "[2001:db8::1]", "[2001:2::1]", "[3fff::1]", "[5f00::1]", "[3ffe::1]", "[4000::1]", "[8000::1]",
        // Zones and broken brackets.
        "[fe80::1%25eth0]", "[fe80::1%eth0]", "[::1%25lo]", "[::1%lo]", "[::1", "::1", "[::1]x", "[127.0.0.1]",
        "[::1]]", "[[::1]]", "[v1.127]", "[]", "[::1.2]", "[:::1]", "[1::2::3]", "[::10000]",
        // Names of this machine and of inside networks.
        "localhost", "LOCALHOST", "LocalHost", "localhost.", "localhost..", "a.localhost", "a.localhost.",
        "localhost.localdomain", "localhost6", "ip6-localhost", "loopback", "broadcasthost", "metadata",
        "metadata.google.internal", "metadata.google.internal.", "instance-data", "kubernetes.default.svc",
        "kubernetes", "host.docker.internal", "gateway.docker.internal", "printer.local", "router.lan", "nas.home",
        "x.home.arpa", "db.corp", "db.intranet", "db.private", "x.onion", "x.test", "x.invalid", "redis", "db",
        // Other scripts, full width, enclosed, percent-encoded.
        "１２７.０.０.１", "127。0。0。1", "127．0．0．1", "①②⑦.⓪.⓪.①", "𝟏𝟐𝟕.𝟎.𝟎.𝟏", "١٢٧.٠.٠.١", "२१३०७०६४३३",
        "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "ｌｏｃａｌｈｏｓｔ", "loc\u{AD}alhost", "local\u{200B}host", "loca\u{2113}host", "ℓocalhost",
        "%31%32%37.0.0.1", "127%2e0%2e0%2e1", "%6cocalhost", "localhost%00.example.org", "127.0.0.1%00", "127.0.0.1%20",
        "127.0.0.1%0d%0a", "%5B::1%5D", "127.0.0.1%2f.example.org", "%", "%zz",
        // Characters no host has.
        "127.0.0.1;", "127.0.0.1,8.8.8.8", "127.0.0.1|x", "127.0.0.1'", "\"127.0.0.1\"", "<127.0.0.1>", "{127.0.0.1}",
        "127.0.0.1^", "127.0.0.1`", "127.0.0.1!", "$127.0.0.1", "127.0.0.1*", "*", "~", "(127.0.0.1)", "",
    ]

    /// Whole addresses: user names, slashes, blanks, schemes, ports.
    static let addresses: [String] = [
        "http://public.example.org@127.0.0.1:P/", "http://public.example.org:80@127.0.0.1:P/",
        "http://a:b@127.0.0.1:P/",
        "http://@127.0.0.1:P/", "http://:@127.0.0.1:P/", "http://127.0.0.1:P@public.example.org/",
        "http://a@b@127.0.0.1:P/", "http://8.8.8.8&@127.0.0.1:P#@8.8.4.4/",
        "http://127.0.0.1:P#.example.org/", "http://127.0.0.1:P?.example.org/", "http://8.8.8.8\\@127.0.0.1:P/",
        "http://127.0.0.1:P\\@8.8.8.8/", "http:\\\\127.0.0.1:P\\", "http:/\\127.0.0.1:P/", "http:127.0.0.1:P/",
        "http:/127.0.0.1:P/", "http:///127.0.0.1:P/", "http:////127.0.0.1:P/", "//127.0.0.1:P/", "127.0.0.1:P",
        "127.0.0.1:P/x", "/127.0.0.1:P", " http://127.0.0.1:P/", "\thttp://127.0.0.1:P/", "\nhttp://127.0.0.1:P/",
        "http://127.0.0.1:P/\r\nHost: x", "http://127.0.0.1\t:P/", "http://127.0.0.1\n:P/", "http://127.0.\t0.1:P/",
        "ht\ttp://127.0.0.1:P/", "http://127.0.0.1:P/\0", "http://\0127.0.0.1:P/", "http://127.0.0.1:P/\u{7f}",
        "http://127.0.0.1 :P/", "http:// 127.0.0.1:P/", "http://127.0.0.1: P/", "http://127.0.0.1:P:80/",
        "http://127.0.0.1:80:P/", "http://127.0.0.1:-1/", "http://127.0.0.1:0/", "http://127.0.0.1:65536/",
        "http://127.0.0.1:99999999999999999999/", "http://127.0.0.1:+P/", "http://127.0.0.1:0xP/",
        "http://127.0.0.1:８０/",
        "http://8.8.8.8:22/", "http://8.8.8.8:25/", "http://8.8.8.8:6379/", "http://8.8.8.8:11211/",
        "http://8.8.8.8:2049/", "http://[::1]P/", "http://[::1]:/", "http://[::1]:P:P/", "https://127.0.0.1:P/",
        "HTtp://127.0.0.1:P/", "hTTps://127.0.0.1:P/", "http://127.0.0.1:P/%2e%2e/", "file:///etc/passwd",
        "FILE:///etc/passwd", "file://127.0.0.1/etc/passwd", "gopher://127.0.0.1:P/_x", "ftp://127.0.0.1:P/",
        "ftps://127.0.0.1:P/", "sftp://127.0.0.1:P/", "scp://127.0.0.1:P/", "dict://127.0.0.1:P/x",
        "ldap://127.0.0.1:P/",
        "ldaps://127.0.0.1:P/", "tftp://127.0.0.1:P/x", "telnet://127.0.0.1:P/", "smtp://127.0.0.1:P/",
        "imap://127.0.0.1:P/",
        "pop3://127.0.0.1:P/", "rtsp://127.0.0.1:P/", "smb://127.0.0.1:P/x", "mqtt://127.0.0.1:P/", "ws://127.0.0.1:P/",
        "wss://127.0.0.1:P/", "data:text/html,x", "javascript:alert(1)", "about:blank", "blob:http://127.0.0.1:P/x",
        "jar:http://127.0.0.1:P/!/", "view-source:http://127.0.0.1:P/", "unix:///var/run/docker.sock", "http+unix://x/",
        "url:http://127.0.0.1:P/", "http", "http:", "http:/", "http://", "https://", "://127.0.0.1:P/", ":", "", "#",
        "?",
        "http://?@127.0.0.1:P/", "http://#@127.0.0.1:P/", "http://user%40127.0.0.1:P/", "http://127.0.0.1%3aP/",
        "http://[::ffff:127.0.0.1%3aP]/",
    ]

    static func reason(_ client: WebClient, _ address: String) -> String? {
        do {
            _ = try client.get(address, limits: WebLimits(seconds: 5))
            return nil
        } catch let refusal as WebRefusal {
            return refusal.code.rawValue
        } catch let error as TransportError {
            return error.code.rawValue
        } catch {
            return "\(error)"
        }
    }

    @Test("No host of the corpus makes a socket, with http and https")
    func hostCorpus() throws {
        let listener = try CountingListener()
        defer { listener.stop() }
        let client = WebClient()
        #expect(Set(Self.hosts).count == Self.hosts.count && Self.hosts.count >= 200)
        for host in Self.hosts {
            for address in [
                "http://\(host):\(listener.port)/", "http://\(host)/", "https://\(host):\(listener.port)/x?y",
            ] {
                let reason = Self.reason(client, address)
                #expect(reason != nil, "\(address) was read")
                // A look-up is a message to the outside too: nothing here may come so far.
                #expect(reason != "dns", "\(address) was looked up")
                #expect(client.http.connectionAttempts == 0, "\(address) made a socket")
            }
        }
        #expect(listener.accepted == 0)
    }

    @Test("No address of the corpus makes a socket")
    func addressCorpus() throws {
        let listener = try CountingListener()
        defer { listener.stop() }
        let client = WebClient()
        #expect(Set(Self.addresses).count == Self.addresses.count && Self.addresses.count >= 90)
        for address in Self.addresses {
            let text = address.replacing("P", with: "\(listener.port)")
            let reason = Self.reason(client, text)
            #expect(reason != nil, "\(text) was read")
            #expect(reason != "dns", "\(text) was looked up")
            #expect(client.http.connectionAttempts == 0, "\(text) made a socket")
        }
        #expect(listener.accepted == 0)
    }

    /// The same hosts with the check of the text left out: what remains is the check on the socket.
    @Test("The socket refuses what the check of the text would have refused")
    func socketAlone() throws {
        let listener = try CountingListener()
        defer { listener.stop() }
        let strict = HTTPClient(policy: .publicInternetOnly)
        let open = HTTPClient(policy: .anywhere)
        var reached = 0
        // Names are left out: looking them up is the resolver's business.
        for host in Self.hosts where Self.isThisMachine(host) || Self.isNumber(host) {
            let request = HTTPRequest(url: "http://\(host):\(listener.port)/", deadline: 2)
            // What the strict client says about it is the next lines' question.
            _ = try? strict.send(request)
            #expect(strict.connectionAttempts == 0 && listener.accepted == reached, "\(host)")
            guard Self.isThisMachine(host) else { continue }
            _ = try? open.send(request)
            reached = listener.accepted
        }
        // The positive control: the listener is there and without the policy these forms do reach it.
        #expect(reached >= 15, "only \(reached)")
    }

    static func isNumber(_ host: String) -> Bool {
        Exchange.bytes(ofAddress: host.trimmingCharacters(in: CharacterSet(charactersIn: "[]"))) != nil
    }

    static func isThisMachine(_ host: String) -> Bool {
        host.hasPrefix("127.") || host.hasPrefix("0177") || host.lowercased().hasPrefix("0x7f") || host == "2130706433"
            || host == "017700000001" || host == "localhost" || host == "[::1]" || host == "[::ffff:127.0.0.1]"
    }
}
