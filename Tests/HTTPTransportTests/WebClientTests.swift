// Reading web addresses against a scripted server: redirects, changing DNS answers, kept connections, bounds.
import Foundation
import ModelTestSupport
import Synchronization
import Testing

@testable import HTTPTransport

@Suite("Reading the web")
struct WebClientTests {
    static func access(_ servers: LoopbackHTTPServer...) -> WebAccess {
        WebAccess(exceptions: servers.compactMap { EgressException("127.0.0.1:\($0.port)") })
    }

    static func redirect(_ target: String, status: Int = 302) -> ScriptedAnswer {
        ScriptedAnswer(status: status, headers: [("Location", target)], pieces: [.bytes(Array("moved".utf8))])
    }

    /// Where a page may try to lead: every class of inside address, other schemes, tricks. `P`: the listener's port.
    static let targets: [String] = [
        "http://127.0.0.1:P/", "//127.0.0.1:P/", "http://localhost:P/", "http://[::1]:P/",
        "http://[::ffff:127.0.0.1]:P/",
        "http://0.0.0.0:P/", "http://0:P/", "http://2130706433:P/", "http://0x7f.1:P/", "http://0177.0.0.1:P/",
        "http://127.1:P/", "http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.0.1/", "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://[fe80::1]/",
        "http://[64:ff9b::7f00:1]:P/", "http://[2002:7f00:1::]:P/", "http://224.0.0.1/", "http://255.255.255.255/",
        "http://metadata.google.internal/", "http://x@127.0.0.1:P/", "http://8.8.8.8\\@127.0.0.1:P/",
        "file:///etc/passwd", "gopher://127.0.0.1:P/", "ftp://127.0.0.1:P/", "dict://127.0.0.1:P/", "data:text/plain,x",
        "javascript:alert(1)", "http:127.0.0.1:P", "http:///127.0.0.1:P/", "http://8.8.8.8:22/", "http://１２７.０.０.１:P/",
        "http://%31%32%37.0.0.1:P/", "/\\127.0.0.1:P/", "\\\\127.0.0.1:P/",
    ]

    @Test("No redirect leads inside, from whatever status", arguments: targets, [301, 302, 303, 307, 308])
    func redirects(target: String, status: Int) throws {
        let inner = try CountingListener()
        defer { inner.stop() }
        let text = target.replacing("P", with: "\(inner.port)")
        let outer = try LoopbackHTTPServer { _ in Self.redirect(text, status: status) }
        let client = WebClient(access: Self.access(outer))
        #expect(throws: WebRefusal.self) { try client.get("\(outer.url)/start") }
        #expect(inner.accepted == 0)
        #expect(outer.requests.count == 1 && client.http.connectionAttempts == 1)
    }

    @Test("Redirects are followed, resolved, counted and bounded")
    func followed() throws {
        let server = try LoopbackHTTPServer { request in
            switch request.target {
            case "/a/b": Self.redirect("../c?x=1")
            case "/c?x=1": Self.redirect("?y=2")
            case "/c?y=2": .json("\"end\"")
            default: Self.redirect("\(request.target)x")
            }
        }
        let client = WebClient(access: Self.access(server))
        let answer = try client.get("\(server.url)/a/b#part")
        #expect(answer.redirects == 2 && answer.url.target == "/c?y=2" && answer.status == 200)
        #expect(Self.code { try client.get("\(server.url)/loop") } == .tooManyRedirects)
        #expect(server.requests.count == 3 + 6)
    }

    static func code(_ body: () throws -> WebAnswer) -> WebRefusal.Code? {
        do {
            _ = try body()
            return nil
        } catch {
            return (error as? WebRefusal)?.code
        }
    }

    @Test("The name is not asked twice: the address that is checked is the one connected to")
    func rebinding() throws {
        let inner = try CountingListener()
        defer { inner.stop() }
        let outer = try LoopbackHTTPServer { _ in
            ScriptedAnswer(headers: [("Connection", "close")], pieces: [.bytes(Array("outer".utf8))])
        }
        // The first answer is a place that is open, every later one leads inside.
        let asked = Mutex(0)
        let name = "rebind.example.org"
        let exceptions = [EgressException("127.0.0.1:\(outer.port)")].compactMap { $0 }
        let http = HTTPClient(policy: .publicInternetOnly, exceptions: exceptions) {
            let count = asked.withLock { count in
                count += 1
                return count
            }
            let address = count == 1 ? "127.0.0.1" : "127.0.0.2"
            return ["\(name):\(outer.port):\(address)", "\(name):\(inner.port):\(address)"]
        }
        let client = WebClient(access: WebAccess(exceptions: exceptions), http: http)
        let first = try client.get("http://\(name):\(outer.port)/")
        #expect(first.body == Array("outer".utf8))
        for port in [outer.port, inner.port] {
            #expect(AddressEscapeTests.reason(client, "http://\(name):\(port)/") == "refused_address")
        }
        #expect(inner.accepted == 0 && outer.requests.count == 1)
    }

    @Test(
        "Of several addresses of one name none inside is tried",
        arguments: [
            "127.0.0.1", "127.0.0.1,127.0.0.2", "[::1]", "[::1],127.0.0.1", "10.0.0.1,127.0.0.1", "0.0.0.0",
            "[::ffff:127.0.0.1]", "169.254.169.254,127.0.0.1", "[64:ff9b::7f00:1],127.0.0.1", "[fe80::1],[::1]",
        ])
    func severalAddresses(answer: String) throws {
        let inner = try CountingListener()
        defer { inner.stop() }
        let name = "many.example.org"
        let http = HTTPClient(policy: .publicInternetOnly) { ["\(name):\(inner.port):\(answer)"] }
        let client = WebClient(access: WebAccess(), http: http)
        #expect(AddressEscapeTests.reason(client, "http://\(name):\(inner.port)/") == "refused_address")
        #expect(inner.accepted == 0 && http.connectionAttempts == 0)
    }

    @Test("An exception opens its address and port, and nothing beside it")
    func exceptions() throws {
        let inner = try CountingListener()
        defer { inner.stop() }
        let server = try LoopbackHTTPServer { _ in .json("1") }
        let client = WebClient(access: Self.access(server))
        #expect(try client.get(server.url).status == 200)
        for address in [
            "http://127.0.0.1:\(inner.port)/", "http://127.0.0.2:\(server.port)/", "http://localhost:\(server.port)/",
        ] {
            #expect(AddressEscapeTests.reason(client, address) == "private_address")
        }
        #expect(inner.accepted == 0)
        for text in [
            "127.0.0.1", "localhost:80", "127.0.0.1:0", "::1:80", "10.0.0.0/33", "10.0.0.0/-1", "fe80::1%lo/64", "",
        ] {
            #expect(EgressException(text) == nil, "\(text)")
        }
        let block = try #require(EgressException("10.1.0.0/16"))
        #expect(block.covers([10, 1, 2, 3], port: 9) && !block.covers([10, 2, 0, 0], port: 9))
        #expect(EgressException("[::1]:80")?.covers(Array(repeating: 0, count: 15) + [1], port: 80) == true)
    }

    @Test("The operator's lists of hosts are kept, also behind a redirect")
    func hostLists() throws {
        let server = try LoopbackHTTPServer { _ in Self.redirect("http://other.example.org/") }
        var access = Self.access(server)
        access.allowedHosts = ["127.0.0.1", "*.example.net"]
        let client = WebClient(access: access)
        #expect(Self.code { try client.get(server.url) } == .hostNotAllowed)
        #expect(Self.code { try client.get("http://example.net/") } == .hostNotAllowed)
        access.allowedHosts = []
        access.deniedHosts = ["127.0.0.1"]
        #expect(Self.code { try WebClient(access: access).get(server.url) } == .hostNotAllowed)
        #expect(server.requests.count == 1)
    }

    @Test("From https to http no redirect is followed")
    func downgrade() throws {
        let page = try WebURL("https://example.org/a")
        #expect(try page.resolving("//example.net/x").description == "https://example.net/x")
        #expect(try page.resolving("http://example.net/x").scheme == .http)
    }

    @Test("A body is cut at its bound, compressed or not, and the rest is not read")
    func bounds() throws {
        let server = try LoopbackHTTPServer { request in
            if request.target == "/gzip" {
                return ScriptedAnswer(headers: [("Content-Encoding", "gzip")], pieces: [.bytes(Self.bomb)])
            }
            if request.target == "/missing" {
                return ScriptedAnswer(status: 404, pieces: [.bytes([UInt8](repeating: 65, count: 600_000))])
            }
            let piece = [UInt8](repeating: 65, count: 100_000)
            return ScriptedAnswer(pieces: Array(repeating: .bytes(piece), count: 100), framing: .chunked)
        }
        let client = WebClient(access: Self.access(server))
        let limits = WebLimits(maxBytes: 50_000)
        for path in ["/gzip", "/plain"] {
            // The second lies beyond what is read of an error page.
            for bytes in [50_000, 2 << 20] {
                let answer = try client.get(server.url + path, limits: WebLimits(maxBytes: bytes))
                #expect(answer.body.count == bytes && answer.isTruncated, "\(path) \(bytes)")
            }
        }
        #expect(try client.get(server.url + "/missing", limits: limits).status == 404)
        let unwanted = try client.get(server.url + "/plain", limits: limits, wanted: { _ in false })
        #expect(unwanted.body.isEmpty && unwanted.status == 200)
    }

    /// 10 MiB of zeros in some 70 KiB.
    static let bomb: [UInt8] = GzipBomb.bytes(megabytes: 10)

    @Test("A slow page ends with the time limit, a silent one with the idle limit")
    func slow() throws {
        let server = try LoopbackHTTPServer { request in
            if request.target == "/silent" { return ScriptedAnswer(pieces: [.bytes([65]), .stall], cut: true) }
            return Self.redirect("/again")
        }
        let client = WebClient(access: Self.access(server))
        var limits = WebLimits(seconds: 20, idleSeconds: 0.2)
        #expect(AddressEscapeTests.reason(client, limits, "\(server.url)/silent") == "idle")
        limits = WebLimits(seconds: 0, redirects: 5)
        #expect(AddressEscapeTests.reason(client, limits, "\(server.url)/redirect") == "timeout")
    }

    @Test(
        "What is sent is written in one way",
        arguments: [
            ("HTTP://Example.ORG.:80", "http://example.org/"),
            ("https://example.org:443/a/../b/./c", "https://example.org/b/c"),
            ("http://example.org/a b?c d#e", "http://example.org/a%20b?c%20d"),
            ("http://例子.中国/路", "http://例子.中国/%E8%B7%AF"),
            ("http://[2606:4700:0:0::1111]:8080/", "http://[2606:4700::1111]:8080/"),
            ("http://example.org?x", "http://example.org/?x"), ("http://8.8.8.8/%2e%2e/x", "http://8.8.8.8/x"),
        ])
    func spelling(text: String, expected: String) throws {
        #expect(try WebURL(text).description == expected)
    }

    @Test(
        "References are resolved as RFC 3986 says",
        arguments: [
            ("g", "http://a.org/b/c/g"), ("./g", "http://a.org/b/c/g"), ("g/", "http://a.org/b/c/g/"),
            ("/g", "http://a.org/g"), ("//g.org", "http://g.org/"), ("?y", "http://a.org/b/c/d?y"),
            ("g?y", "http://a.org/b/c/g?y"), ("", "http://a.org/b/c/d?q"), ("#s", "http://a.org/b/c/d?q"),
            (".", "http://a.org/b/c/"), ("..", "http://a.org/b/"), ("../g", "http://a.org/b/g"),
            ("../../../g", "http://a.org/g"), ("g;x=1/../y", "http://a.org/b/c/y"),
        ])
    func references(reference: String, expected: String) throws {
        #expect(try WebURL("http://a.org/b/c/d?q").resolving(reference).description == expected)
    }
}

extension AddressEscapeTests {
    static func reason(_ client: WebClient, _ limits: WebLimits, _ address: String) -> String? {
        do {
            _ = try client.get(address, limits: limits)
            return nil
        } catch {
            return (error as? TransportError)?.code.rawValue
        }
    }
}

/// A gzip file that is 1,000 times larger when it is unpacked: one deflate block with the fixed code, a zero byte and
/// then matches of 258 bytes at distance 1 (RFC 1951, section 3.2.6; RFC 1952).
enum GzipBomb {
    static func bytes(megabytes: Int) -> [UInt8] {
        var bits = BitWriter()
        bits.write(1, count: 1)
        bits.write(1, count: 2)
        bits.writeCode(0x30, count: 8)
        for _ in 0..<(megabytes << 20) / 258 {
            // Length 258 is symbol 285 (11000101), distance 1 is symbol 0 (00000).
            bits.writeCode(0b1100_0101, count: 8)
            bits.writeCode(0, count: 5)
        }
        bits.writeCode(0, count: 7)
        return [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255] + bits.finished + [UInt8](repeating: 0, count: 8)
    }

    struct BitWriter {
        private var bytes: [UInt8] = []
        private var current: UInt8 = 0
        private var used = 0

        mutating func write(_ value: Int, count: Int) {
            for bit in 0..<count {
                current |= UInt8((value >> bit) & 1) << UInt8(used)
                used += 1
                if used == 8 {
                    bytes.append(current)
                    (current, used) = (0, 0)
                }
            }
        }

        /// Codes are written from their highest bit.
        mutating func writeCode(_ value: Int, count: Int) {
            for bit in (0..<count).reversed() { write((value >> bit) & 1, count: 1) }
        }

        var finished: [UInt8] { used > 0 ? bytes + [current] : bytes }
    }
}
