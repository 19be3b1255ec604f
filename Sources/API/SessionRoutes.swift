// /users/{id}/sessions and /users/{id}/usage: what was said, and what it cost.

import Foundation
import HTTPTypes
import Hummingbird
import Identity
import NIOCore
import Tenants
import TextFormats
import WireTypes

struct SessionRoutes: RouteGroup {
    /// Longest title of a conversation, in characters.
    static let maxTitle = 200

    let options: APIOptions
    let services: APIServices
    let bridge: BlockingBridge
    let budget: TransferBudget

    var routes: [Route] {
        [
            Route(.get, "/users/{user_id}/sessions", for: .owner) { request, context in try await list(request, context) },
            Route(.get, "/users/{user_id}/sessions/{session_id}", for: .owner) { _, context in try await show(context) },
            Route(.patch, "/users/{user_id}/sessions/{session_id}", for: .owner) { request, context in
                try await rename(request, context)
            },
            Route(.delete, "/users/{user_id}/sessions/{session_id}", for: .owner) { _, context in try await delete(context) },
            Route(.get, "/users/{user_id}/sessions/{session_id}/messages", for: .owner) { request, context in
                try await messages(request, context)
            },
            Route(.get, "/users/{user_id}/usage", for: .owner) { request, context in try await usage(request, context) },
        ]
    }

    /// Runs a call on a user's conversations, once it is known that the user exists.
    private func ask<Value: Sendable>(
        _ user: UserID, _ call: @escaping @Sendable (any ConversationDirectory) throws -> Value
    ) async throws -> Value {
        try await bridge.run(for: .user(user)) { [services] in
            try services.workspaces.require(user)
            return try call(services.conversations)
        }
    }

    private func list(_ request: Request, _ context: APIContext) async throws -> Response {
        let user = try context.pathUser()
        let page = try Page(request)
        let withSpawned = try request.queryFlag("spawned")
        let found = try await ask(user) {
            try $0.conversations(of: user, withSpawned: withSpawned, limit: page.fetchCount, after: page.after)
        }
        return page.reply(found.map { (cursor: $0.session.rawValue, json: $0.json) }, to: request)
    }

    private func show(_ context: APIContext) async throws -> Response {
        let (user, session) = try context.pathSession()
        guard let found = try await ask(user, { try $0.conversation(session, of: user) }) else {
            throw ProblemDetails.noSession(session.rawValue)
        }
        return .json(found.json)
    }

    private func rename(_ request: Request, _ context: APIContext) async throws -> Response {
        let (user, session) = try context.pathSession()
        var reader = try ObjectReader(try await request.json(maxBytes: options.maxBodyBytes))
        let title = try reader.require(try reader.string("title", min: 1, max: Self.maxTitle), "title")
        try reader.finish()
        guard !title.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            throw FieldError(field: "title", detail: "must be one line without control characters")
        }
        guard let changed = try await ask(user, { try $0.setTitle(title, session: session, user: user) }) else {
            throw ProblemDetails.noSession(session.rawValue)
        }
        return .json(changed.json)
    }

    private func delete(_ context: APIContext) async throws -> Response {
        let (user, session) = try context.pathSession()
        guard try await ask(user, { try $0.delete(session, user: user) }) else {
            throw ProblemDetails.noSession(session.rawValue)
        }
        return .noContent
    }

    private func messages(_ request: Request, _ context: APIContext) async throws -> Response {
        let (user, session) = try context.pathSession()
        let page = try Page(request)
        let order = try request.queryChoice("order", of: MessageOrder.self) ?? .asc
        let found = try await ask(user) {
            try $0.messages(of: session, user: user, order: order, limit: page.fetchCount, after: page.after)
        }
        guard let found else { throw ProblemDetails.noSession(session.rawValue) }
        let count = min(page.limit, found.ids.count)
        var headers = page.headers(found.ids, to: request)
        guard found.sizes[..<count].reduce(0, +) > PacedWriter.piece else {
            let rows = try await bridge.run(for: .user(user)) { try found.read(0..<count).map(\.json) }
            return .json(.array(rows), headers: headers)
        }
        headers[.contentType] = "application/json"
        // A line, its message and its JSON are in memory at once.
        let largest = max(PacedWriter.piece, 3 * (found.sizes[..<count].max() ?? 0))
        context.notes.note(lease: try await budget.take(largest, for: context.caller.user, on: context.channel))
        return Response(status: .ok, headers: headers, body: body(found, count, of: user))
    }

    /// The array, about a piece at a time.
    private func body(_ page: ConversationPage, _ count: Int, of user: UserID) -> ResponseBody {
        ResponseBody { [bridge] writer in
            var next = 0
            while next < count {
                let start = next
                var size = 0
                repeat {
                    size += page.sizes[next]
                    next += 1
                } while next < count && size + page.sizes[next] <= PacedWriter.piece
                let range = start..<next
                let bytes = try await bridge.run(for: .user(user)) {
                    try page.read(range).reduce(into: [UInt8]()) { bytes, message in
                        bytes.append(UInt8(ascii: bytes.isEmpty && start == 0 ? "[" : ","))
                        bytes += message.json.bytes()
                    }
                }
                try await writer.write(ByteBuffer(bytes: bytes))
            }
            try await writer.write(ByteBuffer(string: "]"))
            try await writer.finish(nil)
        }
    }

    /// Oldest first; the cursor is a place in the user's usage file.
    private func usage(_ request: Request, _ context: APIContext) async throws -> Response {
        let user = try context.pathUser()
        let page = try Page(request)
        guard let offset = Request.wholeNumber(page.after ?? "0") else {
            throw FieldError(field: "after", detail: "must be the cursor of the page before")
        }
        let found = try await bridge.run(for: .user(user)) { [workspaces = services.workspaces] in
            try workspaces.open(user).usage(from: offset, limit: page.limit)
        }
        guard !found.isPastEnd else {
            throw FieldError(field: "after", detail: "must be the cursor of the page before")
        }
        var rows = found.entries.map { (cursor: "", json: $0) }
        if let next = found.next, let last = rows.indices.last, rows.count == page.limit {
            rows[last].cursor = "\(next)"
            rows.append((cursor: "", json: .null))  // never shown: says only that there may be more
        }
        return page.reply(rows, to: request)
    }
}

extension APIContext {
    fileprivate func pathSession() throws(ProblemDetails) -> (UserID, SessionID) {
        let user = try pathUser()
        let raw = try pathValue("session_id")
        do { return (user, try SessionID(raw)) } catch { throw .noSession(raw) }
    }
}

extension ProblemDetails {
    fileprivate static func noSession(_ id: String) -> ProblemDetails {
        ProblemDetails(status: 404, code: "session_not_found", detail: "no session \"\(id.prefix(128))\"")
    }
}

extension ConversationSummary {
    fileprivate var json: JSON {
        [
            "session_id": .string(session.rawValue), "title": JSON(title),
            "created_at": .string(RFC3339.string(createdAt)), "updated_at": .string(RFC3339.string(updatedAt)),
            "message_count": JSON(messageCount), "spawned": .bool(isSpawned),
        ]
    }
}

extension ConversationMessage {
    fileprivate var json: JSON {
        [
            "id": .string(id), "role": .string(role), "content": .string(content),
            "created_at": JSON(createdAt.map(RFC3339.string)), "job_id": JSON(jobID),
            "interrupted": .bool(isInterrupted), "stopped": JSON(stopped),
        ]
    }
}
