// Users over HTTP, among them the reference system's faults: initial data lost, reading creates, deleting lists.

import Testing
import TextFormats

@Suite(.timeLimit(.minutes(2)))
struct UserTests {
    @Test("a created user has the initial data, is found, listed, changed and gone after deletion")
    func life() async throws {
        try await ServiceFixture().serve { http in
            let initial: JSON = [
                "user_id": "alice",
                "initial_data": [
                    "watchlist": ["stocks": ["AAPL", "600519.SS"]],
                    "preferences": ["report_time": "08:30", "timezone": "Asia/Shanghai"],
                    "persona": ["risk_preference": "conservative"], "custom_data": ["note": "vip"],
                ],
            ]
            let made = try await http.send("POST", "/users", json: initial)
            #expect(made.status == 201)
            #expect(made.header("location") == "/users/alice")
            let user = try made.json
            #expect(user["watchlist"]?["stocks"] == ["AAPL", "600519.SS"])
            #expect(user["preferences"]?["report_time"] == "08:30")
            #expect(user["persona"]?["risk_preference"] == "conservative")
            #expect(user["custom_data"]?["note"] == "vip")
            #expect(try await http.get("/users/alice").json == user)

            let again = try await http.send("POST", "/users", json: ["user_id": "alice"])
            #expect((again.status, again.code) == (409, "user_exists"))
            #expect(try await http.get("/users").json[0]?["user_id"] == "alice")

            let changed = try await http.send("PUT", "/users/alice/watchlist", json: ["keywords": ["solar"]])
            #expect(try changed.json["watchlist"]?["stocks"] == ["AAPL", "600519.SS"])
            #expect(try changed.json["watchlist"]?["keywords"] == ["solar"])
            let moved = try await http.send("PUT", "/users/alice/preferences", json: ["report_time": "06:15"])
            #expect(try moved.json["preferences"]?["timezone"] == "Asia/Shanghai")
            let overview = try await http.get("/schedule?user_id=alice")
            #expect(try overview.json["daily_report"]?["schedule"] == "06:15")

            #expect(try await http.send("DELETE", "/users/alice").status == 204)
            #expect(try await http.send("DELETE", "/users/alice").status == 404)
            #expect(try await http.get("/users/alice").status == 404)
            #expect(try await http.get("/users").json == [])
        }
    }

    @Test("a user's skills are one array, with obstacle and problems for those that cannot be used")
    func skills() async throws {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        try await service.serve { http in
            let reply = try await http.get("/users/alice/skills")
            #expect(reply.status == 200)
            let skills = try #require(try reply.json.array)
            #expect(skills.map { $0["name"] } == ["launch", "reminders"])
            #expect(skills.map { $0["available"] } == [false, true])
            #expect(skills[0]["problems"]?[0] == skills[0]["obstacle"] && skills[0]["description"] == .null)
            #expect(skills[1]["obstacle"] == .null && skills[1]["source"] == "built_in" && skills[1]["always"] == true)
        }
    }

    @Test(
        "reading or changing a user there is not creates nothing",
        arguments: [
            ("GET", "/users/ghost/skills"), ("GET", "/users/ghost"), ("GET", "/users/ghost/reports"), ("GET", "/users/ghost/sessions"),
            ("GET", "/users/ghost/usage"), ("GET", "/users/ghost/jobs"), ("GET", "/users/ghost/schedules"),
            ("GET", "/schedule?user_id=ghost"), ("GET", "/jobs?user_id=ghost"), ("DELETE", "/users/ghost"),
            ("PUT", "/users/ghost/watchlist"), ("PUT", "/users/ghost/preferences"), ("PUT", "/users/ghost/persona"),
            ("POST", "/users/ghost/schedules"), ("POST", "/chat"), ("POST", "/reports"),
        ])
    func unknownUser(method: String, path: String) async throws {
        let service = try ServiceFixture()
        try await service.serve { http in
            let bodies: [String: JSON] = [
                "/chat": ["user_id": "ghost", "message": "hi"], "/reports": ["user_id": "ghost"],
                "/users/ghost/schedules": ["expression": "09:00", "job": ["kind": "report"]],
            ]
            let reply =
                method == "GET" || method == "DELETE"
                ? try await http.send(method, path)
                : try await http.send(method, path, json: bodies[path] ?? [:])
            #expect((reply.status, reply.code) == (404, "user_not_found"))
            #expect(try await http.get("/users").json == [])
            #expect(try await http.get("/jobs").json == [])
        }
    }

    @Test(
        "an id that would leave the workspaces reaches nothing, however it is written",
        arguments: [
            "..%2f..%2fescape", "%2e%2e%2fescape", "..", "%2e%2e", "a%00b", "x%2f..%2f..%2fescape", "ALICE", "a%2Fb",
            "%zz",
        ])
    func traversal(id: String) async throws {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        try await service.serve { http in
            #expect(try await http.get("/users/\(id)").status == 404)
            #expect(try await http.send("DELETE", "/users/\(id)").status == 404)
            #expect(try await http.get("/users/\(id)/sessions").status == 404)
            let named = try await http.send("POST", "/users", json: ["user_id": .string("../escape")])
            #expect((named.status, try named.json["field"]) == (422, "user_id"))
            #expect(try await http.get("/users").json[0]?["user_id"] == "alice")
        }
    }

    @Test(
        "a wrong value is refused and named",
        arguments: [
            ("POST", "/users", #"{"user_id":"bob","extra":1}"#, "extra"),
            ("POST", "/users", #"{"user_id":"No Way"}"#, "user_id"),
            ("POST", "/users", #"{}"#, "user_id"),
            ("POST", "/users", #"[]"#, "body"),
            (
                "POST", "/users", #"{"user_id":"bob","initial_data":{"preferences":{"report_time":"25:00"}}}"#,
                "initial_data.preferences.report_time"
            ),
            ("PUT", "/users/alice/preferences", #"{"report_frequency":"hourly"}"#, "report_frequency"),
            ("PUT", "/users/alice/preferences", #"{"timezone":"Mars/Base"}"#, "timezone"),
            ("PUT", "/users/alice/watchlist", #"{"stocks":"AAPL"}"#, "stocks"),
            ("PUT", "/users/alice/watchlist", #"{"bonds":[]}"#, "bonds"),
            ("GET", "/users?limit=0", "", "limit"), ("GET", "/users?limit=201", "", "limit"),
            ("GET", "/users?limit=x", "", "limit"), ("GET", "/users?after=..", "", "after"),
            ("GET", "/schedule", "", "user_id"), ("GET", "/jobs?state=done", "", "state"),
            ("GET", "/jobs?after=1", "", "after"),
        ])
    func invalid(method: String, path: String, body: String, field: String) async throws {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        try await service.serve { http in
            let json = [("Content-Type", "application/json")]
            let reply = try await http.send(
                method, path, method == "GET" ? [] : json, body: method == "GET" ? nil : body)
            #expect(reply.status == 422)
            #expect(try reply.json["field"] == .string(field))
            #expect(try await http.get("/users").json.array?.count == 1)
        }
    }

    @Test("a change made for an older version is refused, and an unchanged user is not sent again")
    func versions() async throws {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        try await service.serve { http in
            let tag = try #require(try await http.get("/users/alice").header("etag"))
            #expect(try await http.get("/users/alice", [("If-None-Match", tag)]).status == 304)
            let first = try await http.send(
                "PUT", "/users/alice/watchlist", json: ["stocks": ["A"]], [("If-Match", tag)])
            #expect(first.status == 200)
            let late = try await http.send(
                "PUT", "/users/alice/watchlist", json: ["stocks": ["B"]], [("If-Match", tag)])
            #expect((late.status, late.code) == (412, "version_conflict"))
            let now = try await http.get("/users/alice", [("If-None-Match", tag)])
            #expect(now.status == 200)
            #expect(try now.json["watchlist"]?["stocks"] == ["A"])
            let any = try await http.send("PUT", "/users/alice/watchlist", json: ["stocks": ["C"]], [("If-Match", "*")])
            #expect(any.status == 200)
        }
    }

    @Test("a user made again under an old id is not taken for the old one")
    func incarnations() async throws {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        try await service.serve { http in
            let tag = try #require(try await http.get("/users/alice").header("etag"))
            _ = try await http.send("DELETE", "/users/alice")
            _ = try await http.send("POST", "/users", json: ["user_id": "alice"])
            #expect(try await http.get("/users/alice", [("If-None-Match", tag)]).status == 200)
            let late = try await http.send(
                "PUT", "/users/alice/watchlist", json: ["stocks": ["B"]], [("If-Match", tag)])
            #expect(late.status == 412)
        }
    }

    @Test("pages follow each other by their links and miss nobody")
    func pages() async throws {
        let service = try ServiceFixture()
        for name in ["a", "b", "c", "d", "e"] { try service.makeUser(name) }
        try await service.serve { http in
            var path: String? = "/users?limit=2&colour=blue"
            var seen: [String] = []
            while let next = path {
                let reply = try await http.get(next)
                seen += try reply.json.array?.compactMap { $0["user_id"]?.string } ?? []
                path = reply.header("link").map { String($0.dropFirst().prefix { $0 != ">" }) }
            }
            #expect(seen == ["a", "b", "c", "d", "e"])
        }
    }
}
