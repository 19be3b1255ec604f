// A server behind one address: each message is a POST, answered with JSON or with a stream of events. The session's id goes
// along once the server has named one. Any thread, one exchange at a time.
// Source: Model Context Protocol, revision 2025-11-25, "Transports: Streamable HTTP".
import HTTPTransport
import TextFormats

final class HTTPChannel: MCPChannel {
    /// The answer is there: the rest of the stream is not waited for.
    private struct Found: Error {}

    private let server: String
    private let address: MCPAddress
    private let client: HTTPClient
    private var session: String?
    private var version: String?

    init(server: String, address: MCPAddress, client: HTTPClient) {
        self.server = server
        self.address = address
        self.client = client
    }

    func agreed(on version: String) { self.version = version }

    func exchange(
        _ request: JSON, id: Int, seconds: Double, cancellation: CancellationToken?, other: @escaping (JSON) -> JSON?
    ) throws(MCPError) -> JSON {
        var found: JSON?
        let body: [UInt8]
        do throws(MCPError) {
            body = try post(request, seconds: seconds, cancellation: cancellation) { message in
                if MCPReading.answers(message, id) {
                    found = message
                    return true
                }
                // At once: a server may wait for this before it goes on. What it is not told it asked for itself.
                if let reply = other(message) { try? self.notify(reply) }
                return false
            }
        } catch {
            // To leave is no cancellation for this protocol. Whether the server hears it does not matter.
            let tells = [.timeout, .cancelled].contains(error.code) && request["method"] != "initialize"
            if tells { _ = try? post(MCPMessage.cancelled(id), seconds: 2, cancellation: nil) { _ in false } }
            throw error
        }
        if let found { return found }
        switch MCPReading(body) {
        case .messages(let messages):
            if let answer = messages.first(where: { MCPReading.answers($0, id) }) { return answer }
        case .unreadable(let reason): throw unreadable(reason)
        case .noise: break
        }
        throw MCPError(.protocolError, "\(server) did not answer the request", mayHaveRun: true)
    }

    func notify(_ message: JSON) throws(MCPError) {
        _ = try post(message, seconds: 10, cancellation: nil) { _ in false }
    }

    /// The server is told that the session is over; whether it cares does not matter.
    func close() {
        guard session != nil, let headers = try? headers() else { return }
        _ = try? client.send(HTTPRequest(method: "DELETE", url: address.url, headers: headers, deadline: 2))
        session = nil
    }

    private func headers() throws(MCPError) -> [HTTPRequest.Header] {
        var headers = try address.headers()
        headers.append((name: "Content-Type", value: "application/json"))
        headers.append((name: "Accept", value: "application/json, text/event-stream"))
        if let session { headers.append((name: "Mcp-Session-Id", value: session)) }
        if let version { headers.append((name: "MCP-Protocol-Version", value: version)) }
        return headers
    }

    /// - Parameter take: gets each message of a stream; true: that is all.
    /// - Returns: the body of an answer that is no stream.
    private func post(
        _ message: JSON, seconds: Double, cancellation: CancellationToken?, take: @escaping (JSON) -> Bool
    ) throws(MCPError) -> [UInt8] {
        let request = HTTPRequest(
            method: "POST", url: address.url, headers: try headers(), body: message.bytes(), deadline: seconds,
            idleTimeout: seconds, maxResponseBytes: MCPBounds.message)
        var parser = EventStreamParser()
        var isStream = false
        var body: [UInt8] = []
        var isFound = false
        do throws(TransportError) {
            let response = try client.send(
                request, cancellation: cancellation,
                onHead: { head in
                    if let id = head.header("mcp-session-id") { self.session = id }
                    isStream = head.header("content-type")?.lowercased().hasPrefix("text/event-stream") ?? false
                },
                onBody: { bytes in
                    guard isStream else {
                        body += bytes
                        return
                    }
                    for event in try parser.feed(bytes) {
                        switch MCPReading(Array(event.data.utf8)) {
                        // An event that is no message is skipped, as a line of a log would be.
                        case .noise: continue
                        case .unreadable(let reason): throw self.unreadable(reason)
                        case .messages(let messages): isFound = messages.reduce(isFound) { take($1) || $0 }
                        }
                        if isFound { throw Found() }
                    }
                })
            guard response.isSuccess else { throw TransportError(.aborted, "", cause: refusal(of: response)) }
        } catch {
            if isFound { return [] }
            if let refusal = error.cause as? MCPError { throw refusal }
            throw translated(error)
        }
        return body
    }

    private func unreadable(_ reason: String) -> MCPError {
        MCPError(.protocolError, "\(server) sent an answer that is no JSON: \(reason)", mayHaveRun: true)
    }

    /// Who was turned away at the door (4xx, a redirect, a session that is not known any more) did nothing inside.
    private func refusal(of response: HTTPResponse) -> MCPError {
        if response.status == 404 { session = nil }
        let text = String(decoding: response.body.prefix(200), as: UTF8.self)
        return MCPError(
            .unavailable, "\(server): it answered \(response.status)" + (text.isEmpty ? "" : ": \(text)"),
            mayHaveRun: response.status >= 500)
    }

    private func translated(_ error: TransportError) -> MCPError {
        switch error.code {
        case .timeout, .idle: MCPError(.timeout, "\(server) did not answer in time", mayHaveRun: true)
        case .cancelled: MCPError(.cancelled, "cancelled while \(server) was working", mayHaveRun: true)
        case .connect, .dns, .tls, .refusedAddress, .invalidURL, .invalidRequest:
            MCPError(.unavailable, "\(server): \(error.detail)")
        default: MCPError(.unavailable, "\(server): \(error.detail)", mayHaveRun: true)
        }
    }
}
