// Numbers at the ends of their range, and what is no number, wherever a request may carry one: refused or taken, never an error of
// the service, never its end.
import Foundation
import HTTPTypes
import Logging
import NIOCore
import Spool
import Tenants
import Testing
import TextFormats

@testable import API

@Suite(.serialized, .timeLimit(.minutes(3))) struct ExtremeNumberTests {
    private static let numbers = [
        "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551615", "-1", "0", "1e400", "1e308",
        "-1e308", "nan", "-nan", "inf", "-inf", "0x7fffffffffffffff", "1e-400", "2147483648", "99999999999999999999999999",
        "1.5", "+1", "%2B1", "%D9%A3", "1%00",
    ]
    private static let names = ["limit", "after", "wait", "since", "until", "starting_after", "last_event_id", "window"]

    @Test(
        "no number in a query or a header makes any route fail",
        arguments: ["9223372036854775808", "-9223372036854775808", "1e400", "nan", "%D9%A3", "1%00"])
    func everywhere(number: String) async throws {
        let fixture = try ServiceFixture()
        let alice = try fixture.makeUser("alice")
        try fixture.workspaces.open(alice).appendUsage(["id": "j", "n": 1])
        let server = try APIServer(options: APIOptions(version: "1"), services: fixture.services, logger: Logger(label: "t"))
        let routes = server.directory(
            BlockingBridge(threads: 1, limit: 1), RequestMeter(room: ConnectionRoom(limit: 8)), StreamSlots(limit: 1),
            TransferBudget(limit: 1, userLimit: 1, patience: .zero)
        ).routes.filter { $0.method == .get }
        try #require(routes.count > 20)
        try await fixture.serve { http in
            let made = try await http.send("POST", "/reports", json: ["user_id": "alice"]).json
            let job = try #require(made["report_id"]?.string)
            try fixture.work(try #require(JobID(job))) { _, _ in .complete([:]) }
            let values = [
                "user_id": "alice", "job_id": job, "report_id": job, "session_id": "default", "response_id": "resp_\(job)",
            ]
            for route in routes {
                // A request line has no braces: values this table does not name are any word.
                var path = values.reduce(route.path) { $0.replacingOccurrences(of: "{\($1.key)}", with: $1.value) }
                path.removeAll { "{}".contains($0) }
                for name in Self.names {
                    let more = path.hasSuffix("/file") ? "&path=AGENTS.md" : path == "/schedule" ? "&user_id=alice" : ""
                    let stream = name == "starting_after" ? "&stream=true" : ""
                    let status = try await http.get("\(path)?\(name)=\(number)\(more)\(stream)").status
                    #expect(status < 500, "GET \(path)?\(name)=\(number): \(status)")
                }
                let headers = [("Prefer", "wait=\(number)"), ("Last-Event-ID", "e:\(number)"), ("X-Request-Id", number)]
                #expect(try await http.get(path, headers).status < 500, "GET \(path) with \(headers)")
            }
        }
    }

    @Test(
        "a number out of its range is the caller's mistake, by name",
        arguments: [
            ("/users/alice/usage?after=", "after", numbers.filter { $0 != "0" }),
            ("/users/alice/usage?limit=", "limit", numbers), ("/jobs?limit=", "limit", numbers), ("/jobs?after=", "after", numbers),
            ("/users/alice/reports?limit=", "limit", ["0", "201", "-1", "9223372036854775808", "nan"]),
            (
                "/reports/JOB?wait=", "wait",
                ["-1", "nan", "inf", "-inf", "1e400", "1e308", "9223372036854775807", "61", "0x10", "1e1", "+1"]
            ),
            (
                "/jobs/JOB?wait=", "wait",
                ["-1", "nan", "inf", "-inf", "1e400", "1e308", "9223372036854775807", "61", "0x10", "1e1", "+1"]
            ),
        ])
    func named(path: String, field: String, values: [String]) async throws {
        let fixture = try ServiceFixture()
        let alice = try fixture.makeUser("alice")
        try fixture.workspaces.open(alice).appendUsage(["id": "j", "n": 1])
        try await fixture.serve { http in
            let made = try await http.send("POST", "/reports", json: ["user_id": "alice"]).json
            let target = path.replacingOccurrences(of: "JOB", with: try #require(made["report_id"]?.string))
            for value in values {
                let reply = try await http.get(target + value)
                #expect(reply.status == 422, "\(target)\(value): \(reply.status)")
                #expect(try reply.json["field"]?.string == field, "\(target)\(value)")
            }
        }
    }
}
