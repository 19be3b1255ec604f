// /users/{id}/files and /file: a user's workspace as files, and /export: all of it in one archive. A path is a query parameter,
// since it holds slashes. What an uploaded file says is never run: it comes back as an attachment, in a sandbox.

import DurableFiles
import Foundation
import HTTPTypes
import Hummingbird
import Identity
import NIOCore
import Synchronization
import Tenants
import TextFormats
import WireTypes

struct FileRoutes: RouteGroup {
    let options: APIOptions
    let services: APIServices
    let bridge: BlockingBridge
    let budget: TransferBudget

    var routes: [Route] {
        let one = "/users/{user_id}/file"
        return [
            Route(.get, "/users/{user_id}/files", for: .owner) { request, context in try await list(request, context) },
            Route(.get, one, for: .owner) { request, context in try await read(request, context) },
            Route(.put, one, for: .owner) { request, context in try await write(request, context) },
            Route(.delete, one, for: .owner) { request, context in try await remove(request, context) },
            Route(.get, "/users/{user_id}/export", for: .owner) { request, context in try await export(context) },
        ]
    }

    private func ask<Value: Sendable>(
        _ user: UserID, _ call: @escaping @Sendable (WorkspaceFiles) throws -> Value
    ) async throws -> Value {
        try await bridge.run(for: .user(user)) { [services] in
            let workspace = try services.workspaces.open(user)
            return try call(WorkspaceFiles(workspace, allowedBytes: services.budgets.limits(of: user).diskMB << 20))
        }
    }

    private static func path(_ request: Request) throws(FieldError) -> String {
        guard let path = request.query("path") else {
            throw FieldError(field: "path", detail: "is required: the file's path")
        }
        return path
    }

    // MARK: - Files

    private func list(_ request: Request, _ context: APIContext) async throws -> Response {
        let user = try context.pathUser()
        let page = try Page(request)
        let folder = request.query("path") ?? ""
        let entries = try await ask(user) { try $0.list(folder) }
        let rows = entries.filter { entry in page.after.map { entry.name > $0 } ?? true }.prefix(page.fetchCount)
        return page.reply(rows.map { (cursor: $0.name, json: Self.row($0)) }, to: request)
    }

    private static func row(_ entry: SealedEntry) -> JSON {
        [
            "path": .string(entry.path), "kind": entry.kind == .directory ? "folder" : "file",
            "size": entry.kind == .directory ? .null : JSON(entry.size),
            "modified_at": .string(RFC3339.string(entry.modified)),
        ]
    }

    private func read(_ request: Request, _ context: APIContext) async throws -> Response {
        let user = try context.pathUser()
        let path = try Self.path(request)
        let lease = try await budget.take(PacedWriter.piece, for: context.caller.user, on: context.channel)
        let (file, fingerprint) = try await ask(user) {
            let file = try $0.open(path)
            return (file, try WorkspaceFiles.fingerprint(of: file))
        }
        var headers: HTTPFields = [.contentDisposition: Self.disposition(path), .contentType: Self.mediaType(path)]
        headers[.contentSecurityPolicy] = "default-src 'none'; sandbox"
        let pieces = FilePieces(file, fingerprint: fingerprint)
        let body = ResponseBody(contentLength: pieces.size) { [bridge] writer in
            while let piece = try await bridge.run(for: .user(user), { try pieces.next() }) {
                try await writer.write(ByteBuffer(bytes: piece))
            }
            try await writer.finish(nil)
        }
        context.notes.note(lease: lease)
        return .tagged(body, tag: Self.tag(fingerprint), for: request, headers: headers)
    }

    private func write(_ request: Request, _ context: APIContext) async throws -> Response {
        let user = try context.pathUser()
        let path = try Self.path(request)
        let bytes = try await request.bytes(maxBytes: WorkspaceFiles.maximumFile)
        let condition = Condition(request)
        let (isNew, fingerprint) = try await ask(user) {
            try Self.checkText(path, bytes)
            return (try $0.write(path, bytes, check: condition.check), Fingerprint.sha256Hex(bytes))
        }
        let answer: JSON = ["path": .string(path), "size": JSON(bytes.count)]
        return .json(answer, status: isNew ? .created : .ok, headers: [.eTag: Self.tag(fingerprint)])
    }

    private func remove(_ request: Request, _ context: APIContext) async throws -> Response {
        let user = try context.pathUser()
        let path = try Self.path(request)
        let condition = Condition(request)
        guard try request.queryFlag("recursive") else {
            try await ask(user) { try $0.remove(path, check: condition.check) }
            return .noContent
        }
        guard !condition.isGiven else {
            throw FieldError(field: "recursive", detail: "cannot be combined with If-Match or If-None-Match: a folder has no tag")
        }
        let departure = try await context.channel.pipeline.handler(type: ClientDeparture.self).get()
        let flag = DepartureFlag()
        let key = departure.add { flag.raise() }
        defer { departure.remove(key) }
        try await ask(user) { try $0.removeTree(path) { flag.isRaised } }
        return .noContent
    }

    /// Whether no caller waits for the answer any more.
    private final class DepartureFlag: Sendable {
        private let value = Atomic(false)
        var isRaised: Bool { value.load(ordering: .relaxed) }
        func raise() { value.store(true, ordering: .relaxed) }
    }

    /// If-Match and If-None-Match of a change (RFC 9110, 13.1).
    private struct Condition: Sendable {
        private let mustMatch: EntityTags?
        private let mustNotMatch: EntityTags?

        var isGiven: Bool { mustMatch != nil || mustNotMatch != nil }

        init(_ request: Request) {
            mustMatch = request.headers[.ifMatch].map(EntityTags.init)
            mustNotMatch = request.headers[.ifNoneMatch].map(EntityTags.init)
        }

        /// nil: there is none.
        var check: ((String?) throws -> Void)? {
            guard mustMatch != nil || mustNotMatch != nil else { return nil }
            return { current in
                let isRight = mustMatch.map { tags in current.map { tags.matches(FileRoutes.tag($0)) } ?? false } ?? true
                let isTaken =
                    mustNotMatch.map { tags in current.map { tags.matches(FileRoutes.tag($0)) } ?? false } ?? false
                guard isRight, !isTaken else {
                    throw WorkspaceFileError(
                        .versionConflict, "the file is not what it was; read it again and repeat the change")
                }
            }
        }
    }

    /// A table or a document that cannot be read would only show when a report is due.
    private static func checkText(_ path: String, _ bytes: [UInt8]) throws {
        let name = path.lowercased()
        guard ["csv", "tsv", "md", "txt", "json", "jsonl", "html"].contains(where: { name.hasSuffix(".\($0)") }) else {
            return
        }
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw ProblemDetails(
                status: 409, code: "not_text", detail: "a file of this name must be text in UTF-8", field: "body")
        }
        guard name.hasSuffix(".json") else { return }
        do throws(JSONError) {
            try JSON.check(bytes, limits: JSON.Limits(maxBytes: WorkspaceFiles.maximumFile))
        } catch {
            throw ProblemDetails(
                status: 409, code: "not_json", detail: "the file is not valid JSON: \(error)", field: "body")
        }
    }

    fileprivate static func tag(_ fingerprint: String) -> String { "\"\(fingerprint.prefix(32))\"" }

    private static func mediaType(_ path: String) -> String {
        switch path.lowercased().split(separator: ".").last {
        case "md"?: "text/markdown; charset=utf-8"
        case "csv"?: "text/csv; charset=utf-8"
        case "json"?: "application/json"
        case "jsonl"?: "application/x-ndjson"
        case "txt"?, "tsv"?: "text/plain; charset=utf-8"
        case "html"?: "text/html; charset=utf-8"
        default: "application/octet-stream"
        }
    }

    /// The name in the form of RFC 6266, for every script.
    private static func disposition(_ path: String) -> String {
        let name = path.split(separator: "/").last.map(String.init) ?? "file"
        let unreserved = CharacterSet(
            charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
        return "attachment; filename*=UTF-8''\(name.addingPercentEncoding(withAllowedCharacters: unreserved) ?? "file")"
    }

    // MARK: - Export

    private func export(_ context: APIContext) async throws -> Response {
        let user = try context.pathUser()
        let caller = context.caller.user
        let lease = try await budget.take(PacedWriter.piece, for: caller, on: context.channel)
        let archive = try await bridge.run(for: .user(user)) { [services, options] in
            try UserArchive(
                user, workspaces: services.workspaces, jobs: services.jobs, tokens: services.tokens.store, now: options.now())
        }
        var headers: HTTPFields = [.contentType: "application/x-tar"]
        headers[.contentDisposition] = "attachment; filename=\"\(user.rawValue).tar\""
        headers[.contentSecurityPolicy] = "default-src 'none'; sandbox"
        // The names of a large workspace are more than a piece.
        let names = try budget.takeNow(archive.nameBytes, for: caller)
        context.notes.note(lease: lease)
        let body = ResponseBody { [bridge] writer in
            defer { withExtendedLifetime(names) {} }
            while let piece = try await bridge.run(for: .user(user), { try archive.next() }) {
                try await writer.write(ByteBuffer(bytes: piece))
            }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: headers, body: body)
    }
}

extension ProblemDetails {
    init(_ error: WorkspaceFileError) {
        let status: Int
        switch error.code {
        case .pathNotAllowed: status = 422
        case .notAFile: status = 409
        case .protected: status = 403
        case .notFound: status = 404
        case .tooLarge: status = 413
        case .diskQuota: status = 507
        case .versionConflict: status = 412
        case .storage, .lockTimeout: status = 503
        }
        self.init(
            status: status, code: error.code.rawValue, detail: error.detail, field: status == 422 ? "path" : nil,
            retryAfter: status == 503 ? 5 : nil)
    }
}

extension HTTPField.Name {
    static let contentSecurityPolicy = HTTPField.Name("Content-Security-Policy")!
}
