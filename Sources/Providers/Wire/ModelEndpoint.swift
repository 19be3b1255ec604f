// One JSON request to a model's HTTP interface and its answer, whole or as a stream of events; what the vendors'
// interfaces have in common. Blocks on the calling thread; fails with ProviderError, keys taken out of every text.
import Foundation
import HTTPTransport
import TextFormats

/// Where and how an account is reached.
struct ModelEndpoint: Sendable {
    enum Answer {
        /// A complete response. A server that does not stream gives one although a stream was asked for.
        case whole(JSON)
        /// All events were handed over.
        /// - isFramed: the transport said where the body ends, so that its end is no cut.
        case streamed(isFramed: Bool)
    }

    /// The largest response, in bytes: far above any model's longest answer.
    static let maxResponseBytes = 32 << 20
    static let connectTimeout = 15.0

    let account: String
    let url: String
    let keySource: String?
    let client: HTTPClient
    let now: @Sendable () -> Date

    /// The address of a call below an account's base address, whose query (Azure: `?api-version=…`) stays behind the path.
    /// - Parameter version: a part of the path that the base address may name already.
    static func url(_ base: String, version: String = "", adding path: String) -> String {
        let parts = base.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var address = String(parts[0])
        while address.hasSuffix("/") { address.removeLast() }
        if !address.hasSuffix(version) { address += version }
        return address + path + (parts.count > 1 ? "?\(parts[1])" : "")
    }

    /// Posts `body` and waits for the answer.
    ///
    /// - Parameters:
    ///   - headers: sent with the request; all their values are treated as secrets.
    ///   - onEvent: takes the events of a stream and says how far the answer is; without it none is expected.
    func post(
        _ body: JSON, headers: [HTTPRequest.Header], request: ChatRequest, cancellation: CancellationToken?,
        onEvent: ((ServerSentEvent) throws -> StreamProgress)?
    ) throws(ProviderError) -> Answer {
        let scrubber = SecretScrubber(headers: headers)
        let streams = onEvent != nil
        let message = HTTPRequest(
            method: "POST", url: url,
            headers: headers + [
                (name: "Content-Type", value: "application/json"),
                (name: "Accept", value: streams ? "text/event-stream" : "application/json"),
            ],
            body: body.bytes(), deadline: request.timeout, connectTimeout: Self.connectTimeout,
            // A server that does not stream is silent until the answer is complete.
            idleTimeout: streams ? request.idleTimeout : request.timeout, maxResponseBytes: Self.maxResponseBytes)
        let reader = EventReader(onEvent)
        let response: HTTPResponse
        try request.allowance?.take()
        do throws(TransportError) {
            response = try client.send(
                message, cancellation: cancellation, onHead: reader.takeHead,
                onBody: streams ? reader.takeBody : nil, patience: { reader.progress.patience })
        } catch {
            let failure = providerError(error, status: reader.status, scrubber: scrubber)
            // No server has seen the request.
            if [.connect, .dns, .tls].contains(error.code), reader.status == nil { request.allowance?.giveBack() }
            throw failure
        }
        guard response.isSuccess else {
            let failure = refusal(response, scrubber: scrubber)
            // The account waits as long as it was told to, which may be often; no model has worked for it.
            if failure.code == .rateLimited, (failure.retryAfter ?? 0) >= AssumedPause.shortestBelieved {
                request.allowance?.giveBack()
            }
            throw failure
        }
        if streams, !reader.isWhole {
            do {
                try reader.end()
            } catch {
                // Half an event at the end: of a body that was cut, which nothing else may say.
                let error = error as? ProviderError ?? cutShort()
                throw error.code == .badResponse ? cutShort() : error
            }
            return .streamed(isFramed: response.isFramed)
        }
        return .whole(try complete(streams ? reader.collected : response.body, scrubber: scrubber))
    }

    /// An error that the provider reported inside a response or a stream it began with 200.
    func reported(_ complaint: ProviderComplaint, headers: [HTTPRequest.Header]) -> ProviderError {
        let scrubber = SecretScrubber(headers: headers)
        return ErrorClassifier.error(
            status: nil, complaint: complaint, retryAfter: nil, account: account, keySource: keySource,
            scrubber: scrubber)
    }

    func badResponse(_ what: String) -> ProviderError {
        ProviderError(
            code: .badResponse,
            detail: "\(account) answered with something that is no chat completion: \(what) — check base_url")
    }

    /// A stream that ended before the model had said that it was done.
    func cutShort() -> ProviderError {
        ProviderError(
            code: .connection, detail: "\(account): the stream ended before the answer was complete", status: 200)
    }

    // MARK: -

    private func complete(_ body: [UInt8], scrubber: SecretScrubber) throws(ProviderError) -> JSON {
        do throws(JSONError) {
            return try JSON.parse(body, limits: .lenient)
        } catch {
            let start = scrubber.scrub(String(decoding: body.prefix(80), as: UTF8.self))
            throw badResponse("\(error.detail) (it begins with \"\(start)\")")
        }
    }

    private func refusal(_ response: HTTPResponse, scrubber: SecretScrubber) -> ProviderError {
        if (300..<400).contains(response.status) {
            let target = scrubber.scrub(response.header("location") ?? "nowhere")
            return ProviderError(
                code: .badRequest,
                detail: "\(account) redirects to \(target) — set base_url of provider \"\(account)\" to the address "
                    + "that answers",
                status: response.status)
        }
        return ErrorClassifier.error(
            status: response.status, complaint: ProviderComplaint(body: response.body),
            retryAfter: RetryAfter.seconds(header: response.header, now: now()), account: account,
            keySource: keySource, scrubber: scrubber)
    }

    /// - Parameter status: of the answer that had begun, if one had.
    private func providerError(_ error: TransportError, status: Int?, scrubber: SecretScrubber) -> ProviderError {
        if let cause = error.cause as? ProviderError { return cause }
        if error.cause is EventStreamParser.TooLong {
            return badResponse("an event of more than \(EventStreamParser.maxEventBytes) bytes")
        }
        let code: ProviderError.Code =
            switch error.code {
            case .connect, .dns, .tls, .broken, .other: .connection
            case .timeout, .idle: .timeout
            case .cancelled: .cancelled
            case .tooLarge, .aborted: .badResponse
            case .refusedAddress, .invalidURL, .invalidRequest: .badRequest
            }
        return ProviderError(
            code: code, detail: "\(account): \(scrubber.scrub(error.detail))", status: status,
            isRetryable: error.isRetryable)
    }
}

/// How far a streamed answer is.
enum StreamProgress: Sendable {
    case open
    /// The model has said why it stopped: only its usage may follow.
    case complete
    /// The vendor's end mark has come: nothing follows.
    case over

    /// Seconds the rest may take; nil: as long as any answer. Servers have been seen that keep the connection after the end
    /// mark, or cut it without ending the body: the answer is paid for and whole all the same.
    var patience: Double? {
        switch self {
        case .open: nil
        case .complete: 5
        case .over: 0.2
        }
    }
}

/// Sorts a successful response's bytes into events, or collects them if the server answered as a whole. Which of the two it
/// is, its first byte tells better than its content type, which gateways get wrong in both directions.
private final class EventReader {
    private enum Kind { case unknown, whole, events }

    private let onEvent: ((ServerSentEvent) throws -> StreamProgress)?
    private var parser = EventStreamParser(marksHalves: true)
    private var kind = Kind.unknown
    private var saysEvents = false
    private(set) var progress = StreamProgress.open
    private(set) var status: Int?
    private(set) var collected: [UInt8] = []

    init(_ onEvent: ((ServerSentEvent) throws -> StreamProgress)?) { self.onEvent = onEvent }

    var isWhole: Bool { kind == .whole || kind == .unknown && !saysEvents }

    func takeHead(_ head: HTTPResponse) throws {
        status = head.status
        saysEvents = head.header("content-type")?.lowercased().hasPrefix("text/event-stream") ?? false
    }

    func takeBody(_ bytes: [UInt8]) throws {
        var bytes = bytes
        if kind == .unknown {
            bytes = collected + bytes
            collected = []
            kind = kind(of: bytes)
        }
        switch kind {
        case .unknown, .whole: collected += bytes
        case .events: for event in try parser.feed(bytes) { try take(event) }
        }
    }

    /// The body has ended, and was not cut.
    func end() throws {
        if let event = parser.finish() { try take(event) }
    }

    private func take(_ event: ServerSentEvent) throws {
        guard progress != .over, let onEvent else { return }
        do {
            progress = try onEvent(event)
        } catch {
            // What follows a whole answer cannot spoil it.
            guard progress == .complete else { throw error }
        }
    }

    private func kind(of bytes: [UInt8]) -> Kind {
        guard let first = bytes.first(where: { ![0x09, 0x0A, 0x0D, 0x20, 0xEF, 0xBB, 0xBF].contains($0) }) else { return .unknown }
        switch first {
        // JSON, or a proxy's page.
        case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "<"): return .whole
        // data, event, id, retry, or a comment.
        case UInt8(ascii: "d"), UInt8(ascii: "e"), UInt8(ascii: "i"), UInt8(ascii: "r"), UInt8(ascii: ":"): return .events
        default: return saysEvents ? .events : .whole
        }
    }
}
