// The outermost layer of every request: its id, its answer's common headers, errors made into problem+json, counting.
// Runs on the request's task; never blocks.

import Foundation
import HTTPTypes
import Hummingbird
import Jobs
import Logging
import TextFormats
import WireTypes

struct EnvelopeMiddleware: RouterMiddleware {
    typealias Context = APIContext

    let routes: RouteDirectory
    let meter: RequestMeter
    let origins: CrossOrigin
    let trusted: [AddressBlock]
    /// nil: nothing is audited.
    let audit: (@Sendable (AuditEntry) -> Void)?
    let now: @Sendable () -> Date

    /// Bytes of a path with its query; a longer one is no call of this service.
    static let maximumURI = 8_192

    func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        if let given = request.headers[.requestID], Self.isRequestID(given) { context.requestID = given }
        context.logger[metadataKey: "request.id"] = .string(context.requestID)
        let started = ContinuousClock.now
        var response: Response
        var code: String?
        do {
            guard request.uri.string.utf8.count <= Self.maximumURI else {
                throw ProblemDetails(
                    status: 414, code: "uri_too_long",
                    detail: "the path and query have more than \(Self.maximumURI) bytes")
            }
            _ = try QueryText(request.uri.query)
            if let preflight = try origins.preflight(request) {
                response = preflight
            } else {
                response = try await next(request, context)
            }
        } catch {
            response = answer(to: error, request: request, context: context, code: &code)
        }
        finish(&response, request: request, context: context)
        record(request, context, status: response.status.code, code: code)
        let duration = ContinuousClock.now - started
        meter.count(
            method: request.method.rawValue, route: context.endpointPath, status: response.status.code, code: code,
            duration: duration)
        context.logger.debug(
            "Request answered",
            metadata: [
                "http.method": "\(request.method)", "http.path": .string(request.uri.path),
                "http.status": "\(response.status.code)", "duration": "\(duration)",
            ])
        return response
    }

    private func record(_ request: Request, _ context: APIContext, status: Int, code: String?) {
        let method = request.method.rawValue
        guard let audit, AuditEntry.isWorthKeeping(method: method, status: status) else { return }
        audit(
            AuditEntry(
                time: now(), requestID: context.requestID, caller: context.notes.credential,
                address: ClientAddress.of(peer: context.peer, request.headers, trusted: trusted), method: method,
                path: String(request.uri.path.prefix(AuditEntry.maximumPath)), status: status, code: code))
    }

    private func answer(
        to error: any Error, request: Request, context: APIContext, code: inout String?
    ) -> Response {
        var problem = ProblemDetails(converting: error)
        if problem.status == 404, problem.code == "not_found", context.endpointPath == "NotFound" {
            problem = routes.problem(path: request.uri.path)
        }
        code = problem.code
        if problem.status >= 500 {
            context.logger.error(
                "Request failed",
                metadata: [
                    "http.method": "\(request.method)", "http.path": .string(request.uri.path),
                    "problem.code": .string(problem.code), "error": "\(error)",
                ])
        }
        let language = ProblemLanguage(request)
        var response = Response(
            problem.translated(to: language), in: ProblemShape(path: request.uri.path), requestID: context.requestID)
        response.headers[.contentLanguage] = language.rawValue
        response.addVary("Accept-Language")
        return response
    }

    private func finish(_ response: inout Response, request: Request, context: APIContext) {
        response.headers[.requestID] = context.requestID
        if ProblemShape(path: request.uri.path) == .anthropic { response.headers[.anthropicRequestID] = context.requestID }
        if let rate = context.notes.rate {
            response.headers[.rateLimitPolicy] = "\(rate.limit);w=60"
            response.headers[.rateLimitLimit] = "\(rate.limit)"
            response.headers[.rateLimitRemaining] = "\(rate.remaining)"
            response.headers[.rateLimitReset] = "\(rate.resetSeconds)"
        }
        origins.mark(&response, for: request)
        response.headers[.xContentTypeOptions] = "nosniff"
        if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "no-store" }
        // The encoder of HTTP/1.1 must not announce a body these answers never have (RFC 9110, 8.6).
        if response.status == .noContent || response.status == .notModified { response.headers[.contentLength] = nil }
        if request.method == .head { response = response.createHeadResponse() }
    }

    /// Ids end in logs, headers and jobs: printable, short, nothing to inject with. UUIDs, base64, trace ids with ":", "=" or "/".
    static func isRequestID(_ text: String) -> Bool {
        (1...JobRequest.maxRequestID).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    return true
                default: return "-_.:/+=@~".utf8.contains(byte)
                }
            }
    }
}
