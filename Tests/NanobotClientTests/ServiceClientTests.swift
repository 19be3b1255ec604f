import Foundation
import HTTPTransport
import ModelTestSupport
import NanobotClient
import Synchronization
import Testing
import TextFormats

@Suite struct ServiceClientTests {
    private static let job = """
        {"job_id":"01a214e3-cdf4-7028-8110-7e248d90b3a1","kind":"chat","user_id":"alice","session_id":"default",
        "status":"STATUS","progress":0,"run":1,"attempt":0,"created_at":"2026-11-25T22:46:44.055Z","response":"hi",
        "error":null,"usage":null,"later":"member"}
        """

    private static func job(_ status: String) -> String { job.replacingOccurrences(of: "STATUS", with: status) }

    private func client(_ server: LoopbackHTTPServer, token: String? = nil, tries: Int = 4) -> ServiceClient {
        var options = ServiceClient.Options()
        options.firstPause = 0.001
        options.longestPause = 0.01
        options.tries = tries
        return ServiceClient(url: server.url + "/", token: token, options: options)
    }

    private func failure(_ body: () throws -> Void) -> ClientFailure? {
        do {
            try body()
            Issue.record("no failure")
            return nil
        } catch {
            return error as? ClientFailure
        }
    }

    @Test("a call carries the token, and no name can leave its place in the path")
    func calls() throws {
        let server = try LoopbackHTTPServer { _ in .json(Self.job("completed")) }
        let seen = try client(server, token: "secret").job("../users?x=1#y/ü")
        #expect(seen.status == .completed)
        #expect(seen.response == "hi")
        #expect(seen.json["later"] == "member")
        let request = try #require(server.requests.first)
        #expect(request.target == "/jobs/..%2Fusers%3Fx%3D1%23y%2F%C3%BC")
        #expect(request.header("Authorization") == "Bearer secret")
    }

    @Test("a part of a path that leads up or nowhere is refused here", arguments: ["..", ".", ""])
    func paths(part: String) throws {
        let server = try LoopbackHTTPServer { _ in .json("{}") }
        let client = client(server)
        for call in [
            { _ = try client.removeSchedule(part, of: "alice") }, { _ = try client.cancel(part) },
            { _ = try client.schedules(of: part) }, { try client.events(of: part) { _ in true } },
        ] as [() throws -> Void] {
            #expect(failure(call)?.code == "invalid_request")
        }
        #expect(server.requests.isEmpty)
    }

    @Test("what was removed by a call that nobody answered is removed; waits that are no numbers are bounded")
    func removals() throws {
        let count = Mutex(0)
        let server = try LoopbackHTTPServer { request in
            if request.method == "GET" { return .json(Self.job("queued")) }
            let isFirst = count.withLock { count -> Bool in
                count += 1
                return count == 1
            }
            return isFirst
                ? ScriptedAnswer(pieces: [.bytes(Array("HT".utf8))], framing: .raw(""), cut: true)
                : .json(#"{"code":"user_not_found","detail":"no"}"#, status: 404)
        }
        let client = client(server)
        try client.deleteUser("alice")
        #expect(failure { try client.deleteUser("alice") }?.code == "user_not_found")
        #expect(failure { try client.deleteReport("r") }?.status == 404)
        #expect(server.requests.last?.method == "DELETE" && server.requests.last?.target == "/reports/r")
        _ = try client.job("j", wait: .infinity)
        #expect(server.requests.last?.target == "/jobs/j?wait=30")
    }

    @Test("a submission that the network lost is sent again with the same key, one that was refused is not")
    func submissions() throws {
        let answers = Mutex(0)
        let server = try LoopbackHTTPServer { _ in
            switch answers.withLock({ count -> Int in
                count += 1
                return count
            }) {
            case 1: return ScriptedAnswer(pieces: [.bytes(Array("HTTP/1.1 2".utf8))], framing: .raw(""), cut: true)
            case 2: return .json(#"{"code":"queue_full","detail":"later"}"#, status: 503, headers: [("Retry-After", "0")])
            case 3: return .json(#"{"job_id":"01a214e3-cdf4-7028-8110-7e248d90b3a1","status":"queued"}"#, status: 202)
            default:
                return .json(
                    #"{"code":"invalid_field","detail":"must be from 0 to 9","field":"priority"}"#, status: 422)
            }
        }
        let client = client(server)
        let ticket = try client.submit(["kind": "chat", "user_id": "alice", "message": "hi"])
        #expect(ticket.status == "queued")
        let keys = server.requests.map { (try? JSON.parse($0.text))?["idempotency_key"]?.string }
        #expect(keys.count == 3)
        #expect(keys[0]?.isEmpty == false)
        #expect(Set(keys).count == 1)
        let refused = failure { _ = try client.submit(["kind": "chat", "user_id": "alice", "priority": 77]) }
        #expect(refused?.code == "invalid_field")
        #expect(refused?.field == "priority")
        #expect(refused?.status == 422)
        #expect(server.requests.count == 4)
        #expect((try? JSON.parse(server.requests[3].text))?["idempotency_key"]?.string != keys[0])
    }

    @Test("what cannot be repeated is not, and a Retry-After longer than anybody waits is told at once")
    func refusals() throws {
        let server = try LoopbackHTTPServer { _ in
            .json(#"{"code":"rate_limited","detail":"slow down"}"#, status: 429, headers: [("Retry-After", "60")])
        }
        let slow = failure { _ = try client(server).queue() }
        #expect(slow?.code == "rate_limited")
        #expect(slow?.retryAfter == 60)
        #expect(slow?.isPassing == true)
        #expect(server.requests.count == 1)
        let proxy = try LoopbackHTTPServer { _ in ScriptedAnswer(status: 502, pieces: [.bytes(Array("<h1>oops".utf8))]) }
        let once = failure { _ = try client(proxy).retry("x") }
        #expect(once?.code == "http_502")
        #expect(once?.detail.contains("oops") == true)
        #expect(proxy.requests.count == 1)
        _ = failure { _ = try client(proxy, tries: 3).queue() }
        #expect(proxy.requests.count == 4)
        let gone = try LoopbackHTTPServer { _ in .json("{}") }
        let absent = client(gone)
        gone.stop()
        #expect(failure { _ = try absent.queue() }?.code == "unreachable")
        let stranger = try LoopbackHTTPServer { _ in .json("[1]") }
        #expect(failure { _ = try client(stranger).job("x") }?.code == "invalid_answer")
    }

    @Test("waiting asks with the service's own wait until the job has ended")
    func waits() throws {
        let count = Mutex(0)
        let server = try LoopbackHTTPServer { _ in
            let number = count.withLock { count -> Int in
                count += 1
                return count
            }
            return .json(Self.job(number < 3 ? "running" : "failed"))
        }
        var seen: [Job.Status] = []
        let last = try client(server).wait(for: "j", limit: 100, tick: 7) { seen.append($0.status) }
        #expect(last.status == .failed)
        #expect(seen == [.running, .running, .failed])
        #expect(server.requests.map(\.target) == ["/jobs/j", "/jobs/j?wait=7", "/jobs/j?wait=7"])
        let waiting = try LoopbackHTTPServer { _ in .json(Self.job("queued")) }
        #expect(try client(waiting).wait(for: "j", limit: 0).status == .queued)
    }

    @Test("a stream that breaks off is gone on with behind the last event that was seen")
    func events() throws {
        let server = try LoopbackHTTPServer { request in
            switch request.header("Last-Event-ID") {
            case nil:
                return .events(["event: delta\nid: 1:10\ndata: {\"text\":\"a\"}\n\n", "event: delta\nid: 1:20\nda"], cut: true)
            case "1:10":
                return .events(["event: delta\nid: 1:20\ndata: {\"text\":\"b\"}\n\n: heartbeat\n\nevent: new\ndata: 1\n\n"])
            default: return .events(["event: done\nid: 1:30\ndata: {\"status\":\"completed\"}\n\nevent: delta\ndata: 1\n\n"])
            }
        }
        var seen: [String] = []
        try client(server).events(of: "j") { event in
            seen.append("\(event.name) \(event.data["text"]?.string ?? event.data["status"]?.string ?? "")")
            return true
        }
        #expect(seen == ["delta a", "delta b", "done completed"])
        #expect(server.requests.map { $0.header("Last-Event-ID") ?? "-" } == ["-", "1:10", "1:20"])
        // Until the caller has had enough, or the service has nothing.
        seen = []
        try client(server).events(of: "j", after: "1:10") { event in
            seen.append("\(event.name)")
            return false
        }
        #expect(seen == ["delta"])
        let none = try LoopbackHTTPServer { _ in .json(#"{"code":"job_not_found","detail":"no"}"#, status: 404) }
        #expect(failure { try client(none).events(of: "j") { _ in true } }?.code == "job_not_found")
        #expect(none.requests.count == 1)
        struct Mine: Error {}
        #expect(throws: Mine.self) { try client(server).events(of: "j") { _ in throw Mine() } }
    }

    @Test("a list is changed on what stands there, again if somebody was faster")
    func watchlist() throws {
        let entries = Mutex(["AAPL"])
        let tries = Mutex(0)
        let server = try LoopbackHTTPServer { request in
            let standing = entries.withLock { $0 }
            let user = JSON.object(["user_id": "alice", "watchlist": ["stocks": JSON(standing)]]).text()
            if request.method == "GET" { return .json(user, headers: [("ETag", "\"\(standing.count)\"")]) }
            let isFirst = tries.withLock { count -> Bool in
                count += 1
                return count == 1
            }
            if isFirst { entries.withLock { $0.append("MSFT") } }
            guard request.header("If-Match") == "\"\(entries.withLock { $0.count })\"" else {
                return .json(#"{"code":"version_conflict","detail":"changed"}"#, status: 412)
            }
            let lists = (try? JSON.parse(request.text))?["stocks"]?.array?.compactMap(\.string) ?? []
            return .json(JSON.object(["watchlist": ["stocks": JSON(lists)]]).text())
        }
        let (before, user) = try client(server).changeWatchlist("alice", list: "stocks") { $0 + ["TSLA"] }
        #expect(before == ["AAPL", "MSFT"])
        #expect(user["watchlist"]?["stocks"] == ["AAPL", "MSFT", "TSLA"])
        #expect(server.requests.count == 4)
    }

    @Test("pages are told apart from the last one; a batch answers each for itself")
    func lists() throws {
        let server = try LoopbackHTTPServer { request in
            if request.method == "POST" {
                return .json(
                    #"[{"job_id":"01a214e3-cdf4-7028-8110-7e248d90b3a1","status":"queued"},"#
                        + #"{"error":{"code":"user_not_found","detail":"no","status":404,"field":"user_id"}}]"#, status: 202)
            }
            let isFirst = !request.target.contains("after=")
            return .json("[\(Self.job("queued"))]", headers: isFirst ? [("Link", "</jobs?after=x>; rel=\"next\"")] : [])
        }
        let client = client(server)
        let first = try client.jobs(state: "queued", user: "a b", limit: 1)
        #expect(first.hasMore)
        #expect(server.requests.first?.target == "/jobs?state=queued&user_id=a%20b&limit=1")
        #expect(try !client.jobs(after: first.items[0].id).hasMore)
        let answers = try client.submit([["kind": "report", "user_id": "alice"], ["kind": "report", "user_id": "nobody"]])
        #expect((try? answers[0].get())?.status == "queued")
        guard case .failure(let refused) = answers[1] else {
            Issue.record("the second is refused")
            return
        }
        #expect(refused.code == "user_not_found")
        #expect(refused.field == "user_id")
    }
}
