// DELETE /reports/{id}: the report goes for good, its job's record and its idempotency key stay.

import Foundation
import Identity
import Jobs
import Spool
import Tenants
import Testing
import TextFormats

@Suite(.timeLimit(.minutes(2)))
struct ReportDeletionTests {
    /// A finished report of alice's, ordered with an idempotency key.
    private func finished(_ service: ServiceFixture, _ http: ProbeClient) async throws -> JobID {
        let ordered = try await http.send("POST", "/reports", json: ["user_id": "alice"], [("Idempotency-Key", "k")])
        let id = try #require(try ordered.json["report_id"]?.string.flatMap { JobID($0) })
        service.shelf.put(report: "\(id)", text: "text")
        try service.work(id) { _, _ in .complete(["report_id": .string("\(id)")]) }
        return id
    }

    @Test("A deleted report is in no list and no answer, a second deletion finds none, its key still names it")
    func life() async throws {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        try await service.serve { http in
            let id = try await finished(service, http)
            // Twice: the second answer is a kept one.
            for _ in 0..<2 { #expect(try await http.get("/reports/\(id)").json["content"] == "text") }
            let deleted = try await http.send("DELETE", "/reports/\(id)")
            #expect(deleted.status == 204 && deleted.body.isEmpty)
            for type in ["application/json", "text/html", "text/markdown"] {
                let reply = try await http.get("/reports/\(id)", [("Accept", type)])
                #expect((reply.status, reply.code) == (404, "report_not_found"))
            }
            #expect(try await http.get("/users/alice/reports").json == [])
            let again = try await http.send("DELETE", "/reports/\(id)")
            #expect((again.status, again.code) == (404, "report_not_found"))
            let repeated = try await http.send("POST", "/reports", json: ["user_id": "alice"], [("Idempotency-Key", "k")])
            #expect(try repeated.json["report_id"] == .string("\(id)") && repeated.json["status"] == "completed")
            #expect(try await http.get("/jobs/\(id)").json["status"] == "completed")
        }
    }

    @Test("A report that waits or runs is not deleted, and the answer says how to end it")
    func unfinished() async throws {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        try await service.serve { http in
            let ordered = try await http.send("POST", "/reports", json: ["user_id": "alice"])
            let id = try #require(try ordered.json["report_id"]?.string.flatMap { JobID($0) })
            let waiting = try await http.send("DELETE", "/reports/\(id)")
            #expect((waiting.status, waiting.code) == (409, "report_not_ready"))
            #expect(try waiting.json["detail"]?.string?.contains("/jobs/\(id)/cancel") == true)
            #expect(try await http.get("/jobs/\(id)").json["status"] == "queued")
            #expect(try await http.send("POST", "/jobs/\(id)/cancel").status == 200)
            let cancelled = try await http.send("DELETE", "/reports/\(id)")
            #expect((cancelled.status, cancelled.code) == (409, "invalid_state"))
            #expect(try await http.get("/reports/\(id)").json["status"] == "cancelled")
        }
    }

    @Test("A report whose job is forgotten is deleted by its user and by an admin, not by another user", arguments: [true, false])
    func forgotten(byAdmin: Bool) async throws {
        let service = try ServiceFixture()
        let alice = try service.makeUser("alice")
        let bob = try service.makeUser("bob")
        try await service.serve { http in
            let id = try await finished(service, http)
            #expect(try service.spool.erase(id))
            let other = try service.tokens.create(.user, user: bob).token
            let owner = try service.tokens.create(byAdmin ? .admin : .user, user: byAdmin ? nil : alice).token
            service.shelf.owner = alice
            #expect(try await http.send("DELETE", "/reports/\(id)", [("Authorization", "Bearer \(other)")]).status == 404)
            #expect(try await http.send("DELETE", "/reports/\(id)", [("Authorization", "Bearer \(owner)")]).status == 204)
        }
    }

    @Test("An id of nothing or of a chat is no report", arguments: ["nonsense", "..%2Fx", "CHAT"])
    func noReport(path: String) async throws {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        try await service.serve { http in
            let chat = try await http.send("POST", "/chat?wait=0", json: ["user_id": "alice", "message": "hi"])
            let id = try #require(try chat.json["job_id"]?.string)
            let reply = try await http.send("DELETE", "/reports/" + path.replacingOccurrences(of: "CHAT", with: id))
            #expect((reply.status, reply.code) == (404, "report_not_found"))
        }
    }
}
