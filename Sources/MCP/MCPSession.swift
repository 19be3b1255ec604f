// A conversation with one server: the handshake, the list of its tools, calls. One exchange at a time; any thread, callers
// wait for each other. A session whose channel has failed is of no more use (`isBroken`). Failure: MCPError.
import Foundation
import HTTPTransport
import Synchronization
import TextFormats

/// A tool as its server describes it.
public struct MCPToolInfo: Sendable, Hashable {
    public var name: String
    public var description: String
    /// JSON Schema.
    public var inputSchema: JSON
    /// It changes nothing, says the server.
    public var isReadOnly: Bool
    public var isIdempotent: Bool
}

/// What a call came to.
public struct MCPCallResult: Sendable, Hashable {
    /// Texts joined; other contents as a note each.
    public var text: String
    /// The tool failed, and `text` says why.
    public var isError: Bool
}

/// `@unchecked Sendable`: `channel` and `lastID` are used while `lock` is held.
final class MCPSession: @unchecked Sendable {
    static let handshakeSeconds = 15.0
    /// Seconds between looks at the cancellation while others are served.
    private static let tick = 0.05
    private static let maxPages = 50
    private static let maxTools = 200
    /// Bytes of one tool's schema.
    private static let maxSchema = 32 << 10

    private let server: String
    private let channel: any MCPChannel
    /// What it says of itself; a list is asked for all the same, for some forget to say it.
    private let hasTools: Bool
    /// Held during an exchange; guards the channel and `lastID`.
    private let lock = NSLock()
    private var lastID = 0
    /// Asked and set without waiting for an exchange: others hold their own locks meanwhile.
    private let marks = Mutex(Marks())

    private struct Marks {
        var hasChanged = false
        var isBroken = false
    }

    /// Carries out the handshake.
    init(server: String, channel: any MCPChannel, cancellation: CancellationToken? = nil) throws(MCPError) {
        self.server = server
        self.channel = channel
        do throws(MCPError) {
            lastID += 1
            let answer = try Self.result(
                of: channel.exchange(
                    MCPMessage.initialize(lastID), id: lastID, seconds: Self.handshakeSeconds,
                    cancellation: cancellation,
                    other: MCPMessage.answer), server)
            guard let version = answer["protocolVersion"]?.string, MCPMessage.versions.contains(version) else {
                throw MCPError(
                    .protocolError,
                    "\(server) speaks revision \(answer["protocolVersion"]?.text() ?? "none"), not one of "
                        + MCPMessage.versions.joined(separator: ", "))
            }
            hasTools = answer["capabilities"]?["tools"]?.object != nil
            channel.agreed(on: version)
            try channel.notify(MCPMessage.notification("notifications/initialized"))
        } catch {
            channel.close()
            throw error
        }
    }

    deinit { channel.close() }

    var isBroken: Bool { marks.withLock { $0.isBroken } }

    /// Whether the server has said, since this was last asked, that its tools are others now.
    func takeChange() -> Bool {
        marks.withLock { marks in
            defer { marks.hasChanged = false }
            return marks.hasChanged
        }
    }

    /// Waits for the exchange that is going on, if there is one.
    func close() {
        marks.withLock { $0.isBroken = true }
        lock.withLock { channel.close() }
    }

    func tools(cancellation: CancellationToken? = nil) throws(MCPError) -> [MCPToolInfo] {
        var found: [MCPToolInfo] = []
        var cursor: String?
        var seen: Set<String> = []
        for _ in 0..<Self.maxPages {
            let parameters: JSON = cursor.map { ["cursor": .string($0)] } ?? [:]
            let page: JSON
            do throws(MCPError) {
                page = try request("tools/list", parameters, seconds: Self.handshakeSeconds, cancellation)
            } catch {
                guard error.code == .refused, !hasTools else { throw error }
                return []
            }
            guard let tools = page["tools"]?.array else {
                throw MCPError(.protocolError, "\(server) lists no tools")
            }
            found += tools.compactMap(Self.tool)
            guard found.count <= Self.maxTools else {
                throw MCPError(.protocolError, "\(server) has more than \(Self.maxTools) tools")
            }
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
                seconds: max(0.1, end - ProcessInfo.processInfo.systemUptime), cancellation: cancellation
            ) { message in
                if message["method"] == "notifications/tools/list_changed" { self.marks.withLock { $0.hasChanged = true } }
                return MCPMessage.answer(to: message)
            }
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

    private static func tool(_ json: JSON) -> MCPToolInfo? {
        guard let name = json["name"]?.string, (1...128).contains(name.count) else { return nil }
        guard let schema = schema(json["inputSchema"]) else { return nil }
        let hints = json["annotations"]
        let isReadOnly = hints?["readOnlyHint"]?.bool ?? false
        return MCPToolInfo(
            name: name, description: json["description"]?.string ?? json["title"]?.string ?? "", inputSchema: schema,
            isReadOnly: isReadOnly, isIdempotent: isReadOnly || hints?["idempotentHint"]?.bool ?? false)
    }

    /// One schema a model's interface does not take makes it refuse every request.
    /// - Returns: nil for what is no schema of an object, or too large to be sent with every request.
    private static func schema(_ json: JSON?) -> JSON? {
        var members = json?.object ?? [:]
        guard members["type"]?.string ?? "object" == "object" else { return nil }
        members["type"] = "object"
        if members["properties"]?.object == nil { members["properties"] = [:] }
        let schema = JSON.object(members)
        guard schema.bytes().count <= maxSchema else { return nil }
        return schema
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
