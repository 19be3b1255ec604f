// Tokens that make tokens over HTTP, rotations, and ids of jobs that are another user's.
import Crypto
import Foundation
import HTTPTypes
import Identity
import Jobs
import Spool
import TestSupport
import Testing
import TextFormats

@testable import API

@Suite struct MintingTests {
    private static let secret = "a secret of the test, which is long enough"
    private static let later = "2035-01-01T00:00:00Z"

    private func bearer(_ token: String) -> [(String, String)] { [("Authorization", "Bearer \(token)")] }

    private func time(_ reply: Reply, _ name: String = "expires_at") throws -> Date? {
        try reply.json[name]?.string.flatMap { RFC3339.date($0) }
    }

    private func jwt(_ subject: String, endsIn seconds: Double) -> (token: String, end: Date) {
        let end = (Date().timeIntervalSince1970 + seconds).rounded()
        let text = { (json: JSON) in
            Data(json.bytes()).base64EncodedString().replacingOccurrences(of: "+", with: "-")
                .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
        }
        let open = text(["alg": "HS256"]) + "." + text(["sub": .string(subject), "exp": .double(end)])
        let code = HMAC<SHA256>.authenticationCode(
            for: Array(open.utf8), using: SymmetricKey(data: Array(Self.secret.utf8)))
        let signature = Data(code).base64EncodedString().replacingOccurrences(of: "+", with: "-")
            .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
        return (open + "." + signature, Date(timeIntervalSince1970: end))
    }

    @Test("Users' tokens and users' JSON Web Tokens make no tokens unless the operator allows it; rotating is no making")
    func notAllowed() async throws {
        let fixture = try ServiceFixture()
        let alice = try fixture.makeUser("alice")
        let end = Date().addingTimeInterval(3_600)
        let token = try fixture.tokens.create(.user, user: alice, expiresAt: end)
        let verifier = try JWTVerifier(options: JWTOptions(), keys: .secret(Array(Self.secret.utf8)))
        try await fixture.serve({ $0.jwt = verifier }) { http in
            for credential in [token.token, jwt("alice", endsIn: 60).token] {
                let reply = try await http.send(
                    "POST", "/users/alice/tokens", json: ["scope": "read"], bearer(credential))
                #expect((reply.status, reply.code) == (403, "minting_not_allowed"))
            }
            #expect(try fixture.tokens.store.list(user: alice).map(\.id) == [token.record.id])
            let rotated = try await http.send(
                "POST", "/users/alice/tokens/\(token.record.id)/rotate",
                json: ["overlap_s": 60, "expires_at": .string(Self.later)], bearer(token.token))
            #expect(rotated.status == 201)
            let shown = try rotated.json
            #expect(shown["parent"] == .null && shown["rotated_from"] == .string(token.record.id))
            let rotatedEnd = try time(rotated)
            #expect(abs(rotatedEnd?.timeIntervalSince(end) ?? .infinity) < 1)
            let second = try await http.send(
                "POST", "/users/alice/tokens/\(token.record.id)/rotate", json: [:], bearer(token.token))
            #expect((second.status, second.code) == (409, "token_rotated"))
        }
    }

    @Test("Where it is allowed, what a user's credential makes ends with it and goes with it, over generations")
    func allowed() async throws {
        let fixture = try ServiceFixture()
        let alice = try fixture.makeUser("alice")
        let end = Date().addingTimeInterval(3_600)
        let root = try fixture.tokens.create(.user, user: alice, expiresAt: end)
        let verifier = try JWTVerifier(options: JWTOptions(), keys: .secret(Array(Self.secret.utf8)))
        try await fixture.serve({
            $0.jwt = verifier
            $0.userTokensMayMint = true
        }) { http in
            var maker = root.token
            var made: [String] = []
            for _ in 0..<3 {
                let reply = try await http.send(
                    "POST", "/users/alice/tokens", json: ["scope": "user", "expires_at": .string(Self.later)],
                    bearer(maker))
                #expect(reply.status == 201)
                let madeEnd = try time(reply)
                #expect(abs(madeEnd?.timeIntervalSince(end) ?? .infinity) < 1)
                maker = try #require(try reply.json["token"]?.string)
                made.append(maker)
            }
            let reader = try await http.send("POST", "/users/alice/tokens", json: ["scope": "read"], bearer(maker))
            let readers = try #require(try reader.json["token"]?.string)
            #expect(
                try await http.send("POST", "/users/alice/tokens", json: ["scope": "read"], bearer(readers)).status == 403)
            for token in made + [readers] { #expect(try await http.get("/users/alice", bearer(token)).status == 200) }
            #expect(
                try await http.send("DELETE", "/users/alice/tokens/\(root.record.id)", bearer(root.token)).status == 204)
            for token in made + [readers] { #expect(try await http.get("/users/alice", bearer(token)).status == 401) }

            let web = jwt("alice", endsIn: 600)
            let ofWeb = try await http.send("POST", "/users/alice/tokens", json: ["scope": "user"], bearer(web.token))
            #expect(ofWeb.status == 201)
            #expect(try time(ofWeb) == web.end)
            #expect(try ofWeb.json["parent"] == "jwt alice")
            let admin = try fixture.tokens.create(.admin, user: nil)
            let free = try await http.send("POST", "/users/alice/tokens", json: ["scope": "user"], bearer(admin.token))
            let freely = try free.json
            #expect(freely["expires_at"] == .null && freely["parent"] == .null)
        }
    }

    /// Calls that take an id of the caller's choice.
    enum Door: CaseIterable, Sendable {
        case jobs, batch, chat, reports

        func call(_ user: String, _ id: String) -> (path: String, body: JSON) {
            let report: JSON = ["kind": "report", "user_id": .string(user), "id": .string(id)]
            switch self {
            case .jobs: return ("/jobs", report)
            case .batch: return ("/jobs", .array([report]))
            case .chat:
                return ("/chat", ["user_id": .string(user), "message": "hi", "id": .string(id), "wait": 0])
            case .reports: return ("/reports", ["user_id": .string(user), "id": .string(id)])
            }
        }
    }

    @Test("Another user's job id is refused like an id that cannot be chosen, whatever its state", arguments: Door.allCases)
    func foreignIDs(_ door: Door) async throws {
        let fixture = try ServiceFixture()
        let (alice, bob) = (try fixture.makeUser("alice"), try fixture.makeUser("bob"))
        let ids = try (0..<3).map { _ in
            let request = try JobRequest.parse(["kind": "report", "user_id": "alice"], now: Date())
            return try fixture.jobs.submit(request, source: .api, route: "t").id
        }
        try fixture.work(ids[0]) { _, _ in .complete(["report_id": .string("\(ids[0])")]) }
        try fixture.work(ids[1]) { _, _ in .fail(code: "model_error") }
        let admin = try fixture.tokens.create(.admin, user: nil).token
        let his = try fixture.tokens.create(.user, user: bob).token
        let hers = try fixture.tokens.create(.user, user: alice).token
        let unusable = JobID.make(now: Date().addingTimeInterval(-9 * 86_400))
        try await fixture.serve { http in
            let answer = { (user: String, token: String, id: JobID) async throws -> String in
                let (path, body) = door.call(user, "\(id)")
                let reply = try await http.send("POST", path, json: body, bearer(token))
                return "\(reply.status) " + reply.body.replacingOccurrences(of: "\(id)", with: "?")
            }
            let refusal = try await answer("bob", his, unusable)
            #expect(refusal.contains("invalid_job") && refusal.contains("\"id\""))
            for id in ids { #expect(try await answer("bob", his, id) == refusal) }
            // The caller's own, and whoever reaches both users, are told.
            #expect(try await answer("alice", hers, ids[2]).contains(door == .chat ? "conflict" : "queued"))
            #expect(try await answer("bob", admin, ids[2]).contains("conflict"))
            #expect(try await answer("bob", his, JobID.make(now: Date())).contains("queued"))
            #expect(try fixture.jobs.list(JobFilter(user: bob), limit: 10).count == 1)
        }
    }
}
