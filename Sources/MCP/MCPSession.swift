// A conversation with one server: the handshake, the list of its tools, calls. One exchange at a time; any thread, callers
// wait for each other. A session whose channel has failed is of no more use (`isBroken`). Failure: MCPError.
import Foundation
import HTTPTransport
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

final class MCPSession: @unchecked Sendable {
    static let handshakeSeconds = 15.0
    private static let maxPages = 50
    private static let maxTools = 200

    private let server: String
    private let channel: any MCPChannel
    /// Guards everything below, and the channel.
    private let lock = NSLock()
    private var lastID = 0
    private var hasChanged = false
    private var broken = false

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
            channel.agreed(on: version)
            try channel.notify(MCPMessage.notification("notifications/initialized"))
        } catch {
            channel.close()
            throw error
        }
    }

    deinit { channel.close() }

    var isBroken: Bool { lock.withLock { broken } }
    /// The server has said that its tools are others now.
    var hasChangedTools: Bool { lock.withLock { hasChanged } }

    func close() {
        lock.withLock {
            broken = true
            channel.close()
        }
    }

    func tools(cancellation: CancellationToken? = nil) throws(MCPError) -> [MCPToolInfo] {
        var found: [MCPToolInfo] = []
        var cursor: String?
        var seen: Set<String> = []
        for _ in 0..<Self.maxPages {
            let parameters: JSON = cursor.map { ["cursor": .string($0)] } ?? [:]
            let page = try request("tools/list", parameters, seconds: Self.handshakeSeconds, cancellation)
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
        lock.lock()
        defer { lock.unlock() }
        guard !broken else { throw MCPError(.unavailable, "the connection to \(server) was closed") }
        lastID += 1
        do throws(MCPError) {
            let answer = try channel.exchange(
                MCPMessage.request(lastID, method, parameters), id: lastID, seconds: seconds, cancellation: cancellation
            ) { message in
                if message["method"] == "notifications/tools/list_changed" { self.hasChanged = true }
                return MCPMessage.answer(to: message)
            }
            return try Self.result(of: answer, server)
        } catch {
            if ![.timeout, .cancelled, .refused].contains(error.code) { broken = true }
            throw error
        }
    }

    private static func result(of answer: JSON, _ server: String) throws(MCPError) -> JSON {
        if let result = answer["result"] { return result }
        guard let error = answer["error"] else {
            throw MCPError(.protocolError, "\(server) answered with neither result nor error")
        }
        throw MCPError(.refused, "\(server): \((error["message"]?.string ?? error.text()).prefix(500))")
    }

    private static func tool(_ json: JSON) -> MCPToolInfo? {
        guard let name = json["name"]?.string, (1...128).contains(name.count) else { return nil }
        let schema = json["inputSchema"].flatMap { $0.object == nil ? nil : $0 } ?? ["type": "object"]
        let hints = json["annotations"]
        let isReadOnly = hints?["readOnlyHint"]?.bool ?? false
        return MCPToolInfo(
            name: name, description: json["description"]?.string ?? json["title"]?.string ?? "", inputSchema: schema,
            isReadOnly: isReadOnly, isIdempotent: isReadOnly || hints?["idempotentHint"]?.bool ?? false)
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
