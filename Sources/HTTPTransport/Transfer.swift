// One easy handle on its own multi: runs one exchange at a time on the calling thread and can be woken from another.
//
// Why a multi for a single transfer: curl_easy_perform notices a cancellation up to a second late, while
// curl_multi_poll returns at once when curl_multi_wakeup is called. Deadline and idle limit are kept here, because
// libcurl's low-speed limit fires seconds late.
import CCurl
import Glibc
import Synchronization

/// Lets other threads wake a transfer as long as it exists.
private final class Waker: Sendable {
    // The address of the multi, as a number: Sendable. 0 once the multi is gone.
    private let multi: Mutex<UInt>

    init(_ multi: UnsafeMutableRawPointer) { self.multi = Mutex(UInt(bitPattern: multi)) }

    func wake() {
        multi.withLock { address in
            if let multi = UnsafeMutableRawPointer(bitPattern: address) { _ = curl_multi_wakeup(multi) }
        }
    }

    func retire() { multi.withLock { $0 = 0 } }
}

/// The pair of handles. One thread at a time: `HTTPClient` hands it to one exchange and takes it back.
final class Transfer: @unchecked Sendable {  // guarded by HTTPClient's `idle` lock, which hands it over
    /// Connections kept open by one pair.
    static let maxConnections = 4
    /// The longest single poll, in milliseconds: a bound, not a period; every event ends a poll at once.
    private static let longestPoll = 60_000.0

    private let easy: UnsafeMutableRawPointer
    private let multi: UnsafeMutableRawPointer
    private let waker: Waker
    private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))

    init() throws(TransportError) {
        guard CurlLibrary.started == CURLE_OK, let easy = curl_easy_init() else {
            throw TransportError(.other, "libcurl cannot start: out of memory or descriptors", isRetryable: true)
        }
        guard let multi = curl_multi_init() else {
            curl_easy_cleanup(easy)
            throw TransportError(.other, "libcurl cannot start: out of memory or descriptors", isRetryable: true)
        }
        self.easy = easy
        self.multi = multi
        waker = Waker(multi)
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        _ = ccurl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, Self.maxConnections)
    }

    deinit {
        waker.retire()
        curl_easy_cleanup(easy)
        curl_multi_cleanup(multi)
        errorText.deallocate()
    }

    /// Forgets the last request's options and secrets; keeps connections, sessions and resolved names.
    func reset() {
        curl_easy_reset(easy)
        errorText.update(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    func run(
        _ request: HTTPRequest, exchange: Exchange, policy: EgressPolicy, names: [String] = [],
        cancellation: CancellationToken?
    ) throws(TransportError) -> HTTPResponse {
        if cancellation?.isCancelled == true { throw Self.cancelled(cancellation) }
        let options = TransferOptions(easy: easy)
        defer { options.free() }
        try options.set(request, exchange: exchange, policy: policy, names: names, errorText: errorText)

        let waker = self.waker
        let handler = cancellation?.onCancel { waker.wake() }
        defer { if let handler { cancellation?.removeHandler(handler) } }

        guard curl_multi_add_handle(multi, easy) == CURLM_OK else {
            throw TransportError(.other, "libcurl does not take the transfer", isRetryable: true)
        }
        // Removing closes the connection unless the exchange has ended cleanly.
        defer { curl_multi_remove_handle(multi, easy) }
        return try withExtendedLifetime(exchange) { () throws(TransportError) -> HTTPResponse in
            let result = try drive(request, exchange: exchange, cancellation: cancellation)
            return try finish(result, exchange: exchange)
        }
    }

    /// Runs the transfer until libcurl says it has ended, or a limit or the canceller ends it.
    private func drive(
        _ request: HTTPRequest, exchange: Exchange, cancellation: CancellationToken?
    ) throws(TransportError) -> CURLcode {
        let start = MonotonicClock.seconds()
        /// Since when all that matters has been here.
        var wholeSince: Double?
        var lastActivity = start
        var bytesMoved = -1
        while true {
            var running: Int32 = 0
            guard curl_multi_perform(multi, &running) == CURLM_OK else {
                throw TransportError(.other, "libcurl cannot go on with the transfer", isRetryable: true)
            }
            var result = CURLE_OK
            if ccurl_multi_result(multi, &result) == 1 { return result }
            if cancellation?.isCancelled == true { throw Self.cancelled(cancellation) }

            let now = MonotonicClock.seconds()
            let moved = exchange.received + sentBytes()
            if moved != bytesMoved { (bytesMoved, lastActivity) = (moved, now) }
            var untilDeadline = start + request.deadline - now
            if let seconds = exchange.patience?() {
                let since = wholeSince ?? now
                wholeSince = since
                // What still comes is waited for as long as it comes.
                untilDeadline = min(untilDeadline, max(since, lastActivity) + seconds - now)
                if untilDeadline <= 0 { return CURLE_OK }
            } else {
                wholeSince = nil
            }
            if untilDeadline <= 0 {
                throw TransportError(.timeout, "no complete response within \(Self.words(request.deadline))")
            }
            let untilIdle = lastActivity + request.idleTimeout - now
            if untilIdle <= 0 {
                throw TransportError(.idle, "nothing was received for \(Self.words(request.idleTimeout))")
            }
            // Rounded up, so that the last poll does not end just before the limit and spin.
            let milliseconds = min((min(untilDeadline, untilIdle) * 1000).rounded(.up), Self.longestPoll)
            guard curl_multi_poll(multi, nil, 0, Int32(milliseconds), nil) == CURLM_OK else {
                throw TransportError(.other, "libcurl cannot wait for the transfer", isRetryable: true)
            }
        }
    }

    private func finish(_ result: CURLcode, exchange: Exchange) throws(TransportError) -> HTTPResponse {
        if let stopped = exchange.stopped { throw stopped }
        guard result == CURLE_OK || exchange.patience?() != nil else {
            if let reason = exchange.refusedAddress {
                throw TransportError(.refusedAddress, "the address is not on the public internet: \(reason)")
            }
            let words = String(cString: errorText)
            throw TransportError(refusedTunnel: proxyStatus(), text: words) ?? TransportError(curl: result, text: words)
        }
        guard exchange.finishHead() else {
            throw exchange.stopped ?? TransportError(.aborted, "the receiver of the response stopped it")
        }
        return exchange.response
    }

    /// What a proxy answered when it was asked for a tunnel; 0: none was asked, or none answered.
    private func proxyStatus() -> Int {
        var status = 0
        _ = ccurl_get_long(easy, CURLINFO_HTTP_CONNECTCODE, &status)
        return status
    }

    private func sentBytes() -> Int {
        var count: curl_off_t = 0
        _ = ccurl_get_offset(easy, CURLINFO_SIZE_UPLOAD_T, &count)
        return Int(count)
    }

    private static func cancelled(_ token: CancellationToken?) -> TransportError {
        TransportError(.cancelled, "cancelled: \(token?.reason ?? "no reason given")")
    }

    private static func words(_ seconds: Double) -> String {
        let tenths = (seconds * 10).rounded() / 10
        return tenths == tenths.rounded() ? "\(Int(tenths)) s" : "\(tenths) s"
    }
}
