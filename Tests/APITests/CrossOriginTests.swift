// Pages of other origins: which may call, what a preflight is told, and that every answer to a listed page can be read by it.

import Foundation
import Identity
import Jobs
import Spool
import TestSupport
import Testing
import TextFormats

@testable import API

@Suite(.timeLimit(.minutes(2)))
struct CrossOriginTests {
    private static let app = "https://app.example.org"

    private func preflight(
        _ http: ProbeClient, _ path: String, _ method: String, origin: String = app, _ headers: [(String, String)] = []
    ) async throws -> Reply {
        try await http.send(
            "OPTIONS", path, [("Origin", origin), ("Access-Control-Request-Method", method)] + headers)
    }

    @Test(
        "a preflight of a listed page is answered without a credential, whether the service is open or closed",
        arguments: [nil, "s3cret"] as [String?])
    func preflights(token: String?) async throws {
        let service = try ServiceFixture()
        try await service.serve({
            $0.corsOrigins = [Self.app]
            $0.adminToken = token
        }) { http in
            let reply = try await preflight(
                http, "/users/alice/preferences", "PUT",
                [("Access-Control-Request-Headers", "authorization, content-type,if-match"),
                    ("Access-Control-Request-Private-Network", "true")])
            #expect(reply.status == 204)
            #expect(reply.header("access-control-allow-origin") == Self.app)
            #expect(reply.header("access-control-allow-methods")?.contains("PUT") == true)
            #expect(reply.header("access-control-allow-headers") == "authorization, content-type, if-match")
            #expect(reply.header("access-control-allow-private-network") == "true")
            #expect(reply.header("access-control-max-age") != nil)
            #expect(reply.header("access-control-allow-credentials") == nil)
            let vary = reply.header("vary")?.lowercased() ?? ""
            for name in ["origin", "access-control-request-headers"] {
                #expect(vary.contains(name))
            }
            // A page that calls a path or a method that is not there is to read the 404 or the 405.
            #expect(try await preflight(http, "/nothing", "GET").status == 204)
            let odd = try await preflight(http, "/chat", "PATCH")
            #expect(odd.header("access-control-allow-methods")?.contains("PATCH") == true)
            for foreign in ["https://evil.example", "https://app.example.org.evil.example", "http://app.example.org", "null"] {
                let refused = try await preflight(http, "/users", "GET", origin: foreign)
                #expect((refused.status, refused.code) == (403, "origin_not_allowed"))
                #expect(refused.header("access-control-allow-origin") == nil)
                #expect(refused.header("vary")?.contains("Origin") == true)
            }
        }
    }

    @Test("header names of a preflight come back only where they are names")
    func names() async throws {
        try await ServiceFixture().serve({ $0.corsOrigins = [Self.app] }) { http in
            let asked = [("Access-Control-Request-Headers", "x-good, b\"ad, (worse), *ok*")]
            let reply = try await preflight(http, "/users", "POST", asked)
            #expect(reply.header("access-control-allow-headers") == "x-good, *ok*")
        }
    }

    @Test("every kind of answer to a listed page, errors and streams too, names the page and the headers it may read")
    func answers() async throws {
        let service = try ServiceFixture()
        let alice = try service.makeUser("alice")
        let token = try service.tokens.create(.user, user: alice).token
        service.startWorker(StreamTests.talk)
        try await service.serve({
            $0.corsOrigins = [Self.app, "http://localhost:5173"]
            $0.requestsPerMinute = 6
            // A clock at rest: no request is earned back.
            $0.now = { [now = Date()] in now }
        }) { http in
            let own = [("Authorization", "Bearer \(token)")]
            var replies: [Reply] = []
            for (path, headers, status) in [
                ("/users/alice", own, 200), ("/users/alice", [], 401), ("/users/bob", own, 404), ("/nothing", own, 404),
                ("/users/alice/jobs?limit=x", own, 422), ("/" + String(repeating: "x", count: 9_000), own, 414),
            ] as [(String, [(String, String)], Int)] {
                let reply = try await http.get(path, headers + [("Origin", Self.app)])
                #expect(reply.status == status)
                replies.append(reply)
            }
            let stream = try await http.send(
                "POST", "/chat", json: ["user_id": "alice", "message": "hi", "stream": true], own + [("Origin", Self.app)])
            #expect(stream.header("content-type") == "text/event-stream")
            replies.append(stream)
            var last = stream
            for _ in 0..<6 where last.status != 429 { last = try await http.get("/users/alice", own + [("Origin", Self.app)]) }
            #expect(last.status == 429)
            replies.append(last)
            for reply in replies {
                #expect(reply.header("access-control-allow-origin") == Self.app)
                #expect(reply.header("vary")?.contains("Origin") == true)
                #expect(reply.header("access-control-allow-credentials") == nil)
                let exposed = reply.header("access-control-expose-headers") ?? ""
                for name in ["Location", "Retry-After", "Link", "ETag", "X-Job-Id", "X-Session-Id", "X-Request-Id"] {
                    #expect(exposed.contains(name))
                }
            }
            // Another page's browser keeps the answer to itself, and a cache knows that the answers differ.
            for origin in [nil, "https://evil.example"] as [String?] {
                let reply = try await http.get("/health", origin.map { [("Origin", $0)] } ?? [])
                #expect(reply.header("access-control-allow-origin") == nil)
                #expect(reply.header("vary")?.contains("Origin") == true)
            }
        }
    }

    @Test("a failure of the service is readable for a listed page")
    func failure() async throws {
        try await ServiceFixture().serve({
            $0.corsOrigins = [Self.app]
            $0.adminToken = "s3cret"
            $0.maxStreams = 0
        }) { http in
            let headers = [("Authorization", "Bearer s3cret"), ("Origin", Self.app)]
            _ = try await http.send("POST", "/users", json: ["user_id": "alice"], headers)
            let chat: JSON = ["user_id": "alice", "message": "hi", "stream": true]
            let reply = try await http.send("POST", "/chat", json: chat, headers)
            #expect((reply.status, reply.code) == (503, "too_many_streams"))
            #expect(reply.header("access-control-allow-origin") == Self.app)
        }
    }

    @Test(
        "without a token the service takes requests of listed pages and of no others, whatever their Host says",
        arguments: [
            (app, nil, "cross-site", 200), ("https://evil.example", nil, "cross-site", 403), ("null", nil, "cross-site", 403),
            (app, "evil.example", "cross-site", 403), (nil, nil, "cross-site", 403), (nil, nil, "same-origin", 200),
        ] as [(String?, String?, String, Int)])
    func open(origin: String?, host: String?, site: String, status: Int) async throws {
        try await ServiceFixture().serve({ $0.corsOrigins = [Self.app] }) { http in
            var headers = [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", "cors")]
            if let origin { headers.append(("Origin", origin)) }
            if let host { headers.append(("Host", host)) }
            let reply = try await http.get("/users", headers)
            #expect(reply.status == status)
        }
    }

    @Test("without the setting no answer knows origins, and a preflight is refused")
    func unset() async throws {
        try await ServiceFixture().serve { http in
            #expect(try await http.get("/health").header("vary") == nil)
            let reply = try await preflight(http, "/users", "GET")
            #expect((reply.status, reply.code) == (403, "origin_not_allowed"))
        }
    }

    @Test(
        "an origin is read as browsers write it, and what is none is refused with the reason",
        arguments: [
            ("https://app.example.org", "https://app.example.org"), ("HTTPS://App.Example.org:443", "https://app.example.org"),
            ("http://localhost:5173", "http://localhost:5173"), ("http://[::1]:80", "http://[::1]"),
            ("capacitor://localhost", "capacitor://localhost"), ("*", nil), ("https://*.example.org", nil),
            ("https://app.example.org/", nil), ("https://app.example.org/x", nil), ("app.example.org", nil), ("null", nil),
            ("https://", nil), ("https://user@app.example.org", nil), ("https://app.example.org:99999", nil),
            ("https://büro.example", nil), ("https://a b", nil), ("", nil), ("://x", nil), ("https://x?y", nil),
        ] as [(String, String?)])
    func reading(text: String, origin: String?) {
        do throws(CrossOrigin.Refusal) {
            let read = try CrossOrigin.origin(text)
            #expect(read == origin)
        } catch {
            #expect(origin == nil)
            #expect(error.detail.hasPrefix("must "))
        }
    }
}
