// Who may reach the service: a token where one is set, else only programs of this machine and never a web page.
// `AccessPolicy` is pure; `AccessMiddleware` asks it before any route is looked at.

import HTTPTypes
import Hummingbird
import WireTypes

/// Why Host and Origin matter on loopback: a page of any web site, open in a browser on this machine, can send
/// requests to 127.0.0.1. It cannot choose these two headers, though: a foreign page shows in Origin, and a name that
/// was re-pointed at 127.0.0.1 (DNS rebinding) shows in Host.
struct AccessPolicy: Sendable {
    /// Answered without a token: probes come without one, and the documentation holds nothing of any tenant.
    static let openPaths: Set<String> = ["/health", "/ready", "/docs", "/redoc", "/openapi.json"]
    static let openPrefix = "/docs/assets/"

    private let authenticator: TokenAuthenticator?

    init(adminToken: String?) {
        authenticator = adminToken.flatMap { $0.isEmpty ? nil : TokenAuthenticator(token: $0) }
    }

    /// - Parameter path: without the query.
    func check(_ head: HTTPRequest, path: String) throws(ProblemDetails) {
        if let authenticator {
            if Self.openPaths.contains(path) || path.hasPrefix(Self.openPrefix) { return }
            return try authenticator.check(head.headerFields[.authorization])
        }
        try checkLocal(head)
    }

    private func checkLocal(_ head: HTTPRequest) throws(ProblemDetails) {
        guard let host = head.authority, let name = Self.name(of: host), BindingPolicy.isLoopback(name) else {
            throw ProblemDetails(
                status: 403, code: "host_not_allowed",
                detail: "without a token this service answers only to localhost, 127.0.0.1 and [::1] as Host")
        }
        if let origin = head.headerFields[.origin], !Self.isSame(origin: origin, host: host) {
            throw ProblemDetails(
                status: 403, code: "origin_not_allowed",
                detail: "without a token this service takes no requests from pages of other origins")
        }
        let mode = head.headerFields[.secFetchMode]
        if head.headerFields[.secFetchSite] == "cross-site", mode != "navigate" {
            throw ProblemDetails(
                status: 403, code: "origin_not_allowed",
                detail: "without a token this service takes no requests from pages of other sites")
        }
    }

    /// The host without its port; brackets stay. nil for what is no `host[:port]`: something before an @, a second
    /// colon, a port that is no number.
    static func name(of authority: String) -> String? {
        let end: String.Index
        if authority.hasPrefix("[") {
            guard let bracket = authority.firstIndex(of: "]") else { return nil }
            end = authority.index(after: bracket)
        } else {
            end = authority.firstIndex(of: ":") ?? authority.endIndex
        }
        let name = authority[..<end]
        let rest = authority[end...]
        guard !name.contains("@"), rest.isEmpty || rest.hasPrefix(":") else { return nil }
        let port = rest.dropFirst()
        guard port.isEmpty || (port.utf8.allSatisfy { (48...57).contains($0) } && UInt16(port) != nil) else { return nil }
        return String(name)
    }

    /// Whether a page of `origin` was itself served by this service, as `host` names it.
    static func isSame(origin: String, host: String) -> Bool {
        let origin = origin.lowercased()
        let host = host.lowercased()
        return origin == "http://\(host)" || origin == "https://\(host)"
    }
}

struct AccessMiddleware: RouterMiddleware {
    typealias Context = APIContext
    let policy: AccessPolicy

    func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        try policy.check(request.head, path: request.uri.path)
        return try await next(request, context)
    }
}

extension HTTPField.Name {
    static let secFetchSite = HTTPField.Name("Sec-Fetch-Site")!
    static let secFetchMode = HTTPField.Name("Sec-Fetch-Mode")!
    static let requestID = HTTPField.Name("X-Request-Id")!
    static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
    static let prefer = HTTPField.Name("Prefer")!
    static let preferenceApplied = HTTPField.Name("Preference-Applied")!
    static let lastEventID = HTTPField.Name("Last-Event-ID")!
    static let accelBuffering = HTTPField.Name("X-Accel-Buffering")!
    static let frameOptions = HTTPField.Name("X-Frame-Options")!
    static let referrerPolicy = HTTPField.Name("Referrer-Policy")!
    static let link = HTTPField.Name("Link")!
}
