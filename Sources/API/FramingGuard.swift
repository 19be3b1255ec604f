// The first reader of a connection, in front of NIO's parser: passes on what RequestFraming finds right, and lets nothing behind a
// fault pass. Sets what a connection may hold in the kernel and in one read. One handler for each connection, on its event loop;
// `FramingGuard.Installer` stands among the handlers that Hummingbird adds, behind the parser, and puts the guard in its place.

import NIOCore
import NIOHTTP1

final class FramingGuard: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var framing = RequestFraming()
    private var isRefused = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isRefused else { return }
        var bytes = unwrapInboundIn(data)
        let (count, fault) = bytes.withUnsafeReadableBytes { framing.read($0) }
        guard let fault else { return context.fireChannelRead(data) }
        isRefused = true
        // Requests in front of it, and its own head, if that is right: who reads the body hears of the fault.
        if count > 0, let right = bytes.readSlice(length: count) { context.fireChannelRead(wrapInboundOut(right)) }
        context.fireErrorCaught(fault)
    }

    /// Puts the guard in front of NIO's parser and `OldProtocol` right behind it: Hummingbird itself adds handlers further back only.
    final class Installer: ChannelInboundHandler, RemovableChannelHandler {
        typealias InboundIn = NIOAny

        /// Bytes of one read: a connection whose reader has stopped holds about ten of them.
        private static let maximumRead = 16 << 10
        /// Bytes the kernel takes for a client before the client takes them: enough for a fast client, and little for a silent one.
        private static let unsent: Int32 = 128 << 10
        /// TCP_NOTSENT_LOWAT of Linux, which has no name in Glibc's module.
        private static let notSentLowWater = NIOBSDSocket.Option(rawValue: 25)

        func handlerAdded(context: ChannelHandlerContext) {
            let operations = context.pipeline.syncOperations
            do {
                let parser = try operations.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
                try operations.addHandler(FramingGuard(), position: .before(parser))
                try operations.addHandler(OldProtocol(), position: .after(parser))
            } catch {
                // Without its guard no connection is served.
                return context.close(promise: nil)
            }
            let options = context.channel.syncOptions
            // Bounds of memory only: a socket that is none of TCP has no such option.
            try? options?.setOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 64, initial: 2_048, maximum: Self.maximumRead))
            try? options?.setOption(
                ChannelOptions.Types.SocketOption(level: .tcp, name: Self.notSentLowWater), value: SocketOptionValue(Self.unsent))
        }
    }
}
