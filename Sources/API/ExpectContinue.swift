// Expect: 100-continue (RFC 9110, 10.1.1): a client that asks first is told to go on when its body is about to be read, and not at
// all where the answer needs no body: then the connection ends with that answer, for what follows may be the body or not. One handler
// for each connection, on its event loop.

import HTTPTypes
import NIOCore
import NIOHTTPTypes

final class ExpectContinue: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// Triggered by the request's task: the body is wanted.
    struct Proceed: Sendable {}

    /// Of the requests that are not answered, in order: whether the request asks first and its body has not begun.
    private var asking = CircularBuffer<Bool>()

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): asking.append(head.headerFields[.expect]?.lowercased() == "100-continue")
        // The client did not wait, as it may.
        case .body, .end: if let last = asking.indices.last { asking[last] = false }
        }
        context.fireChannelRead(data)
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard event is Proceed else { return context.triggerUserOutboundEvent(event, promise: promise) }
        guard let isAsking = asking.first, isAsking else {
            promise?.succeed()
            return
        }
        asking[asking.startIndex] = false
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: promise)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head):
            guard let isAsking = asking.first, isAsking, head.status.kind != .informational else { break }
            head.headerFields[.connection] = "close"
            return context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body: break
        case .end: _ = asking.popFirst()
        }
        context.write(data, promise: promise)
    }
}
