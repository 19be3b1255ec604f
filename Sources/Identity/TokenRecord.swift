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

    /// Characters of a name.
    public static let maximumName = 100

    public func isExpired(_ now: Date) -> Bool { expiresAt.map { $0 <= now } ?? false }

    /// As shown to callers: without the hash.
    public var publicJSON: JSON {
        [
            "id": .string(id), "scope": .string(scope.rawValue), "user_id": JSON(user?.rawValue), "name": JSON(name),
            "created_at": .string(RFC3339.string(createdAt)), "expires_at": JSON(expiresAt.map(RFC3339.string)),
            "last_used_at": JSON(lastUsedAt.map(RFC3339.string)),
        ]
    }

    /// As kept in its file.
    var fileJSON: JSON {
        [
            "id": .string(id), "scope": .string(scope.rawValue), "user_id": JSON(user?.rawValue),
            "incarnation": JSON(incarnation), "name": JSON(name), "sha256": .string(hash),
            "created_at": .string(RFC3339.string(createdAt)), "expires_at": JSON(expiresAt.map(RFC3339.string)),
        ]
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
            reach: user.map { .only($0) } ?? .everybody, isReadOnly: scope == .read, credential: "token \(id)")
    }
}
