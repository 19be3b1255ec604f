// A conversation with one server: the handshake, the list of its tools, calls, and what the server says by itself. One exchange
// at a time; any thread, callers wait for each other. A session whose channel has failed is of no more use (`isBroken`). Failure: MCPError.
import Foundation
import HTTPTransport
import Synchronization
import TextFormats

/// What a call came to.
public struct MCPCallResult: Sendable, Hashable {
    /// Texts joined; other contents as a note each.
    public var text: String
    /// The tool failed, and `text` says why.
    public var isError: Bool
}

/// `@unchecked Sendable`: `lastID` is used while `lock` is held.
final class MCPSession: @unchecked Sendable {
    /// Seconds of the handshake, and of one page of the list.
    static let handshakeSeconds = 15.0
    /// Seconds between looks at the cancellation while others are served.
    private static let tick = 0.05
    private static let maxPages = 50

    private let server: String
    private let channel: any MCPChannel
    /// What it says of itself; a list is asked for all the same, for some forget to say it.
    private let hasTools: Bool
    /// It says that it tells when its tools change.
    let announcesChanges: Bool
    private let onChange: @Sendable () -> Void
    /// Held during an exchange; guards `lastID`.
    private let lock = NSLock()
    private var lastID = 0
    /// Asked and set without waiting for an exchange: others hold their own locks meanwhile.
    private let marks = Mutex(Marks())

    private struct Marks {
        var isListening = false
        var isBroken = false
    }
    /// Bytes of the stack of a thread that listens.
    private static let listenerStack = 1 << 20

    /// Carries out the handshake.
    /// - Parameters:
    ///   - seconds: of the handshake; a server that has to fetch something first needs more.
    ///   - onChange: the server says that its tools are others now. On any thread; must not call the session.
    init(
        server: String, channel: any MCPChannel, seconds: Double = handshakeSeconds, cancellation: CancellationToken? = nil,
        onChange: @escaping @Sendable () -> Void = {}
    ) throws(MCPError) {
        self.server = server
        self.onChange = onChange
        self.channel = channel
        do throws(MCPError) {
            lastID += 1
            let answer = try Self.result(
                of: channel.exchange(
                    MCPMessage.initialize(lastID), id: lastID, seconds: seconds,
                    cancellation: cancellation,
                    other: MCPMessage.answer), server)
            guard let version = answer["protocolVersion"]?.string, MCPMessage.versions.contains(version) else {
                throw MCPError(
                    .protocolError,
                    "\(server) speaks revision \(answer["protocolVersion"]?.text() ?? "none"), not one of "
                        + MCPMessage.versions.joined(separator: ", "))
            }
            let tools = answer["capabilities"]?["tools"]
            hasTools = tools?.object != nil
            announcesChanges = tools?["listChanged"]?.bool ?? false
            channel.agreed(on: version)
            try channel.notify(MCPMessage.notification("notifications/initialized"))
        } catch {
            channel.close()
            throw error
        }
    }

    deinit { channel.close() }

    var isBroken: Bool { marks.withLock { $0.isBroken } }

    /// Receives what the server says by itself, on a thread of its own, until the session is closed. Again changes nothing.
    /// - Parameter onEnd: on that thread; not where the session was closed by us.
    func startListening(onEnd: @escaping @Sendable (MCPListening) -> Void = { _ in }) {
        let isFirst = marks.withLock { marks in
            defer { marks.isListening = true }
            return !marks.isListening
        }
        guard isFirst else { return }
        // The channel alone is held: a session that nobody has any more closes it, which ends the thread.
        let thread = Thread { [channel, weak self] in
            let end = channel.listen { [weak self] in self?.receive($0) ?? MCPMessage.answer(to: $0) }
            guard let self, end != .closed else { return }
            if end == .gone { self.marks.withLock { $0.isBroken = true } }
            onEnd(end)
        }
        thread.name = "mcp-listener"
        thread.stackSize = Self.listenerStack
        thread.start()
    }

    private func receive(_ message: JSON) -> JSON? {
        if message["method"] == "notifications/tools/list_changed" { onChange() }
        return MCPMessage.answer(to: message)
    }

    /// Waits for the exchange that is going on, if there is one.
    func close() {
        marks.withLock { $0.isBroken = true }
        lock.withLock { channel.close() }
    }

    func tools(cancellation: CancellationToken? = nil) throws(MCPError) -> MCPToolList {
        var found = MCPToolList()
        var cursor: String?
        var seen: Set<String> = []
        for _ in 0..<Self.maxPages {
            let parameters: JSON = cursor.map { ["cursor": .string($0)] } ?? [:]
            let page: JSON
            do throws(MCPError) {
                page = try request("tools/list", parameters, seconds: Self.handshakeSeconds, cancellation)
            } catch {
                guard error.code == .refused, !hasTools else { throw error }
                return found
            }
            guard let tools = page["tools"]?.array else {
                throw MCPError(.protocolError, "\(server) lists no tools")
            }
            for tool in tools { found.add(tool) }
            guard let next = page["nextCursor"]?.string, !next.isEmpty else { return found }
            guard seen.insert(next).inserted else {
                throw MCPError(.protocolError, "\(server) lists its tools in a circle")
            }
            cursor = next
        }
        throw MCPError(.protocolError, "\(server) lists its tools in more than \(Self.maxPages) pages")
    }

    func call(
        _ tool: String, _ arguments: JSON, seconds: Double, cancellation: CancellationToken?
    ) throws(MCPError) -> MCPCallResult {
        let answer = try request(
            "tools/call", ["name": .string(tool), "arguments": arguments], seconds: seconds, cancellation)
        var parts = (answer["content"]?.array ?? []).map(Self.text)
        if parts.isEmpty, let structured = answer["structuredContent"] { parts = [structured.text()] }
        return MCPCallResult(text: parts.joined(separator: "\n"), isError: answer["isError"]?.bool ?? false)
    }

    // MARK: -

    private func request(
        _ method: String, _ parameters: JSON, seconds: Double, _ cancellation: CancellationToken?
    ) throws(MCPError) -> JSON {
        let end = ProcessInfo.processInfo.systemUptime + seconds
        try wait(until: end, cancellation)
        defer { lock.unlock() }
        guard !isBroken else { throw MCPError(.unavailable, "the connection to \(server) was closed") }
        lastID += 1
        do throws(MCPError) {
            let answer = try channel.exchange(
                MCPMessage.request(lastID, method, parameters), id: lastID,
                seconds: max(0.1, end - ProcessInfo.processInfo.systemUptime), cancellation: cancellation,
                other: receive)
            return try Self.result(of: answer, server)
        } catch {
            if ![.timeout, .cancelled, .refused].contains(error.code) { marks.withLock { $0.isBroken = true } }
            throw error
        }
    }

    /// Takes the lock. Who waits for others at a shared server has the same time limit, and can be stopped.
    private func wait(until end: TimeInterval, _ cancellation: CancellationToken?) throws(MCPError) {
        while !lock.lock(before: Date(timeIntervalSinceNow: Self.tick)) {
            guard !(cancellation?.isCancelled ?? false) else {
                throw MCPError(.cancelled, "cancelled while others were served by \(server)")
            }
            guard ProcessInfo.processInfo.systemUptime < end else {
                throw MCPError(.busy, "\(server) is busy with the calls of others; try again later")
            }
        }
    }

    private static func result(of answer: JSON, _ server: String) throws(MCPError) -> JSON {
        if let result = answer["result"] { return result }
        guard let error = answer["error"] else {
            throw MCPError(.protocolError, "\(server) answered with neither result nor error")
        }
        throw MCPError(.refused, String((error["message"]?.string ?? error.text()).prefix(2_000)), mayHaveRun: true)
    }

    private static func text(_ part: JSON) -> String {
        switch part["type"]?.string {
        case "text"?: part["text"]?.string ?? ""
        case "resource"?:
            part["resource"]?["text"]?.string ?? "[a resource: \(part["resource"]?["uri"]?.string ?? "?")]"
        case "resource_link"?: "[a resource: \(part["uri"]?.string ?? "?")]"
        case let kind?: "[\(kind), which cannot be shown]"
        case nil: ""
        }
    }
}
