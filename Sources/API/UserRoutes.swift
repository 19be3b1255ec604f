// /users and the parts of a user's configuration. Every change goes through Accounts, so that schedules follow.

import Accounts
import HTTPTypes
import Hummingbird
import Tenants
import TextFormats
import WireTypes

struct UserRoutes: RouteGroup {
    let options: APIOptions
    let services: APIServices
    let bridge: BlockingBridge

    var routes: [Route] {
        Self.members.map { member in
            Route(.get, "/users/{user_id}/\(member)", for: .owner) { request, context in
                try await show(request, context, member: member)
            }
        } + [
            Route(.post, "/users", for: .admin) { request, _ in try await create(request) },
            Route(.get, "/users", for: .admin) { request, _ in try await list(request) },
            Route(.get, "/users/{user_id}", for: .owner) { request, context in try await show(request, context) },
            Route(.delete, "/users/{user_id}", for: .owner) { _, context in try await delete(context) },
            Route(.put, "/users/{user_id}/watchlist", for: .owner) { request, context in
                try await change(request, context) { body in
                    let change = try WatchlistChange(json: body, path: "")
                    return { try $0.updateWatchlist($1, change, ifMatch: $2) }
                }
            },
            Route(.put, "/users/{user_id}/preferences", for: .owner) { request, context in
                try await change(request, context) { body in
                    let change = try PreferencesChange(json: body, path: "")
                    return { try $0.updatePreferences($1, change, ifMatch: $2) }
                }
            },
            Route(.put, "/users/{user_id}/persona", for: .owner) { request, context in
                try await change(request, context) { body in
                    let change = try PersonaChange(json: body, path: "")
                    return { try $0.updatePersona($1, change, ifMatch: $2) }
                }
            },
            Route(.patch, "/users/{user_id}/custom_data", for: .owner) { request, context in
                try await change(request, context) { body in
                    guard let patch = body.object else {
                        throw FieldError(field: "custom_data", detail: "must be an object, not \(body.kindName)")
                    }
                    return { try $0.updateCustomData($1, patch, ifMatch: $2) }
                }
            },
        ]
    }

    /// Members of a user that have a path of their own.
    private static let members = ["watchlist", "preferences", "persona", "custom_data"]

    /// The user's own id is the idempotency key: a repeated call finds the user there (409) and changes nothing.
    private func create(_ request: Request) async throws -> Response {
        let body = try await request.json(maxBytes: options.maxBodyBytes)
        _ = try request.idempotencyKey()
        var reader = try ObjectReader(body)
        let user = try UserID(try reader.require(try reader.string("user_id"), "user_id"))
        let initial = try reader.json("initial_data").map { json in
            try InitialUserData(json: json, path: "initial_data")
        }
        try reader.finish()
        let config = try await bridge.run(for: .user(user)) { [accounts = services.accounts] in
            try accounts.create(user, initial: initial)
        }
        return .json(
            config.publicJSON, status: .created,
            headers: [.location: "/users/\(user)", .eTag: UserTag(config).text])
    }

    private func list(_ request: Request) async throws -> Response {
        let page = try Page(request)
        let after = try page.after.map(Self.cursor)
        let users = try await bridge.run(for: .operators) { [workspaces = services.workspaces, configs = services.configs] in
            try workspaces.list(limit: page.fetchCount, after: after).map { user -> (String, JSON) in
                (user.rawValue, Self.row(user, configs, workspaces))
            }
        }
        return page.reply(users.map { (cursor: $0.0, json: $0.1) }, to: request)
    }

    private static func cursor(_ text: String) throws -> UserID {
        do { return try UserID(text) } catch { throw FieldError(field: "after", detail: "must be a user id") }
    }

    /// A user whose configuration cannot be read, or who was deleted this moment, is listed by id alone: one broken
    /// file must not hide all others.
    private static func row(_ user: UserID, _ configs: UserConfigManager, _ workspaces: WorkspaceManager) -> JSON {
        guard let config = try? configs.get(user) else { return ["user_id": .string(user.rawValue)] }
        var row: JSONObject = ["user_id": .string(user.rawValue)]
        let full = config.publicJSON
        for key in ["created_at", "updated_at"] { row[key] = full[key] }
        // As for the configuration.
        if let standing = try? workspaces.open(user).standing() { row.merge(standing.summary) }
        return .object(row)
    }

    /// The user, or one member of it. Both have the user's tag, so that `If-Match` takes either.
    private func show(_ request: Request, _ context: APIContext, member: String? = nil) async throws -> Response {
        let user = try context.pathUser()
        let config = try await bridge.run(for: .user(user)) { [configs = services.configs] in try configs.get(user) }
        let json = config.publicJSON
        let shown = member.map { json[$0] ?? .null } ?? json
        return .tagged(shown.bytes(), mediaType: "application/json", tag: UserTag(config).text, for: request)
    }

    private func delete(_ context: APIContext) async throws -> Response {
        let user = try context.pathUser()
        try await bridge.run(for: .user(user)) { [accounts = services.accounts] in try accounts.delete(user) }
        return .noContent
    }

    private typealias Change = @Sendable (Accounts, UserID, Int?) throws -> UserConfig

    /// Fields left out stay as they are; with If-Match only that version is changed. What is asked for is read before
    /// versions are compared: a wrong body is wrong for every version.
    private func change(
        _ request: Request, _ context: APIContext, _ read: (JSON) throws -> Change
    ) async throws -> Response {
        let user = try context.pathUser()
        let body = try await request.json(maxBytes: options.maxBodyBytes)
        let apply = try read(body)
        let expected = request.headers[.ifMatch].map(EntityTags.init)
        let config = try await bridge.run(for: .user(user)) { [accounts = services.accounts, configs = services.configs] in
            let version = try expected.flatMap { tags in try Self.version(of: user, matching: tags, configs) }
            return try apply(accounts, user, version)
        }
        return .json(config.publicJSON, headers: [.eTag: UserTag(config).text])
    }

    /// - Returns: the version to insist on; nil for `If-Match: *`.
    private static func version(
        of user: UserID, matching tags: EntityTags, _ configs: UserConfigManager
    ) throws -> Int? {
        let config = try configs.get(user)
        if tags.isAny { return nil }
        guard tags.matches(UserTag(config).text) else {
            throw ProblemDetails(
                status: 412, code: "version_conflict",
                detail: "the user was changed since; read it again and repeat the change on what it is now")
        }
        return config.version
    }
}

/// The ETag of a user. It names the incarnation besides the version: a user deleted and made again begins at the same
/// version and must not be taken for the old one; and what is shown, for the server's default time zone is part of it.
struct UserTag {
    let text: String

    init(_ config: UserConfig) {
        let seen = Fingerprint.sha256Hex(Array(config.incarnation.utf8) + config.publicJSON.bytes())
        text = "\"\(config.version)-\(seen.prefix(16))\""
    }
}
