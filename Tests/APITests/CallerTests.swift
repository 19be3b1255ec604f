// What a user's token makes short: /users/me, calls that name no user. And the parts of a user that have a path of their own.

import Foundation
import Identity
import Jobs
import Spool
import Tenants
import Testing
import TextFormats

@Suite(.timeLimit(.minutes(2)))
struct CallerTests {
    private func world() throws -> (ServiceFixture, mine: [(String, String)], admin: [(String, String)]) {
        let service = try ServiceFixture()
        let alice = try service.makeUser("alice")
        try service.makeUser("bob")
        let mine = try service.tokens.create(.user, user: alice).token
        let admin = try service.tokens.create(.admin, user: nil).token
        return (service, [("Authorization", "Bearer \(mine)")], [("Authorization", "Bearer \(admin)")])
    }

    @Test(
        "With a user's token a path of \"me\" answers as the path of its id; without one the answer says so",
        arguments: [
            "", "/watchlist", "/preferences", "/persona", "/custom_data", "/reports", "/sessions", "/sessions/default",
            "/sessions/default/messages", "/usage", "/jobs", "/limits", "/schedules", "/schedules/daily-report", "/tokens",
            "/files", "/skills",
        ])
    func me(path: String) async throws {
        let (service, mine, admin) = try world()
        try await service.serve { http in
            let named = try await http.get("/users/alice\(path)", mine)
            let short = try await http.get("/users/me\(path)", mine)
            #expect(named.status == 200 && short.status == 200 && short.body == named.body)
            #expect(short.header("etag") == named.header("etag"))
            #expect(try await http.get("/users/%6De\(path)", mine).body == named.body)
            let refused = try await http.get("/users/me\(path)", admin)
            #expect((refused.status, refused.code) == (422, "invalid_field"))
            #expect(try refused.json["field"] == "user_id")
            #expect(try refused.json["detail"]?.string?.contains("user's token") == true)
        }
    }

    @Test("Changes by \"me\" reach the token's user: settings, schedules, sessions, deletion; and nobody is called \"me\"")
    func changesOfMe() async throws {
        let (service, mine, admin) = try world()
        try await service.serve { http in
            #expect(try await http.send("PUT", "/users/me/watchlist", json: ["stocks": ["AAPL"]], mine).status == 200)
            #expect(try await http.get("/users/alice/watchlist", admin).json["stocks"] == ["AAPL"])
            let job: JSON = ["kind": "report"]
            let made = try await http.send(
                "POST", "/users/me/schedules", json: ["kind": "every", "expression": "PT2H", "job": job], mine)
            #expect(made.header("location")?.hasPrefix("/users/alice/schedules/") == true)
            #expect(try await http.send("PATCH", "/users/me/sessions/default", json: ["title": "t"], mine).status == 200)
            #expect(try await http.send("PUT", "/users/me/plan", json: ["plan": "free"], mine).status == 403)
            #expect(try await http.send("PUT", "/users/me/plan", json: ["plan": "free"], admin).status == 422)
            #expect(try await http.send("POST", "/users", json: ["user_id": "me"], admin).status == 422)
            #expect(try await http.send("DELETE", "/users/me", mine).status == 204)
            #expect(try await http.get("/users/alice", admin).status == 404)
            #expect(try await http.get("/users/bob", admin).status == 200)
        }
    }

    @Test("A service without tokens says that \"me\" needs one")
    func open() async throws {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        try await service.serve { http in
            for path in ["/users/me", "/schedule?user_id=me", "/jobs?user_id=me"] {
                let reply = try await http.get(path)
                #expect((reply.status, reply.code) == (422, "invalid_field"))
                #expect(try reply.json["detail"]?.string?.contains("token") == true)
            }
            for path in ["/chat", "/reports"] {
                for user in [JSON.null, "me"] {
                    let reply = try await http.send("POST", path, json: ["user_id": user, "message": "hi"])
                    #expect(reply.status == 422)
                    #expect(try reply.json["field"] == "user_id")
                }
            }
            #expect(try await http.get("/schedule").json["field"] == "user_id")
        }
    }

    @Test(
        "With a user's token the user may be left out of every call that makes a job; another's id is absent",
        arguments: [JSON?.none, .some(.null), .some("me"), .some("alice")])
    func leftOut(named: JSON?) async throws {
        let (service, mine, admin) = try world()
        try await service.serve { http in
            func job(_ members: JSONObject, _ user: JSON?) -> JSON {
                var members = members
                if let user { members["user_id"] = user }
                return .object(members)
            }
            let chat: JSONObject = ["message": "hi", "wait": 0]
            let report: JSONObject = ["kind": "report"]
            let made = [
                try await http.send("POST", "/chat", json: job(chat, named), mine),
                try await http.send("POST", "/reports", json: job([:], named), mine),
                try await http.send("POST", "/jobs", json: job(report, named), mine),
            ]
            #expect(made.map(\.status) == [202, 202, 202])
            let rows = try await http.send(
                "POST", "/jobs", json: .array([job(report, named), job(report, "bob"), job(report, named)]), mine)
            let entries = try #require(try rows.json.array)
            #expect(entries[0]["job_id"] != nil && entries[2]["job_id"] != nil && entries[1]["error"]?["code"] == "user_not_found")
            let jobs = try service.jobs.list(JobFilter(), limit: 10)
            #expect(jobs.count == 5 && jobs.allSatisfy { $0.userID.rawValue == "alice" })
            for path in ["/chat", "/reports", "/jobs"] {
                let members = path == "/chat" ? chat : path == "/jobs" ? report : [:]
                let body = job(members, "bob")
                #expect(try await http.send("POST", path, json: body, mine).status == 404)
            }
            #expect(try await http.get("/jobs?user_id=me", mine).json.array?.count == 5)
            #expect(try await http.get("/schedule?user_id=me", mine).json["user_id"] == "alice")
            #expect(try await http.get("/jobs?user_id=bob", mine).status == 404)
            // An admin's token names nobody.
            let refused = try await http.send("POST", "/reports", json: [:], admin)
            #expect(refused.status == 422)
            #expect(try refused.json["field"] == "user_id")
        }
    }

    @Test("A part of a user is that member of the user, with the user's tag", arguments: ["watchlist", "preferences", "persona", "custom_data"])
    func parts(part: String) async throws {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        try await service.serve { http in
            let user = try await http.get("/users/alice")
            let reply = try await http.get("/users/alice/\(part)")
            #expect(try reply.json == user.json[part])
            let tag = try #require(reply.header("etag"))
            #expect(tag == user.header("etag"))
            #expect(try await http.get("/users/alice/\(part)", [("If-None-Match", tag)]).status == 304)
            #expect(try await http.get("/users/ghost/\(part)").status == 404)
            let method = part == "custom_data" ? "PATCH" : "PUT"
            let changed = try await http.send(method, "/users/alice/\(part)", json: [:], [("If-Match", tag)])
            #expect(changed.status == 200)
        }
    }

    @Test("Custom data is patched by RFC 7396 under If-Match, within its bound, and only by an object")
    func customData() async throws {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        try await service.serve { http in
            let path = "/users/alice/custom_data"
            let first = try await http.send("PATCH", path, json: ["crm": ["id": 7, "tags": ["a"]], "note": "x"])
            #expect(try first.json["user_id"] == "alice" && first.json["custom_data"]?["crm"]?["id"] == 7)
            let tag = try #require(first.header("etag"))
            let body = #"{"crm":{"id":null,"seen":true},"note":null}"#
            let type = ("Content-Type", "application/merge-patch+json")
            let second = try await http.send("PATCH", path, [type, ("If-Match", tag)], body: body)
            #expect(try second.json["custom_data"] == ["crm": ["tags": ["a"], "seen": true]])
            #expect(try await http.get(path).json == ["crm": ["tags": ["a"], "seen": true]])
            let late = try await http.send("PATCH", path, [type, ("If-Match", tag)], body: body)
            #expect((late.status, late.code) == (412, "version_conflict"))
            for wrong: JSON in [[], "x", .null, 1, ["x": .string(String(repeating: "y", count: 64 << 10))]] {
                let reply = try await http.send("PATCH", path, json: wrong)
                #expect((reply.status, reply.code) == (422, "invalid_field"))
                #expect(try reply.json["field"] == "custom_data")
            }
            #expect(try await http.get(path).json == ["crm": ["tags": ["a"], "seen": true]])
        }
    }

    @Test("Messages come newest first when asked for, and their links stay in that order")
    func newestFirst() async throws {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        service.shelf.put(messages: (1...5).map { "line \($0)" })
        try await service.serve { http in
            func walk(_ order: String) async throws -> [JSON?] {
                var path: String? = "/users/alice/sessions/default/messages?limit=2\(order)"
                var seen: [JSON?] = []
                while let next = path {
                    let reply = try await http.get(next)
                    seen += try #require(try reply.json.array).map { $0["content"] }
                    path = reply.header("link").map { String($0.dropFirst().prefix { $0 != ">" }) }
                    #expect(path?.contains("order=desc") ?? true || order != "&order=desc")
                }
                return seen
            }
            let forward = (1...5).map { JSON.string("line \($0)") as JSON? }
            #expect(try await walk("") == forward)
            #expect(try await walk("&order=asc") == forward)
            #expect(try await walk("&order=desc") == forward.reversed())
            let wrong = try await http.get("/users/alice/sessions/default/messages?order=newest")
            #expect((wrong.status, wrong.code) == (422, "invalid_field"))
            #expect(try wrong.json["field"] == "order")
        }
    }

    @Test("The id of a request is in the answer, in the job it made, and in each job of its batch")
    func requestID() async throws {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        try await service.serve { http in
            let given = ("X-Request-Id", "Root=1-67:abc/d")
            let chat = try await http.send("POST", "/chat?wait=0", json: ["user_id": "alice", "message": "hi"], [given])
            #expect(chat.header("x-request-id") == given.1)
            let id = try #require(try chat.json["job_id"]?.string)
            #expect(try await http.get("/jobs/\(id)").json["request_id"] == .string(given.1))
            // Asked once more, as the answer that is kept.
            #expect(try await http.get("/jobs/\(id)").json["request_id"] == .string(given.1))
            let entry: JSON = ["kind": "report", "user_id": "alice"]
            let batch = try await http.send("POST", "/jobs", json: [entry, entry], [given])
            for row in try #require(try batch.json.array) {
                let path = try #require(try row["status_url"]?.string)
                #expect(try await http.get(path).json["request_id"] == .string(given.1))
            }
            let run = try await http.send("POST", "/users/alice/schedules/daily-report/run", [given])
            let path = try #require(run.header("location"))
            #expect(try await http.get(path).json["request_id"] == .string(given.1))
            let own = try await http.send("POST", "/reports", json: ["user_id": "alice"])
            let made = try #require(own.header("x-request-id"))
            let report = try #require(try own.json["report_id"]?.string)
            #expect(try await http.get("/jobs/\(report)").json["request_id"] == .string(made))
        }
    }
}
