// Limits, plans and suspension over HTTP.

import Foundation
import TestSupport
import Testing
import TextFormats

@Suite struct AccountTests {
    @Test("an operator sets a plan, suspends and resumes; limits tell it; nobody unknown is touched")
    func standing() async throws {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        try await service.serve { http in
            #expect(try await http.get("/users/alice/limits").json["plan"]?.isNull == true)
            let set = try await http.send("PUT", "/users/alice/plan", json: ["plan": "free"])
            #expect(set.status == 200)
            #expect(try set.json["tokens_per_day"] == 100)
            let unknown = try await http.send("PUT", "/users/alice/plan", json: ["plan": "gold"])
            #expect(unknown.status == 404)
            #expect(try unknown.json["field"] == "plan")
            let off = try await http.send("POST", "/users/alice/suspend", json: ["reason": "bill"])
            #expect(try off.json["suspended"] == true)
            #expect(try off.json["reason"] == "bill")
            #expect(try await http.send("POST", "/users/alice/suspend", json: [:]).status == 422)
            #expect(try await http.send("POST", "/users/alice/resume").json["suspended"] == false)
            #expect(try await http.send("PUT", "/users/alice/plan", json: ["plan": .null]).json["plan"]?.isNull == true)
            for (method, path) in [("GET", "limits"), ("PUT", "plan"), ("POST", "suspend"), ("POST", "resume")] {
                let reply =
                    switch path {
                    case "plan": try await http.send(method, "/users/nobody/plan", json: ["plan": "free"])
                    case "suspend": try await http.send(method, "/users/nobody/suspend", json: ["reason": "x"])
                    default: try await http.send(method, "/users/nobody/\(path)")
                    }
                #expect(reply.status == 404, "\(path)")
            }
        }
    }
}
