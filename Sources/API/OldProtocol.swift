// Does for the connection as HTTP/1.0 and `Connection: close` ask, at the last place where a request's version is known: between NIO's
// parser and the types of the rest. One handler for each connection, on its event loop.
//
// An answer to HTTP/1.0 has no chunks: a body of unknown length ends with the connection (RFC 9112, 6.3 and 9.3). Every one of its
// connections carries one request. So does one whose client asks to change the protocol: NIO's parser reads nothing behind such a
// request, and all of it is answered as HTTP/1.1.

import NIOCore
import NIOHTTP1

final class OldProtocol: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private struct Request {
        var isOld: Bool
        var isLast: Bool
    }

    /// Those that are not answered, in order: clients may send several.
    private var requests = CircularBuffer<Request>()

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(var head) = unwrapInboundIn(data) else { return context.fireChannelRead(data) }
        let isOld = (head.version.major, head.version.minor) < (1, 1)
        let isLast = isOld || !head.isKeepAlive || head.method == .CONNECT || head.headers.contains(name: "upgrade")
        requests.append(Request(isOld: isOld, isLast: isLast))
        // Hummingbird ends the connection after the answer to a request that says exactly this.
        if isLast { head.headers.replaceOrAdd(name: "connection", value: "close") }
        // A client of HTTP/1.0 knows no answer before the answer.
        if isOld { head.headers.remove(name: "expect") }
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head):
            guard let request = requests.first, request.isLast, !(100..<200).contains(head.status.code) else { break }
            if request.isOld { head.version = .http1_0 }
            head.headers.replaceOrAdd(name: "connection", value: "close")
            return context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body: break
        case .end: _ = requests.popFirst()
        }
        context.write(data, promise: promise)
    }
}
