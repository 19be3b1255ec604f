// The outermost layer of every request: its id, its answer's common headers, errors made into problem+json, counting.
// Runs on the request's task; never blocks.

import Foundation
import HTTPTypes
import Hummingbird
import Logging
import TextFormats
import WireTypes

struct EnvelopeMiddleware: RouterMiddleware {
    typealias Context = APIContext

    let routes: RouteDirectory
    let meter: RequestMeter

    func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        if let given = request.headers[.requestID], Self.isRequestID(given) { context.requestID = given }
        context.logger[metadataKey: "request.id"] = .string(context.requestID)
        let started = ContinuousClock.now
        var response: Response
        do {
            response = try await next(request, context)
        } catch {
            response = answer(to: error, request: request, context: context)
        }
        finish(&response, request: request, context: context)
        let duration = ContinuousClock.now - started
        meter.count(
            method: request.method.rawValue, route: context.endpointPath, status: response.status.code,
            duration: duration)
        context.logger.debug(
            "Request answered",
            metadata: [
                "http.method": "\(request.method)", "http.path": .string(request.uri.path),
                "http.status": "\(response.status.code)", "duration": "\(duration)",
            ])
        return response
    }

    private func answer(to error: any Error, request: Request, context: APIContext) -> Response {
        var problem = ProblemDetails(converting: error)
        if problem.status == 404, problem.code == "not_found", context.endpointPath == "NotFound" {
            problem = routes.problem(path: request.uri.path)
        }
        if problem.status >= 500 {
            context.logger.error(
                "Request failed",
                metadata: [
                    "http.method": "\(request.method)", "http.path": .string(request.uri.path),
                    "problem.code": .string(problem.code), "error": "\(error)",
                ])
        }
        return Response(problem)
    }

    private func finish(_ response: inout Response, request: Request, context: APIContext) {
        response.headers[.requestID] = context.requestID
        response.headers[.xContentTypeOptions] = "nosniff"
        if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "no-store" }
        // The encoder of HTTP/1.1 must not announce a body these answers never have (RFC 9110, 8.6).
        if response.status == .noContent || response.status == .notModified { response.headers[.contentLength] = nil }
        if request.method == .head { response = response.createHeadResponse() }
    }

    /// Ids end in logs and headers: printable, short, nothing to inject with.
    static func isRequestID(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                    return true
                default: return false
                }
            }
    }
}
