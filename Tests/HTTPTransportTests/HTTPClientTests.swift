import Foundation
import ModelTestSupport
import Synchronization
import Testing

@testable import HTTPTransport

/// Runs `body` on a thread of its own.
private func spawn(_ body: @escaping @Sendable () -> Void) {
    Thread.detachNewThread(body)
}

private func failure(_ body: () throws -> HTTPResponse) -> TransportError? {
    do {
        let response = try body()
        Issue.record("no error but status \(response.status)")
        return nil
    } catch {
        return error as? TransportError
    }
}

@Suite("An HTTP exchange")
struct HTTPClientTests {
    let client = HTTPClient(policy: .anywhere)

    @Test("carries method, headers and body, and adds nothing that delays or misleads")
    func request() throws {
        let server = try LoopbackHTTPServer(answers: [.json("{}", status: 201, headers: [("X-Two", " b ")])])
        let body = [UInt8](repeating: 0x61, count: 200_000)
        let response = try client.send(
            HTTPRequest(
                method: "PUT", url: server.url + "/a?b=c", headers: [("X-One", "1"), ("X-Empty", "")], body: body))
        #expect(response.status == 201)
        #expect(response.header("x-two") == "b" || response.header("x-two") == "b ")
        #expect(response.body == Array("{}".utf8))
        let seen = try #require(server.requests.first)
        #expect(seen.method == "PUT")
        #expect(seen.target == "/a?b=c")
        #expect(seen.body == body)
        #expect(seen.header("X-One") == "1")
        #expect(seen.header("X-Empty") == "")
        #expect(seen.header("Expect") == nil)
        #expect(seen.header("Content-Type") == nil)
        #expect(seen.header("User-Agent") == "nanobot")
    }

    @Test("sends each method as asked, with and without a body", arguments: ["GET", "POST", "DELETE", "PATCH"])
    func methods(method: String) throws {
        let server = try LoopbackHTTPServer { .json("\"\($0.method) \($0.text)\"") }
        for body in [nil, "", "x"] {
            let request = HTTPRequest(method: method, url: server.url, body: body.map { Array($0.utf8) })
            let response = try client.send(request)
            #expect(String(decoding: response.body, as: UTF8.self) == "\"\(method) \(body ?? "")\"")
        }
    }

    @Test("reuses the connection, also after an answer was an error, and keeps nothing of the last request")
    func reuse() throws {
        let server = try LoopbackHTTPServer { $0.method == "POST" ? .json("{}", status: 500) : .json("{}") }
        _ = try client.send(
            HTTPRequest(method: "POST", url: server.url, headers: [("Authorization", "secret")], body: [1, 2]))
        _ = try client.send(HTTPRequest(url: server.url))
        #expect(server.connections == 1)
        #expect(server.requests.last?.header("Authorization") == nil)
        #expect(server.requests.last?.method == "GET")
        #expect(server.requests.last?.body == [])
    }

    @Test("does not follow redirects")
    func redirects() throws {
        let server = try LoopbackHTTPServer { _ in
            ScriptedAnswer(status: 302, headers: [("Location", "/elsewhere")])
        }
        let response = try client.send(HTTPRequest(url: server.url))
        #expect(response.status == 302)
        #expect(response.header("location") == "/elsewhere")
        #expect(server.requests.count == 1)
    }

    @Test("takes the final head where interim ones come first")
    func interim() throws {
        let raw =
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            + "HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\nContent-Length: 2\r\n\r\nok"
        let server = try LoopbackHTTPServer(answers: [ScriptedAnswer(framing: .raw(raw))])
        let response = try client.send(HTTPRequest(url: server.url))
        #expect(response.status == 200)
        #expect(response.header("Link") == nil)
        #expect(response.header("a") == "1")
        #expect(response.headers.filter { $0.name.lowercased() == "a" }.map(\.value) == ["1", "2"])
        #expect(response.body == Array("ok".utf8))
    }

    @Test("hands over the body of a success as it arrives, after the head")
    func streaming() throws {
        let release = WakeSignal()
        let server = try LoopbackHTTPServer(answers: [
            ScriptedAnswer(
                pieces: [.bytes(Array("one".utf8)), .hold(release), .bytes(Array("two".utf8))], framing: .chunked)
        ])
        var order: [String] = []
        let response = try client.send(
            HTTPRequest(url: server.url), onHead: { order.append("\($0.status)") },
            onBody: { bytes in
                order.append(String(decoding: bytes, as: UTF8.self))
                // The second piece can only come because the first one was handed over.
                release.signal()
            })
        #expect(order == ["200", "one", "two"])
        #expect(response.body.isEmpty)
    }

    @Test("keeps the body of a failure away from the handler")
    func failureBody() throws {
        let server = try LoopbackHTTPServer(answers: [.json("{\"error\":1}", status: 429)])
        let response = try client.send(
            HTTPRequest(url: server.url), onBody: { _ in Issue.record("the handler was called") })
        #expect(response.status == 429)
        #expect(response.body == Array("{\"error\":1}".utf8))
    }

    @Test("ends when a handler throws, with what it threw", arguments: [true, false])
    func abort(inHead: Bool) throws {
        struct Enough: Error {}
        let server = try LoopbackHTTPServer { _ in
            ScriptedAnswer(pieces: [.bytes([1]), .stall], framing: .chunked)
        }
        let error = failure {
            try client.send(
                HTTPRequest(url: server.url), onHead: { _ in if inHead { throw Enough() } },
                onBody: { _ in throw Enough() })
        }
        #expect(error?.code == .aborted)
        #expect(error?.cause is Enough)
    }

    @Test("ends at the limit of the response", arguments: [false, true])
    func tooLarge(streamed: Bool) throws {
        let server = try LoopbackHTTPServer { _ in
            ScriptedAnswer(pieces: [.bytes([UInt8](repeating: 1, count: 1001))], framing: .chunked)
        }
        var received = 0
        let collect: (([UInt8]) throws -> Void)? = streamed ? { received += $0.count } : nil
        let error = failure {
            try client.send(HTTPRequest(url: server.url, maxResponseBytes: 1000), onBody: collect)
        }
        #expect(error?.code == .tooLarge)
        #expect(received <= 1000)
        #expect(try client.send(HTTPRequest(url: server.url, maxResponseBytes: 1001)).body.count == 1001)
    }

    @Test("ends at the limit of the head")
    func largeHead() throws {
        let line = "X: " + String(repeating: "a", count: 60_000)
        let raw = "HTTP/1.1 200 OK\r\n" + String(repeating: line + "\r\n", count: 5) + "\r\n"
        let server = try LoopbackHTTPServer(answers: [ScriptedAnswer(framing: .raw(raw))])
        #expect(failure { try client.send(HTTPRequest(url: server.url)) }?.code == .tooLarge)
    }

    @Test("is cancelled while it waits, and the client goes on working")
    func cancellation() throws {
        let reached = WakeSignal()
        let server = try LoopbackHTTPServer { request in
            request.target == "/stall"
                ? ScriptedAnswer(pieces: [.bytes([1]), .reached(reached), .stall], framing: .chunked) : .json("{}")
        }
        let token = CancellationToken()
        spawn {
            reached.wait()
            token.cancel(reason: "the user left")
        }
        let error = failure { try client.send(HTTPRequest(url: server.url + "/stall"), cancellation: token) }
        #expect(error?.code == .cancelled)
        #expect(error?.detail.contains("the user left") == true)
        #expect(error?.isRetryable == false)
        #expect(try client.send(HTTPRequest(url: server.url)).status == 200)
        #expect(failure { try client.send(HTTPRequest(url: server.url), cancellation: token) }?.code == .cancelled)
    }

    @Test("ends at its deadline and when nothing arrives", arguments: [TransportError.Code.timeout, .idle])
    func limits(code: TransportError.Code) throws {
        let server = try LoopbackHTTPServer { _ in ScriptedAnswer(pieces: [.bytes([1]), .stall], framing: .chunked) }
        let request = HTTPRequest(
            url: server.url, deadline: code == .timeout ? 0.05 : 60, idleTimeout: code == .idle ? 0.05 : 60)
        let error = failure { try client.send(request) }
        #expect(error?.code == code)
        #expect(error?.isRetryable == true)
    }

    @Test("says when the connection broke")
    func broken() throws {
        let server = try LoopbackHTTPServer { _ in
            ScriptedAnswer(pieces: [.bytes([1, 2, 3])], cut: true)
        }
        let error = failure { try client.send(HTTPRequest(url: server.url)) }
        #expect(error?.code == .broken)
        #expect(error?.isRetryable == true)
        let url = server.url
        server.stop()
        let refused = failure { try HTTPClient(policy: .anywhere).send(HTTPRequest(url: url)) }
        #expect(refused?.code == .connect || refused?.code == .broken)
    }

    @Test(
        "refuses what must not be sent",
        arguments: [
            HTTPRequest(url: "file:///etc/passwd"), HTTPRequest(url: "gopher://127.0.0.1/"),
            HTTPRequest(url: "ftp://127.0.0.1/"), HTTPRequest(url: "http:/x"), HTTPRequest(url: ""),
            HTTPRequest(url: "http://127.0.0.1/a b"), HTTPRequest(url: "http://127.0.0.1/\r\nX: 1"),
            HTTPRequest(url: "http://127.0.0.1/" + String(repeating: "a", count: 20_000)),
            HTTPRequest(method: "GET /x HTTP/1.1\r\nX:", url: "http://127.0.0.1/"),
            HTTPRequest(url: "http://127.0.0.1/", headers: [("X", "a\r\nY: b")]),
            HTTPRequest(url: "http://127.0.0.1/", headers: [("X\n", "a")]),
            HTTPRequest(url: "http://127.0.0.1/", headers: [("", "a")]),
        ])
    func refused(request: HTTPRequest) {
        let error = failure { try client.send(request) }
        #expect(error?.code == .invalidURL || error?.code == .invalidRequest)
    }

    @Test(
        "reaches public addresses only under the strict policy, however this machine is written",
        arguments: [
            "127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "[::ffff:127.0.0.1]",
        ])
    func guarded(host: String) throws {
        let server = try LoopbackHTTPServer { _ in .json("{}") }
        let error = failure {
            try HTTPClient(policy: .publicInternetOnly).send(HTTPRequest(url: "http://\(host):\(server.port)/"))
        }
        #expect(error?.code == .refusedAddress)
        #expect(server.connections == 0)
    }

    @Test("runs on many threads at once")
    func threads() throws {
        let server = try LoopbackHTTPServer { .json($0.text) }
        let done = (0..<16).map { _ in WakeSignal() }
        let wrong = Mutex(0)
        let client = self.client
        for (index, signal) in done.enumerated() {
            spawn {
                for turn in 0..<10 {
                    let body = Array("\(index * 100 + turn)".utf8)
                    let answer = try? client.send(HTTPRequest(method: "POST", url: server.url, body: body)).body
                    if answer != body { wrong.withLock { $0 += 1 } }
                }
                signal.signal()
            }
        }
        for signal in done { #expect(signal.wait(seconds: 60)) }
        #expect(wrong.withLock { $0 } == 0)
        #expect(server.connections <= 16)
    }
}

@Suite("A cancellation token")
struct CancellationTokenTests {
    @Test("cancels once, tells every handler once, and late ones at once")
    func once() {
        let token = CancellationToken()
        let calls = Mutex<[String]>([])
        token.onCancel { calls.withLock { $0.append("a") } }
        let removed = token.onCancel { calls.withLock { $0.append("removed") } }
        token.removeHandler(removed)
        #expect(!token.isCancelled)
        token.cancel(reason: "first")
        token.cancel(reason: "second")
        token.onCancel { calls.withLock { $0.append("late") } }
        #expect(token.reason == "first")
        #expect(calls.withLock { $0 } == ["a", "late"])
    }

    @Test("ends a wait")
    func wait() {
        let token = CancellationToken()
        #expect(!token.wait(seconds: 0))
        spawn { token.cancel(reason: "stop") }
        #expect(token.wait(seconds: 60))
        #expect(token.wait(seconds: 60))
        #expect(!WakeSignal().wait(seconds: .nan))
        #expect(!WakeSignal().wait(seconds: -1))
    }
}
