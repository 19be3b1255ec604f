// Cross-origin resource sharing (WHATWG Fetch, 3.2): which pages of other origins may call, and the headers that let a browser hand them
// the answers. Origins are listed by the operator, each exactly; there is no wildcard, and no credentials of the browser are taken: a
// page sends its token itself. Pure; any thread.

import Foundation
import HTTPTypes
import Hummingbird
import WireTypes

public struct CrossOrigin: Sendable {
    /// Why a text is no origin.
    public struct Refusal: Error, Sendable {
        public var detail: String
    }

    /// On every path: a page that calls a method the path does not take is to read the 405, and the 404 of a path that is not there.
    private static let methods = "DELETE, GET, HEAD, PATCH, POST, PUT"
    /// Seconds a browser may remember a preflight's answer.
    private static let maxAge = "600"
    /// Bytes of the header names a preflight may ask for.
    private static let maximumNames = 2_048

    /// Headers of answers that a page may read beside those every page may (Content-Type, Content-Language, Cache-Control …).
    static let exposed = [
        "Allow", "ETag", "Link", "Location", "Preference-Applied", "RateLimit-Limit", "RateLimit-Policy", "RateLimit-Remaining",
        "RateLimit-Reset", "Retry-After", "WWW-Authenticate", "X-Job-Id", "X-Request-Id", "X-Session-Id", "X-Should-Retry",
        "X-Total-Count",
    ].joined(separator: ", ")

    private let origins: Set<String>

    /// - Parameter origins: as `origin(_:)` gives them.
    init(_ origins: [String]) { self.origins = Set(origins) }

    /// The origin as browsers write it: lower case, without the port that its scheme has anyway.
    public static func origin(_ text: String) throws(Refusal) -> String {
        let example = "such as https://app.example.org or http://localhost:5173"
        guard !text.contains("*") else {
            throw Refusal(detail: "must name one origin exactly, \(example); * is not taken, since every page could call then")
        }
        let lowered = text.lowercased()
        guard let mark = lowered.range(of: "://") else {
            throw Refusal(detail: "must be scheme://host[:port], \(example)")
        }
        let scheme = lowered[..<mark.lowerBound]
        let authority = lowered[mark.upperBound...]
        let isScheme = scheme.first.map { $0.isASCII && $0.isLetter } ?? false
            && scheme.utf8.allSatisfy { isLetterOrDigit($0) || "+-.".utf8.contains($0) }
        guard isScheme else { throw Refusal(detail: "must be scheme://host[:port], \(example)") }
        guard !authority.contains(where: { "/?#".contains($0) }) else {
            throw Refusal(detail: "must end with the host or its port: an origin has no path, no query and no slash at its end")
        }
        guard let name = AccessPolicy.name(of: String(authority)), !name.isEmpty else {
            throw Refusal(detail: "must be scheme://host[:port], \(example)")
        }
        let host = name.hasPrefix("[") ? String(name.dropFirst().dropLast()) : name
        guard host.utf8.allSatisfy({ isLetterOrDigit($0) || "-._".utf8.contains($0) || (name.hasPrefix("[") && $0 == 0x3A) })
        else {
            throw Refusal(detail: "must have a host of ASCII letters, as browsers send it (xn--… for other letters)")
        }
        let port = authority.dropFirst(name.count + 1)
        let isUsual = port.isEmpty || (scheme == "https" && port == "443") || (scheme == "http" && port == "80")
        return "\(scheme)://\(name)\(isUsual ? "" : ":\(port)")"
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte)
    }

    /// - Parameter origin: of a request; nil: it has none.
    func isListed(_ origin: String?) -> Bool { origin.map(origins.contains) ?? false }

    /// The answer to a preflight: a browser's question whether a page may make a call. It comes without a credential and is answered
    /// before any is asked for.
    /// - Returns: nil for what is no preflight.
    /// - Throws: 403 `origin_not_allowed`.
    func preflight(_ request: Request) throws(ProblemDetails) -> Response? {
        guard request.method == .options, let origin = request.headers[.origin],
            request.headers[.accessControlRequestMethod] != nil
        else { return nil }
        guard isListed(origin) else {
            throw ProblemDetails(
                status: 403, code: "origin_not_allowed",
                detail: "pages of this origin may not call this service; the setting server.cors_origins lists those that may")
        }
        var headers: HTTPFields = [.accessControlAllowMethods: Self.methods, .accessControlMaxAge: Self.maxAge]
        let names = request.headers[values: .accessControlRequestHeaders].joined(separator: ",")
        let wanted = names.split(separator: ",").map { $0.filter { $0 != " " && $0 != "\t" } }.filter(Self.isFieldName)
        if !wanted.isEmpty, names.utf8.count <= Self.maximumNames {
            headers[.accessControlAllowHeaders] = wanted.joined(separator: ", ")
        }
        if request.headers[.requestPrivateNetwork] == "true" { headers[.allowPrivateNetwork] = "true" }
        headers[.vary] = "Access-Control-Request-Headers"
        return Response(status: .noContent, headers: headers)
    }

    private static func isFieldName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && !#""(),/:;<=>?@[\]{}"#.utf8.contains($0) }
    }

    /// Lets the page read the answer, of whatever kind.
    func mark(_ response: inout Response, for request: Request) {
        guard !origins.isEmpty else { return }
        // Without Origin too: a cache must not give the answer for one origin to a page of another.
        response.addVary("Origin")
        guard let origin = request.headers[.origin], isListed(origin) else { return }
        response.headers[.accessControlAllowOrigin] = origin
        response.headers[.accessControlExposeHeaders] = Self.exposed
    }
}

extension Response {
    /// Names a header of the request on which the answer depends.
    mutating func addVary(_ name: String) {
        let present = headers[values: .vary].flatMap { $0.split(separator: ",").map { $0.filter { $0 != " " }.lowercased() } }
        guard !present.contains(name.lowercased()) else { return }
        headers[.vary] = (headers[values: .vary] + [name]).joined(separator: ", ")
    }
}

extension HTTPField.Name {
    static let requestPrivateNetwork = HTTPField.Name("Access-Control-Request-Private-Network")!
    static let allowPrivateNetwork = HTTPField.Name("Access-Control-Allow-Private-Network")!
}
