// Translates a request into libcurl's options. Used on the thread that runs the transfer, for one exchange.
import CCurl
import Glibc

/// Sets the options of one exchange and owns the header list libcurl reads during it.
final class TransferOptions {
    private let easy: UnsafeMutableRawPointer
    private var list: UnsafeMutablePointer<curl_slist>?
    private var answers: UnsafeMutablePointer<curl_slist>?
    private var failure: CURLcode = CURLE_OK

    init(easy: UnsafeMutableRawPointer) {
        self.easy = easy
    }

    /// Call when the exchange has ended.
    func free() {
        curl_slist_free_all(list)
        curl_slist_free_all(answers)
        list = nil
        answers = nil
    }

    func set(
        _ request: HTTPRequest, exchange: Exchange, policy: EgressPolicy, names: [String] = [],
        errorText: UnsafeMutablePointer<CChar>
    ) throws(TransportError) {
        check(ccurl_set_error_buffer(easy, errorText))
        check(ccurl_set_text(easy, CURLOPT_URL, request.url))
        setConnection(request, policy: policy)
        setNames(names)
        setMethodAndBody(request)
        setHeaders(request)
        setCallbacks(Unmanaged.passUnretained(exchange).toOpaque(), policy: policy)
        guard failure == CURLE_OK else {
            throw TransportError(curl: failure, text: "")
        }
    }

    private func check(_ code: CURLcode) {
        if failure == CURLE_OK { failure = code }
    }

    /// Certificates to trust instead of the system's, as for a company's own authority (SSL_CERT_FILE, as OpenSSL has it).
    private static let certificates: String? = getenv("SSL_CERT_FILE").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }

    private func setConnection(_ request: HTTPRequest, policy: EgressPolicy) {
        check(ccurl_set_long(easy, CURLOPT_NOSIGNAL, 1))
        check(ccurl_allow_only_http(easy))
        check(ccurl_set_long(easy, CURLOPT_FOLLOWLOCATION, 0))
        check(ccurl_never_wait_for_resolver(easy))
        check(ccurl_prefer_http2_over_tls(easy))
        check(ccurl_set_long(easy, CURLOPT_TCP_KEEPALIVE, 1))
        // 0 would mean libcurl's 300 s.
        let milliseconds = max(1, min(request.connectTimeout, request.deadline, 86_400) * 1000)
        check(ccurl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, Int(milliseconds)))
        if let file = Self.certificates { check(ccurl_set_text(easy, CURLOPT_CAINFO, file)) }
        if policy == .publicInternetOnly || EgressPolicy.isLoopback(url: request.url) {
            check(ccurl_set_text(easy, CURLOPT_PROXY, ""))
        }
    }

    /// Answers that stand in for the resolver's, for this exchange ("host:port:address,address").
    private func setNames(_ names: [String]) {
        for name in names {
            guard let longer = curl_slist_append(answers, name) else { return check(CURLE_OUT_OF_MEMORY) }
            answers = longer
        }
        if answers != nil { check(ccurl_set_list(easy, CURLOPT_RESOLVE, answers)) }
    }

    private func setMethodAndBody(_ request: HTTPRequest) {
        if let body = request.body {
            check(body.withUnsafeBytes { ccurl_set_body(easy, $0.baseAddress, $0.count) })
        }
        switch (request.method, request.body) {
        case ("GET", nil): check(ccurl_set_long(easy, CURLOPT_HTTPGET, 1))
        case ("HEAD", nil): check(ccurl_set_long(easy, CURLOPT_NOBODY, 1))
        case ("POST", nil): check(ccurl_set_body(easy, nil, 0))
        case ("POST", _): break
        default: check(ccurl_set_text(easy, CURLOPT_CUSTOMREQUEST, request.method))
        }
    }

    private func setHeaders(_ request: HTTPRequest) {
        for header in request.headers {
            // "Name:" would remove the header; an empty value is written "Name;".
            append(header.value.isEmpty ? "\(header.name);" : "\(header.name): \(header.value)")
        }
        // Without this libcurl waits up to a second for "100 Continue" before it sends a large body.
        append("Expect:")
        if !request.hasHeader("Content-Type") { append("Content-Type:") }
        if !request.hasHeader("User-Agent") { append("User-Agent: nanobot") }
        check(ccurl_set_list(easy, CURLOPT_HTTPHEADER, list))
        // "": every coding this libcurl knows.
        if !request.hasHeader("Accept-Encoding") { check(ccurl_set_text(easy, CURLOPT_ACCEPT_ENCODING, "")) }
    }

    private func append(_ line: String) {
        guard let longer = curl_slist_append(list, line) else {
            check(CURLE_OUT_OF_MEMORY)
            return
        }
        list = longer
    }

    private func setCallbacks(_ context: UnsafeMutableRawPointer, policy: EgressPolicy) {
        check(ccurl_set_header(easy, Self.headerLine, context))
        check(ccurl_set_write(easy, Self.body, context))
        check(ccurl_set_opensocket(easy, Self.openSocket, context))
        if policy == .publicInternetOnly { check(ccurl_set_prereq(easy, Self.beforeRequest, context)) }
    }

    // MARK: - Callbacks: C functions, the exchange comes as their context and outlives the transfer

    private static let headerLine: ccurl_bytes_callback = { bytes, size, count, context in
        let exchange = Unmanaged<Exchange>.fromOpaque(context!).takeUnretainedValue()
        let length = size * count
        return exchange.takeHeaderLine(UnsafeRawBufferPointer(start: bytes, count: length)) ? length : 0
    }

    private static let body: ccurl_bytes_callback = { bytes, size, count, context in
        let exchange = Unmanaged<Exchange>.fromOpaque(context!).takeUnretainedValue()
        let length = size * count
        return exchange.takeBody(UnsafeRawBufferPointer(start: bytes, count: length)) ? length : 0
    }

    /// Fresh connections: the last moment at which the resolved address can be refused before a packet is sent. The
    /// socket is closed in children: they have no business with a tenant's connections.
    private static let openSocket: curl_opensocket_callback = { context, _, address in
        let exchange = Unmanaged<Exchange>.fromOpaque(context!).takeUnretainedValue()
        guard let address else { return -1 }
        let (bytes, port) = TransferOptions.place(of: address)
        guard exchange.permits(address: bytes, port: port) else { return -1 }
        exchange.countSocket()
        let type = address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue)
        return socket(address.pointee.family, type, address.pointee.protocol)
    }

    /// Every request, also those on a connection kept open, where no socket is opened.
    private static let beforeRequest: curl_prereq_callback = { context, peer, _, port, _ in
        let exchange = Unmanaged<Exchange>.fromOpaque(context!).takeUnretainedValue()
        guard let peer, exchange.permits(peer: String(cString: peer), port: Int(port)) else {
            return Int32(CURL_PREREQFUNC_ABORT)
        }
        return Int32(CURL_PREREQFUNC_OK)
    }

    private static func place(of address: UnsafeMutablePointer<curl_sockaddr>) -> ([UInt8], Int) {
        guard let raw = ccurl_address(address) else { return ([], 0) }
        switch address.pointee.family {
        case AF_INET:
            let place = raw.loadUnaligned(as: sockaddr_in.self)
            return (withUnsafeBytes(of: place.sin_addr) { Array($0) }, Int(UInt16(bigEndian: place.sin_port)))
        case AF_INET6:
            let place = raw.loadUnaligned(as: sockaddr_in6.self)
            return (withUnsafeBytes(of: place.sin6_addr) { Array($0) }, Int(UInt16(bigEndian: place.sin6_port)))
        default: return ([], 0)
        }
    }
}
