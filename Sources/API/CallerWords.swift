// How a caller with a user's token names that user: by the id, by "me", or not at all. `UserID.reserved` holds "me", so no user
// has that name. Pure; any thread. Failure: FieldError for a caller who reaches every user and names none.

import Hummingbird
import Identity
import Tenants
import TextFormats
import WireTypes

enum CallerWords {
    /// In paths, in queries and in bodies.
    static let me = "me"

    static let noUser = FieldError(
        field: "user_id", detail: "\"me\" is the user of the token that a call brings; this call brings no user's token: name the user")

    /// The body of a call that makes a job, with the user it is for: the caller's own where the body names none.
    /// - Returns: `body` as it is where it names a user, is no object, or where the caller reaches every user.
    static func named(_ body: JSON, for caller: Caller) throws(FieldError) -> JSON {
        guard var members = body.object else { return body }
        let given = members["user_id"] ?? .null
        guard given.isNull || given == .string(me) else { return body }
        guard let user = caller.user else {
            if given.isNull { return body }
            throw noUser
        }
        members["user_id"] = .string(user.rawValue)
        return .object(members)
    }
}

extension APIContext {
    /// The user that the query names; the caller's own for "me" and where the query names none.
    /// - Returns: nil: the query names none, and the caller reaches every user.
    func queryUser(_ request: Request) throws(FieldError) -> String? {
        guard let text = request.query("user_id") else { return caller.user?.rawValue }
        guard text == CallerWords.me else { return text }
        guard let user = caller.user else { throw CallerWords.noUser }
        return user.rawValue
    }
}
