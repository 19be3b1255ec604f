// Who may do what: every route of the service × every kind of caller, against one table. A route without a row, and a row
// without a route, fail. Each cell is a request to a server of its own data.
import Accounts
import Foundation
import Hummingbird
import Identity
import Jobs
import Logging
import Scheduler
import Spool
import Tenants
import Testing
import TextFormats
import WireTypes

@testable import API

/// Who asks; the resources are all alice's.
private enum Asker: String, CaseIterable {
    case none, wrong, otherUser, ownUser, ownReader, admin
}

/// What a route answers to each of them, in the order of `Asker`.
private struct Row: Sendable, CustomTestStringConvertible {
    var call: String
    var codes: [Int]
    /// The body, given the user it is about.
    var body: (@Sendable (String) -> JSON)?
    var testDescription: String { call }

    /// Probes and documentation.
    static func everyone(_ call: String, _ code: Int = 200) -> Row {
        Row(call: call, codes: Array(repeating: code, count: 6))
    }

    /// Reading what is alice's: absent for bob.
    static func read(_ call: String, _ code: Int = 200) -> Row {
        Row(call: call, codes: [401, 401, 404, code, code, code])
    }

    /// Changing what is alice's: absent for bob, refused to a reader.
    static func write(_ call: String, _ code: Int, _ body: (@Sendable (String) -> JSON)? = nil) -> Row {
        Row(call: call, codes: [401, 401, 404, code, 403, code], body: body)
    }

    static func admin(_ call: String, _ code: Int, _ body: (@Sendable (String) -> JSON)? = nil) -> Row {
        Row(call: call, codes: [401, 401, 403, 403, 403, code], body: body)
    }

    static let all: [Row] = [
        .everyone("GET /health"), .everyone("GET /ready"), .everyone("GET /openapi.json"), .everyone("GET /docs"),
        .everyone("GET /redoc"), .everyone("GET /docs/assets/{name}", 404),
        Row(call: "GET /", codes: [401, 401, 200, 200, 200, 200]), .admin("GET /metrics", 200),
        .admin("POST /users", 201) { _ in ["user_id": "carol"] }, .admin("GET /users", 200),
        .read("GET /users/{user_id}"), .write("DELETE /users/{user_id}", 204),
        .write("PUT /users/{user_id}/watchlist", 200) { _ in ["stocks": ["AAPL"]] },
        .write("PUT /users/{user_id}/preferences", 200) { _ in ["language": "en"] },
        .write("PUT /users/{user_id}/persona", 200) { _ in [:] },
        .read("GET /users/{user_id}/watchlist"), .read("GET /users/{user_id}/preferences"),
        .read("GET /users/{user_id}/persona"), .read("GET /users/{user_id}/custom_data"),
        .write("PATCH /users/{user_id}/custom_data", 200) { _ in ["a": 1] },
        .read("GET /users/{user_id}/limits"), .admin("PUT /users/{user_id}/plan", 200) { _ in ["plan": "free"] },
        .admin("POST /users/{user_id}/suspend", 200) { _ in ["reason": "x"] },
        .admin("POST /users/{user_id}/resume", 200),
        // A user's token makes tokens only where the operator says so.
        Row(call: "POST /users/{user_id}/tokens", codes: [401, 401, 404, 403, 403, 201]) { _ in ["scope": "read"] },
        .read("GET /users/{user_id}/tokens"), .write("DELETE /users/{user_id}/tokens/{token_id}", 204),
        .write("POST /users/{user_id}/tokens/{token_id}/rotate", 201),
        // A ticket reads: readers may make one.
        Row(call: "POST /users/{user_id}/stream-tickets", codes: [401, 401, 404, 201, 201, 201]) { _ in
            ["path": "/jobs/{job_id}/events"]
        },
        .write("POST /chat", 202) { ["user_id": .string($0), "message": "hi", "wait": 0] },
        .write("POST /reports", 202) { ["user_id": .string($0)] }, .read("GET /reports/{report_id}"),
        .write("DELETE /reports/{report_id}", 204),
        .read("GET /users/{user_id}/reports"), .read("GET /schedule"), .read("GET /users/{user_id}/schedules"),
        .write("POST /users/{user_id}/schedules", 201) { _ in
            ["kind": "every", "expression": "PT1H", "job": ["kind": "heartbeat"]]
        },
        .read("GET /users/{user_id}/schedules/{schedule_id}"),
        .write("PATCH /users/{user_id}/schedules/{schedule_id}", 200) { _ in ["enabled": false] },
        .write("DELETE /users/{user_id}/schedules/{schedule_id}", 204),
        .write("POST /users/{user_id}/schedules/{schedule_id}/run", 202),
        .read("GET /users/{user_id}/schedules/{schedule_id}/history"), .read("GET /users/{user_id}/sessions"),
        .read("GET /users/{user_id}/sessions/{session_id}"),
        .write("PATCH /users/{user_id}/sessions/{session_id}", 200) { _ in ["title": "t"] },
        .write("DELETE /users/{user_id}/sessions/{session_id}", 204),
        .read("GET /users/{user_id}/files"), .read("GET /users/{user_id}/file"), .read("GET /users/{user_id}/export"),
        .write("PUT /users/{user_id}/file", 200) { _ in ["a": 1] }, .write("DELETE /users/{user_id}/file", 204),
        .read("GET /users/{user_id}/sessions/{session_id}/messages"), .read("GET /users/{user_id}/usage"),
        .read("GET /users/{user_id}/skills"),
        .read("GET /jobs"), .read("GET /users/{user_id}/jobs"),
        .write("POST /jobs", 202) { ["kind": "report", "user_id": .string($0)] }, .read("GET /jobs/{job_id}"),
        .write("POST /jobs/{job_id}/cancel", 200), .write("POST /jobs/{job_id}/retry", 202),
        .read("GET /jobs/{job_id}/events"), .admin("GET /queue", 200), .admin("POST /queue/pause", 200),
        .admin("POST /queue/resume", 200),
        Row(call: "GET /v1/models", codes: [401, 401, 200, 200, 200, 200]),
        Row(call: "GET /v1/models/{model}", codes: [401, 401, 200, 200, 200, 200]),
        Row(call: "GET /v1/models/{model}/{name}", codes: [401, 401, 404, 404, 404, 404]),
        // A user's token names the user itself: bob is answered as bob.
        Row(call: "POST /v1/chat/completions", codes: [401, 401, 504, 504, 403, 504]) {
            ["model": "nanobot", "user": .string($0), "messages": [["role": "user", "content": "hi"]]]
        },
        Row(call: "POST /v1/responses", codes: [401, 401, 200, 200, 403, 200]) {
            ["model": "nanobot", "user": .string($0), "input": "hi", "background": true]
        },
        Row(call: "POST /v1/messages", codes: [401, 401, 504, 504, 403, 504]) {
            ["model": "nanobot", "metadata": ["user_id": .string($0)], "messages": [["role": "user", "content": "hi"]]]
        },
        .read("GET /v1/responses/{response_id}"), .read("GET /v1/responses/{response_id}/input_items"),
        // The response has not ended.
        .write("DELETE /v1/responses/{response_id}", 409), .write("POST /v1/responses/{response_id}/cancel", 200),
    ]
}

@Suite struct IsolationTests {
    /// alice with one of everything, bob with nothing, and a credential of every kind.
    private struct World: Sendable {
        let fixture: ServiceFixture
        var credentials: [Asker: String] = [.wrong: "nbt_alice.aaaaaaaaaaaa.wrong"]
        var values: [String: String] = ["name": "x.js", "session_id": "default", "model": "nanobot"]

        init() throws {
            fixture = try ServiceFixture()
            let alice = try fixture.makeUser("alice")
            let bob = try fixture.makeUser("bob")
            fixture.shelf.owner = alice
            credentials[.admin] = try fixture.tokens.create(.admin, user: nil).token
            credentials[.otherUser] = try fixture.tokens.create(.user, user: bob).token
            credentials[.ownUser] = try fixture.tokens.create(.user, user: alice).token
            credentials[.ownReader] = try fixture.tokens.create(.read, user: alice).token
            values["token_id"] = try fixture.tokens.create(.read, user: alice).record.id
            let schedule = try fixture.scheduler.create(
                alice, ["kind": "every", "expression": "PT2H", "job": ["kind": "report"]], id: nil)
            values["schedule_id"] = schedule.id
            values["waiting"] = "\(try job().id)"
            let done = try job().id
            try fixture.work(done) { _, _ in .complete(["report_id": .string("\(done)")]) }
            fixture.shelf.put(report: "\(done)", text: "the report")
            values["report_id"] = "\(done)"
            let dead = try job().id
            try fixture.work(dead) { _, _ in .fail(code: "model_error") }
            values["dead"] = "\(dead)"
            values["done"] = "\(done)"
            try fixture.workspaces.open(alice).writeText("data/x.json", "{}")
            let chat = try JobRequest.parse(["kind": "chat", "user_id": "alice", "message": "hi"], now: Date())
            values["response_id"] = "resp_\(try fixture.jobs.submit(chat, source: .api, route: "test").id)"
        }

        private func job() throws -> SubmittedJob {
            let request = try JobRequest.parse(["kind": "report", "user_id": "alice"], now: Date())
            return try fixture.jobs.submit(request, source: .api, route: "test")
        }

        func send(_ row: Row, as asker: Asker, user: String = "alice", absent: Bool = false, _ http: ProbeClient)
            async throws
            -> Reply
        {
            let parts = row.call.split(separator: " ").map(String.init)
            var path = parts[1].replacingOccurrences(of: "{user_id}", with: user)
            if path == "/schedule" || path == "/jobs", parts[0] == "GET" { path += "?user_id=\(user)" }
            if path.hasSuffix("/file") { path += "?path=data/x.json" }
            if path == "/v1/chat/completions" || path == "/v1/messages" { path += "?wait=0" }
            let kind = path.hasSuffix("/retry") ? "dead" : path.hasSuffix("/events") ? "done" : "waiting"
            let job = absent ? "\(JobID.make(now: Date()))" : values[kind]!
            path = path.replacingOccurrences(of: "{job_id}", with: job)
            if absent { path = path.replacingOccurrences(of: "{report_id}", with: "\(JobID.make(now: Date()))") }
            for (name, value) in values { path = path.replacingOccurrences(of: "{\(name)}", with: value) }
            var headers: [(String, String)] = []
            if let token = credentials[asker] { headers.append(("Authorization", "Bearer \(token)")) }
            if let body = row.body {
                let text = body(user).text().replacingOccurrences(of: "{job_id}", with: job)
                return try await http.send(parts[0], path, json: try JSON.parse(text), headers)
            }
            return try await http.send(parts[0], path, headers)
        }
    }

    @Test("Every route has its row, and every row its route")
    func complete() throws {
        let fixture = try ServiceFixture()
        let server = try APIServer(
            options: APIOptions(version: "1"), services: fixture.services, logger: Logger(label: "t"))
        let bridge = BlockingBridge(threads: 1, limit: 1)
        let routes = server.directory(
            bridge, RequestMeter(room: ConnectionRoom(limit: 8)), StreamSlots(limit: 1),
            TransferBudget(limit: 1, userLimit: 1, patience: .zero)
        ).routes
        let calls = routes.map { "\($0.method) \($0.path)" }
        #expect(Set(calls) == Set(Row.all.map(\.call)))
        #expect(Set(calls).count == calls.count && calls.count == Row.all.count)
    }

    @Test("Each route answers each kind of caller as the table says", arguments: Row.all)
    private func cell(row: Row) async throws {
        for (asker, code) in zip(Asker.allCases, row.codes) {
            let world = try World()
            try await world.fixture.serve { http in
                let reply = try await world.send(row, as: asker, http)
                #expect(reply.status == code, "\(row.call) as \(asker): \(reply.body.prefix(200))")
                #expect((reply.header("www-authenticate") != nil) == (reply.status == 401))
            }
        }
    }

    @Test("What is another's answers exactly as what is not there", arguments: Row.all.filter { $0.codes[2] == 404 })
    private func asAbsent(row: Row) async throws {
        let world = try World()
        try await world.fixture.serve { http in
            let other = try await world.send(row, as: .otherUser, http)
            let absent = try await world.send(row, as: .otherUser, user: "nobody", absent: true, http)
            #expect(other.status == absent.status && other.code == absent.code)
            #expect(blank(other.body) == blank(absent.body))
            let names = { (reply: Reply) in reply.headers.map(\.name).filter { $0.lowercased() != "x-request-id" } }
            #expect(names(other) == names(absent))
        }
    }

    /// The text without the ids the caller itself sent.
    private func blank(_ text: String) -> String {
        text.replacingOccurrences(of: "alice", with: "?").replacingOccurrences(of: "nobody", with: "?")
            .replacing(#/[0-9a-f]{8}-[0-9a-f-]{27}/#, with: "?")
    }

    @Test("A batch of jobs takes those of the caller and answers for others as for absent users")
    func batch() async throws {
        let world = try World()
        try await world.fixture.serve { http in
            let entry = { (user: String) -> JSON in ["kind": "report", "user_id": .string(user)] }
            let reply = try await http.send(
                "POST", "/jobs", json: .array([entry("alice"), entry("bob"), entry("nobody")]),
                [("Authorization", "Bearer \(world.credentials[.ownUser]!)")])
            let rows = try #require(try reply.json.array)
            #expect(rows[0]["job_id"]?.string != nil)
            let (other, absent) = (rows[1]["error"], rows[2]["error"])
            #expect(other?["code"] == "user_not_found" && absent?["code"] == "user_not_found")
            #expect(
                other?["detail"]?.string?.replacingOccurrences(of: "bob", with: "nobody") == absent?["detail"]?.string)
            let bobs = try world.fixture.jobs.list(JobFilter(user: try UserID("bob")), limit: 10)
            #expect(bobs.isEmpty)
        }
    }

    @Test("A list without a user is the caller's own")
    func ownLists() async throws {
        let world = try World()
        try await world.fixture.serve { http in
            let mine = [("Authorization", "Bearer \(world.credentials[.ownReader]!)")]
            let his = [("Authorization", "Bearer \(world.credentials[.otherUser]!)")]
            let jobs = try await http.get("/jobs", mine).json.array
            let others = try await http.get("/jobs", his).json.array
            let schedule = try await http.get("/schedule", mine).json
            #expect(jobs?.count == 4 && others?.isEmpty == true && schedule["user_id"] == "alice")
        }
    }

    @Test("Open until the first token, closed from then on, also after the last is revoked; tokens die with their user")
    func closing() async throws {
        let fixture = try ServiceFixture()
        try fixture.makeUser("alice")
        try await fixture.serve { http in
            #expect(try await http.get("/users").status == 200)
            let made = try await http.send("POST", "/users/alice/tokens", json: ["scope": "user", "name": "phone"])
            #expect(made.status == 201)
            let token = try #require(try made.json["token"]?.string)
            let id = try #require(try made.json["id"]?.string)
            let mine = [("Authorization", "Bearer \(token)")]
            #expect(try await http.get("/users").status == 401)
            #expect(try await http.get("/users", mine).status == 403)
            #expect(try await http.get("/users/alice", mine).status == 200)
            let list = try await http.get("/users/alice/tokens", mine)
            let ids = try #require(try list.json.array).map { $0["id"] }
            #expect(ids == [JSON.string(id)] && !list.body.contains(token.suffix(40)))
            #expect(try await http.send("DELETE", "/users/alice/tokens/\(id)", mine).status == 204)
            #expect(try await http.get("/users/alice", mine).status == 401)
            #expect(try await http.get("/users").status == 401)
            let again = try fixture.tokens.create(.user, user: try UserID("alice")).token
            try fixture.accounts.delete(try UserID("alice"))
            try fixture.makeUser("alice")
            let late = try await http.get("/users/alice", [("Authorization", "Bearer \(again)")])
            #expect(late.status == 401)
        }
    }
}
