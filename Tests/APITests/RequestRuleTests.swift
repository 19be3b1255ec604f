// What every request must be, and what every answer is: types, sizes, methods, headers, who may ask.

import API
import Foundation
import Testing
import TextFormats
import WireTypes

@Suite(.timeLimit(.minutes(2)))
struct RequestRuleTests {
    @Test("the service tells its name, health, readiness and metrics")
    func service() async throws {
        let service = try ServiceFixture()
        try await service.serve { http in
            #expect(
                try await http.get("/").json == [
                    "name": "nanobot", "version": "9.9.9", "docs_url": "/docs", "health_url": "/health",
                ])
            let health = try await http.get("/health").json
            #expect(health["status"] == "healthy")
            #expect(health["services"]?["report_scheduler"] == true)
            #expect(try await http.get("/ready").status == 200)
            service.shelf.setReady(false)
            let unready = try await http.get("/ready")
            #expect((unready.status, unready.header("retry-after")) == (503, "5"))
            let metrics = try await http.get("/metrics")
            #expect(metrics.body.contains("nanobot_jobs_queued 0\n"))
            #expect(metrics.body.contains(#"nanobot_http_requests_total{method="GET",route="/ready",status="503"} 1"#))
        }
    }

    @Test(
        "a body must be JSON, typed and small",
        arguments: [
            (["Content-Type": "application/json"], "{\"user_id\":", 400, "invalid_json"),
            (["Content-Type": "application/json"], "", 400, "invalid_json"),
            (["Content-Type": "application/json"], "{\"a\":1,\"a\":2}", 400, "invalid_json"),
            (["Content-Type": "text/plain"], "{}", 415, "unsupported_media_type"),
            (["Content-Type": "application/x-www-form-urlencoded"], "a=b", 415, "unsupported_media_type"),
            (["Content-Type": "application/json; charset=latin1"], "{}", 415, "unsupported_media_type"),
            ([:], "{}", 415, "unsupported_media_type"),
            (["Content-Type": "application/json; charset=UTF-8"], "{}", 422, "invalid_field"),
            (
                ["Content-Type": "application/json"], "\"" + String(repeating: "x", count: 1 << 20) + "\"", 413,
                "too_large"
            ),
        ])
    func bodies(headers: [String: String], body: String, status: Int, code: String) async throws {
        try await ServiceFixture().serve { http in
            let reply = try await http.send("POST", "/users", headers.map { ($0.key, $0.value) }, body: body)
            #expect(reply.status == status)
            #expect(reply.code == code)
            #expect(try reply.json["type"] == .string("urn:nanobot:problem:\(code)"))
            #expect(try reply.json["status"] == JSON(status))
        }
    }

    @Test(
        "a call without a body takes none, or the empty object, and nothing a web page could send",
        arguments: [
            ([:], "", 200), (["Content-Type": "application/json"], "{}", 200), (["Content-Type": "text/plain"], "{}", 415),
            (["Content-Type": "application/json"], "{\"x\":1}", 422), (["Content-Type": "application/json"], "{", 400),
            (["Content-Type": "text/plain"], String(repeating: "x", count: 2_000), 413),
        ] as [([String: String], String, Int)])
    func noBody(headers: [String: String], body: String, status: Int) async throws {
        try await ServiceFixture().serve { http in
            let reply = try await http.send(
                "POST", "/queue/resume", headers.map { ($0.key, $0.value) }, body: body.isEmpty ? nil : body)
            #expect(reply.status == status)
        }
    }

    @Test(
        "a path or method there is not is a problem that helps",
        arguments: [
            ("GET", "/nothing", 404, ""), ("GET", "/users/a/b/c", 404, ""), ("PATCH", "/users", 405, "GET, HEAD, POST"),
            ("POST", "/health", 405, "GET, HEAD"), ("DELETE", "/queue/pause", 405, "POST"),
            ("TRACE", "/chat", 405, "POST"),
            ("OPTIONS", "/users/alice", 405, "DELETE, GET, HEAD"),
        ])
    func unknownPaths(method: String, path: String, status: Int, allow: String) async throws {
        try await ServiceFixture().serve { http in
            let reply = try await http.send(method, path)
            #expect(reply.status == status)
            #expect(reply.code == (status == 404 ? "not_found" : "method_not_allowed"))
            #expect((reply.header("allow") ?? "") == allow)
        }
    }

    @Test("HEAD answers as GET does, without the body")
    func head() async throws {
        try await ServiceFixture().serve { http in
            let reply = try await http.send("HEAD", "/")
            #expect((reply.status, reply.body) == (200, ""))
            #expect(reply.header("content-length") == (try await http.get("/").header("content-length")))
            #expect(try await http.send("HEAD", "/users/ghost").body == "")
        }
    }

    @Test("a request id comes back if it is harmless, else a new one")
    func requestIDs() async throws {
        try await ServiceFixture().serve { http in
            for good in ["abc-1.2_Z", "Root=1-5759e988:a/b+c", String(repeating: "x", count: 128)] {
                #expect(try await http.get("/", [("X-Request-Id", good)]).header("x-request-id") == good)
            }
            for bad in ["a b", String(repeating: "x", count: 129), "<script>", "\"q\"", "a;b", "é"] {
                let given = try await http.get("/", [("X-Request-Id", bad)]).header("x-request-id")
                #expect(given != bad && given?.isEmpty == false)
            }
        }
    }

    @Test(
        "without a token only loopback names and pages of this origin are answered",
        arguments: [
            ("localhost:PORT", nil, 200), ("127.0.0.1", nil, 200), ("[::1]:PORT", nil, 200), ("LOCALHOST", nil, 200),
            ("evil.example", nil, 403), ("127.0.0.1.evil.example", nil, 403), ("0.0.0.0", nil, 403), ("", nil, 400),
            ("localhost:PORT@evil.example", nil, 403), ("localhost@evil.example:PORT", nil, 403), ("[::1]x", nil, 403),
            ("127.0.0.1:PORT:1", nil, 403), ("127.0.0.1:70000", nil, 403), ("[::1", nil, 403),
            ("127.0.0.1:PORT", "http://127.0.0.1:PORT", 200), ("127.0.0.1:PORT", "http://evil.example", 403),
            ("127.0.0.1:PORT", "null", 403), ("127.0.0.1:PORT", "http://localhost:PORT", 403),
            ("127.0.0.1:PORT", "http://127.0.0.1:1", 403),
        ] as [(String, String?, Int)])
    func local(host: String, origin: String?, status: Int) async throws {
        try await ServiceFixture().serve { http in
            let fill = { (text: String) in text.replacingOccurrences(of: "PORT", with: "\(http.port)") }
            var headers = [("Host", fill(host))]
            if let origin { headers.append(("Origin", fill(origin))) }
            let reply = try await http.get("/users", headers)
            // A request of HTTP/1.1 without Host is refused by the parser or by us.
            #expect(reply.status == status || (status == 400 && reply.status == 403))
            #expect(reply.header("access-control-allow-origin") == nil)
        }
    }

    @Test(
        "what is no request, or says two things, is answered with a problem, and the connection ends",
        arguments: [
            ("GET / HTTP/1.1\r\nHost: HOST\r\nHost: evil.example\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: HOST\r\nhost: HOST\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: HOST\r\nBad Name: x\r\n\r\n", 400), ("NO REQUEST\r\n\r\n", 400),
            ("POST /users HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
            ("GET / HTTP/1.1\r\nHost: HOST\r\nX: \(String(repeating: "x", count: 200_000))\r\n\r\n", 431),
        ])
    func malformed(text: String, status: Int) async throws {
        try await ServiceFixture().serve { http in
            // A good request in front, on the same connection, is answered first and as ever.
            let good = "GET /health HTTP/1.1\r\nHost: 127.0.0.1:\(http.port)\r\n\r\n"
            let bad = text.replacingOccurrences(of: "HOST", with: "127.0.0.1:\(http.port)")
            for (sent, count) in [(bad, 1), (good + bad, 2)] {
                let answers = try await http.exchange(sent).components(separatedBy: "HTTP/1.1 ").dropFirst()
                #expect(answers.count == count)
                if count == 2 { #expect(answers.first?.hasPrefix("200 ") == true) }
                let last = try #require(answers.last)
                #expect(last.hasPrefix("\(status) "))
                #expect(last.lowercased().contains("content-type: application/problem+json"))
                let body = try #require(last.components(separatedBy: "\r\n\r\n").last)
                #expect(try JSON.parse(body)["status"]?.int == status)
            }
        }
    }

    @Test(
        "with a token everything but probes and documentation needs it",
        arguments: [
            ("/users", nil, 401), ("/users", "Bearer wrong", 401), ("/users", "Basic s3cret-token", 401),
            ("/users", "Bearer s3cret-token", 200), ("/users", "bearer s3cret-token", 200),
            ("/users", "Bearer s3cret-toke", 401), ("/users", "Bearer s3cret-token2", 401), ("/metrics", nil, 401),
            ("/nothing", nil, 401), ("/health", nil, 200), ("/ready", nil, 200), ("/docs", nil, 200),
            ("/openapi.json", nil, 200), ("/jobs", "Bearer", 401),
        ] as [(String, String?, Int)])
    func tokens(path: String, authorization: String?, status: Int) async throws {
        try await ServiceFixture().serve({ $0.adminToken = "s3cret-token" }) { http in
            let headers = [("Host", "nanobot.example")] + (authorization.map { [("Authorization", $0)] } ?? [])
            let reply = try await http.get(path, headers)
            #expect(reply.status == status)
            #expect((reply.header("www-authenticate") != nil) == (status == 401))
            #expect(!reply.body.contains("s3cret"))
        }
    }

    @Test(
        "no address beyond loopback is bound without a token",
        arguments: [
            ("127.0.0.1", false, true), ("localhost", false, true), ("::1", false, true), ("[::1]", false, true),
            ("127.1.2.3", false, true), ("0.0.0.0", false, false), ("::", false, false), ("192.168.1.2", false, false),
            ("127.0.0.1.example", false, false), ("127.0.0.256", false, false), ("0.0.0.0", true, true),
        ] as [(String, Bool, Bool)])
    func binding(host: String, isClosed: Bool, isAllowed: Bool) {
        #expect((BindingPolicy.check(host: host, isClosed: isClosed) == nil) == isAllowed)
    }

    @Test("the documentation works without internet: plain, or with the viewers' files where they are")
    func documentation() async throws {
        let fixture = try ServiceFixture()
        try await fixture.serve { http in
            for path in ["/docs", "/redoc"] {
                let page = try await http.get(path)
                #expect(page.status == 200)
                #expect(page.body.contains("POST /chat") && !page.body.contains("<script"))
                #expect(page.header("content-security-policy")?.contains("default-src 'none'") == true)
                #expect(page.header("x-frame-options") == "DENY")
            }
            #expect(try await http.get("/docs/assets/redoc.standalone.js").status == 404)
            let description = try await http.get("/openapi.json")
            #expect(try description.json["openapi"] == "3.1.0")
            let tag = try #require(description.header("etag"))
            #expect(try await http.get("/openapi.json", [("If-None-Match", tag)]).status == 304)
        }
        try await fixture.serve({ $0.documentationAsset = { path in Array("/* \(path) */".utf8) } }) { http in
            let docs = try await http.get("/docs")
            #expect(docs.body.contains("/docs/assets/swagger-ui-bundle.js"))
            #expect(try await http.get("/redoc").body.contains("/docs/assets/redoc.standalone.js"))
            #expect(try await http.get("/docs/assets/swagger-ui.css").body == "/* swagger-ui-dist/swagger-ui.css */")
            #expect(try await http.get("/docs/assets/..%2fswagger-ui.css").status == 404)
        }
    }

    @Test("the description names every route there is, and no other")
    func descriptionIsComplete() async throws {
        let fixture = try ServiceFixture()
        try await fixture.serve { http in
            let paths = try #require(try await http.get("/openapi.json").json["paths"]?.object)
            for (path, item) in paths {
                let concrete = path.split(separator: "/").map { $0.hasPrefix("{") ? "x" : String($0) }
                let described = Set(item.object?.keys.map { $0.uppercased() } ?? []).subtracting(["PARAMETERS"])
                // A method nobody serves is answered with those that are served.
                let reply = try await http.send("TRACE", "/" + concrete.joined(separator: "/"))
                #expect(reply.status == 405, "\(path)")
                let served = Set((reply.header("allow") ?? "").components(separatedBy: ", ")).subtracting(["HEAD"])
                #expect(described == served, "\(path)")
            }
        }
    }
}
