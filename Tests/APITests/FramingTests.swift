// Where a request begins and ends: what two readers could read differently is refused, old clients get what they can read, and who
// asks before sending a body is answered.
import Foundation
import Spool
import Tenants
import Testing
import TextFormats
import WireTypes

@testable import API

@Suite(.serialized, .timeLimit(.minutes(2))) struct FramingTests {
    private static let host = "Host: localhost\r\n"
    private static let post = "POST /queue/resume HTTP/1.1\r\n\(host)Content-Type: application/json\r\n"
    private static let chunked = post + "Transfer-Encoding: chunked\r\n\r\n"

    static let right: [String] = [
        "GET /health HTTP/1.1\r\n\(host)\r\n", "\r\nGET /health HTTP/1.1\r\n\(host)\r\n",
        "GET /health HTTP/1.0\r\n\r\n", "GET http://localhost/health HTTP/1.1\r\n\(host)\r\n",
        post + "Content-Length: 2\r\n\r\n{}", post + "Content-Length:2 \t\r\n\r\n{}", post + "Content-Length: 0\r\n\r\n",
        chunked + "2\r\n{}\r\n0\r\n\r\n", chunked + "1;a=b\r\n{\r\n01\r\n}\r\n0\r\nX: y\r\n\r\n",
        post + "Transfer-Encoding:\tChunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "GET /health HTTP/1.1\r\n\(host)Content-Length: 5\r\n\r\nGET /",
    ]

    static let wrong: [String] = [
        // Lines.
        "GET /health HTTP/1.1\nHost: localhost\n\n", "GET /health HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",
        "\nGET /health HTTP/1.1\r\n\(host)\r\n", "GET /health HTTP/1.1\r\n\(host)X: a\rb\r\n\r\n",
        "GET /health HTTP/1.1\r\n\(host)X: a\r\n b\r\n\r\n", "GET /health HTTP/1.1\r\n\(host)X : a\r\n\r\n",
        "GET /health HTTP/1.1\r\n\(host): a\r\n\r\n", "GET /health HTTP/1.1\r\n\(host)Xyz\r\n\r\n",
        "GET /health HTTP/1.1\r\n\(host)X: a\0b\r\n\r\n", "GET /health HTTP/1.1\r\n X: a\r\n\(host)\r\n",
        "\r\n\r\n\r\n\r\n\r\n\r\nGET /health HTTP/1.1\r\n\(host)\r\n",
        // The first line.
        "GET /health\r\n\r\n", "GET /health HTTP/0.9\r\n\(host)\r\n", "GET /health HTTP/1.2\r\n\(host)\r\n",
        "GET /health HTTP/2.0\r\n\(host)\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /health http/1.1\r\n\(host)\r\n",
        "GET /health RTSP/1.0\r\n\(host)\r\n", "SOURCE /health ICE/1.0\r\n\(host)\r\n",
        "GET  /health HTTP/1.1\r\n\(host)\r\n", "GET /he alth HTTP/1.1\r\n\(host)\r\n",
        "GET\t/health\tHTTP/1.1\r\n\(host)\r\n", " GET /health HTTP/1.1\r\n\(host)\r\n",
        "GET /health HTTP/1.1 \r\n\(host)\r\n",
        // Hosts.
        "GET /health HTTP/1.1\r\n\r\n", "GET http://evil.example/health HTTP/1.1\r\n\(host)\r\n",
        "GET http://localhost@evil.example/health HTTP/1.1\r\n\(host)\r\n",
        "GET https://evil.example?/ HTTP/1.1\r\n\(host)\r\n",
        // Lengths.
        post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", post + "Content-Length: 2, 2\r\n\r\n{}",
        post + "Content-Length: +2\r\n\r\n{}", post + "Content-Length: -2\r\n\r\n{}", post + "Content-Length: 0x2\r\n\r\n{}",
        post + "Content-Length: 2 2\r\n\r\n{}", post + "Content-Length: \r\n\r\n", post + "Content-Length: 2.0\r\n\r\n{}",
        post + "Content-Length: 18446744073709551615\r\n\r\n{}", post + "Content-Length: 9223372036854775807\r\n\r\n{}",
        post + "Content-Length : 2\r\n\r\n{}",
        // Codings.
        post + "Transfer-Encoding: gzip\r\n\r\n", post + "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked, identity\r\n\r\n", post + "Transfer-Encoding: identity\r\n\r\n",
        post + "Transfer-Encoding: \r\n\r\n", post + "Transfer-Encoding: \u{b}chunked\r\n\r\n",
        post + "Transfer-Encoding: xchunked\r\n\r\n", post + "Transfer-Encoding: \"chunked\"\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        post.replacingOccurrences(of: "1.1", with: "1.0") + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        // Chunks.
        chunked + "+2\r\n{}\r\n0\r\n\r\n", chunked + "-2\r\n{}\r\n0\r\n\r\n", chunked + "0x2\r\n{}\r\n0\r\n\r\n",
        chunked + " 2\r\n{}\r\n0\r\n\r\n", chunked + "2 \r\n{}\r\n0\r\n\r\n", chunked + "2\t;x\r\n{}\r\n0\r\n\r\n",
        chunked + "2\n{}\r\n0\r\n\r\n", chunked + "2\r\n{}\n0\r\n\r\n", chunked + "2\r\n{}xx0\r\n\r\n",
        chunked + "2\r\n{}\r\n0\n\n", chunked + "10000000000000002\r\n{}\r\n0\r\n\r\n", chunked + "\r\n{}\r\n0\r\n\r\n",
        chunked + "ffffffffffffffff\r\n{}\r\n0\r\n\r\n", chunked + "2;x\n{}\r\n0\r\n\r\n", chunked + "g\r\n{}\r\n0\r\n\r\n",
        chunked + String(repeating: "0", count: 200) + "2\r\n{}\r\n0\r\n\r\n", chunked + "2;x=a\rb\r\n{}\r\n0\r\n\r\n",
        chunked + "2;x=\(String(repeating: "a", count: 200_000))\r\n{}\r\n0\r\n\r\n",
        chunked + String(repeating: "1;\(String(repeating: "e", count: 90))\r\n \r\n", count: 20) + "0\r\n\r\n",
        chunked + "2\r\n{}\r\n0\r\n" + String(repeating: "X: \(String(repeating: "t", count: 90))\r\n", count: 200) + "\r\n",
        chunked + "2\r\n{}\r\n0\r\nX : y\r\n\r\n",
    ]

    /// How many bytes are right, and whether a fault follows.
    private func read(_ text: String, by step: Int) -> (count: Int, isRefused: Bool) {
        var framing = RequestFraming()
        let bytes = Array(text.utf8)
        var count = 0
        for start in stride(from: 0, to: bytes.count, by: step) {
            let (right, fault) = bytes[start..<min(start + step, bytes.count)].withUnsafeBytes { framing.read($0) }
            count += right
            if fault != nil { return (count, true) }
        }
        return (count, false)
    }

    @Test("a request that is right stays right however it is cut, and so does the one behind it", arguments: right)
    func rightRequests(text: String) {
        for step in [1, 2, 3, 7, 1_000_000] {
            let (count, isRefused) = read(text + text, by: step)
            #expect(count == 2 * text.utf8.count && !isRefused, "in steps of \(step)")
        }
    }

    @Test("what could be read in two ways is refused however it is cut, also behind a good request", arguments: wrong)
    func wrongRequests(text: String) {
        for step in [1, 2, 3, 7, 1_000_000] {
            #expect(read(text, by: step).isRefused, "in steps of \(step)")
            let good = Self.right[0]
            let (count, isRefused) = read(good + text, by: step)
            #expect(isRefused && count >= good.utf8.count)
        }
    }

    @Test("what is refused is answered with 400 and a problem, and the connection ends", arguments: wrong)
    func answers(text: String) async throws {
        let fixture = try ServiceFixture()
        try await fixture.serve { http in
            let answer = try await http.exchange(text)
            #expect(answer.hasPrefix("HTTP/1.1 400 "), "\(answer.prefix(100))")
            #expect(answer.contains("application/problem+json"))
            // The detail may name versions of HTTP, too.
            #expect(answer.components(separatedBy: "HTTP/1.1 400 ").count == 2)
        }
    }

    @Test("any bytes are read to an end, the same way however they are cut")
    func fuzz() {
        var generator = SystemRandomNumberGenerator()
        let words = ["GET ", "/", " HTTP/1.1\r\n", "Host: a\r\n", "\r\n", "Content-Length: ", "3", "\n", "\r", " ", "chunked\r\n",
            "Transfer-Encoding: ", ";", "0\r\n\r\n", "a", ":", "\u{0}", "ffff"]
        for _ in 0..<2_000 {
            let text = (0..<20).map { _ in words.randomElement(using: &generator)! }.joined()
            let whole = read(text, by: 1_000_000)
            #expect(read(text, by: 1).isRefused == whole.isRefused, "\(text.debugDescription)")
        }
    }

    @Test(
        "an answer to HTTP/1.0 has no chunks and ends with the connection",
        arguments: ["/users/alice/export", "/users/alice/sessions/default/messages", "/jobs/JOB/events", "/jobs", "/health"])
    func oldClients(path: String) async throws {
        let fixture = try ServiceFixture()
        try fixture.makeUser("alice")
        fixture.shelf.put(messages: Array(repeating: String(repeating: "m", count: 50_000), count: 20))
        try await fixture.serve { http in
            let made = try await http.send("POST", "/reports", json: ["user_id": "alice"]).json
            let job = try #require(made["report_id"]?.string)
            try fixture.work(try #require(JobID(job))) { _, _ in .complete([:]) }
            let target = path.replacingOccurrences(of: "JOB", with: job)
            let answer = try await http.exchange("GET \(target) HTTP/1.0\r\nHost: localhost\r\n\r\n")
            let parts = answer.components(separatedBy: "\r\n\r\n")
            let head = parts[0].lowercased()
            #expect(head.hasPrefix("http/1.0 200 ") && head.contains("connection: close"))
            #expect(!head.contains("transfer-encoding"))
            let body = parts.dropFirst().joined(separator: "\r\n\r\n")
            let plain = try await http.get(target)
            switch path {
            case "/users/alice/export": #expect(body.utf8.count == plain.body.utf8.count)
            case "/health": #expect(body.contains("healthy"))
            default: #expect(body == plain.body)
            }
        }
    }

    @Test(
        "a client that wants the connection closed, or another protocol on it, has it closed after the answer",
        arguments: [
            ("HTTP/1.1", "Connection: Close\r\n"), ("HTTP/1.1", "Connection: TE, close\r\n"), ("HTTP/1.0", ""),
            ("HTTP/1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\n"), ("HTTP/1.0", "Connection: keep-alive\r\n"),
        ])
    func closing(version: String, fields: String) async throws {
        let fixture = try ServiceFixture()
        try await fixture.serve { http in
            let one = "GET /health \(version)\r\n\(Self.host)\(fields)\r\n"
            let answer = try await http.exchange(one)
            #expect(answer.hasPrefix("\(version) 200 ") && answer.lowercased().contains("connection: close"))
        }
    }

    @Test("a client that asks first is told to go on when its body is wanted, and only then")
    func expectations() async throws {
        let fixture = try ServiceFixture()
        try fixture.makeUser("alice")
        try await fixture.serve { http in
            let text = String(repeating: "x", count: 9_000)
            let put = "PUT /users/alice/file?path=data/x.txt HTTP/1.1\r\n\(Self.host)Expect: 100-continue\r\n"
            try await http.converse { talk in
                try await talk.say(put + "Content-Length: 9000\r\n\r\n")
                #expect(try await talk.hear("\r\n\r\n"))
                #expect(talk.heard == "HTTP/1.1 100 Continue\r\n\r\n")
                try await talk.say(text)
                #expect(try await talk.hear("\"size\":9000"))
                #expect(talk.heard.contains("HTTP/1.1 201 "))
                // The connection goes on.
                try await talk.say("GET /health HTTP/1.1\r\n\(Self.host)\r\n")
                #expect(try await talk.hear("healthy"))
            }
            for (request, status) in [
                (put + "Content-Length: 99000000\r\n\r\n", 413),
                (put.replacingOccurrences(of: "PUT /users/alice/file", with: "POST /nothing") + "Content-Length: 9\r\n\r\n", 404),
            ] {
                try await http.converse { talk in
                    try await talk.say(request)
                    #expect(try await talk.hear("\r\n\r\n"))
                    #expect(talk.heard.hasPrefix("HTTP/1.1 \(status) "), "\(talk.heard)")
                    #expect(talk.heard.lowercased().contains("connection: close"))
                }
            }
        }
    }

    @Test(
        "the proxy examples let the largest file through, and no spelling of the metrics that the service takes",
        arguments: [("nginx.conf", "client_max_body_size 16m;", "location ~* "), ("Caddyfile", "max_size 16MiB", "@metrics path_regexp ")])
    func proxies(name: String, bound: String, rule: String) async throws {
        #expect(WorkspaceFiles.maximumFile == 16 << 20)
        let text = try String(contentsOfFile: #filePath.components(separatedBy: "/Tests/")[0] + "/deploy/proxy/\(name)", encoding: .utf8)
        #expect(text.contains(bound))
        let line = try #require(text.split(separator: "\n").first { $0.contains(rule) })
        let pattern = try Regex(String(line[(line.firstRange(of: rule)!.upperBound)...].prefix { $0 != " " }))
        let paths = ["/metrics", "/metrics/", "//metrics", "///metrics//", "/health", "/metricsx", "/docs"]
        let refused = Set(paths.filter { $0.firstMatch(of: pattern) != nil })
        try await ServiceFixture().serve { http in
            for path in paths {
                let isMetrics = try await http.get(path).body.contains("nanobot_http_requests_total")
                #expect(refused.contains(path) == isMetrics, "\(path)")
            }
        }
    }
}
