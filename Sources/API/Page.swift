// Paging of every array the API answers with: `limit` and `after`, and a Link to the next page. Pure; any thread.

import Foundation
import HTTPTypes
import Hummingbird
import TextFormats
import WireTypes

/// Which part of a list is asked for.
struct Page: Sendable {
    static let defaultLimit = 50
    static let maxLimit = 200

    /// 1…200
    let limit: Int
    /// The cursor: the id of the last element of the page before; nil for the first page.
    let after: String?

    init(_ request: Request) throws(FieldError) {
        if let text = request.query("limit") {
            guard let number = Request.wholeNumber(text), (1...Self.maxLimit).contains(number) else {
                throw FieldError(field: "limit", detail: "must be from 1 to \(Self.maxLimit)")
            }
            limit = number
        } else {
            limit = Self.defaultLimit
        }
        after = request.query("after")
    }

    /// One more than the page holds: whether it comes tells whether there is a next page.
    var fetchCount: Int { limit + 1 }

    /// - Parameter items: up to `fetchCount` elements, each with its cursor.
    func reply(_ items: [(cursor: String, json: JSON)], to request: Request) -> Response {
        let shown = items.prefix(limit)
        return .json(.array(shown.map(\.json)), headers: headers(items.map(\.cursor), to: request))
    }

    /// - Parameter cursors: of up to `fetchCount` elements.
    func headers(_ cursors: [String], to request: Request) -> HTTPFields {
        var headers: HTTPFields = [:]
        if cursors.count > limit { headers[.link] = link(after: cursors[limit - 1], request: request) }
        return headers
    }

    /// The same request with the new cursor (RFC 8288).
    private func link(after cursor: String, request: Request) -> String {
        var parts: [String] = []
        // The envelope has refused queries that cannot be decoded.
        for (name, value) in (try? QueryText(request.uri.query))?.parameters ?? [] where name != "after" && name != "limit" {
            parts.append("\(Self.encoded(name))=\(Self.encoded(value))")
        }
        parts += ["limit=\(limit)", "after=\(Self.encoded(cursor))"]
        return "<\(request.uri.path)?\(parts.joined(separator: "&"))>; rel=\"next\""
    }

    private static func encoded(_ text: String) -> String {
        let unreserved = CharacterSet(
            charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
        return text.addingPercentEncoding(withAllowedCharacters: unreserved) ?? text
    }
}
