// One HTTP exchange as plain values, and the rules a request must keep to be sent at all.

/// What is sent, and the bounds of the exchange.
public struct HTTPRequest: Sendable {
    public typealias Header = (name: String, value: String)

    /// An HTTP token such as GET or POST.
    public var method: String
    /// An absolute http or https URL.
    public var url: String
    /// Sent in this order. Values must hold no line ends.
    public var headers: [Header]
    public var body: [UInt8]?
    /// Wall clock of the whole exchange, in seconds.
    public var deadline: Double
    /// Seconds until the connection must stand (name look-up and TLS included).
    public var connectTimeout: Double
    /// So many seconds without a byte in either direction end the exchange.
    public var idleTimeout: Double
    /// Larger bodies, after decompression, end the exchange with `tooLarge`.
    public var maxResponseBytes: Int

    public static let defaultMaxResponseBytes = 16 << 20

    public init(
        method: String = "GET", url: String, headers: [Header] = [], body: [UInt8]? = nil, deadline: Double = 60,
        connectTimeout: Double = 10, idleTimeout: Double = 30,
        maxResponseBytes: Int = HTTPRequest.defaultMaxResponseBytes
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.deadline = deadline
        self.connectTimeout = connectTimeout
        self.idleTimeout = idleTimeout
        self.maxResponseBytes = maxResponseBytes
    }

    /// The longest URL sent, in bytes.
    static let maxURLBytes = 16_384

    /// Refuses what could smuggle a second request or reach another protocol. libcurl checks the URL's inside.
    func check() throws(TransportError) {
        let scheme = url.prefix { $0 != ":" }.lowercased()
        guard scheme == "http" || scheme == "https", url.dropFirst(scheme.count).hasPrefix("://") else {
            throw TransportError(.invalidURL, "the URL must begin with http:// or https://")
        }
        guard url.utf8.count <= Self.maxURLBytes else {
            throw TransportError(.invalidURL, "the URL is longer than \(Self.maxURLBytes) bytes")
        }
        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
            throw TransportError(.invalidURL, "the URL holds a space or a control character; percent-encode it")
        }
        guard Self.isToken(method) else { throw TransportError(.invalidRequest, "the method is not an HTTP token") }
        for header in headers {
            guard Self.isToken(header.name) else {
                throw TransportError(.invalidRequest, "a header's name is not an HTTP token")
            }
            // The value may be a secret: only the name is told.
            guard header.value.utf8.allSatisfy({ $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7f) }) else {
                throw TransportError(
                    .invalidRequest, "the value of header \(header.name) holds a control character or a line end")
            }
        }
    }

    /// RFC 9110, section 5.6.2.
    private static func isToken(_ text: String) -> Bool {
        let marks: [UInt8] = Array("!#$%&'*+-.^_`|~".utf8)
        return !text.isEmpty
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                    || marks.contains(byte)
            }
    }

    func hasHeader(_ name: String) -> Bool {
        headers.contains { $0.name.lowercased() == name.lowercased() }
    }
}

/// What came back.
public struct HTTPResponse: Sendable {
    public typealias Header = (name: String, value: String)

    public var status: Int
    /// In the order received, names as sent by the server.
    public var headers: [Header]
    /// Empty where a body handler took it.
    public var body: [UInt8]
    /// Whether the protocol says where the body ends (a length, chunks, or HTTP/2), so that a body that was cut is an error.
    /// Without that the end of the connection ends the body, whatever the reason.
    public var isFramed: Bool {
        isMultiplexed || header("content-length") != nil
            || header("transfer-encoding")?.lowercased().contains("chunked") == true
    }
    /// Whether it came over HTTP/2 or newer.
    public var isMultiplexed = false

    public init(status: Int, headers: [Header] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The first value of that header, whatever the letter case; nil if there is none.
    public func header(_ name: String) -> String? {
        let wanted = name.lowercased()
        return headers.first { $0.name.lowercased() == wanted }?.value
    }

    public var isSuccess: Bool { (200..<300).contains(status) }
}
