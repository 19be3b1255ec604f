// All routes with their methods: fills the router, and answers for paths or methods it does not know.

import HTTPTypes
import Hummingbird
import Identity
import WireTypes

typealias RouteHandler = @Sendable (Request, APIContext) async throws -> Response

/// Which callers a route is for; said for every route, since there is no default.
enum RouteAccess: Sendable {
    /// Probes and documentation: without a credential too.
    case everyone
    /// Whatever is one user's, for that user and for admins: the handler asks `APIContext` about each user it meets.
    case owner
    /// The same for calls that change nothing of the user's, whatever their method: tokens that read only may call them.
    case reader
    /// The service as a whole, and what an operator decides about a user.
    case admin

    /// - Throws: 403 `forbidden`, 403 `read_only`.
    func check(_ caller: Caller, _ method: HTTPRequest.Method) throws(ProblemDetails) {
        switch self {
        case .everyone, .reader: return
        case .owner:
            guard !caller.isReadOnly || method == .get || method == .head else {
                throw ProblemDetails(status: 403, code: "read_only", detail: "this token may read only")
            }
        case .admin:
            guard caller.isAdmin else {
                throw ProblemDetails(status: 403, code: "forbidden", detail: "this call needs an admin's token")
            }
        }
    }
}

/// One call of the API.
struct Route: Sendable {
    var method: HTTPRequest.Method
    /// With parameters as {name}.
    var path: String
    var access: RouteAccess
    private var body: RouteHandler

    init(
        _ method: HTTPRequest.Method, _ path: String, for access: RouteAccess, _ handler: @escaping RouteHandler
    ) {
        self.method = method
        self.path = path
        self.access = access
        body = handler
    }

    /// Checks the caller, then answers.
    func handler(_ request: Request, _ context: APIContext) async throws -> Response {
        try access.check(context.caller, request.method)
        return try await body(request, context)
    }
}

/// A part of the API that brings its calls along.
protocol RouteGroup: Sendable {
    var routes: [Route] { get }
}

/// Knows which methods each path takes, so that a wrong method is 405 with `Allow` and only an unknown path 404.
struct RouteDirectory: Sendable {
    private let patterns: [(segments: [Substring], methods: [String])]
    let routes: [Route]

    init(_ routes: [Route]) {
        self.routes = routes
        var methods: [String: [String]] = [:]
        for route in routes {
            methods[route.path, default: []].append(route.method.rawValue)
            if route.method == .get { methods[route.path, default: []].append("HEAD") }
        }
        patterns = methods.map { (Self.segments($0.key), $0.value.sorted()) }
    }

    /// The problem of a path and method no route takes.
    func problem(path: String) -> ProblemDetails {
        let segments = Self.segments(path)
        let methods = patterns.filter { Self.matches($0.segments, segments) }.flatMap(\.methods)
        guard !methods.isEmpty else {
            return ProblemDetails(
                status: 404, code: "not_found", detail: "no such path; GET /openapi.json lists all there are")
        }
        let allow = Array(Set(methods)).sorted()
        return ProblemDetails(
            status: 405, code: "method_not_allowed", detail: "this path takes \(allow.joined(separator: ", "))",
            allow: allow)
    }

    private static func segments(_ path: String) -> [Substring] { path.split(separator: "/") }

    private static func matches(_ pattern: [Substring], _ path: [Substring]) -> Bool {
        pattern.count == path.count && zip(pattern, path).allSatisfy { $0.hasPrefix("{") || $0 == $1 }
    }
}
