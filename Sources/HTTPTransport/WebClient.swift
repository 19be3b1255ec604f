// Reads a web address that a tenant, a model or a page named: GET only, redirects followed here, each target checked
// like the first, and the address of every socket checked by the policy below. Blocks the calling thread; any number of
// threads. Fails with WebRefusal (nothing was sent to that address) or TransportError. Nothing is retried.

/// What came back, as much of it as fits.
public struct WebAnswer: Sendable {
    /// Where the answer came from, after redirects.
    public var url: WebURL
    public var status: Int
    public var headers: [HTTPResponse.Header]
    /// At most `maxBytes`, decompressed.
    public var body: [UInt8]
    /// There was more.
    public var isTruncated: Bool
    public var redirects: Int

    public func header(_ name: String) -> String? {
        HTTPResponse(status: status, headers: headers).header(name)
    }
}

/// The bounds of one reading.
public struct WebLimits: Sendable, Hashable {
    /// Bytes of the body, after decompression; the rest is not read.
    public var maxBytes: Int
    /// Seconds for everything, redirects included.
    public var seconds: Double
    /// Seconds without a byte.
    public var idleSeconds: Double
    public var redirects: Int

    public init(maxBytes: Int = 2 << 20, seconds: Double = 20, idleSeconds: Double = 10, redirects: Int = 5) {
        self.maxBytes = maxBytes
        self.seconds = seconds
        self.idleSeconds = idleSeconds
        self.redirects = redirects
    }
}

public final class WebClient: Sendable {
    public let access: WebAccess
    let http: HTTPClient

    public init(access: WebAccess = WebAccess()) {
        self.access = access
        http = HTTPClient(policy: .publicInternetOnly, exceptions: access.exceptions)
    }

    init(access: WebAccess, http: HTTPClient) {
        self.access = access
        self.http = http
    }

    /// Thrown by the receiver of a body to end an exchange whose answer is known.
    private enum Enough: Error { case redirect, unwanted, full }

    /// - Parameters:
    ///   - accept: the `Accept` header.
    ///   - wanted: whether the body of an answer with that head is to be read; a body that is not wanted stays empty.
    public func get(
        _ address: String, accept: String = "*/*", limits: WebLimits = WebLimits(),
        cancellation: CancellationToken? = nil, wanted: @escaping (HTTPResponse) -> Bool = { _ in true }
    ) throws -> WebAnswer {
        var url = try WebURL(address)
        let end = MonotonicClock.seconds() + limits.seconds
        for count in 0...max(0, limits.redirects) {
            try access.check(url)
            let left = end - MonotonicClock.seconds()
            guard left > 0 else {
                throw TransportError(.timeout, "no complete answer within \(Int(limits.seconds)) s")
            }
            var answer = try exchange(url, accept, limits, seconds: left, cancellation, wanted)
            answer.redirects = count
            guard let target = Self.redirect(answer) else { return answer }
            let next = try url.resolving(target)
            if url.scheme == .https, next.scheme == .http {
                throw WebRefusal(.downgrade, "the page leads from https to \(next), which is not encrypted")
            }
            url = next
        }
        throw WebRefusal(.tooManyRedirects, "more than \(limits.redirects) redirects")
    }

    private func exchange(
        _ url: WebURL, _ accept: String, _ limits: WebLimits, seconds: Double, _ cancellation: CancellationToken?,
        _ wanted: @escaping (HTTPResponse) -> Bool
    ) throws -> WebAnswer {
        let request = HTTPRequest(
            url: url.description,
            headers: [("Accept", accept), ("User-Agent", "nanobot (reads single pages for a person)")],
            deadline: seconds, connectTimeout: min(10, seconds), idleTimeout: limits.idleSeconds,
            // The receiver below ends the exchange at its own bound, in the middle of a piece: this one lies beyond.
            maxResponseBytes: max(limits.maxBytes, Self.maxRefusalBytes) + Self.maxPieceBytes)
        var head = HTTPResponse(status: 0)
        var body: [UInt8] = []
        var isTruncated = false
        do throws(TransportError) {
            let response = try http.send(
                request, cancellation: cancellation,
                onHead: { response in
                    head = response
                    if Self.isRedirect(response) { throw Enough.redirect }
                    if response.isSuccess, !wanted(response) { throw Enough.unwanted }
                },
                onBody: { piece in
                    let room = limits.maxBytes - body.count
                    body += piece.prefix(room)
                    guard piece.count <= room else { throw Enough.full }
                })
            if !response.isSuccess { body = Array(response.body.prefix(limits.maxBytes)) }
        } catch {
            // An error page larger than the bound is told by its status all the same.
            let isLargeErrorPage = error.code == .tooLarge && head.status != 0 && !head.isSuccess
            guard let enough = error.cause as? Enough ?? (isLargeErrorPage ? .full : nil) else { throw error }
            isTruncated = enough == .full
        }
        return WebAnswer(
            url: url, status: head.status, headers: head.headers, body: body, isTruncated: isTruncated, redirects: 0)
    }

    /// Bytes of an answer that is no success.
    private static let maxRefusalBytes = 256 << 10

    /// Bytes libcurl hands over at once, at most (CURL_MAX_WRITE_SIZE is 16 KiB; decoded pieces are no larger).
    private static let maxPieceBytes = 64 << 10

    private static func isRedirect(_ response: HTTPResponse) -> Bool {
        [301, 302, 303, 307, 308].contains(response.status) && response.header("Location") != nil
    }

    private static func redirect(_ answer: WebAnswer) -> String? {
        let response = HTTPResponse(status: answer.status, headers: answer.headers)
        return isRedirect(response) ? response.header("Location") : nil
    }
}
