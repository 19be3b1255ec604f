// Keeps one address from taking all connections. One handler for each connection, on its event loop; the count is shared.
import NIOCore
import Synchronization

/// Connections there are, by address of the other end.
final class ConnectionCounts: Sendable {
    /// Most of one address; 0: no bound.
    let limit: Int
    /// Not counted: proxies, behind which are many.
    private let exempt: [AddressBlock]
    private let counts = Mutex<[String: Int]>([:])

    init(limit: Int, exempt: [AddressBlock]) {
        self.limit = limit
        self.exempt = exempt
    }

    /// - Returns: false when the address has all it may have. Every true is given back by `leave`.
    func enter(_ address: String) -> Bool {
        guard isCounted(address) else { return true }
        return counts.withLock { counts in
            guard counts[address, default: 0] < limit else { return false }
            counts[address, default: 0] += 1
            return true
        }
    }

    func leave(_ address: String) {
        guard isCounted(address) else { return }
        counts.withLock { counts in
            let left = (counts[address] ?? 1) - 1
            counts[address] = left > 0 ? left : nil
        }
    }

    /// This machine's own programs are not a crowd to be kept out.
    private func isCounted(_ address: String) -> Bool {
        limit > 0 && !ClientAddress.isLoopback(address) && !exempt.contains { $0.contains(address) }
    }
}

/// Closes a connection too many at once, before anything is read from it.
final class ConnectionShare: ChannelInboundHandler, RemovableChannelHandler, Sendable {
    typealias InboundIn = NIOAny
    typealias InboundOut = NIOAny

    private let counts: ConnectionCounts
    /// The address it was let in for.
    private let entered = Mutex<String?>(nil)

    init(counts: ConnectionCounts) { self.counts = counts }

    func handlerAdded(context: ChannelHandlerContext) {
        guard let address = context.channel.remoteAddress?.ipAddress else { return }
        guard counts.enter(address) else { return context.close(promise: nil) }
        entered.withLock { $0 = address }
    }

    func channelInactive(context: ChannelHandlerContext) {
        let address = entered.withLock { entered -> String? in
            defer { entered = nil }
            return entered
        }
        if let address { counts.leave(address) }
        context.fireChannelInactive()
    }
}
