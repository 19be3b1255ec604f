// POST /users/{id}/stream-tickets: lets one reader that can send no header read one event stream, a browser's EventSource. A ticket is
// in an answer once, when it is made.

import Foundation
import HTTPTypes
import Hummingbird
import Identity
import Jobs
import Tenants
import TextFormats
import WireTypes

struct TicketRoutes: RouteGroup {
    let options: APIOptions
    let services: APIServices
    let bridge: BlockingBridge
    let waiter: JobWaiter
    let conditions: TicketConditions

    var routes: [Route] {
        [
            Route(.post, "/users/{user_id}/stream-tickets", for: .reader) { request, context in
                try await create(request, context)
            }
        ]
    }

    private func create(_ request: Request, _ context: APIContext) async throws -> Response {
        let user = try context.pathUser()
        var reader = try ObjectReader(try await request.json(maxBytes: options.maxBodyBytes))
        let path = try reader.require(try reader.string("path", min: 1), "path")
        try reader.finish()
        guard let stream = StreamPath(path) else {
            throw FieldError(field: "path", detail: "must be the path of an event stream, such as /jobs/ID/events, without a query")
        }
        try await bridge.run(for: .user(user)) { [workspaces = services.workspaces] in try workspaces.require(user) }
        // Of another user's job the caller learns no more than of none.
        let view = try await waiter.view(stream.job, for: context.caller)
        guard view.userID == user else { throw ProblemDetails.noJob("\(stream.job)") }
        let (caller, conditions) = (context.caller, conditions)
        let made = try await bridge.run(for: .user(user)) { [tokens = services.tokens] in
            try tokens.makeTicket(for: user, path: path, by: caller, under: conditions)
        }
        return .json(
            ["ticket": .string(made.ticket), "expires_at": .string(RFC3339.string(made.expiresAt))], status: .created)
    }
}
