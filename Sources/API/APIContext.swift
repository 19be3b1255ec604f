// What travels with one request besides the request itself: its id, its logger, its connection.

import Foundation
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import Tenants
import WireTypes

struct APIContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The connection: its event loop times waits, its `ClientDeparture` ends them.
    let channel: any Channel
    /// Given by the client as X-Request-Id, else made here; in the answer and in every log line of this request.
    var requestID: String

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
        requestID = source.logger[metadataKey: "hb.request.id"]?.description ?? "-"
    }

    /// A part of the path, percent-decoded.
    func pathValue(_ name: String) throws(ProblemDetails) -> String {
        guard let value = parameters.get(name)?.removingPercentEncoding else {
            throw ProblemDetails(status: 404, code: "not_found", detail: "no such resource")
        }
        return value
    }

    /// The user the path names. An id no user can have is absent like any other: reading must not tell them apart.
    func pathUser() throws(ProblemDetails) -> UserID {
        let raw = try pathValue("user_id")
        do { return try UserID(raw) } catch { throw .userNotFound(raw) }
    }
}

extension ProblemDetails {
    static func userNotFound(_ id: String) -> ProblemDetails {
        ProblemDetails(
            status: 404, code: "user_not_found", detail: "no user \"\(id.prefix(64))\"; POST /users makes one")
    }
}
