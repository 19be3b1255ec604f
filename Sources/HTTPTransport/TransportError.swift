// The one error of this room. libcurl's result codes are translated here and nowhere else.
import CCurl

/// Why an HTTP exchange came to no end.
public struct TransportError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable, Hashable, CaseIterable {
        /// No connection: refused, unreachable, or not made within `connectTimeout`.
        case connect
        case dns
        case tls
        /// The request's deadline passed.
        case timeout
        /// No byte went either way for `idleTimeout`.
        case idle
        case cancelled
        /// The policy forbids the address the name resolved to.
        case refusedAddress = "refused_address"
        /// The response's body is larger than `maxResponseBytes`, or its head than `HTTPClient.maxHeadBytes`.
        case tooLarge = "too_large"
        case invalidURL = "invalid_url"
        /// A method or header field that must not be sent.
        case invalidRequest = "invalid_request"
        /// The body handler threw; `cause` is what it threw.
        case aborted
        /// The connection broke in mid-exchange, or the server does not speak HTTP.
        case broken
        case other
    }

    public var code: Code
    /// What happened, with host and limit, never with header values.
    public var detail: String
    /// Whether the same exchange can succeed later.
    public var isRetryable: Bool
    /// What the body handler threw.
    public var cause: (any Error)?

    public init(_ code: Code, _ detail: String, isRetryable: Bool? = nil, cause: (any Error)? = nil) {
        self.code = code
        self.detail = detail
        self.isRetryable = isRetryable ?? Self.passes(code)
        self.cause = cause
    }

    public var description: String { "\(code.rawValue): \(detail)" }

    private static func passes(_ code: Code) -> Bool {
        switch code {
        case .connect, .dns, .timeout, .idle, .broken: true
        case .tls, .cancelled, .refusedAddress, .tooLarge, .invalidURL, .invalidRequest, .aborted, .other: false
        }
    }

    /// - Parameters:
    ///   - status: what a proxy answered to CONNECT.
    ///   - text: libcurl's own words; they hold no password.
    /// - Returns: nil unless the proxy has refused.
    init?(refusedTunnel status: Int, text: String) {
        guard status >= 300 else { return nil }
        // A proxy's own trouble passes, its rules and a wrong password do not.
        self.init(.connect, "the proxy answered \(status): \(text)", isRetryable: status >= 500 || status == 429)
    }

    /// - Parameter text: libcurl's own words for this failure; may be empty.
    init(curl result: CURLcode, text: String) {
        let words = text.isEmpty ? String(cString: curl_easy_strerror(result)) : text
        switch result {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: self.init(.dns, words)
        case CURLE_COULDNT_CONNECT: self.init(.connect, words)
        case CURLE_OPERATION_TIMEDOUT: self.init(.connect, words)
        case CURLE_SSL_CONNECT_ERROR: self.init(.tls, words, isRetryable: true)
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER, CURLE_SSL_CACERT_BADFILE,
            CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_PINNEDPUBKEYNOTMATCH:
            self.init(.tls, words)
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: self.init(.invalidURL, words)
        case CURLE_GOT_NOTHING, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_PARTIAL_FILE, CURLE_HTTP2,
            CURLE_HTTP2_STREAM, CURLE_WEIRD_SERVER_REPLY, CURLE_BAD_CONTENT_ENCODING:
            self.init(.broken, words)
        case CURLE_OUT_OF_MEMORY, CURLE_FAILED_INIT:
            self.init(.other, words, isRetryable: true)
        default: self.init(.other, "\(words) (libcurl \(result.rawValue))")
        }
    }
}
