// What travels with one request besides the request itself: its id, its logger, its connection.

import Foundation
import Hummingbird
import HummingbirdCore
import Identity
import Jobs
import Logging
import NIOCore
import Tenants
import TextFormats
import WireTypes

struct APIContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The connection: its event loop times waits, its `ClientDeparture` ends them.
    let channel: any Channel
    /// Given by the client as X-Request-Id, else made here; in the answer and in every log line of this request.
    var requestID: String
    /// Who is asking; set by `AccessMiddleware` before any route. Until then: somebody who may do nothing.
    var caller = Caller(reach: .everybody, isReadOnly: true, credential: "none")

    let notes = RequestNotes()

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
        requestID = source.logger[metadataKey: "hb.request.id"]?.description ?? "-"
    }

    /// A part of the path, percent-decoded.
    /// - Throws: 422 for bytes that are no UTF-8; 404 for what is no percent-encoding, as for any other id that nothing has.
    func pathValue(_ name: String) throws(ProblemDetails) -> String {
        guard let raw = parameters.get(name) else {
            throw ProblemDetails(status: 404, code: "not_found", detail: "no such resource")
        }
        guard let value = raw.removingPercentEncoding else {
            guard QueryText.isEncoding(raw) else {
                throw ProblemDetails(status: 404, code: "not_found", detail: "no such resource")
            }
            throw ProblemDetails(FieldError(field: name, detail: QueryText.rule))
        }
        return value
    }

    /// The user the path names. An id no user can have is absent like any other, and so is one the caller does not reach:
    /// neither is looked up, so that no answer and no time tells which users there are.
    func pathUser() throws(ProblemDetails) -> UserID {
        let raw = try pathValue("user_id")
        guard raw != CallerWords.me else {
            guard let user = caller.user else { throw ProblemDetails(CallerWords.noUser) }
            return user
        }
        let user: UserID
        do { user = try UserID(raw) } catch { throw .userNotFound(raw) }
        guard caller.reaches(user) else { throw .userNotFound(raw) }
        return user
    }

    /// The other end of the connection; nil where it has no address.
    var peer: String? { channel.remoteAddress?.ipAddress }

    /// For users named in bodies and queries: as if there were none the caller does not reach.
    func admit(_ user: UserID) throws(ProblemDetails) {
        guard caller.reaches(user) else { throw .userNotFound(user.rawValue) }
    }
}

extension ProblemDetails {
    static func userNotFound(_ id: String) -> ProblemDetails {
        ProblemDetails(
            status: 404, code: "user_not_found", detail: "no user \"\(id.prefix(64))\"; POST /users makes one")
    }
}
