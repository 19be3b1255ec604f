// POST /reports, GET and DELETE /reports/{id}, GET /users/{id}/reports. A report's id is its job's id, everywhere.

import Foundation
import HTTPTypes
import Hummingbird
import Identity
import Jobs
import Spool
import Tenants
import TextFormats
import WireTypes

struct ReportRoutes: RouteGroup {
    let options: APIOptions
    let services: APIServices
    let bridge: BlockingBridge
    let budget: TransferBudget
    let waiter: JobWaiter
    let answers: ReportAnswers
    let endings: JobEndings

    var routes: [Route] {
        [
            Route(.post, "/reports", for: .owner) { request, context in try await order(request, context) },
            Route(.get, "/reports/{report_id}", for: .owner) { request, context in try await show(request, context) },
            Route(.delete, "/reports/{report_id}", for: .owner) { _, context in try await delete(context) },
            Route(.get, "/users/{user_id}/reports", for: .owner) { request, context in try await list(request, context) },
        ]
    }

    private func order(_ request: Request, _ context: APIContext) async throws -> Response {
        let body = try await request.json(maxBytes: options.maxBodyBytes)
        var call = try JobCall(body, kind: .report, request: request, caller: context.caller, now: options.now())
        let bodyWait = try call.takeWait(max: options.maxWait)
        let wait = try request.wait(max: options.maxWait) ?? bodyWait ?? 0
        let job = try call.job()
        try context.admit(job.userID)
        let submitted = try await bridge.run(for: .user(job.userID)) { [jobs = services.jobs] in
            try jobs.submit(job, for: context, route: "POST /reports")
        }
        let ticket = ReportTicket(
            reportID: "\(submitted.id)", userID: "\(job.userID)", status: submitted.state.rawValue,
            notices: job.notices)
        var response = try await ended(submitted.id, waiting: wait, notices: job.notices, request, context)
            ?? .accepted(ticket.json, location: ticket.statusURL)
        response.headers[.location] = ticket.statusURL
        response.headers[.preferenceApplied] = request.appliedPreference(wait: wait)
        return response
    }

    /// The report as GET /reports/{id} gives it, if its job ends in time; nil: it goes on.
    private func ended(
        _ id: JobID, waiting wait: Double, notices: [String], _ request: Request, _ context: APIContext
    ) async throws -> Response? {
        guard wait > 0 else { return nil }
        let view = try await waiter.view(id, waiting: wait, context: context)
        guard view.state.isFinal else { return nil }
        try await reserve(view, context)
        return try await state(view, notices: notices, for: request)
    }

    private func show(_ request: Request, _ context: APIContext) async throws -> Response {
        let id = try context.pathJob("report_id")
        let wait = try request.wait(max: options.maxWait) ?? 0
        let types = ["application/json", "text/html", "text/markdown"]
        let type = AcceptHeader(request.headers[values: .accept]).best(of: types)
        if type != "text/html", type != "text/markdown", let kept = answers.find(id), context.caller.reaches(kept.user) {
            return .tagged(
                kept.body, mediaType: "application/json", tag: kept.tag, for: request, headers: [.vary: "Accept"])
        }
        let view = try await waiter.view(id, waiting: wait, context: context)
        try await reserve(view, context)
        guard view.kind == .report else {
            throw ProblemDetails.noReport("\(id)")
        }
        switch type {
        case "text/html":
            return try await document(view, as: .html, mediaType: "text/html", for: request, context)
        case "text/markdown":
            return try await document(view, as: .markdown, mediaType: "text/markdown", for: request, context)
        default: return try await state(view, for: request)
        }
    }

    /// The memory of a large text and of the answer that is made of it, before either is there.
    private func reserve(_ view: JobView, _ context: APIContext) async throws {
        guard view.kind == .report, view.state == .completed else { return }
        let id = "\(view.id)"
        let size = try await bridge.run(for: .user(view.userID)) { [reports = services.reports] in
            try reports.size(of: id, user: view.userID)
        }
        guard let size, size > TransferMiddleware.uncounted else { return }
        context.notes.note(lease: try await budget.take(3 * size, for: context.caller.user, on: context.channel))
    }

    /// - Parameter notices: what the answer to the order says beside the report.
    private func state(_ view: JobView, notices: [String] = [], for request: Request) async throws -> Response {
        let (found, stamp) = view.state == .completed ? try await stampedText(view) : (nil, nil)
        if view.state == .completed, found == nil { throw ProblemDetails.reportGone(view.id) }
        let report = ReportView(
            reportID: "\(view.id)", userID: "\(view.userID)", status: view.state.rawValue, progress: view.progress,
            content: found?.text, format: found?.format.rawValue,
            errorMessage: view.error?.userDetail,
            createdAt: view.createdAt, completedAt: view.completedAt)
        var headers: HTTPFields = [.vary: "Accept"]
        if !view.state.isFinal { headers[.retryAfter] = "1" }
        var members = report.json.object ?? [:]
        if !notices.isEmpty { members["notices"] = JSON(notices) }
        let body = JSON.object(members).bytes()
        let tag = "\"\(Fingerprint.sha256Hex(body).prefix(32))\""
        if let found, notices.isEmpty { answers.keep(body, tag, of: view, format: found.format, stamp: stamp) }
        return .tagged(body, mediaType: "application/json", tag: tag, for: request, headers: headers)
    }

    /// The text as it was asked for, and what its files looked like before it was read.
    private func stampedText(_ view: JobView) async throws -> (ReportText?, ReportStamp?) {
        let id = "\(view.id)"
        let user = view.userID
        return try await bridge.run(for: .user(user)) { [reports = services.reports] in
            // The format is known once the text has been read; what changes in between is seen by the second look.
            guard let first = try reports.text(of: id, user: user, format: nil) else { return (nil, nil) }
            guard first.text.utf8.count <= ReportAnswers.largest,
                let stamp = reports.stamp(of: id, user: user, format: first.format)
            else { return (first, nil) }
            return (try reports.text(of: id, user: user, format: nil), stamp)
        }
    }

    /// The report itself.
    /// - Throws: 409 `report_not_ready`, 502 `job_failed`, 429 of a budget, 409 `job_cancelled`, 404 when its file is gone, 413
    ///   `report_too_large`.
    private func document(
        _ view: JobView, as format: ReportFormat, mediaType: String, for request: Request, _ context: APIContext
    ) async throws -> Response {
        switch view.state {
        case .completed: break
        case .queued, .running:
            throw ProblemDetails(
                status: 409, code: "report_not_ready", detail: "the report is \(view.state.rawValue)",
                jobID: "\(view.id)", retryAfter: 1)
        case .failed, .cancelled: throw await endings.problem(of: view)
        }
        guard let found = try await text(view, format: format, context) else {
            throw ProblemDetails.reportGone(view.id)
        }
        var headers = HTMLPolicy.headers(HTMLPolicy.still)
        headers[.vary] = "Accept"
        return .tagged(
            Array(found.text.utf8), mediaType: "\(mediaType); charset=utf-8", for: request, headers: headers)
    }

    private func text(_ view: JobView, format: ReportFormat?, _ context: APIContext) async throws -> ReportText? {
        let id = view.reportID ?? "\(view.id)"
        let user = view.userID
        return try await bridge.run(for: .user(user), of: context.departure) { [reports = services.reports] isGone in
            try reports.text(of: id, user: user, format: format, stoppingIf: isGone)
        }
    }

    /// The files go; the job's record stays as long as every job's does, so that a repeated order with the same idempotency key
    /// makes no second report.
    /// - Throws: 409 `report_not_ready` while its job has not ended, 409 `invalid_state` of a job that ended without a report; 404
    ///   `report_not_found`, also for the second time.
    private func delete(_ context: APIContext) async throws -> Response {
        let id = try context.pathValue("report_id")
        let caller = context.caller
        let isThere = try await bridge.run(for: caller.owner) { [services] in
            do {
                guard let user = try Self.owner(of: id, for: caller, services) else { return false }
                return try services.reports.remove(id, user: user)
            } catch let error as TenantError where error.code == .invalidField {
                // No report can have such an id.
                return false
            }
        }
        guard isThere else { throw ProblemDetails.noReport(id) }
        return .noContent
    }

    /// Whose report it is, if the caller reaches it. Of a job that is forgotten the workspaces know.
    private static func owner(of id: String, for caller: Caller, _ services: APIServices) throws -> UserID? {
        if let job = try JobID(id).flatMap(services.jobs.view) {
            guard job.kind == .report, caller.reaches(job.userID) else { return nil }
            guard job.state.isFinal else {
                throw ProblemDetails(
                    status: 409, code: "report_not_ready",
                    detail: "the report is \(job.state.rawValue); POST /jobs/\(job.id)/cancel ends it", jobID: "\(job.id)")
            }
            guard job.state == .completed else {
                throw ProblemDetails(
                    status: 409, code: "invalid_state", detail: "the report is \(job.state.rawValue): it has no text to delete",
                    jobID: "\(job.id)")
            }
            return job.userID
        }
        if let user = caller.user { return user }
        return try services.workspaces.list().first { try services.reports.size(of: id, user: $0) != nil }
    }

    private func list(_ request: Request, _ context: APIContext) async throws -> Response {
        let user = try context.pathUser()
        let page = try Page(request)
        let rows = try await bridge.run(for: .user(user)) { [services] in
            try services.workspaces.require(user)
            return try services.reports.reports(of: user, limit: page.fetchCount, after: page.after).map { report in
                (cursor: report.id, json: report.json(user: user, state: try Self.state(of: report, services.jobs)))
            }
        }
        return page.reply(rows, to: request)
    }

    /// The state of the report's job. A report is on disk a moment before its job is completed, and longer where a crash
    /// came between the two. Of a job that is forgotten only a completed one has left a report.
    private static func state(of report: ReportSummary, _ jobs: JobClient) throws -> JobState {
        guard let id = JobID(report.id) else { return .completed }
        if let known = jobs.known(id) { return known.view.state }
        return try jobs.view(id)?.state ?? .completed
    }
}

extension ProblemDetails {
    fileprivate static func noReport(_ id: String) -> ProblemDetails {
        ProblemDetails(status: 404, code: "report_not_found", detail: "no report \"\(id.prefix(64))\"")
    }

    /// Its job has completed.
    fileprivate static func reportGone(_ id: JobID) -> ProblemDetails {
        ProblemDetails(
            status: 404, code: "report_not_found", detail: "the report was deleted, or its file was removed", jobID: "\(id)")
    }
}

extension ReportSummary {
    fileprivate func json(user: UserID, state: JobState) -> JSON {
        [
            "report_id": .string(id), "user_id": .string(user.rawValue), "report_type": .string(type),
            "status": .string(state.rawValue), "format": .string(format.rawValue), "title": JSON(title), "size_bytes": JSON(size),
            "created_at": .string(RFC3339.string(createdAt)), "url": .string("/reports/\(id)"),
        ]
    }
}

extension WorkspaceManager {
    /// - Throws: `.userNotFound`; nothing is created.
    func require(_ user: UserID) throws {
        guard try exists(user) else { throw ProblemDetails.userNotFound(user.rawValue) }
    }
}
