// /users/{id}/tokens: credentials of one user. A token is in an answer once, when it is made.

import Foundation
import HTTPTypes
import Hummingbird
import Identity
import Tenants
import TextFormats
import WireTypes

struct TokenRoutes: RouteGroup {
    /// Longest time a rotated token goes on beside its successor, in seconds.
    static let maxOverlap = 30 * 86_400
    static let defaultOverlap = 3_600

    let options: APIOptions
    let services: APIServices
    let bridge: BlockingBridge

    var routes: [Route] {
        let one = "/users/{user_id}/tokens/{token_id}"
        return [
            Route(.post, "/users/{user_id}/tokens", for: .owner) { request, context in
                try await create(request, context)
            },
            Route(.get, "/users/{user_id}/tokens", for: .owner) { request, context in try await list(request, context)
            },
            Route(.delete, one, for: .owner) { _, context in
                let id = try context.pathValue("token_id")
                try await ask(context) { try $0.revoke(id, of: $1) }
                return .noContent
            },
            Route(.post, "\(one)/rotate", for: .owner) { request, context in try await rotate(request, context) },
        ]
    }

    /// Runs a call about a user's tokens, once it is known that the user exists.
    private func ask<Value: Sendable>(
        _ context: APIContext, _ call: @escaping @Sendable (TokenDesk, UserID) throws -> Value
    ) async throws -> Value {
        let user = try context.pathUser()
        return try await bridge.run(for: .user(user)) { [services] in
            try services.workspaces.require(user)
            return try call(services.tokens, user)
        }
    }

    private func create(_ request: Request, _ context: APIContext) async throws -> Response {
        let maker = context.caller.maker
        _ = try context.pathUser()
        guard context.caller.user == nil || options.userTokensMayMint else {
            throw ProblemDetails(
                status: 403, code: "minting_not_allowed",
                detail: "a user's token makes no tokens here; ask the operator (server.user_tokens_may_mint)")
        }
        var reader = try ObjectReader(try await request.json(maxBytes: options.maxBodyBytes))
        let scope = try reader.require(try reader.choice("scope", of: UserScope.self), "scope")
        let name = try reader.string("name", min: 1, max: TokenRecord.maximumName)
        let expiresAt = try reader.time("expires_at")
        try reader.finish()
        let made = try await ask(context) {
            try $0.create(scope == .user ? .user : .read, user: $1, name: name, expiresAt: expiresAt, by: maker)
        }
        return Self.shownOnce(made)
    }

    /// What a token of a user can be; admins' are made on the machine.
    private enum UserScope: String, CaseIterable { case user, read }

    /// Oldest first; the cursor is a token's id.
    private func list(_ request: Request, _ context: APIContext) async throws -> Response {
        let page = try Page(request)
        let all = try await ask(context) { try $0.store.list(user: $1) }
        var start = 0
        if let after = page.after {
            guard let index = all.firstIndex(where: { $0.id == after }) else {
                throw ProblemDetails.lostCursor
            }
            start = index + 1
        }
        let shown = all[start...].prefix(page.fetchCount)
        return page.reply(shown.map { (cursor: $0.id, json: $0.publicJSON) }, to: request)
    }

    private func rotate(_ request: Request, _ context: APIContext) async throws -> Response {
        let id = try context.pathValue("token_id")
        var overlap = Self.defaultOverlap
        var expiresAt: Date?
        if let body = try await request.optionalJSON(maxBytes: options.maxBodyBytes) {
            var reader = try ObjectReader(body)
            overlap = try reader.int("overlap_s", in: 0...Self.maxOverlap) ?? overlap
            expiresAt = try reader.time("expires_at")
            try reader.finish()
        }
        let (seconds, end, maker) = (TimeInterval(overlap), expiresAt, context.caller.maker)
        let made = try await ask(context) {
            try $0.rotate(id, of: $1, overlap: seconds, expiresAt: end, by: maker)
        }
        return Self.shownOnce(made)
    }

    private static func shownOnce(_ made: (record: TokenRecord, token: String)) -> Response {
        var members = made.record.publicJSON.object ?? [:]
        members["token"] = .string(made.token)
        return .json(.object(members), status: .created)
    }
}
