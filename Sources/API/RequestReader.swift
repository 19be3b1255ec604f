// Reading a request strictly: body, query and preferences. Wrong values become problems that name them.
// Called on the request's task; parsing at most a mebibyte takes a few milliseconds there.

import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import TextFormats
import WireTypes

extension Request {
    /// The JSON body.
    /// - Throws: 415 for another content type, 413 beyond `maxBytes`, 400 `invalid_json` with the place of the fault.
    func json(maxBytes: Int) async throws -> JSON {
        try JSON.parse(try await jsonBytes(maxBytes: maxBytes), limits: JSON.Limits(maxBytes: maxBytes))
    }

    /// The same before it is read as JSON.
    /// - Throws: 415, 413; 400 `invalid_json` for an empty body.
    func jsonBytes(maxBytes: Int) async throws -> [UInt8] {
        try checkContentType()
        let buffer = try await collected(maxBytes)
        guard buffer.readableBytes > 0 else {
            throw ProblemDetails(status: 400, code: "invalid_json", detail: "the body is empty; it must be JSON")
        }
        return Array(buffer.readableBytesView)
    }

    /// For calls that take no body: an empty one, or the empty JSON object that some clients cannot leave out.
    /// - Throws: as `json`; 422 for members, which would be ignored.
    func noBody() async throws {
        let maxBytes = 1_024
        let buffer = try await collected(maxBytes)
        guard buffer.readableBytes > 0 else { return }
        try checkContentType()
        let json = try JSON.parse(Array(buffer.readableBytesView))
        guard json.object?.isEmpty == true else {
            throw FieldError(field: "", detail: "this call takes no body, or the empty object {}")
        }
    }

    /// For calls whose body may be left out; nil when it is.
    /// - Throws: as `json`.
    func optionalJSON(maxBytes: Int) async throws -> JSON? {
        let buffer = try await collected(maxBytes)
        guard buffer.readableBytes > 0 else { return nil }
        try checkContentType()
        return try JSON.parse(Array(buffer.readableBytesView), limits: JSON.Limits(maxBytes: maxBytes))
    }

    /// The body as it is.
    /// - Throws: 413 beyond `maxBytes`.
    func bytes(maxBytes: Int) async throws -> [UInt8] {
        try checkLength(maxBytes)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(headers[.contentLength].flatMap { Int($0) } ?? 0)
        for try await piece in body {
            guard bytes.count + piece.readableBytes <= maxBytes else { throw ProblemDetails.tooLarge(maxBytes) }
            bytes.append(contentsOf: piece.readableBytesView)
        }
        return bytes
    }

    private func checkLength(_ maxBytes: Int) throws(ProblemDetails) {
        guard let length = headers[.contentLength].flatMap({ Int($0) }), length > maxBytes else { return }
        throw .tooLarge(maxBytes)
    }

    private func collected(_ maxBytes: Int) async throws -> ByteBuffer {
        try checkLength(maxBytes)
        do {
            return try await body.collect(upTo: maxBytes)
        } catch is NIOTooManyBytesError {
            throw ProblemDetails.tooLarge(maxBytes)
        }
    }

    private func checkContentType() throws(ProblemDetails) {
        if let encoding = headers[.contentEncoding], encoding.lowercased() != "identity" {
            throw ProblemDetails(
                status: 415, code: "unsupported_media_type", detail: "the body must not be compressed")
        }
        let value = headers[.contentType] ?? ""
        let parts = value.split(separator: ";").map { $0.filter { $0 != " " }.lowercased() }
        let isJSON = parts.first.map { $0 == "application/json" || $0.hasSuffix("+json") } ?? false
        let isUTF8 = parts.dropFirst().allSatisfy { part in
            !part.hasPrefix("charset=") || part == "charset=utf-8" || part == "charset=\"utf-8\""
        }
        guard isJSON, isUTF8 else {
            throw ProblemDetails(
                status: 415, code: "unsupported_media_type",
                detail: value.isEmpty
                    ? "the body needs Content-Type: application/json"
                    : "the body must be application/json in UTF-8, not \(value.prefix(80))")
        }
    }

    /// The Idempotency-Key header.
    func idempotencyKey() throws(FieldError) -> String? {
        guard let key = headers[.idempotencyKey] else { return nil }
        guard (1...255).contains(key.utf8.count) else {
            throw FieldError(field: "Idempotency-Key", detail: "must have from 1 to 255 characters")
        }
        return key
    }

    /// Preferences of RFC 7240, lower-case name to value ("" without one).
    var preferences: [String: String] {
        var found: [String: String] = [:]
        for value in headers[values: .prefer] {
            for part in value.split(separator: ",") {
                let pair = part.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
                guard let name = pair.first?.lowercased(), found[name] == nil else { continue }
                found[name] = pair.count == 2 ? pair[1].trimmingCharacters(in: ["\""]) : ""
            }
        }
        return found
    }

    /// The seconds the caller would wait for the outcome: the query's `wait`, else the preference, else nil.
    func wait(max: Double) throws(FieldError) -> Double? {
        guard let text = query("wait") ?? preferences["wait"] else { return nil }
        // Swift reads "nan", "0x1p3" and "1e400", too.
        let isPlain = text.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }
        guard isPlain, let seconds = Double(text), (0...max).contains(seconds) else {
            throw FieldError(field: "wait", detail: "must be a number of seconds from 0 to \(Int(max))")
        }
        return seconds
    }

    /// The preferences that an answer says it has followed (RFC 7240, 3); nil: none.
    /// - Parameter wait: the seconds that were waited for.
    func appliedPreference(wait: Double) -> String? {
        var applied: [String] = []
        if preferences["respond-async"] != nil { applied.append("respond-async") }
        if query("wait") == nil, let text = preferences["wait"], Double(text) == wait { applied.append("wait=\(text)") }
        return applied.isEmpty ? nil : applied.joined(separator: ", ")
    }

    /// A query parameter, decoded; nil when absent or empty. Unknown parameters are ignored.
    func query(_ name: String) -> String? {
        // The envelope has refused queries that cannot be decoded.
        guard let value = try? QueryText(uri.query)[name], !value.isEmpty else { return nil }
        return value
    }

    /// A query parameter that is an RFC 3339 time.
    func queryTime(_ name: String) throws(FieldError) -> Date? {
        guard let text = query(name) else { return nil }
        guard let time = RFC3339.date(QueryText.time(text)) else {
            throw FieldError(field: name, detail: "must be an RFC 3339 time such as 2026-11-24T09:00:00Z")
        }
        return time
    }

    /// The number that decimal digits, and nothing else, say; nil for all other texts and what 63 bits cannot hold.
    static func wholeNumber(_ text: String) -> Int? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
    }

    /// A query parameter that is true or false; false when absent.
    func queryFlag(_ name: String) throws(FieldError) -> Bool {
        switch query(name) {
        case nil, "false"?: return false
        case "true"?: return true
        default: throw FieldError(field: name, detail: "must be true or false")
        }
    }

    /// A query parameter that must be one of a few words.
    func queryChoice<Choice: RawRepresentable & CaseIterable>(
        _ name: String, of type: Choice.Type
    ) throws(FieldError) -> Choice? where Choice.RawValue == String {
        guard let text = query(name) else { return nil }
        guard let choice = Choice(rawValue: text) else {
            let all = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw FieldError(field: name, detail: "must be one of \(all)")
        }
        return choice
    }
}

extension ProblemDetails {
    static func tooLarge(_ maxBytes: Int) -> ProblemDetails {
        ProblemDetails(status: 413, code: "too_large", detail: "the body has more than \(maxBytes) bytes")
    }
}
