// The few forms an answer has. Pure; any thread.

import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Tenants
import TextFormats
import WireTypes

extension Response {
    static func json(_ json: JSON, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]) -> Response {
        text(json.bytes(), mediaType: "application/json", status: status, headers: headers)
    }

    /// - Parameter mediaType: complete, with its charset where it needs one.
    static func text(
        _ bytes: [UInt8], mediaType: String, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) -> Response {
        var headers = headers
        headers[.contentType] = mediaType
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    /// 202: the job will run; where to ask for it, and when it is worth it.
    static func accepted(_ json: JSON, location: String) -> Response {
        .json(json, status: .accepted, headers: [.location: location, .retryAfter: "1"])
    }

    static var noContent: Response { Response(status: .noContent) }

    /// - Parameter shape: as the clients of the path read problems.
    init(_ problem: ProblemDetails, in shape: ProblemShape = .own, requestID: String? = nil) {
        var headers: HTTPFields = [:]
        if let seconds = problem.retryAfter { headers[.retryAfter] = "\(max(1, seconds))" }
        if let challenge = problem.challenge { headers[.wwwAuthenticate] = challenge }
        if !problem.allow.isEmpty { headers[.allow] = problem.allow.joined(separator: ", ") }
        if shape != .own {
            // Their clients try a failed call again by themselves: each try would make another job.
            if problem.jobID != nil { headers[.shouldRetry] = "false" }
            let body = shape == .openAI ? problem.openAIError : problem.anthropicError(requestID: requestID)
            self = .json(body, status: HTTPResponse.Status(code: problem.openAIStatus), headers: headers)
            return
        }
        self = .text(
            problem.json.bytes(), mediaType: ProblemDetails.mediaType,
            status: HTTPResponse.Status(code: problem.status), headers: headers)
    }

    /// The answer with its ETag, or 304 when the client has it already.
    /// - Parameter tag: with its quotes; nil: made from the body.
    static func tagged(
        _ bytes: [UInt8], mediaType: String, tag: String? = nil, for request: Request, headers: HTTPFields = [:]
    ) -> Response {
        let tag = tag ?? "\"\(Fingerprint.sha256Hex(bytes).prefix(32))\""
        var headers = headers
        headers[.contentType] = mediaType
        return .tagged(ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)), tag: tag, for: request, headers: headers)
    }

    /// The same for a body that may be made while it is sent.
    static func tagged(_ body: ResponseBody, tag: String, for request: Request, headers: HTTPFields) -> Response {
        var headers = headers
        headers[.eTag] = tag
        headers[.cacheControl] = "private, no-cache"
        // A call that makes something has an answer of its own.
        let isReading = request.method == .get || request.method == .head
        if isReading, request.headers[values: .ifNoneMatch].contains(where: { EntityTags($0).matches(tag) }) {
            headers[.contentType] = nil
            return Response(status: .notModified, headers: headers)
        }
        return Response(status: .ok, headers: headers, body: body)
    }
}

/// The value of If-Match or If-None-Match (RFC 9110, 13.1).
struct EntityTags {
    private let tags: [Substring]
    let isAny: Bool

    init(_ value: String) {
        let parts = value.split(separator: ",").map { $0.drop(while: { $0 == " " }) }
        tags = parts.map { part in
            var tag = part
            while tag.last == " " { tag.removeLast() }
            return tag.hasPrefix("W/") ? tag.dropFirst(2) : tag
        }
        isAny = tags == ["*"]
    }

    /// Weak comparison: whether the tag is one of these, weak or strong.
    func matches(_ tag: String) -> Bool {
        isAny || tags.contains(tag.hasPrefix("W/") ? tag.dropFirst(2) : tag[...])
    }
}

/// How the clients of a path read problems.
enum ProblemShape: Sendable, Hashable {
    /// RFC 9457.
    case own
    case openAI, anthropic

    init(path: String) {
        let isAnthropic = path == AnthropicRoutes.prefix || path.hasPrefix(AnthropicRoutes.prefix + "/")
        self = isAnthropic ? .anthropic : path.hasPrefix(OpenAIRoutes.prefix) ? .openAI : .own
    }
}
