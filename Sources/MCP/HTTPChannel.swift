// A server behind one address: each message is a POST, answered with JSON or with a stream of events; what the server says by
// itself comes on the stream of a GET. The session's id goes along once the server has named one. Any thread.
// Source: Model Context Protocol, revision 2025-11-25, "Transports: Streamable HTTP".
import Foundation
import HTTPTransport
import Synchronization
import TextFormats

final class HTTPChannel: MCPChannel {
    private struct State {
        var session: String?
        var version: String?
    }

    /// Seconds of the listening stream: with and without a byte. A stream that ends is opened again.
    private static let streamSeconds = 86_400.0
    private static let silentSeconds = 300.0
    /// Seconds before a stream is opened again, doubled with each failure.
    private static let firstPause = 1.0
    private static let longestPause = 60.0
    /// Failures in a row after which a stream that was never there is not asked for again.
    private static let maxFailures = 5

    private let server: String
    private let address: MCPAddress
    private let client: HTTPClient
    private let state = Mutex(State())
    /// Ends the listening.
    private let ending = CancellationToken()

    init(server: String, address: MCPAddress, client: HTTPClient) {
        self.server = server
        self.address = address
        self.client = client
    }

    func agreed(on version: String) { state.withLock { $0.version = version } }

    func exchange(
        _ request: JSON, id: Int, seconds: Double, cancellation: CancellationToken?, other: @escaping (JSON) -> JSON?
    ) throws(MCPError) -> JSON {
        var found: JSON?
        let stream = HTTPStream(server: server) { message in
            if MCPReading.answers(message, id) {
                found = message
                return true
            }
            // At once: a server may wait for this before it goes on. What it is not told it asked for itself.
            if let reply = other(message) { try? self.notify(reply) }
            return false
        }
        do throws(MCPError) {
            try ask(request, stream, seconds: seconds, cancellation)
        } catch {
            // To leave is no cancellation for this protocol. Whether the server hears it does not matter.
            let tells = [.timeout, .cancelled].contains(error.code) && request["method"] != "initialize"
            if tells { try? post(MCPMessage.cancelled(id), HTTPStream(server: server) { _ in false }, seconds: 2, nil) }
            throw error
        }
        if let found { return found }
        switch MCPReading(stream.body) {
        case .messages(let messages):
            if let answer = messages.first(where: { MCPReading.answers($0, id) }) { return answer }
        case .unreadable(let reason): throw HTTPStream.unreadable(server, reason)
        case .noise: break
        }
        throw MCPError(.protocolError, "\(server) did not answer the request", mayHaveRun: true)
    }

    func notify(_ message: JSON) throws(MCPError) {
        try post(message, HTTPStream(server: server) { _ in false }, seconds: 10, nil)
    }

    /// The server is told that the session is over; whether it cares does not matter.
    func close() {
        ending.cancel()
        guard state.withLock({ $0.session }) != nil, let headers = try? headers() else { return }
        _ = try? client.send(HTTPRequest(method: "DELETE", url: address.url, headers: headers, deadline: 2))
        state.withLock { $0.session = nil }
    }

    // MARK: - Requests

    private func headers(accept: String = "application/json, text/event-stream") throws(MCPError) -> [HTTPRequest.Header] {
        var headers = try address.headers()
        headers.append((name: "Content-Type", value: "application/json"))
        headers.append((name: "Accept", value: accept))
        let (session, version) = state.withLock { ($0.session, $0.version) }
        if let session { headers.append((name: "Mcp-Session-Id", value: session)) }
        if let version { headers.append((name: "MCP-Protocol-Version", value: version)) }
        return headers
    }

    /// Sends a request; comes back to its stream where the connection ends before the answer and the stream has ids.
    private func ask(
        _ request: JSON, _ stream: HTTPStream, seconds: Double, _ cancellation: CancellationToken?
    ) throws(MCPError) {
        let end = ProcessInfo.processInfo.systemUptime + seconds
        var failure: MCPError?
        do throws(MCPError) {
            try post(request, stream, seconds: seconds, cancellation)
        } catch {
            guard stream.lastID != nil, error.code == .unavailable else { throw error }
            failure = error
        }
        while !stream.isFound, stream.isStream || failure != nil, stream.lastID != nil {
            let pause = stream.pause(otherwise: Self.firstPause)
            guard ProcessInfo.processInfo.systemUptime + pause < end else {
                throw MCPError(.timeout, "\(server) did not answer in time", mayHaveRun: true)
            }
            if cancellation?.wait(seconds: pause) ?? ending.wait(seconds: pause) {
                throw MCPError(.cancelled, "cancelled while \(server) was working", mayHaveRun: true)
            }
            let left = max(0.1, end - ProcessInfo.processInfo.systemUptime)
            let head: HTTPResponse
            do throws(MCPError) {
                head = try open(stream, seconds: left, silence: left, cancellation)
            } catch {
                // A connection may break again; two in a row without a stream between them do not come back.
                guard error.code == .unavailable, failure == nil else { throw error }
                failure = error
                continue
            }
            guard head.isSuccess else {
                throw failure ?? MCPError(.protocolError, "\(server) did not answer the request", mayHaveRun: true)
            }
            failure = nil
        }
    }

    private func post(
        _ message: JSON, _ stream: HTTPStream, seconds: Double, _ cancellation: CancellationToken?
    ) throws(MCPError) {
        let request = HTTPRequest(
            method: "POST", url: address.url, headers: try headers(), body: message.bytes(), deadline: seconds,
            idleTimeout: seconds, maxResponseBytes: MCPBounds.message)
        let head = try send(request, stream, cancellation) { head in
            if let id = head.header("mcp-session-id") { self.state.withLock { $0.session = id } }
        }
        guard head.isSuccess else { throw refusal(of: head) }
    }

    /// The stream of a GET, until it ends.
    private func open(
        _ stream: HTTPStream, seconds: Double, silence: Double, _ cancellation: CancellationToken?
    ) throws(MCPError) -> HTTPResponse {
        var headers = try headers(accept: "text/event-stream").filter { $0.name != "Content-Type" }
        if let id = stream.lastID { headers.append((name: "Last-Event-ID", value: id)) }
        let request = HTTPRequest(
            url: address.url, headers: headers, deadline: seconds, idleTimeout: silence, maxResponseBytes: 8 * MCPBounds.message)
        return try send(request, stream, cancellation) { _ in }
    }

    private func send(
        _ request: HTTPRequest, _ stream: HTTPStream, _ cancellation: CancellationToken?,
        onHead: @escaping (HTTPResponse) -> Void
    ) throws(MCPError) -> HTTPResponse {
        let response: HTTPResponse
        do throws(TransportError) {
            response = try client.send(
                request, cancellation: cancellation,
                onHead: { head in
                    onHead(head)
                    stream.begin(head)
                    // A GET that brings no stream brings nothing to wait for.
                    if request.method == "GET", head.isSuccess, !stream.isStream { throw HTTPStream.Found() }
                }, onBody: { try stream.read($0) })
        } catch {
            if let fault = error.cause as? MCPError { throw fault }
            if error.cause is HTTPStream.Found { return HTTPResponse(status: stream.isFound ? 200 : 406, headers: []) }
            throw translated(error)
        }
        try stream.end()
        return response
    }

    // MARK: - What the server says by itself

    func listen(other: @escaping (JSON) -> JSON?) -> MCPListening {
        var failures = 0
        var wasThere = false
        let stream = HTTPStream(server: server) { message in
            // As in an exchange.
            if let reply = other(message) { try? self.notify(reply) }
            return false
        }
        while !ending.isCancelled {
            do throws(MCPError) {
                let head = try open(stream, seconds: Self.streamSeconds, silence: Self.silentSeconds, ending)
                if head.status == 404, state.withLock({ $0.session }) != nil { return .gone }
                guard head.isSuccess || [408, 429].contains(head.status) || (head.status >= 500 && head.status != 501) else {
                    return .noStream
                }
                wasThere = wasThere || head.isSuccess
                failures = head.isSuccess && stream.hasMessages ? 0 : failures + 1
            } catch {
                failures += 1
            }
            guard wasThere || failures < Self.maxFailures else { return .noStream }
            let pause = min(Self.longestPause, Self.firstPause * pow(2, Double(min(failures, 10))))
            if ending.wait(seconds: stream.pause(otherwise: pause)) { break }
        }
        return .closed
    }

    // MARK: - Failures

    /// Who was turned away at the door (4xx, a redirect, a session that is not known any more) did nothing inside.
    private func refusal(of response: HTTPResponse) -> MCPError {
        if response.status == 404 { state.withLock { $0.session = nil } }
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
