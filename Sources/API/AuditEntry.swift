// What is kept of a call that changed something or was refused: who, from where, what, with which outcome. Never a body, a
// query, a token or an answer. A value; any thread.
import Foundation
import TextFormats

public struct AuditEntry: Sendable, Hashable {
    public var time: Date
    public var requestID: String
    /// As `Caller.credential`; nil: not let in.
    public var caller: String?
    public var address: String
    public var method: String
    /// The path without its query, at most `maximumPath` characters: ids of users, sessions and jobs stand in it.
    public var path: String
    public var status: Int
    /// The problem's code; nil when there was none.
    public var code: String?

    static let maximumPath = 300

    public var json: JSON {
        [
            "time": .string(RFC3339.string(time)), "request_id": .string(requestID), "caller": JSON(caller),
            "address": .string(address), "method": .string(method), "path": .string(path), "status": JSON(status),
            "code": JSON(code),
        ]
    }

    /// Reading is not audited, unless it was refused.
    static func isWorthKeeping(method: String, status: Int) -> Bool {
        status == 401 || status == 403 || status == 429 || !["GET", "HEAD", "OPTIONS"].contains(method)
    }
}
