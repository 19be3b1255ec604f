// Who is calling: decided before any route is looked at. `AccessPolicy` never blocks; where the disk must be asked, its
// middleware does so on a pool thread. What a caller may then do is said beside each route (`RouteAccess`).

import HTTPTypes
import Hummingbird
import Identity
import Logging
import WireTypes

/// Credentials in the order they are tried: the operator's own token, tokens made here, tokens of an identity provider.
/// Where none of the three exists the service is open to programs of this machine.
///
/// Why Host and Origin matter there: a page of any web site, open in a browser on this machine, can send requests to
/// 127.0.0.1. It cannot choose these two headers, though: a foreign page shows in Origin, and a name that was re-pointed
/// at 127.0.0.1 (DNS rebinding) shows in Host.
struct AccessPolicy: Sendable {
    /// Answered without a token: probes come without one, and the documentation holds nothing of any tenant.
    static let openPaths: Set<String> = ["/health", "/ready", "/docs", "/redoc", "/openapi.json"]
    static let openPrefix = "/docs/assets/"

    static let realm = "Bearer realm=\"nanobot\""

    /// The operator's; nil: there is none.
    let adminToken: String?
    let tokens: TokenDesk
    let jwt: JWTVerifier?
    /// Pages of other origins that may call.
    let origins: CrossOrigin

    /// The caller who was let in.
    struct Admitted: Sendable {
        var caller: Caller
        /// Of an event stream, where the caller came with a ticket.
        var reader: TicketReader?
    }

    /// What can be said without blocking.
    enum Answer {
        case caller(Caller)
        /// The disk, or the identity provider, must be asked.
        case ask(@Sendable () throws -> Admitted)
    }

    init(adminToken: String?, tokens: TokenDesk, jwt: JWTVerifier?, origins: CrossOrigin = CrossOrigin([])) {
        self.origins = origins
        self.adminToken = adminToken.flatMap { $0.isEmpty ? nil : $0 }
        self.tokens = tokens
        self.jwt = jwt
    }

    /// - Throws: 401 `unauthorized` or `invalid_token`, 403 `host_not_allowed` or `origin_not_allowed`.
    func caller(of request: Request) throws(ProblemDetails) -> Answer {
        let (head, path) = (request.head, request.uri.path)
        let isPublic = Self.openPaths.contains(path) || path.hasPrefix(Self.openPrefix)
        let isClosed = adminToken != nil || jwt != nil ? true : tokens.isKnownClosed()
        let ticket = TicketUse(request)
        switch isClosed {
        case true?: return isPublic ? .caller(Self.nobody) : try identified(head, ticket)
        case false?: return try local(head, ticket)
        case nil:
            return .ask {
                let answer: Answer
                if try tokens.isClosed() {
                    answer = isPublic ? .caller(Self.nobody) : try identified(head, ticket)
                } else {
                    answer = try local(head, ticket)
                }
                switch answer {
                case .caller(let caller): return Admitted(caller: caller)
                case .ask(let body): return try body()
                }
            }
        }
    }

    /// Of the public paths of a closed service: nothing is asked of them, nothing else is let in by them.
    private static let nobody = Caller(reach: .everybody, isReadOnly: true, credential: "none")

    /// The conditions of tickets that were made without a token of this home.
    var conditions: TicketConditions {
        TicketConditions(operatorToken: adminToken, isClosed: adminToken != nil || jwt != nil)
    }

    private func admitted(by ticket: TicketUse) -> Answer {
        .ask {
            let reader = try tokens.readTicket(
                ticket.text, path: ticket.path, isReturning: ticket.isReturning, under: conditions)
            return Admitted(caller: reader.caller, reader: reader)
        }
    }

    /// The token of a request: `Authorization: Bearer`, or on the paths of other services' interfaces `X-Api-Key`, as Anthropic's
    /// clients send it. Both may be there if they say the same.
    private func credential(_ head: HTTPRequest) throws(ProblemDetails) -> String {
        let key = head.path?.hasPrefix(OpenAIRoutes.prefix) == true ? head.headerFields[.apiKey] : nil
        guard let authorization = head.headerFields[.authorization] else {
            if let key { return key }
            throw ProblemDetails(
                status: 401, code: "unauthorized", detail: "this service needs a token: Authorization: Bearer <token>",
                challenge: Self.realm)
        }
        let parts = authorization.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { throw Self.invalidToken }
        let token = String(parts[1])
        if let key, !SecretComparison.isEqual(key, token) { throw Self.invalidToken }
        return token
    }

    private func identified(_ head: HTTPRequest, _ ticket: TicketUse?) throws(ProblemDetails) -> Answer {
        if let ticket, head.headerFields[.authorization] == nil { return admitted(by: ticket) }
        let credential = try credential(head)
        if let adminToken, SecretComparison.isEqual(credential, adminToken) {
            return .caller(Caller(reach: .everybody, credential: "admin"))
        }
        if let jwt, JWTVerifier.isCandidate(credential) {
            // Public-key arithmetic, and keys that may have to be fetched: not for an event loop.
            return .ask {
                Admitted(caller: try Self.translated { () throws(IdentityError) in try jwt.caller(credential) })
            }
        }
        let remembered = try Self.translated { () throws(IdentityError) in try tokens.remembered(credential) }
        if let remembered { return .caller(remembered) }
        return .ask {
            Admitted(caller: try Self.translated { () throws(IdentityError) in try tokens.authenticate(credential) })
        }
    }

    private static func translated<Value>(
        _ body: () throws(IdentityError) -> Value
    ) throws(ProblemDetails) -> Value {
        do throws(IdentityError) {
            return try body()
        } catch {
            throw error.code == .invalidToken ? invalidToken : ProblemDetails(error)
        }
    }

    /// One answer for unknown, revoked, expired and forged.
    private static let invalidToken = ProblemDetails(
        status: 401, code: "invalid_token", detail: "the token is not valid",
        challenge: "\(realm), error=\"invalid_token\"")

    private func local(_ head: HTTPRequest, _ ticket: TicketUse?) throws(ProblemDetails) -> Answer {
        try checkLocal(head)
        return ticket.map(admitted) ?? .caller(.open)
    }

    private func checkLocal(_ head: HTTPRequest) throws(ProblemDetails) {
        guard let host = head.authority, let name = Self.name(of: host), BindingPolicy.isLoopback(name) else {
            throw ProblemDetails(
                status: 403, code: "host_not_allowed",
                detail: "without a token this service answers only to localhost, 127.0.0.1 and [::1] as Host")
        }
        if origins.isListed(head.headerFields[.origin]) { return }
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
        guard port.isEmpty || (port.utf8.allSatisfy { (48...57).contains($0) } && UInt16(port) != nil) else {
            return nil
        }
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
    let bridge: BlockingBridge
    /// Counted for callers who reach one user; the operator's own programs are not bounded.
    let rates: RequestRates

    func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        switch try policy.caller(of: request) {
        case .caller(let caller): context.caller = caller
        case .ask(let body):
            let admitted = try await bridge.run(for: .credentials, body)
            context.caller = admitted.caller
            if let reader = admitted.reader { context.notes.note(ticket: reader) }
        }
        context.notes.note(credential: context.caller.credential)
        context.logger[metadataKey: "caller"] = .string(context.caller.credential)
        if context.caller.user != nil, let standing = rates.take(context.caller.credential) {
            context.notes.note(rate: standing)
            if let seconds = standing.retryAfter {
                throw ProblemDetails(
                    status: 429, code: "too_many_requests",
                    detail: "this token may make \(standing.limit) requests a minute", retryAfter: seconds)
            }
        }
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
    static let rateLimitPolicy = HTTPField.Name("RateLimit-Policy")!
    static let rateLimitLimit = HTTPField.Name("RateLimit-Limit")!
    static let rateLimitRemaining = HTTPField.Name("RateLimit-Remaining")!
    static let rateLimitReset = HTTPField.Name("RateLimit-Reset")!
    static let link = HTTPField.Name("Link")!
}
