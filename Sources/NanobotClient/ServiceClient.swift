// Talks to a nanobot service over HTTP: what an application written in Swift, the command line with --server and the system
// tests use. Every call blocks its thread until it is answered or `deadline` has passed; any thread.
//
// Calls that can be repeated without harm are repeated when the connection breaks or the service says "later" (429, 503):
// all that read, and submissions, which carry a key of their own so that they count once however often they arrive.

import Foundation
import HTTPTransport
import TextFormats

public struct ServiceClient: Sendable {
    /// How long and how often.
    public struct Options: Sendable {
        /// Seconds one exchange may take; waits for jobs take longer by what they wait.
        public var deadline: Double = 60
        /// Times a call that can be repeated is tried.
        public var tries = 4
        /// Seconds before the second try; doubled with every further one, unless the service says how long.
        public var firstPause: Double = 0.25
        /// The longest of these pauses, and the longest Retry-After that is waited for; a longer one fails the call.
        public var longestPause: Double = 10

        public init() {}
    }

    /// Without a slash at its end.
    public let url: String
    private let token: String?
    let options: Options
    let http: HTTPClient

    /// - Parameters:
    ///   - url: where the service answers, such as https://bot.example.org or http://127.0.0.1:8000.
    ///   - token: an admin's or a user's; nil for a service on this machine that needs none.
    public init(url: String, token: String? = nil, options: Options = Options()) {
        self.url = url.hasSuffix("/") ? String(url.dropLast()) : url
        self.token = token
        self.options = options
        http = HTTPClient(policy: .anywhere)
    }

    /// One value of a query.
    typealias QueryItem = (name: String, value: String?)

    /// What is to be asked.
    struct Call {
        var method = "GET"
        /// Parts of the path, not yet percent-encoded.
        var path: [String]
        var query: [QueryItem] = []
        var body: JSON?
        var headers: [HTTPRequest.Header] = []
        /// Repeating it changes nothing more.
        var isRepeatable: Bool
        /// Seconds more than usual.
        var patience: Double = 0

        /// - Parameter isRepeatable: nil: as the method is by RFC 9110.
        init(_ method: String, _ path: String..., body: JSON? = nil, isRepeatable: Bool? = nil) {
            self.method = method
            self.path = path
            self.body = body
            self.isRepeatable = isRepeatable ?? (method != "POST" && method != "PATCH")
        }

        /// Asks the service to hold its answer back for so many seconds, at most 30, until something has changed.
        mutating func wait(_ seconds: Double) {
            guard seconds > 0 else { return }
            let whole = Int(min(seconds, Self.longestWait).rounded(.up))
            query.append(("wait", String(whole)))
            patience = Double(whole)
        }

        /// Seconds the service grants.
        static let longestWait = 30.0
    }

    /// - Throws: `invalid_request` for a part of the path that would not stay one: libcurl and servers take "." and ".." for
    ///   a way up, also percent-encoded.
    func request(_ call: Call) throws(ClientFailure) -> HTTPRequest {
        if let part = call.path.first(where: { ["", ".", ".."].contains($0) }) {
            throw ClientFailure("invalid_request", "\"\(part)\" is no id")
        }
        var headers = call.headers
        headers.append(("Accept", "application/json"))
        if call.body != nil { headers.append(("Content-Type", "application/json")) }
        if let token { headers.append(("Authorization", "Bearer \(token)")) }
        let query = call.query.compactMap { item in
            item.value.map { "\(item.name)=\(Self.encoded($0))" }
        }.joined(separator: "&")
        let path = call.path.map { "/" + Self.encoded($0) }.joined()
        let seconds = options.deadline + call.patience
        return HTTPRequest(
            method: call.method, url: url + path + (query.isEmpty ? "" : "?" + query), headers: headers,
            body: call.body?.bytes(), deadline: seconds, idleTimeout: seconds)
    }

    /// Asks, and asks again where that is allowed.
    func answer(_ call: Call) throws(ClientFailure) -> JSON {
        let response = try response(call)
        guard !response.body.isEmpty else { return .null }
        do {
            return try JSON.parse(response.body)
        } catch {
            throw ClientFailure("invalid_answer", "the answer is no JSON: \(error)", status: response.status)
        }
    }

    func response(_ call: Call) throws(ClientFailure) -> HTTPResponse {
        let request = try request(call)
        var pause = options.firstPause
        var tries = 1
        while true {
            let failure: ClientFailure
            do throws(TransportError) {
                let response = try http.send(request)
                // 304 and the like carry no problem.
                if response.status < 400 { return response }
                failure = ClientFailure(response)
            } catch {
                failure = ClientFailure(error, url: url)
            }
            // What is gone after a first try that nobody answered has been removed by it.
            if call.method == "DELETE", failure.status == 404, tries > 1 { return HTTPResponse(status: 204) }
            let rest = failure.retryAfter ?? pause
            guard call.isRepeatable, failure.isPassing, tries < options.tries, rest <= options.longestPause else {
                throw failure
            }
            Self.rest(rest)
            pause = min(pause * 2, options.longestPause)
            tries += 1
        }
    }

    static func rest(_ seconds: Double) {
        let condition = NSCondition()
        let end = Date(timeIntervalSinceNow: seconds)
        condition.withLock { while condition.wait(until: end) {} }
    }

    /// All but the unreserved characters of RFC 3986 percent-encoded: no value can leave its place in the URL.
    static func encoded(_ text: String) -> String {
        var out = ""
        for byte in text.utf8 {
            let isPlain =
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || [0x2D, 0x2E, 0x5F, 0x7E].contains(byte)
            out += isPlain ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16).uppercased()
        }
        return out
    }
}
