// Keeps the process within the connections its open files allow: at the bound, the connection that has been idle longest is
// closed to make room for a new one. What works (a request, a stream) is never closed for it; where all work, new ones wait
// in the system's backlog. The order is a pure value (`IdleOrder`), one for the server, under a lock; `ConnectionPlace` is one
// handler for each connection, on its event loop.

import NIOCore
import NIOHTTPTypes
import Synchronization

/// Which connections there are, and which of them have nothing to do, in the order in which they came to it.
struct IdleOrder<Connection> {
    /// Most connections. One place is kept free where it can be, for the next: it is accepted before it can be judged.
    let limit: Int

    private struct Entry {
        var connection: Connection
        /// When it became idle, as a count; nil: it works.
        var turn: Int?
    }

    private var entries: [Int: Entry] = [:]
    /// (turn, id), oldest first; those whose turn is no longer the entry's are passed over.
    private var queue: [(turn: Int, id: Int)] = []
    private var first = 0
    private var turns = 0
    private var ids = 0
    /// Connections told to close that are still there.
    private var closing = 0

    init(limit: Int) { self.limit = max(2, limit) }

    /// Open connections, those that are being closed included.
    var count: Int { entries.count + closing }
    private(set) var evicted = 0
    /// Turns kept.
    var queued: Int { queue.count }

    /// A new connection, idle until its first request.
    /// - Returns: its id, and the connection to close for it; none where all others work: then this one has the last place.
    mutating func open(_ connection: Connection) -> (id: Int, victim: Connection?) {
        let victim = entries.count + 1 >= limit ? evict() : nil
        ids += 1
        entries[ids] = Entry(connection: connection, turn: nil)
        wait(ids)
        return (ids, victim)
    }

    /// A request has begun.
    mutating func work(_ id: Int) { entries[id]?.turn = nil }

    /// Its last request was answered.
    /// - Returns: the connection to close now, perhaps this one, so that one that waits outside can come in.
    mutating func rest(_ id: Int) -> Connection? {
        guard entries[id] != nil else { return nil }
        wait(id)
        return entries.count >= limit ? evict() : nil
    }

    private mutating func wait(_ id: Int) {
        turns += 1
        entries[id]?.turn = turns
        queue.append((turns, id))
        // Turns that have passed are dropped at a cost that the calls before have paid for.
        if queue.count - first > 2 * entries.count + 64 || first > 64 + entries.count { compact() }
    }

    /// It was closed, by either side.
    mutating func close(_ id: Int) {
        if entries.removeValue(forKey: id) == nil { closing -= 1 }
    }

    /// Takes out the one that has been idle longest; nil: all of them work.
    private mutating func evict() -> Connection? {
        while first < queue.count {
            let (turn, id) = queue[first]
            first += 1
            guard let entry = entries[id], entry.turn == turn else { continue }
            entries[id] = nil
            closing += 1
            evicted += 1
            return entry.connection
        }
        return nil
    }

    private mutating func compact() {
        queue = queue[first...].filter { entries[$0.id]?.turn == $0.turn }
        first = 0
    }
}

/// The order of one server's connections. Any thread.
final class ConnectionRoom: Sendable {
    private let order: Mutex<IdleOrder<any Channel>>

    init(limit: Int) { order = Mutex(IdleOrder(limit: limit)) }

    /// Open connections, and how many idle ones were closed to make room.
    var counts: (open: Int, evicted: Int) { order.withLock { ($0.count, $0.evicted) } }

    fileprivate func open(_ channel: any Channel) -> Int {
        let (id, victim) = order.withLock { $0.open(channel) }
        victim?.close(promise: nil)
        return id
    }

    fileprivate func work(_ id: Int) { order.withLock { $0.work(id) } }

    fileprivate func rest(_ id: Int) {
        order.withLock { $0.rest(id) }?.close(promise: nil)
    }

    fileprivate func close(_ id: Int) { order.withLock { $0.close(id) } }
}

/// Tells the room what one connection does.
final class ConnectionPlace: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let room: ConnectionRoom
    private var id: Int?
    /// Requests that have begun and are not answered: a client may send the next before it has the answer.
    private var requests = 0

    init(room: ConnectionRoom) { self.room = room }

    func handlerAdded(context: ChannelHandlerContext) { id = room.open(context.channel) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head = unwrapInboundIn(data) {
            requests += 1
            if requests == 1, let id { room.work(id) }
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data), requests > 0 {
            // Only when the answer is with the system: closing earlier would cut it off.
            let ended = promise ?? context.eventLoop.makePromise()
            ended.futureResult.assumeIsolated().whenComplete { [self] _ in
                requests -= 1
                if requests == 0, let id { room.rest(id) }
            }
            return context.write(data, promise: ended)
        }
        context.write(data, promise: promise)
    }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    /// Also of a connection that was closed before it became active.
    func handlerRemoved(context: ChannelHandlerContext) { leave() }

    private func leave() {
        if let id { room.close(id) }
        id = nil
    }
}
