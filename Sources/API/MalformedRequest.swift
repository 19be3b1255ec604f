// What is no HTTP request, or one that two readers would read differently, ends with a problem like every other error:
// the server below answers it with a bare 400, which gets its body here. One handler for each connection, on its event loop.
//
//   open → (the parser or the FramingGuard fails, or a head has two hosts) refused: nothing more is read
//        → the bare 400 passes, closed after it

import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import TextFormats
import WireTypes

final class MalformedRequest: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// Set once the connection is refused.
    private var problem: ProblemDetails?
    /// The answer to HEAD has no body.
    private var isHead = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard problem == nil else { return }
        if case .head(let head) = unwrapInboundIn(data), !Self.hasOneHost(head) {
            problem = ProblemDetails(status: 400, code: "bad_request", detail: "the request has more than one Host")
            isHead = head.method == .head
            // Answers to earlier requests of this connection are finished before the server reads this.
            context.fireErrorCaught(HTTPParserError.invalidHeaderToken)
            return
        }
        context.fireChannelRead(data)
    }

    /// The first Host is the request's authority; only a second one is left among its fields.
    private static func hasOneHost(_ head: HTTPRequest) -> Bool { hostField.map { head.headerFields[$0] == nil } ?? true }
    private static let hostField = HTTPField.Name("Host")

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard problem == nil else { return context.fireErrorCaught(error) }
        if let fault = error as? RequestFraming.Fault {
            problem = Self.problem(fault)
            // The error the server below answers.
            return context.fireErrorCaught(HTTPParserError.unknown)
        }
        if let failure = error as? HTTPParserError { problem = Self.problem(failure) }
        context.fireErrorCaught(error)
    }

    private static func problem(_ fault: RequestFraming.Fault) -> ProblemDetails {
        guard !fault.isTooLarge else { return tooLarge }
        return ProblemDetails(status: 400, code: "bad_request", detail: "this is no HTTP request: \(fault.detail)")
    }

    private static let tooLarge = ProblemDetails(
        status: 431, code: "headers_too_large", detail: "the request's header fields are too large")

    private static func problem(_ failure: HTTPParserError) -> ProblemDetails {
        guard failure == .headerOverflow else {
            return ProblemDetails(status: 400, code: "bad_request", detail: "this is no HTTP request: \(failure)")
        }
        return tooLarge
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        // Whatever else is being written answers a request that was read before.
        guard let problem, case .head(var head) = unwrapOutboundIn(data), head.status == .badRequest,
            head.headerFields[.contentLength] == "0", head.headerFields[.connection] == "close"
        else { return context.write(data, promise: promise) }
        let body = ByteBuffer(bytes: problem.json.bytes())
        head.status = HTTPResponse.Status(code: problem.status)
        head.headerFields[.contentType] = ProblemDetails.mediaType
        head.headerFields[.contentLength] = "\(body.readableBytes)"
        context.write(wrapOutboundOut(.head(head)), promise: isHead ? promise : nil)
        if !isHead { context.write(wrapOutboundOut(.body(body)), promise: promise) }
    }
}
