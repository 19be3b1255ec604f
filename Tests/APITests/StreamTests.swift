// Server-sent events: from the start, resumed, reset, and given up.

import API
import Foundation
import Jobs
import NIOHTTP1
import ServiceLifecycle
import Spool
import Synchronization
import Testing
import TextFormats
import WireTypes

@Suite(.timeLimit(.minutes(2)))
struct StreamTests {
    struct Event: Equatable {
        var name: String
        var id: String?
        var data: JSON
    }

    /// Splits a stream into its events; comments are left out.
    static func events(_ text: String) throws -> [Event] {
        try text.components(separatedBy: "\n\n").compactMap { block in
            let lines = block.split(separator: "\n").filter { !$0.hasPrefix(":") }
            guard !lines.isEmpty else { return nil }
            var fields: [String: String] = [:]
            for line in lines {
                let pair = line.components(separatedBy: ": ")
                fields[pair[0]] = pair.dropFirst().joined(separator: ": ")
            }
            return Event(
                name: fields["event"] ?? "", id: fields["id"], data: try JSON.parse(fields["data"] ?? "null"))
        }
    }

    private func service(_ work: ServiceFixture.Work? = nil) throws -> ServiceFixture {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        if let work { service.startWorker(work) }
        return service
    }

    static let talk: ServiceFixture.Work = { _, record in
        try record.event(["event": "delta", "text": "Hel"])
        try record.event(["event": "tool", "name": "quotes", "phase": "start"])
        try record.event(["event": "delta", "text": "lo"])
        try record.flush()
        return .complete(["response": "Hello"])
    }

    @Test("words that turned out to be reasoning are followed by a reset and the text that counts")
    func restarted() async throws {
        let work: ServiceFixture.Work = { _, record in
            for event: JSON in [["event": "delta", "text": "secret"], ["event": "restart"], ["event": "delta", "text": "Hello"]] {
                try record.event(event.object ?? [:])
            }
            try record.flush()
            return .complete(["response": "Hello", "finish_reason": "content_filter"])
        }
        try await service(work).serve { http in
            let reply = try await http.send("POST", "/chat", json: ["user_id": "alice", "message": "hi", "stream": true])
            let events = try Self.events(reply.body)
            let names = events.map(\.name).filter { ["delta", "reset", "message"].contains($0) }
            #expect(names == ["delta", "reset", "delta", "message"])
            let after = events.drop { $0.name != "reset" }.filter { $0.name == "delta" }
            #expect(after.compactMap { $0.data["text"]?.string }.joined() == "Hello")
            #expect(events.first { $0.name == "message" }?.data["finish_reason"] == "content_filter")
        }
    }

    @Test(
        "a streamed chat brings states, deltas, tools, the whole reply and the end",
        arguments: [
            (["stream": true] as JSON, []), ([:], [("Accept", "text/event-stream")]),
        ] as [(JSON, [(String, String)])])
    func chat(extra: JSON, headers: [(String, String)]) async throws {
        try await service(Self.talk).serve { http in
            var body: JSONObject = ["user_id": "alice", "message": "hi"]
            body.merge(extra.object ?? [:])
            let reply = try await http.send("POST", "/chat", json: .object(body), headers)
            #expect(reply.header("content-type") == "text/event-stream")
            #expect(reply.header("cache-control") == "no-cache" && reply.header("x-accel-buffering") == "no")
            let events = try Self.events(reply.body)
            let text = events.filter { $0.name == "delta" }.compactMap { $0.data["text"]?.string }.joined()
            #expect(text == "Hello")
            #expect(events.first { $0.name == "tool" }?.data == ["name": "quotes", "phase": "start"])
            #expect(events.first?.data["status"] == "queued")
            #expect(events.suffix(2).map(\.name) == ["message", "done"])
            #expect(events.last { $0.name == "message" }?.data["response"] == "Hello")
        }
    }

    @Test("from any event's id a stream goes on with exactly what came after it")
    func resume() async throws {
        let service = try service(Self.talk)
        try await service.serve { http in
            let chat = try await http.send("POST", "/chat", json: ["user_id": "alice", "message": "hi"])
            let path = "/jobs/\(try chat.json["job_id"]?.string ?? "")/events"
            let all = try Self.events(try await http.get(path).body)
            for (index, event) in all.enumerated() {
                guard let id = event.id, event.name != "done" else { continue }
                let rest = try await http.get(path, [("Last-Event-ID", id)])
                #expect(
                    try Self.events(rest.body).filter { $0.name != "status" }
                        == Array(all[(index + 1)...]).filter { $0.name != "status" })
            }
            let end = try #require(all.last?.id)
            #expect(try await http.get(path, [("Last-Event-ID", end)]).status == 204)
        }
    }

    @Test(
        "an id that does not fit brings a reset and everything again",
        arguments: ["9-ffff:40", "nonsense", "0:7", "1-x:4611686018427387903"])
    func reset(id: String) async throws {
        try await service(Self.talk).serve { http in
            let chat = try await http.send("POST", "/chat", json: ["user_id": "alice", "message": "hi"])
            let path = "/jobs/\(try chat.json["job_id"]?.string ?? "")/events"
            let all = try Self.events(try await http.get(path).body)
            let again = try Self.events(try await http.get(path, [("Last-Event-ID", id)]).body)
            #expect(again.first?.name == "reset")
            #expect(Array(again.dropFirst()) == all)
        }
    }

    @Test("an open stream brings each event when it is written, and a failure as an error")
    func live() async throws {
        let service = try service()
        try await service.serve({ $0.safetyInterval = 3_600 }) { http in
            let made = try await http.send("POST", "/chat?wait=0", json: ["user_id": "alice", "message": "hi"])
            let id = try #require(try made.json["job_id"]?.string.flatMap { JobID($0) })
            try await http.open("GET", "/jobs/\(id)/events") { stream in
                var text = try await stream.next() ?? ""
                #expect(try Self.events(text).map(\.name) == ["status"])
                try service.work(id) { _, _ in .fail(code: "no_model") }
                while let piece = try await stream.next() { text += piece }
                let events = try Self.events(text)
                #expect(events.suffix(2).map(\.name) == ["error", "done"])
                #expect(events.first { $0.name == "error" }?.data["code"] == "no_model")
            }
        }
    }

    @Test("a client that leaves gives its place to the next one")
    func departure() async throws {
        let service = try service()
        try await service.serve({
            $0.maxStreams = 1
            $0.safetyInterval = 1
        }) { http in
            let made = try await http.send("POST", "/chat?wait=0", json: ["user_id": "alice", "message": "hi"])
            let path = "/jobs/\(try made.json["job_id"]?.string ?? "")/events"
            try await http.open("GET", path) { stream in
                #expect(stream.status == 200)
                _ = try await stream.next()
                let second = try await http.get(path)
                #expect((second.status, second.code) == (503, "too_many_streams"))
                #expect(second.header("retry-after") != nil)
            }
            // Its place is free as soon as the server has seen the connection close.
            var status = 503
            while status == 503 { status = try await http.open("GET", path) { $0.status } }
            #expect(status == 200)
        }
    }

    @Test("shutting down ends a stream at once, without calling the job done")
    func shutdown() async throws {
        let service = try service()
        try await service.serveInGroup({ $0.safetyInterval = 3_600 }) { http, group in
            let made = try await http.send("POST", "/chat?wait=0", json: ["user_id": "alice", "message": "hi"])
            let path = "/jobs/\(try made.json["job_id"]?.string ?? "")"
            try await http.open("GET", "\(path)/events") { stream in
                var text = try await stream.next() ?? ""
                await group.triggerGracefulShutdown()
                while let piece = try await stream.next() { text += piece }
                #expect(try Self.events(text).map(\.name) == ["status"])
            }
        }
    }

    @Test(
        "a heartbeat on a quiet stream ends no event: every empty line closes one that has data",
        arguments: [
            ("POST", "/chat", ["user_id": "alice", "message": "hi", "stream": true]),
            ("GET", "/jobs/JOB/events", .null),
            ("POST", "/v1/chat/completions", [
                "model": "nanobot", "user": "alice", "stream": true, "messages": [["role": "user", "content": "hi"]],
            ]),
            ("POST", "/v1/responses", ["model": "nanobot", "user": "alice", "stream": true, "input": "hi"]),
            ("GET", "/v1/responses/resp_JOB?stream=true", .null),
        ] as [(String, String, JSON)])
    func heartbeat(method: String, path: String, body: JSON) async throws {
        let service = try service()
        try await service.serve({
            $0.heartbeatInterval = 0
            $0.safetyInterval = 1
        }) { http in
            var job = ""
            if body.isNull {
                let made = try await http.send("POST", "/chat?wait=0", json: ["user_id": "alice", "message": "hi"])
                job = try #require(try made.json["job_id"]?.string)
            }
            let headers = body.isNull ? [] : [("Content-Type", "application/json")]
            let text = try await http.open(
                method, path.replacingOccurrences(of: "JOB", with: job), headers, body: body.isNull ? nil : body.text()
            ) { stream in
                let found = stream.headers.first(name: "x-job-id") ?? stream.headers.first(name: "location") ?? job
                let id = try #require(JobID(found.replacingOccurrences(of: "/jobs/", with: "")))
                var text = ""
                while !text.contains(StreamEvent.heartbeat), let piece = try await stream.next() { text += piece }
                try service.work(id) { _, _ in .complete(["response": "Hello"]) }
                while let piece = try await stream.next() { text += piece }
                return text
            }
            #expect(text.contains("\n:") || text.hasPrefix(":"))
            // As httpx-sse reads: each empty line ends an event.
            var hasData = false
            for line in text.components(separatedBy: "\n").dropLast() {
                if line.isEmpty {
                    #expect(hasData, "an event without data")
                    hasData = false
                } else if line.hasPrefix("data:") {
                    hasData = true
                }
            }
        }
    }

    @Test(
        "a position is read back as it was written, and nothing else is",
        arguments: [
            ("2-a1b2:1834", true), ("0:0", true), ("a:b:1", false), (":1", false), ("1:", false), ("1:-1", false),
            ("1:4611686018427387903", false),
            ("", false),
        ])
    func positions(text: String, isPosition: Bool) {
        let position = StreamPosition(text)
        #expect((position != nil) == isPosition)
        if let position { #expect(position.description == text) }
    }
}
