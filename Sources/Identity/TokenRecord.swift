// What is kept of a token: everything but the token. A value; any thread.
import Foundation
import Tenants
import TextFormats

public struct TokenRecord: Sendable, Hashable {
    /// 12 lower-case letters and digits; part of the token and the name of its file.
    public var id: String
    public var scope: AccessScope
    /// nil: an admin's.
    public var user: UserID?
    /// The user's incarnation when it was made: a new user of that id is not reached by it.
    public var incarnation: String?
    /// What the operator calls it.
    public var name: String?
    /// SHA-256 of the token, 64 hex digits.
    public var hash: String
    public var createdAt: Date
    public var expiresAt: Date?
    /// To ten minutes; nil: not used yet.
    public var lastUsedAt: Date?
    /// The credentials it was made by, the nearest first; it is valid as long as all of them are. Empty: made by an admin or on
    /// the machine.
    public var lineage: [TokenLink] = []
    /// The token it was rotated from; nil: it was made, not rotated.
    public var rotatedFrom: String?
    /// The first token of its rotations, whose id the tokens made by any of them name; nil: itself.
    var firstOfLine: String?
    /// The tokens it was rotated into.
    public internal(set) var successors: [String] = []

    /// Characters of a name.
    public static let maximumName = 100

    public func isExpired(_ now: Date) -> Bool { expiresAt.map { $0 <= now } ?? false }

    /// What the tokens made by it name.
    var line: String { firstOfLine ?? id }

    /// As shown to callers: without the hash.
    public var publicJSON: JSON {
        [
            "id": .string(id), "scope": .string(scope.rawValue), "user_id": JSON(user?.rawValue), "name": JSON(name),
            "created_at": .string(RFC3339.string(createdAt)), "expires_at": JSON(expiresAt.map(RFC3339.string)),
            "last_used_at": JSON(lastUsedAt.map(RFC3339.string)), "parent": JSON(lineage.first?.words),
            "rotated_from": JSON(rotatedFrom),
        ]
    }

    /// As kept in its file. What does not apply is left out: earlier versions read the tokens that they could have made.
    var fileJSON: JSON {
        var members: JSONObject = [
            "id": .string(id), "scope": .string(scope.rawValue), "user_id": JSON(user?.rawValue),
            "incarnation": JSON(incarnation), "name": JSON(name), "sha256": .string(hash),
            "created_at": .string(RFC3339.string(createdAt)), "expires_at": JSON(expiresAt.map(RFC3339.string)),
        ]
        if !lineage.isEmpty { members["lineage"] = .array(lineage.map(\.json)) }
        if let rotatedFrom { members["rotated_from"] = .string(rotatedFrom) }
        if let firstOfLine { members["line"] = .string(firstOfLine) }
        if !successors.isEmpty { members["successors"] = JSON(successors) }
        return .object(members)
    }

    /// - Throws: FieldError for a file somebody damaged: such a token is no token.
    init(fileJSON json: JSON) throws(FieldError) {
        var reader = try ObjectReader(json)
        id = try reader.require(try reader.string("id"), "id")
        scope = try reader.require(try reader.choice("scope", of: AccessScope.self), "scope")
        if let raw = try reader.string("user_id") {
            do { user = try UserID(raw) } catch { throw reader.error("user_id", error.detail) }
        }
        incarnation = try reader.string("incarnation")
        name = try reader.string("name")
        hash = try reader.require(try reader.string("sha256", min: 64, max: 64), "sha256")
        createdAt = try reader.require(try reader.time("created_at"), "created_at")
        expiresAt = try reader.time("expires_at")
        if let links = reader.json("lineage") {
            guard let links = links.array else { throw reader.error("lineage", "must be a list") }
            for link in links { lineage.append(try TokenLink(link)) }
        }
        rotatedFrom = try reader.string("rotated_from")
        firstOfLine = try reader.string("line")
        successors = try reader.strings("successors", maxCount: 1_000) ?? []
        try reader.finish()
        // An admin's token names nobody; every other one somebody, and which life of theirs.
        guard (scope == .admin) == (user == nil), (user == nil) == (incarnation == nil) else {
            throw reader.error("user_id", "does not fit the scope")
        }
    }

    init(
        id: String, scope: AccessScope, user: UserID?, incarnation: String?, name: String?, hash: String,
        createdAt: Date,
        expiresAt: Date?
    ) {
        self.id = id
        self.scope = scope
        self.user = user
        self.incarnation = incarnation
        self.name = name
        self.hash = hash
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }

    var caller: Caller {
        Caller(
            reach: user.map { .only($0) } ?? .everybody, isReadOnly: scope == .read, credential: "token \(id)",
            maker: user.map { _ in TokenMaker(links: [.token(line: line)] + lineage, expiresAt: expiresAt) },
            link: .token(line: line))
    }
}
