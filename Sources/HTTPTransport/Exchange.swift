// What libcurl's callbacks gather during one exchange: the head, the body, and the reason if they stopped it.
// Used on one thread, by the transfer that runs the exchange.
import Glibc

final class Exchange {
    private let policy: EgressPolicy
    private let exceptions: [EgressException]
    private let maxResponseBytes: Int
    private let onHead: ((HTTPResponse) throws -> Void)?
    private let onBody: (([UInt8]) throws -> Void)?
    /// Seconds the rest may still take once what matters is here; nil: it is not.
    let patience: (() -> Double?)?

    private(set) var response = HTTPResponse(status: 0)
    /// Why a callback stopped the exchange; libcurl's own result then only says that one did.
    private(set) var stopped: TransportError?
    /// The last address the policy refused. Others of the same name may still have been reached.
    private(set) var refusedAddress: String?
    /// Sockets made for this exchange: each is an attempt to connect.
    private(set) var socketsMade = 0
    private(set) var received = 0
    private var headBytes = 0
    private var bodyBytes = 0
    private var headDone = false

    init(
        policy: EgressPolicy, exceptions: [EgressException] = [], maxResponseBytes: Int,
        onHead: ((HTTPResponse) throws -> Void)?, onBody: (([UInt8]) throws -> Void)?, patience: (() -> Double?)? = nil
    ) {
        self.policy = policy
        self.exceptions = exceptions
        self.maxResponseBytes = maxResponseBytes
        self.onHead = onHead
        self.onBody = onBody
        self.patience = patience
    }

    // MARK: Called by libcurl

    /// One line of a head. A status line begins a new head: what came before was an interim response (100, 103) or a
    /// proxy's. Lines after the body began are trailers and are dropped.
    func takeHeaderLine(_ bytes: UnsafeRawBufferPointer) -> Bool {
        received += bytes.count
        headBytes += bytes.count
        guard headBytes <= HTTPClient.maxHeadBytes else {
            return stop(TransportError(.tooLarge, "the response's head exceeds \(HTTPClient.maxHeadBytes) bytes"))
        }
        if headDone { return true }
        let line = String(decoding: bytes, as: UTF8.self).trimmingLineEnd()
        if line.hasPrefix("HTTP/") {
            response = HTTPResponse(status: line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0)
            response.isMultiplexed = !line.hasPrefix("HTTP/1") && !line.hasPrefix("HTTP/0")
        } else if let colon = line.firstIndex(of: ":") {
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            response.headers.append((name: String(line[..<colon]), value: String(value)))
        }
        return true
    }

    func takeBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
        received += bytes.count
        guard finishHead() else { return false }
        bodyBytes += bytes.count
        guard bodyBytes <= maxResponseBytes else {
            return stop(TransportError(.tooLarge, "the response exceeds \(maxResponseBytes) bytes"))
        }
        guard let onBody, response.isSuccess else {
            response.body.append(contentsOf: bytes)
            return true
        }
        return calling { try onBody(Array(bytes)) }
    }

    /// Tells `onHead` once, before the body or, where there is none, at the end.
    func finishHead() -> Bool {
        if headDone { return true }
        headDone = true
        guard let onHead else { return true }
        return calling { try onHead(response) }
    }

    /// The policy's answer to a fresh connection.
    func permits(address: [UInt8], port: Int? = nil) -> Bool {
        guard policy == .publicInternetOnly, let reason = AddressGuard.refusal(of: address) else { return true }
        if exceptions.contains(where: { $0.covers(address, port: port) }) { return true }
        refusedAddress = reason
        return false
    }

    /// The policy's answer to the connection a request is about to use, fresh or kept from an earlier exchange.
    func permits(peer text: String, port: Int? = nil) -> Bool {
        guard policy == .publicInternetOnly else { return true }
        guard let address = Self.bytes(ofAddress: text) else {
            refusedAddress = "not an internet address"
            return false
        }
        return permits(address: address, port: port)
    }

    func countSocket() { socketsMade += 1 }

    // MARK: -

    private func stop(_ error: TransportError) -> Bool {
        if stopped == nil { stopped = error }
        return false
    }

    private func calling(_ body: () throws -> Void) -> Bool {
        do {
            try body()
            return true
        } catch {
            return stop(TransportError(.aborted, "the receiver of the response stopped it", cause: error))
        }
    }

    /// The bytes of a numeric address; a zone ("%eth0") is dropped.
    static func bytes(ofAddress text: String) -> [UInt8]? {
        let number = String(text.prefix { $0 != "%" })
        var four = in_addr()
        if inet_pton(AF_INET, number, &four) == 1 { return withUnsafeBytes(of: four) { Array($0) } }
        var six = in6_addr()
        if inet_pton(AF_INET6, number, &six) == 1 { return withUnsafeBytes(of: six) { Array($0) } }
        return nil
    }
}

extension String {
    fileprivate func trimmingLineEnd() -> String {
        String(self.unicodeScalars.prefix { $0 != "\r" && $0 != "\n" })
    }
}
