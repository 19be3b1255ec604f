// All routes with their methods: fills the router, and answers for paths or methods it does not know.

import HTTPTypes
import Hummingbird
import WireTypes

typealias RouteHandler = @Sendable (Request, APIContext) async throws -> Response

/// One call of the API.
struct Route: Sendable {
    var method: HTTPRequest.Method
    /// With parameters as {name}.
    var path: String
    var handler: RouteHandler

    init(_ method: HTTPRequest.Method, _ path: String, _ handler: @escaping RouteHandler) {
        self.method = method
        self.path = path
        self.handler = handler
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
