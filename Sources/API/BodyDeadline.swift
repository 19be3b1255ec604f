// Closes a connection whose request does not end in time: a client that sends a byte now and then holds no connection, and no
// handler waiting for its body. Heads are bounded by the idle timeout, which a part of a head does not move. One handler for
// each connection, on its event loop.
import NIOCore
import NIOHTTPTypes

final class BodyDeadline: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart

    private let seconds: Int64
    private var alarm: Scheduled<Void>?

    init(seconds: Int64) { self.seconds = seconds }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            let channel = context.channel
            alarm = context.eventLoop.scheduleTask(in: .seconds(seconds)) { channel.close(promise: nil) }
        case .end:
            alarm?.cancel()
            alarm = nil
        case .body: break
        }
        context.fireChannelRead(data)
    }

    func channelInactive(context: ChannelHandlerContext) {
        alarm?.cancel()
        alarm = nil
        context.fireChannelInactive()
    }
}
