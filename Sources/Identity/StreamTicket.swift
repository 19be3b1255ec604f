// What is kept of a ticket: everything but the ticket. A ticket lets one reader read one event stream of one user, for readers that
// can send no header (a browser's EventSource). A value; any thread.
import Foundation
import Tenants
import TextFormats

struct StreamTicket: Sendable, Hashable {
    /// The credential that made it; the ticket is valid as long as that one is.
    enum Maker: Sendable, Hashable {
        /// A token made here or a JWT, and what it depends on. `isAdmin`: of one that reaches every user.
        case credential([TokenLink], isAdmin: Bool)
        /// The operator's own token: SHA-256 of the ticket and that token.
        case operatorToken(check: String)
        /// A program of this machine, where no token has been made.
        case open
    }

    /// Seconds until its reading must be begun, and until a reader who left must be back.
    public static let patience: TimeInterval = 60
    /// Seconds it can be used for at most.
    static let longest: TimeInterval = 86_400
    /// Tickets of one user at once.
    static let maximumPerUser = 100
    /// Characters of a path.
    static let maximumPath = 300

    let id: String
    /// SHA-256 of the ticket, 64 hex digits.
    let hash: String
    let user: UserID
    /// Of the user, when the ticket was made.
    let incarnation: String
    /// The path of the stream, without a query.
    let path: String
    /// Of its maker, for logs and bounds.
    let credential: String
    let maker: Maker
    let endsAt: Date

    init(
        _ text: TokenText, user: UserID, incarnation: String, path: String, by caller: Caller, operatorToken: String?,
        now: Date
    ) {
        id = text.id
        hash = text.hash
        self.user = user
        self.incarnation = incarnation
        self.path = path
        credential = caller.credential
        if let link = caller.link {
            maker = .credential(caller.maker?.links ?? [link], isAdmin: caller.user == nil)
        } else if let operatorToken {
            maker = .operatorToken(check: Self.check(text, operatorToken))
        } else {
            maker = .open
        }
        endsAt = [now.addingTimeInterval(Self.longest), caller.maker?.expiresAt].compactMap { $0 }.min() ?? now
    }

    static func check(_ text: TokenText, _ operatorToken: String) -> String {
        Fingerprint.sha256Hex(Array("\(text.text)\n\(operatorToken)".utf8))
    }

    var fileJSON: JSON {
        var members: JSONObject = [
            "id": .string(id), "sha256": .string(hash), "user_id": .string(user.rawValue),
            "incarnation": .string(incarnation), "path": .string(path), "credential": .string(credential),
            "ends_at": .string(RFC3339.string(endsAt)),
        ]
        switch maker {
        case .credential(let links, let isAdmin):
            members["lineage"] = .array(links.map(\.json))
            members["admin"] = .bool(isAdmin)
        case .operatorToken(let check): members["operator"] = .string(check)
        case .open: break
        }
        return .object(members)
    }

    /// - Throws: FieldError for a damaged file: such a ticket is no ticket.
    init(fileJSON json: JSON) throws(FieldError) {
        var reader = try ObjectReader(json)
        id = try reader.require(try reader.string("id"), "id")
        hash = try reader.require(try reader.string("sha256", min: 64, max: 64), "sha256")
        let raw = try reader.require(try reader.string("user_id"), "user_id")
        do { user = try UserID(raw) } catch { throw reader.error("user_id", error.detail) }
        incarnation = try reader.require(try reader.string("incarnation"), "incarnation")
        path = try reader.require(try reader.string("path"), "path")
        credential = try reader.require(try reader.string("credential"), "credential")
        endsAt = try reader.require(try reader.time("ends_at"), "ends_at")
        let links = reader.json("lineage")
        let isAdmin = try reader.bool("admin") ?? false
        let check = try reader.string("operator")
        if let links {
            guard let links = links.array else { throw reader.error("lineage", "must be a list") }
            var read: [TokenLink] = []
            for link in links { read.append(try TokenLink(link)) }
            maker = .credential(read, isAdmin: isAdmin)
        } else {
            maker = check.map { .operatorToken(check: $0) } ?? .open
        }
        try reader.finish()
    }

    /// What its holder may do: read what is the user's. The path is the middleware's to keep.
    var caller: Caller { Caller(reach: .only(user), isReadOnly: true, credential: credential) }
}
