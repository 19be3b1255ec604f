// What a token depends on besides its own file: the credentials it was made by. Values; any thread.
import Foundation
import TextFormats

/// One credential among the makers of a token.
public enum TokenLink: Sendable, Hashable {
    /// A token made here. The line is the id of the token that rotations began with, so a rotation keeps what was made by it.
    case token(line: String)
    /// A token of an identity provider. It cannot be asked whether it was revoked; it ends at its `exp`.
    case jwt(issuer: String?, subject: String, id: String?, endsAt: Date)

    /// As shown to callers: the id of a token, or "jwt" and the subject.
    public var words: String {
        switch self {
        case .token(let line): line
        case .jwt(_, let subject, _, _): "jwt \(subject)"
        }
    }

    var json: JSON {
        switch self {
        case .token(let line): ["token": .string(line)]
        case .jwt(let issuer, let subject, let id, let endsAt):
            [
                "jwt": [
                    "iss": JSON(issuer), "sub": .string(subject), "jti": JSON(id), "exp": .string(RFC3339.string(endsAt)),
                ]
            ]
        }
    }

    /// - Throws: FieldError for what is no link: a lineage that cannot be read is a damaged file.
    init(_ json: JSON) throws(FieldError) {
        var reader = try ObjectReader(json)
        if let line = try reader.string("token") {
            guard TokenText.isID(line) else { throw reader.error("token", "is no id of a token") }
            self = .token(line: line)
        } else if var claims = try reader.object("jwt") {
            self = .jwt(
                issuer: try claims.string("iss"), subject: try claims.require(try claims.string("sub"), "sub"),
                id: try claims.string("jti"), endsAt: try claims.require(try claims.time("exp"), "exp"))
            try claims.finish()
        } else {
            throw reader.error("token", "is required")
        }
        try reader.finish()
    }
}

/// The credential of a caller who reaches one user, as far as tokens made by that caller depend on it.
public struct TokenMaker: Sendable, Hashable {
    /// The credential itself, then the credentials it was made by.
    public var links: [TokenLink]
    /// When the credential ends; nil: never.
    public var expiresAt: Date?

    public init(links: [TokenLink], expiresAt: Date?) {
        self.links = links
        self.expiresAt = expiresAt
    }

    /// Most links of a token: tokens made by tokens made by tokens end there.
    public static let maximumLinks = 8
}
