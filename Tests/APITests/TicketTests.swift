// Tickets for event streams: one path, one reader, no header; gone with what made them.

import Accounts
import Foundation
import Identity
import Jobs
import NIOHTTP1
import Spool
import Synchronization
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import API

@Suite(.timeLimit(.minutes(2)))
struct TicketTests {
    /// A service with two users, a job of each that nobody works at, and each kind of credential.
    private struct Home {
        let service: ServiceFixture
        let alice: UserTokens
        let admin: String
        let job: String
        let other: String

        struct UserTokens {
            var user: (record: TokenRecord, token: String)
            var reader: (record: TokenRecord, token: String)
        }

        init() throws {
            service = try ServiceFixture()
            let user = try service.makeUser("alice")
            let bob = try service.makeUser("bob")
            alice = UserTokens(
                user: try service.tokens.create(.user, user: user), reader: try service.tokens.create(.read, user: user))
            admin = try service.tokens.create(.admin, user: nil).token
            let jobs = service.jobs
            let ids = try [user, bob].map { user in
                try jobs.submit(
                    try JobRequest.parse(
                        ["kind": "chat", "user_id": .string(user.rawValue), "message": "hi"], now: Date()),
                    source: .api, route: "test"
                ).id
            }
            (job, other) = ("\(ids[0])", "\(ids[1])")
        }

        var path: String { "/jobs/\(job)/events" }

        func ticket(_ http: ProbeClient, _ credential: String, path: String? = nil) async throws -> String {
            let reply = try await make(http, credential, path: path)
            #expect(reply.status == 201)
            return try #require(try reply.json["ticket"]?.string)
        }

        func make(_ http: ProbeClient, _ credential: String?, path: String? = nil, user: String = "alice") async throws -> Reply {
            try await http.send(
                "POST", "/users/\(user)/stream-tickets", json: ["path": .string(path ?? self.path)],
                credential.map { [("Authorization", "Bearer \($0)")] } ?? [])
        }
    }

    @Test("a ticket of any credential opens the one stream it was made for, and nothing else")
    func opens() async throws {
        let home = try Home()
        let second = try home.service.jobs.submit(
            try JobRequest.parse(["kind": "chat", "user_id": "alice", "message": "again"], now: Date()), source: .api, route: "test")
        try await home.service.serve({ $0.adminToken = "s3cret" }) { http in
            for credential in [home.alice.user.token, home.alice.reader.token, home.admin, "s3cret"] {
                let made = try await home.make(http, credential)
                #expect(made.status == 201 && made.header("cache-control") == "no-store")
                let end = try #require(try made.json["expires_at"]?.string.flatMap { RFC3339.date($0) })
                #expect((1...60).contains(end.timeIntervalSinceNow.rounded()))
                let ticket = try #require(try made.json["ticket"]?.string)
                try await http.open("GET", "\(home.path)?ticket=\(ticket)") { stream in
                    #expect(stream.status == 200)
                    #expect(stream.headers.first(name: "content-type") == "text/event-stream")
                    let first = try await stream.next()
                    #expect(first?.contains("event: status") == true)
                }
                for (path, code) in [
                    ("/jobs/\(second.id)/events", "ticket_invalid"), ("/jobs/\(home.other)/events", "ticket_invalid"),
                    ("/jobs/\(home.job)", "unauthorized"), ("/users/alice", "unauthorized"),
                ] {
                    let reply = try await http.get("\(path)?ticket=\(ticket)")
                    #expect((reply.status, reply.code) == (401, code))
                    #expect(reply.header("www-authenticate") != nil)
                }
                let posted = try await http.send("POST", "/jobs/\(home.job)/cancel?ticket=\(ticket)")
                #expect(posted.code == "unauthorized")
            }
            for bad in ["nbs_alice.aaaaaaaaaaaa.b", "x", String(repeating: "x", count: 4_000), home.alice.user.token] {
                let reply = try await http.get("\(home.path)?ticket=\(bad)")
                #expect((reply.status, reply.code) == (401, "ticket_invalid"))
            }
        }
    }

    @Test("a second reader is refused; one that comes back with the last event's id goes on, and its old connection ends")
    func oneReader() async throws {
        let home = try Home()
        try await home.service.serve({ $0.safetyInterval = 1 }) { http in
            let url = "\(home.path)?ticket=\(try await home.ticket(http, home.alice.user.token))"
            try await http.open("GET", url) { first in
                let text = try await first.next() ?? ""
                let id = try #require(try StreamTests.events(text).last?.id)
                let second = try await http.get(url)
                #expect((second.status, second.code) == (409, "ticket_in_use"))
                try await http.open("GET", url, [("Last-Event-ID", id)]) { back in
                    #expect(back.status == 200)
                    while try await first.next() != nil {}
                    try home.service.work(try #require(JobID(home.job))) { _, _ in .complete(["response": "Hello"]) }
                    var rest = ""
                    while let piece = try await back.next() { rest += piece }
                    #expect(try StreamTests.events(rest).last?.name == "done")
                }
            }
            // A browser connects again after the end: it is told that nothing is to come.
            let last = try StreamTests.events(
                try await http.get(home.path, [("Authorization", "Bearer \(home.admin)")]).body
            ).last?.id
            var status = 409
            while status == 409 { status = try await http.get(url, [("Last-Event-ID", last ?? "")]).status }
            #expect(status == 204)
        }
    }

    @Test("a ticket goes with the token it was made by, and a reader who is reading ends")
    func revoked() async throws {
        let home = try Home()
        let alice = try #require(home.alice.user.record.user)
        try await home.service.serve { http in
            let url = "\(home.path)?ticket=\(try await home.ticket(http, home.alice.user.token))"
            let kept = "\(home.path)?ticket=\(try await home.ticket(http, home.alice.reader.token))"
            try home.service.tokens.revoke(home.alice.user.record.id, of: alice)
            #expect(try await http.get(url).code == "ticket_invalid")
            #expect(try await http.open("GET", kept) { $0.status } == 200)
            try home.service.accounts.delete(alice)
            #expect(try await http.get(kept).code == "ticket_invalid")
        }
    }

    @Test("no ticket is made for what is no stream, or not the user's")
    func refused() async throws {
        let home = try Home()
        try await home.service.serve { http in
            for (credential, user, path, status, code) in [
                (home.alice.user.token, "alice", "/jobs/\(home.other)/events", 404, "job_not_found"),
                (home.admin, "alice", "/jobs/\(home.other)/events", 404, "job_not_found"),
                (home.admin, "alice", "/jobs/01a22fb8-e116-7ccc-83c8-74a1b6bdedb7/events", 404, "job_not_found"),
                (home.alice.user.token, "bob", "/jobs/\(home.other)/events", 404, "user_not_found"),
                (home.admin, "ghost", home.path, 404, "user_not_found"),
                (home.admin, "alice", "\(home.path)?x=1", 422, "invalid_field"),
                (home.admin, "alice", "/jobs/x/events", 422, "invalid_field"),
                (home.admin, "alice", "/jobs/\(home.job)", 422, "invalid_field"),
                (home.admin, "alice", "", 422, "invalid_field"),
                ("none", "alice", home.path, 401, "invalid_token"),
            ] {
                let reply = try await home.make(http, credential, path: path, user: user)
                #expect((reply.status, reply.code) == (status, code))
            }
        }
    }

    @Test("without tokens a ticket works too, until the first token closes the service")
    func open() async throws {
        let service = try ServiceFixture()
        let alice = try service.makeUser("alice")
        try await service.serve { http in
            let made = try await http.send("POST", "/chat?wait=0", json: ["user_id": "alice", "message": "hi"])
            let path = "/jobs/\(try made.json["job_id"]?.string ?? "")/events"
            let ticket = try await http.send("POST", "/users/alice/stream-tickets", json: ["path": .string(path)])
            let url = "\(path)?ticket=\(try ticket.json["ticket"]?.string ?? "")"
            #expect(try await http.open("GET", url) { $0.status } == 200)
            #expect(try await http.get("\(path)?ticket=x").code == "ticket_invalid")
            _ = try service.tokens.create(.user, user: alice)
            #expect(try await http.get(url).code == "ticket_invalid")
        }
    }

    @Test("no line of the audit log and no file of the home holds a ticket")
    func hidden() async throws {
        let home = try Home()
        let entries = Mutex<[String]>([])
        try await home.service.serve({ $0.audit = { entry in entries.withLock { $0.append(entry.json.text()) } } }) { http in
            let ticket = try await home.ticket(http, home.alice.user.token)
            _ = try await http.get("/users/alice?ticket=\(ticket)")
            _ = try await http.get("/jobs/\(home.other)/events?ticket=\(ticket)")
            let secret = String(ticket.suffix(40))
            let lines = entries.withLock { $0 }
            #expect(lines.count == 3)
            #expect(!lines.contains { $0.contains(secret) })
            for path in try FileManager.default.subpathsOfDirectory(atPath: home.service.home.path) {
                let bytes = FileManager.default.contents(atPath: "\(home.service.home.path)/\(path)") ?? Data()
                #expect(!String(decoding: bytes, as: UTF8.self).contains(secret))
            }
        }
    }
}
