// /users/{id}/files and /file: a user's workspace as files, and /export: all of it in one archive. A path is a query parameter,
// since it holds slashes. What an uploaded file says is never run: it comes back as an attachment, in a sandbox.

import DurableFiles
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization
import Tenants
import TextFormats
import WireTypes

struct FileRoutes: RouteGroup {
    let options: APIOptions
    let services: APIServices
    let bridge: BlockingBridge

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
        try await bridge.run { [services] in
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
        let bytes = try await ask(user) { try $0.read(path) }
        var headers: HTTPFields = [.contentDisposition: Self.disposition(path)]
        headers[.contentSecurityPolicy] = "default-src 'none'; sandbox"
        return .tagged(bytes, mediaType: Self.mediaType(path), tag: Self.tag(bytes), for: request, headers: headers)
    }

    private func write(_ request: Request, _ context: APIContext) async throws -> Response {
        let user = try context.pathUser()
        let path = try Self.path(request)
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > WorkspaceFiles.maximumFile {
            throw ProblemDetails.tooLarge(WorkspaceFiles.maximumFile)
        }
        let buffer: ByteBuffer
        do {
            buffer = try await request.body.collect(upTo: WorkspaceFiles.maximumFile)
        } catch is NIOTooManyBytesError {
            throw ProblemDetails.tooLarge(WorkspaceFiles.maximumFile)
        }
        let bytes = Array(buffer.readableBytesView)
        try Self.checkText(path, bytes)
        let condition = Condition(request)
        let isNew = try await ask(user) { try $0.write(path, bytes, check: condition.check) }
        let answer: JSON = ["path": .string(path), "size": JSON(bytes.count)]
        return .json(answer, status: isNew ? .created : .ok, headers: [.eTag: Self.tag(bytes)])
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

    /// Whether nobody waits for the answer any more.
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

        func check(_ current: [UInt8]?) throws {
            let isRight = mustMatch.map { tags in current.map { tags.matches(FileRoutes.tag($0)) } ?? false } ?? true
            let isTaken =
                mustNotMatch.map { tags in current.map { tags.matches(FileRoutes.tag($0)) } ?? false } ?? false
            guard isRight, !isTaken else {
                throw WorkspaceFileError(
                    .versionConflict, "the file is not what it was; read it again and repeat the change")
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
            _ = try JSON.parse(bytes, limits: JSON.Limits(maxBytes: WorkspaceFiles.maximumFile))
        } catch {
            throw ProblemDetails(
                status: 409, code: "not_json", detail: "the file is not valid JSON: \(error)", field: "body")
        }
    }

    fileprivate static func tag(_ bytes: [UInt8]) -> String { "\"\(Fingerprint.sha256Hex(bytes).prefix(32))\"" }

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
        let archive = try await bridge.run { [services, options] in
            try UserArchive(user, services: services, now: options.now())
        }
        var headers: HTTPFields = [.contentType: "application/x-tar"]
        headers[.contentDisposition] = "attachment; filename=\"\(user.rawValue).tar\""
        headers[.contentSecurityPolicy] = "default-src 'none'; sandbox"
        let body = ResponseBody { [bridge] writer in
            var writer = writer
            while let piece = try await bridge.run({ try archive.next() }) {
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
        case .storage: status = 503
        }
        self.init(
            status: status, code: error.code.rawValue, detail: error.detail, field: status == 422 ? "path" : nil,
            retryAfter: status == 503 ? 5 : nil)
    }
}

extension HTTPField.Name {
    static let contentSecurityPolicy = HTTPField.Name("Content-Security-Policy")!
}
