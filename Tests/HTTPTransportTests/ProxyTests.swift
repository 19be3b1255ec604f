import Foundation
import ModelTestSupport
import Testing

@testable import HTTPTransport

/// Proxies of the environment. libcurl reads it with every exchange; other tests only ask this machine, which is never
/// asked through a proxy.
@Suite("A proxy of the environment", .serialized)
struct ProxyTests {
    let client = HTTPClient(policy: .anywhere)

    /// The variables as long as `body` runs.
    private func with(_ variables: [String: String], _ body: () throws -> Void) rethrows {
        for (name, value) in variables { setenv(name, value, 1) }
        defer { for name in variables.keys { unsetenv(name) } }
        try body()
    }

    private func failure(_ request: HTTPRequest, _ client: HTTPClient) -> TransportError? {
        do {
            let response = try client.send(request)
            Issue.record("no error but status \(response.status)")
            return nil
        } catch {
            return error
        }
    }

    @Test("plain HTTP goes to it whole, with the name of the host, which is not looked up here")
    func plain() throws {
        let proxy = try LoopbackHTTPServer { _ in .json("{}") }
        try with(["http_proxy": proxy.url]) {
            let response = try client.send(HTTPRequest(url: "http://models.invalid/v1/models"))
            #expect(response.status == 200)
        }
        #expect(proxy.requests.map(\.target) == ["http://models.invalid/v1/models"])
    }

    @Test("TLS asks it for a tunnel, with its own password and nothing of the request", arguments: [
        (502, true), (503, true), (407, false), (403, false),
    ])
    func tunnel(status: Int, isRetryable: Bool) throws {
        let proxy = try LoopbackHTTPServer { _ in ScriptedAnswer(status: status) }
        let url = proxy.url.replacingOccurrences(of: "http://", with: "http://user:pass-word@")
        var error: TransportError?
        with(["HTTPS_PROXY": url]) {
            error = failure(
                HTTPRequest(url: "https://models.invalid/v1/chat", headers: [("Authorization", "Bearer key")]), client)
        }
        let seen = try #require(proxy.requests.first)
        #expect(seen.method == "CONNECT")
        #expect(seen.target == "models.invalid:443")
        #expect(seen.header("Proxy-Authorization") == "Basic " + Data("user:pass-word".utf8).base64EncodedString())
        #expect(seen.header("Authorization") == nil)
        #expect(error?.code == .connect)
        #expect(error?.isRetryable == isRetryable)
        #expect(error?.detail.contains("\(status)") == true)
        #expect(error?.detail.contains("pass-word") == false)
    }

    @Test("NO_PROXY, this machine and addresses that tenants name go past it")
    func past() throws {
        let proxy = try LoopbackHTTPServer { _ in .json("\"proxy\"") }
        let server = try LoopbackHTTPServer { _ in .json("\"server\"") }
        // Another spelling of this machine than those that are never asked through a proxy.
        let other = server.url.replacingOccurrences(of: "127.0.0.1", with: "0.0.0.0")
        try with(["http_proxy": proxy.url]) { () throws in
            #expect(try client.send(HTTPRequest(url: other)).body == Array("\"proxy\"".utf8))
            #expect(try client.send(HTTPRequest(url: server.url)).body == Array("\"server\"".utf8))
            let strict = HTTPClient(policy: .publicInternetOnly)
            #expect(failure(HTTPRequest(url: other), strict)?.code == .refusedAddress)
        }
        try with(["http_proxy": proxy.url, "NO_PROXY": "example.com,0.0.0.0"]) { () throws in
            #expect(try client.send(HTTPRequest(url: other)).body == Array("\"server\"".utf8))
        }
        // Tests beside this one may ask other machines meanwhile.
        #expect(proxy.requests.filter { $0.target.hasPrefix(other) }.count == 1)
    }

    @Test("one that is not there is a failed connection, to be tried again")
    func absent() throws {
        let gone = try LoopbackHTTPServer { _ in .json("{}") }
        let url = gone.url
        gone.stop()
        with(["HTTPS_PROXY": url]) {
            let error = failure(HTTPRequest(url: "https://models.invalid/"), client)
            #expect(error?.code == .connect)
            #expect(error?.isRetryable == true)
        }
    }
}
