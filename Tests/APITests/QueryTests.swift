// Queries and paths as forms and programs write them, waits for reports, and details that name their field.

import Foundation
import Jobs
import Spool
import Testing
import TextFormats
import WireTypes

@testable import API

@Suite(.timeLimit(.minutes(2)))
struct QueryTests {
    private func service(_ work: ServiceFixture.Work? = nil) throws -> ServiceFixture {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        if let work { service.startWorker(work) }
        return service
    }

    @Test("in a query a plus is a blank, in a path it is a plus")
    func plus() async throws {
        try await service().serve { http in
            for (query, name) in [("a+b.md", "a b.md"), ("a%20c.md", "a c.md"), ("a%2Bd.md", "a+d.md")] {
                let put = try await http.send(
                    "PUT", "/users/alice/file?path=\(query)", [("Content-Type", "application/octet-stream")], body: "x")
                #expect([200, 201].contains(put.status))
                let found = try await http.get("/users/alice/file?path=\(query)")
                #expect(found.status == 200)
                let paths = try await http.get("/users/alice/files").json.array?.compactMap { $0["path"]?.string } ?? []
                #expect(paths.contains(name), "\(paths)")
            }
            let path = try await http.get("/users/alice/sessions/a+b/messages")
            #expect(path.body.contains("a+b"))
        }
    }

    @Test(
        "bytes that are no UTF-8, and percent signs without two digits, are a 422 that names the parameter",
        arguments: [
            ("/users/al%ffice", "user_id"), ("/jobs/%ff", "job_id"),
            ("/users/alice/sessions/%c3%28/messages", "session_id"), ("/reports/%80", "report_id"),
            ("/users/alice/file?path=a%ff.md", "path"), ("/users?after=%ff", "after"), ("/users?limit=%", "limit"),
            ("/jobs?state=%ed%a0%80", "state"), ("/users?whatever=%ff", "whatever"), ("/users?%ff=1", "query"),
            ("/users?x=%2", "x"), ("/users/alice/file?path=%", "path"),
        ])
    func undecodable(path: String, field: String) async throws {
        try await service().serve { http in
            let reply = try await http.get(path)
            #expect((reply.status, reply.code) == (422, "invalid_field"))
            let json = try reply.json
            #expect(json["field"] == .string(field))
            #expect(json["detail"]?.string?.hasPrefix("\(field): ") == true || field == "query")
        }
    }

    @Test("a path there is not stays one, whatever its bytes are, and so does an id that is no percent-encoding")
    func unknown() async throws {
        try await service().serve { http in
            for path in ["/%ff", "/users/al%zz", "/users/al%f", "/users/al%ff%"] {
                let reply = try await http.get(path)
                #expect(reply.status == 404, "\(path)")
            }
        }
    }

    @Test("jobs are listed from one time to another, also where the plus of a time has come as a blank")
    func times() async throws {
        let service = try service()
        try await service.serve { http in
            let ids = try [-3_600.0, -1_800, -60].map { seconds in
                let id = JobID.make(now: Date().addingTimeInterval(seconds))
                let job = try JobRequest.parse(
                    ["id": .string("\(id)"), "kind": "chat", "user_id": "alice", "message": "hi"], now: Date())
                return "\(try service.jobs.submit(job, source: .api, route: "test").id)"
            }
            func listed(_ query: String) async throws -> [String] {
                try await http.get("/jobs?\(query)").json.array?.compactMap { $0["job_id"]?.string } ?? []
            }
            let half = Date().addingTimeInterval(-2_700)
            let zoned = { (date: Date, plus: String) in
                RFC3339.string(date.addingTimeInterval(8 * 3_600)).replacingOccurrences(of: "Z", with: "\(plus)08:00")
            }
            #expect(try await listed("since=\(RFC3339.string(half))") == [ids[2], ids[1]])
            for plus in ["+", "%20", "%2B"] {
                #expect(try await listed("since=\(zoned(half, plus))") == [ids[2], ids[1]], "\(plus)")
                #expect(try await listed("until=\(zoned(half, plus))") == [ids[0]], "\(plus)")
            }
            #expect(try await listed("since=2026-01-01%2000:00:00Z") == ids.reversed())
            #expect(try await listed("until=0001-01-01T00:00:00Z").isEmpty)
            let bad = try await http.get("/jobs?since=yesterday")
            let fault = try bad.json
            #expect(bad.status == 422 && fault["field"] == "since")
        }
    }

    @Test(
        "an order that is waited for gives the report as GET does, and says which preference it followed",
        arguments: [
            ("/reports?wait=30", [], .null, nil), ("/reports", [("Prefer", "wait=30")], .null, "wait=30"),
            ("/reports", [], 30, nil), ("/reports", [("Prefer", "respond-async, wait=30")], .null, "respond-async, wait=30"),
        ] as [(String, [(String, String)], JSON, String?)])
    func waited(path: String, headers: [(String, String)], wait: JSON, applied: String?) async throws {
        let service = try service()
        service.startWorker { [shelf = service.shelf] job, _ in
            shelf.put(report: "\(job.id)", text: "the report")
            return .complete(["report_id": .string("\(job.id)")])
        }
        try await service.serve { http in
            var body: JSONObject = ["user_id": "alice"]
            if !wait.isNull { body["wait"] = wait }
            let reply = try await http.send("POST", path, json: .object(body), headers + [("If-None-Match", "*")])
            #expect(reply.status == 200)
            let json = try reply.json
            let id = try #require(json["report_id"]?.string)
            #expect(json["status"] == "completed" && json["progress"] == 100)
            #expect(json == (try await http.get("/reports/\(id)").json))
            #expect(reply.header("location") == "/reports/\(id)" && reply.header("etag") != nil)
            #expect(reply.header("preference-applied") == applied)
        }
    }

    @Test("a chat says which preference it followed")
    func chatPreferences() async throws {
        let service = try service { _, _ in .complete(["response": "Hello"]) }
        try await service.serve { http in
            for (path, prefer, status, applied) in [
                ("/chat", "wait=20", 200, "wait=20"), ("/chat?wait=20", "wait=10", 200, nil), ("/chat", "respond-async", 202, "respond-async"),
                ("/chat", "foo", 200, nil),
            ] {
                let reply = try await http.send(
                    "POST", path, json: ["user_id": "alice", "message": "hi"], [("Prefer", prefer)])
                #expect(reply.status == status && reply.header("preference-applied") == applied, "\(prefer)")
            }
        }
    }

    @Test("an order whose report is not there in time gives the ticket; one that failed gives the failed report")
    func notReady() async throws {
        let service = try service()
        try await service.serve { http in
            for (path, headers, applied) in [
                ("/reports", [], nil), ("/reports?wait=0.01", [], nil), ("/reports", [("Prefer", "wait=0")], "wait=0"),
                ("/reports", [("Prefer", "respond-async")], "respond-async"),
            ] as [(String, [(String, String)], String?)] {
                let reply = try await http.send("POST", path, json: ["user_id": "alice"], headers)
                #expect(reply.status == 202)
                let json = try reply.json
                #expect(json["status"] == "queued" && json["status_url"]?.string == reply.header("location"))
                #expect(reply.header("preference-applied") == applied)
            }
            let refused = try await http.send("POST", "/reports?wait=61", json: ["user_id": "alice"])
            let fault = try refused.json
            #expect(refused.status == 422 && fault["field"] == "wait")
            service.startWorker { _, _ in .fail(code: "model_error") }
            let failed = try await http.send("POST", "/reports?wait=30", json: ["user_id": "alice"])
            let json = try failed.json
            #expect(failed.status == 200 && json["status"] == "failed" && json["error_message"]?.string != nil)
        }
    }

    @Test(
        "the detail of a 422 begins with its field, whichever room says what is wrong",
        arguments: [
            ("POST", "/users", [:]), ("POST", "/users", ["user_id": "A b"]), ("POST", "/users", ["user_id": "admin"]),
            ("POST", "/users", ["user_id": "bo", "initial_data": ["preferences": ["report_time": "25:00"]]]), ("POST", "/users", []),
            ("POST", "/chat", ["user_id": "alice"]), ("POST", "/chat", ["user_id": "alice", "message": "hi", "session_id": "\n"]),
            ("POST", "/chat", ["user_id": "alice", "message": "TOO LONG"]), ("POST", "/chat", []),
            ("POST", "/jobs", ["kind": "chat", "user_id": "alice"]), ("POST", "/jobs", ["kind": "x", "user_id": "alice"]),
            ("POST", "/reports", ["user_id": "alice", "format": "pdf"]),
            ("PUT", "/users/alice/preferences", ["timezone": "Mars/Base"]), ("PUT", "/users/alice/watchlist", ["stocks": 1]),
            ("POST", "/users/alice/schedules", ["kind": "cron", "expression": "x", "job": ["kind": "report"]]),
            ("POST", "/users/alice/schedules", ["kind": "cron", "job": ["kind": "report"]]),
            ("POST", "/users/alice/schedules", ["kind": "cron", "expression": "0 9 * * *", "timezone": "Mars/Base", "job": ["kind": "report"]]),
            ("POST", "/users/alice/schedules", ["kind": "daily", "expression": "09:00", "job": ["kind": "chat"]]),
            ("POST", "/users/alice/tokens", ["scope": "user", "expires_at": "2020-01-01T00:00:00Z"]),
            ("PATCH", "/users/alice/sessions/default", ["title": 1]), ("GET", "/users/alice/file", .null),
            ("GET", "/users/alice/file?path=../x", .null), ("GET", "/schedule", .null),
            ("GET", "/jobs?user_id=A!", .null), ("GET", "/jobs?after=x", .null), ("GET", "/users?limit=0", .null),
            ("PUT", "/users/alice/plan", ["plan": 1]), ("POST", "/users/alice/suspend", [:]),
        ] as [(String, String, JSON)])
    func details(method: String, path: String, body: JSON) async throws {
        try await service().serve { http in
            let reply = body.isNull ? try await http.send(method, path) : try await http.send(method, path, json: body)
            #expect(reply.status == 422, "\(reply.body)")
            let json = try reply.json
            let field = try #require(json["field"]?.string)
            let detail = try #require(json["detail"]?.string)
            #expect(detail.hasPrefix("\(field): ") || detail.hasPrefix("\(field) "), "\(detail)")
        }
    }

    @Test("the rows of a batch name their fields too")
    func batch() async throws {
        try await service().serve { http in
            let rows = try await http.send("POST", "/jobs", json: [["kind": "chat", "user_id": "alice"]]).json
            #expect(rows.array?.first?["error"]?["detail"]?.string?.hasPrefix("message: ") == true, "\(rows)")
        }
    }
}
