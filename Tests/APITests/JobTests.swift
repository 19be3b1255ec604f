// Chats, reports and jobs over HTTP, with a worker that claims through the spool.

import API
import Foundation
import Jobs
import Spool
import Testing
import TextFormats

@Suite(.timeLimit(.minutes(2)))
struct JobTests {
    private func service(_ work: ServiceFixture.Work? = nil) throws -> ServiceFixture {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        if let work { service.startWorker(work) }
        return service
    }

    @Test("a chat waits for its reply")
    func chat() async throws {
        let service = try service { job, _ in
            let message = try JSON.parse(job.payload)["message"]?.string ?? ""
            return .complete(["response": .string("You said: \(message)")])
        }
        try await service.serve { http in
            let reply = try await http.send(
                "POST", "/chat", json: ["user_id": "alice", "message": "你好", "session_id": "s1"])
            #expect(reply.status == 200)
            let json = try reply.json
            #expect(json["response"] == "You said: 你好")
            #expect(json["session_id"] == "s1" && json["user_id"] == "alice")
            #expect(json["usage"]?["total_tokens"] == 7)
            #expect((json["processing_time_ms"]?.int ?? -1) >= 0)
            let job = try await http.get("/jobs/\(json["job_id"]?.string ?? "")").json
            #expect(job["status"] == "completed" && job["kind"] == "chat" && job["progress"] == 100)
        }
    }

    @Test(
        "a chat that is not waited for gives a ticket",
        arguments: [
            ("/chat", [("Prefer", "respond-async")]), ("/chat?wait=0", []), ("/chat", [("Prefer", "wait=0")]),
        ] as [(String, [(String, String)])])
    func ticket(path: String, headers: [(String, String)]) async throws {
        try await service().serve { http in
            let reply = try await http.send("POST", path, json: ["user_id": "alice", "message": "hi"], headers)
            #expect(reply.status == 202)
            let json = try reply.json
            let url = try #require(json["status_url"]?.string)
            #expect(json["status"] == "queued" && reply.header("location") == url)
            #expect(reply.header("retry-after") != nil)
            #expect(try await http.get(url).json["status"] == "queued")
        }
    }

    @Test("every answer to a job with a callback_url says that nothing is sent to it, and no other answer does")
    func callbackNotice() async throws {
        let service = try service { _, _ in .complete(["response": "ok"]) }
        try await service.serve { http in
            func notices(_ reply: JSON) -> Int? { reply["notices"]?.array?.count }
            for (members, count) in [(["callback_url": "https://x.example/"], 1), ([:], nil)] as [(JSONObject, Int?)] {
                var chat: JSONObject = ["user_id": "alice", "message": "hi"]
                chat.merge(members)
                var job: JSONObject = ["user_id": "alice", "kind": "report"]
                job.merge(members)
                var report: JSONObject = ["user_id": "alice"]
                report.merge(members)
                #expect(notices(try await http.send("POST", "/chat", json: .object(chat)).json) == count)
                #expect(notices(try await http.send("POST", "/chat?wait=0", json: .object(chat)).json) == count)
                #expect(notices(try await http.send("POST", "/reports", json: .object(report)).json) == count)
                #expect(notices(try await http.send("POST", "/jobs", json: .object(job)).json) == count)
                let batch = try await http.send("POST", "/jobs", json: .array([.object(job)])).json
                #expect(batch[0].map(notices) == .some(count))
                chat["stream"] = true
                let stream = try await http.send("POST", "/chat", json: .object(chat)).body
                #expect(stream.components(separatedBy: "\"notices\"").count - 1 == count ?? 0)
                job["user_id"] = nil
                let schedule = try await http.send(
                    "POST", "/users/alice/schedules",
                    json: ["kind": "cron", "expression": "0 9 * * *", "job": .object(job)]
                ).json
                #expect(notices(schedule) == count)
                let run = try await http.send(
                    "POST", "/users/alice/schedules/\(schedule["id"]?.string ?? "")/run")
                #expect(notices(try run.json) == count)
            }
        }
    }

    @Test("the list of reports shows the state of each report's job")
    func reportStates() async throws {
        let service = try service()
        try await service.serve { http in
            func order() async throws -> JobID {
                let reply = try await http.send("POST", "/reports", json: ["user_id": "alice"]).json
                return try #require(reply["report_id"]?.string.flatMap { JobID($0) })
            }
            let (done, waiting, cancelled, failed) = (try await order(), try await order(), try await order(), try await order())
            try service.work(done) { _, _ in .complete(["report_id": .string("\(done)")]) }
            try service.work(failed) { _, _ in .fail(code: "x") }
            _ = try await http.send("POST", "/jobs/\(cancelled)/cancel")
            // All have left a text, as a kill before the final line can make it; one of a job long forgotten.
            let forgotten = JobID.make(now: Date() - 86_400 * 40)
            for id in [done, waiting, cancelled, failed, forgotten] { service.shelf.put(report: "\(id)", text: "# R") }
            let rows = try await http.get("/users/alice/reports").json.array ?? []
            let states = rows.map { "\($0["report_id"]?.string ?? "") \($0["status"]?.string ?? "")" }
            #expect(
                Set(states) == [
                    "\(done) completed", "\(waiting) queued", "\(cancelled) cancelled", "\(failed) failed",
                    "\(forgotten) completed",
                ])
            for id in [waiting, cancelled, failed] {
                #expect(try await http.get("/reports/\(id)").json["content"]?.isNull == true)
            }
        }
    }

    @Test("a failed chat is 502 with its job, a cancelled one 409")
    func failures() async throws {
        let service = try service { _, _ in .fail(code: "model_unavailable") }
        try await service.serve { http in
            let reply = try await http.send("POST", "/chat", json: ["user_id": "alice", "message": "hi"])
            #expect((reply.status, reply.code) == (502, "job_failed"))
            let id = try #require(try reply.json["job_id"]?.string)
            #expect(try await http.get("/jobs/\(id)").json["error"]?["code"] == "model_unavailable")
            let retried = try await http.send("POST", "/jobs/\(id)/retry")
            #expect(retried.status == 202)
            #expect(try retried.json["run"] == 2)
        }
    }

    @Test(
        "a budget that runs out in a turn is told by its own code and status, with the job, wherever it is waited for",
        arguments: ["budget_tokens", "budget_cost"],
        ["/chat", "/v1/chat/completions", "/v1/responses", "/reports"])
    func budgets(code: String, path: String) async throws {
        let service = try service { _, _ in .fail(code: code) }
        try await service.serve { http in
            let body: JSON =
                switch path {
                case "/chat": ["user_id": "alice", "message": "hi"]
                case "/reports": ["user_id": "alice"]
                case "/v1/responses": ["model": "nanobot", "user": "alice", "input": "hi"]
                default: ["model": "nanobot", "user": "alice", "messages": [["role": "user", "content": "hi"]]]
                }
            var reply = try await http.send("POST", path, json: body)
            if path == "/reports" {
                let id = try #require(try reply.json["report_id"]?.string)
                reply = try await http.get("/reports/\(id)?wait=20", [("Accept", "text/html")])
            }
            #expect(reply.status == 429)
            #expect(reply.header("retry-after") != nil)
            let told = try reply.json["error"] ?? reply.json
            #expect(told["code"]?.string == code)
            let id = try #require(told["job_id"]?.string)
            #expect(try await http.get("/jobs/\(id)").json["error"]?["code"]?.string == code)
        }
    }

    @Test("a stream tells a budget's code in its error event", arguments: ["/chat", "/v1/chat/completions", "/v1/responses"])
    func streamedBudget(path: String) async throws {
        let service = try service { _, _ in .fail(code: "budget_cost") }
        try await service.serve { http in
            let body: JSON =
                switch path {
                case "/chat": ["user_id": "alice", "message": "hi", "stream": true]
                case "/v1/responses": ["model": "nanobot", "user": "alice", "input": "hi", "stream": true]
                default:
                    ["model": "nanobot", "user": "alice", "messages": [["role": "user", "content": "hi"]], "stream": true]
                }
            let reply = try await http.send("POST", path, json: body)
            #expect(reply.status == 200)
            #expect(reply.body.contains("\"code\":\"budget_cost\""))
            #expect(!reply.body.contains("job_failed"))
        }
    }

    @Test("a long poll wakes when the job ends, not when its time is up")
    func longPoll() async throws {
        let service = try service()
        try await service.serve({ $0.safetyInterval = 3_600 }) { http in
            let ordered = try await http.send("POST", "/reports", json: ["user_id": "alice"])
            let id = try #require(try ordered.json["report_id"]?.string.flatMap { JobID($0) })
            async let polled = http.get("/reports/\(id)?wait=60")
            service.shelf.put(report: "\(id)", text: "# Report")
            try service.work(id) { _, _ in .complete(["report_id": .string("\(id)")]) }
            let reply = try await polled
            #expect(try reply.json["status"] == "completed")
            #expect(try reply.json["content"] == "# Report")
        }
    }

    @Test("a report's id is the same everywhere, and its text comes in the form that is asked for")
    func report() async throws {
        let service = try service()
        try await service.serve { http in
            let order: JSON = [
                "user_id": "alice", "report_type": "weekly", "custom_prompt": "only chips", "focus_areas": ["NVDA"],
                "format": "markdown",
            ]
            let ordered = try await http.send("POST", "/reports", json: order)
            #expect(ordered.status == 202)
            let text = try #require(try ordered.json["report_id"]?.string)
            let id = try #require(JobID(text))
            #expect(ordered.header("location") == "/reports/\(id)")
            let payload = try JSON.parse(try #require(try service.spool.payload(id)))
            #expect(payload["custom_prompt"] == "only chips" && payload["focus_areas"] == ["NVDA"])

            let waiting = try await http.get("/reports/\(id)")
            #expect(try waiting.json["status"] == "queued" && waiting.json["content"] == .null)
            let early = try await http.get("/reports/\(id)", [("Accept", "text/html")])
            #expect((early.status, early.code) == (409, "report_not_ready"))

            service.shelf.put(report: "\(id)", text: "Chips")
            try service.work(id) { _, record in
                try record.progress(40)
                return .complete(["report_id": .string("\(id)")])
            }
            let done = try await http.get("/reports/\(id)")
            #expect(try done.json["progress"] == 100 && done.json["format"] == "markdown")
            let tag = try #require(done.header("etag"))
            #expect(try await http.get("/reports/\(id)", [("If-None-Match", tag)]).status == 304)
            let html = try await http.get("/reports/\(id)", [("Accept", "text/html,*/*;q=0.8")])
            #expect(html.body == "<h1>Chips</h1>")
            #expect(html.header("content-security-policy") != nil)
            #expect(try await http.get("/reports/\(id)", [("Accept", "text/markdown")]).body == "Chips")
            #expect(try await http.get("/users/alice/reports").json[0]?["report_id"] == .string("\(id)"))
        }
    }

    @Test("polls of a finished report read it once, until it or its job is another")
    func keptReport() async throws {
        let service = try service()
        try await service.serve { http in
            let ordered = try await http.send("POST", "/reports", json: ["user_id": "alice"])
            let id = try #require(try ordered.json["report_id"]?.string.flatMap { JobID($0) })
            service.shelf.put(report: "\(id)", text: "first")
            try service.work(id) { _, _ in .complete(["report_id": .string("\(id)")]) }
            let first = try await http.get("/reports/\(id)")
            let readings = service.shelf.readings
            for headers in [[], [("Accept", "*/*")], [("Accept", "application/json, text/html;q=0.5")]] {
                let again = try await http.get("/reports/\(id)", headers)
                #expect(again.body == first.body)
                #expect(again.header("etag") == first.header("etag"))
                #expect(again.header("vary") == "Accept")
            }
            let tag = try #require(first.header("etag"))
            #expect(try await http.get("/reports/\(id)", [("If-None-Match", tag)]).status == 304)
            #expect(service.shelf.readings == readings)
            // Another form is another text.
            #expect(try await http.get("/reports/\(id)", [("Accept", "text/markdown")]).body == "first")
            #expect(service.shelf.readings == readings + 1)
            service.shelf.put(report: "\(id)", text: "second")
            #expect(try await http.get("/reports/\(id)").json["content"] == "second")
            service.shelf.remove(report: "\(id)")
            let gone = try await http.get("/reports/\(id)")
            #expect((gone.status, gone.code) == (404, "report_not_found"))
            #expect(try service.spool.erase(id))
            #expect(try await http.get("/reports/\(id)").status == 404)
        }
    }

    @Test(
        "an id of nothing, or of another kind, is absent",
        arguments: [
            "/reports/nonsense", "/reports/019a0f4e-7b00-7abc-8def-0123456789ab", "/jobs/nonsense", "/jobs/..%2f..%2fx",
            "/jobs/019a0f4e-7b00-7abc-8def-0123456789ab/events", "/reports/CHAT",
        ])
    func absent(path: String) async throws {
        let service = try service()
        try await service.serve { http in
            let made = try await http.send("POST", "/chat?wait=0", json: ["user_id": "alice", "message": "hi"])
            let id = try #require(try made.json["job_id"]?.string)
            #expect(try await http.get(path.replacingOccurrences(of: "CHAT", with: id)).status == 404)
        }
    }

    @Test(
        "a wrong job is refused and its field named",
        arguments: [
            ("/chat", #"{"user_id":"alice"}"#, "message"), ("/chat", #"{"message":"hi"}"#, "user_id"),
            ("/chat", #"{"user_id":"alice","message":""}"#, "message"),
            ("/chat", #"{"user_id":"alice","message":"hi","stream":"yes"}"#, "stream"),
            ("/chat", #"{"user_id":"alice","message":"hi","mesage":"x"}"#, "mesage"),
            ("/chat", #"{"user_id":"alice","message":"hi","kind":"report"}"#, "kind"),
            ("/chat?wait=61", #"{"user_id":"alice","message":"hi"}"#, "wait"),
            ("/chat?wait=soon", #"{"user_id":"alice","message":"hi"}"#, "wait"),
            ("/reports", #"{"user_id":"alice","report_type":"hourly"}"#, "report_type"),
            ("/reports", #"{"user_id":"alice","format":"pdf"}"#, "format"),
            ("/reports", #"{"user_id":"../x"}"#, "user_id"), ("/jobs", #"{"user_id":"alice"}"#, "kind"),
            ("/jobs", #""text""#, "body"), ("/jobs", "[]", "body"),
        ])
    func invalid(path: String, body: String, field: String) async throws {
        try await service().serve { http in
            let reply = try await http.send("POST", path, [("Content-Type", "application/json")], body: body)
            #expect(reply.status == 422)
            #expect(try reply.json["field"] == .string(field))
            #expect(try await http.get("/jobs").json == [])
        }
    }

    @Test(
        "the same Idempotency-Key gives the same job, with other content 422",
        arguments: ["/chat?wait=0", "/reports", "/jobs"])
    func idempotency(path: String) async throws {
        try await service().serve { http in
            let body: JSON =
                switch path {
                case "/reports": ["user_id": "alice"]
                case "/jobs": ["kind": "report", "user_id": "alice"]
                default: ["user_id": "alice", "message": "hi"]
                }
            let key = [("Idempotency-Key", "k-1")]
            let first = try await http.send("POST", path, json: body, key)
            let second = try await http.send("POST", path, json: body, key)
            #expect(first.header("location") == second.header("location"))
            #expect(try await http.get("/jobs").json.array?.count == 1)
            var other = body.object ?? [:]
            other["priority"] = 1
            let third = try await http.send("POST", path, json: .object(other), key)
            #expect((third.status, third.code) == (422, "idempotency_conflict"))
        }
    }

    @Test("a batch answers for each job, in order")
    func batch() async throws {
        try await service().serve { http in
            let reply = try await http.send(
                "POST", "/jobs",
                json: [
                    ["kind": "report", "user_id": "alice"], ["kind": "dance", "user_id": "alice"],
                    ["kind": "chat", "user_id": "ghost", "message": "hi"],
                    ["kind": "chat", "user_id": "alice", "message": "hi"],
                ])
            #expect(reply.status == 202)
            let rows = try #require(try reply.json.array)
            #expect(rows.map { $0["error"]?["code"]?.string } == [nil, "invalid_job", "user_not_found", nil])
            #expect(rows[0]["status_url"]?.string != nil && rows[3]["job_id"]?.string != nil)
            #expect(try await http.get("/users/alice/jobs").json.array?.count == 2)
            #expect(try await http.get("/jobs?state=queued&kind=chat&user_id=alice").json.array?.count == 1)
        }
    }

    @Test("a waiting job can be cancelled, and the queue paused and resumed")
    func control() async throws {
        try await service().serve { http in
            let made = try await http.send("POST", "/reports", json: ["user_id": "alice"])
            let id = try #require(try made.json["report_id"]?.string)
            #expect(try await http.get("/queue").json["queued"] == 1)
            #expect(try await http.send("POST", "/queue/pause").json["paused"] == true)
            #expect(try await http.send("POST", "/queue/resume").json["paused"] == false)
            #expect(try await http.send("POST", "/jobs/\(id)/cancel").json["status"] == "cancelled")
            #expect(try await http.get("/queue").json["queued"] == 0)
            #expect(try await http.send("POST", "/jobs/\(id)/retry").status == 409)
            let document = try await http.get("/reports/\(id)", [("Accept", "text/html")])
            #expect((document.status, document.code) == (409, "job_cancelled"))
        }
    }

    @Test("sessions are listed, read, renamed and deleted, whatever their key")
    func sessions() async throws {
        try await service().serve { http in
            let base = "/users/alice/sessions"
            #expect(try await http.get(base).json.array?.count == 2)
            #expect(try await http.get("\(base)?limit=1").header("link")?.contains("after=a%3Ab") == true)
            #expect(try await http.get("\(base)/a%3Ab/messages").json.array?.count == 2)
            #expect(try await http.get("\(base)/nobody/messages").code == "session_not_found")
            let renamed = try await http.send("PATCH", "\(base)/default", json: ["title": "Chips"])
            #expect(try renamed.json["title"] == "Chips")
            let blank = try await http.send("PATCH", "\(base)/default", json: ["title": ""])
            #expect((blank.status, try blank.json["field"]) == (422, "title"))
            #expect(try await http.send("DELETE", "\(base)/default").status == 204)
            #expect(try await http.send("DELETE", "\(base)/default").status == 404)
            #expect(try await http.get("/users/alice/usage").json == [])
        }
    }

    @Test("schedules are made once, changed, run, followed and removed")
    func schedules() async throws {
        try await service().serve { http in
            let base = "/users/alice/schedules"
            let wish: JSON = [
                "kind": "cron", "expression": "30 8 * * MON-FRI", "timezone": "Europe/Berlin",
                "job": ["kind": "chat", "message": "news?"],
            ]
            let made = try await http.send("POST", base, json: wish, [("Idempotency-Key", "s-1")])
            #expect(made.status == 201)
            let again = try await http.send("POST", base, json: wish, [("Idempotency-Key", "s-1")])
            #expect(try made.json["id"] == again.json["id"])
            let url = try #require(made.header("location"))
            #expect(try await http.get(base).json.array?.count == 2)  // the daily report is there from the start
            #expect(try await http.send("PATCH", url, json: ["enabled": false]).json["enabled"] == false)
            let run = try await http.send("POST", "\(url)/run")
            #expect(run.status == 202)
            #expect(try await http.get(try #require(run.header("location"))).json["kind"] == "chat")
            #expect(try await http.get("\(url)/history").json.array?.count == 1)
            let keyed = [("Idempotency-Key", "r-1")]
            let once = try await http.send("POST", "\(url)/run", keyed)
            #expect(once.header("location") == (try await http.send("POST", "\(url)/run", keyed)).header("location"))
            #expect(try await http.get("/jobs").json.array?.count == 2)
            let overview = try await http.get("/schedule?user_id=alice").json
            #expect(overview["daily_report"]?["enabled"] == true)
            #expect(overview["weekly_report"] == ["enabled": false, "schedule": "Monday 09:00", "timezone": "UTC"])
            #expect(overview["next_scheduled_jobs"]?[0]?["id"] == "daily-report")
            #expect(try await http.send("DELETE", url).status == 204)
            #expect(try await http.send("DELETE", url).code == "schedule_not_found")
            #expect(try await http.send("DELETE", "\(base)/daily-report").code == "schedule_derived")
            let bad = try await http.send("POST", base, json: ["expression": "61 * * * *", "job": ["kind": "report"]])
            #expect((bad.status, try bad.json["field"]) == (422, "expression"))
        }
    }
}
