// GET /schedule and /users/{id}/schedules: when jobs are submitted by themselves.

import Foundation
import HTTPTypes
import Hummingbird
import Identity
import Jobs
import Scheduler
import Spool
import Tenants
import TextFormats
import WireTypes

struct ScheduleRoutes: RouteGroup {
    /// Fire times shown by GET /schedule.
    private static let shownFires = 10

    let options: APIOptions
    let services: APIServices
    let bridge: BlockingBridge

    var routes: [Route] {
        let one = "/users/{user_id}/schedules/{schedule_id}"
        return [
            Route(.get, "/schedule", for: .owner) { request, context in try await overview(request, context) },
            Route(.get, "/users/{user_id}/schedules", for: .owner) { request, context in try await list(request, context) },
            Route(.post, "/users/{user_id}/schedules", for: .owner) { request, context in try await create(request, context) },
            Route(.get, one, for: .owner) { _, context in
                .json(try await ask(context) { try $0.view($1, $2) }.json)
            },
            Route(.patch, one, for: .owner) { request, context in
                let body = try await request.json(maxBytes: options.maxBodyBytes)
                return .json(try await ask(context) { try $0.update($1, $2, body) }.json)
            },
            Route(.delete, one, for: .owner) { _, context in
                guard try await ask(context, { try $0.remove($1, $2) }) else {
                    throw ProblemDetails(
                        status: 404, code: "schedule_not_found",
                        detail: "there is no schedule \"\(try context.pathValue("schedule_id").prefix(64))\"")
                }
                return .noContent
            },
            Route(.post, "\(one)/run", for: .owner) { request, context in try await run(request, context) },
            Route(.get, "\(one)/history", for: .owner) { _, context in
                let runs = try await ask(context) { try $0.history($1, $2).map(Self.row) }
                return .json(.array(runs))
            },
        ]
    }

    /// Runs a call about the schedule the path names.
    private func ask<Value: Sendable>(
        _ context: APIContext, _ call: @escaping @Sendable (ReportScheduler, UserID, String) throws -> Value
    ) async throws -> Value {
        let user = try context.pathUser()
        let id = try context.pathValue("schedule_id")
        return try await bridge.run(for: .user(user)) { [scheduler = services.scheduler] in try call(scheduler, user, id) }
    }

    private func overview(_ request: Request, _ context: APIContext) async throws -> Response {
        guard let raw = try context.queryUser(request) else {
            throw FieldError(field: "user_id", detail: "is required")
        }
        let user: UserID
        do { user = try UserID(raw) } catch { throw ProblemDetails.userNotFound(raw) }
        try context.admit(user)
        let summary = try await bridge.run(for: .user(user)) { [scheduler = services.scheduler] in
            try scheduler.summary(user, limit: Self.shownFires)
        }
        return .json(summary.json)
    }

    private func list(_ request: Request, _ context: APIContext) async throws -> Response {
        let user = try context.pathUser()
        let page = try Page(request)
        let all = try await bridge.run(for: .user(user)) { [scheduler = services.scheduler] in try scheduler.schedules(user) }
        let start = page.after.map { after in (all.firstIndex { $0.id == after } ?? all.count - 1) + 1 } ?? 0
        let shown = all[min(start, all.count)...].prefix(page.fetchCount)
        return page.reply(shown.map { (cursor: $0.id, json: $0.json) }, to: request)
    }

    private func create(_ request: Request, _ context: APIContext) async throws -> Response {
        let user = try context.pathUser()
        let body = try await request.json(maxBytes: options.maxBodyBytes)
        // The id follows from the key, so that repeating the call finds the schedule it made.
        let key = try request.idempotencyKey()
        let id = key.map { "k\(Fingerprint.sha256Hex(Array("\(user)\n\($0)".utf8)).prefix(24))" }
        let made = try await bridge.run(for: .user(user)) { [scheduler = services.scheduler] in
            do throws(ScheduleError) {
                return try scheduler.create(user, body, id: id)
            } catch {
                guard error.code == .conflict, id != nil else { throw error }
                throw ProblemDetails(
                    status: 422, code: "idempotency_conflict",
                    detail: "the Idempotency-Key was used with another schedule", field: "Idempotency-Key")
            }
        }
        return .json(made.json, status: .created, headers: [.location: "/users/\(user)/schedules/\(made.id)"])
    }

    private func run(_ request: Request, _ context: APIContext) async throws -> Response {
        try await request.noBody()
        let key = try request.idempotencyKey()
        let (jobs, now) = (services.jobs, options.now)
        let (id, notices) = try await ask(context) { scheduler, user, id -> (JobID, [String]) in
            let view = try scheduler.view(user, id)
            guard let key else { return (try scheduler.runNow(user, id, requestID: context.requestID), view.notices) }
            var members = view.schedule.job.object ?? [:]
            members["user_id"] = .string(user.rawValue)
            members["idempotency_key"] = .string(key)
            let job = try JobRequest.parse(.object(members), now: now())
            let submitted = try jobs.submit(
                job, for: context, source: .schedule, route: "POST /schedules/\(id)/run")
            return (submitted.id, view.notices)
        }
        let view = try await bridge.run(for: .user(try context.pathUser())) { try jobs.view(id) }
        let ticket = JobTicket(jobID: "\(id)", status: (view?.state ?? .queued).rawValue, notices: notices)
        return .accepted(ticket.json, location: ticket.statusURL)
    }

    private static func row(_ run: (run: ScheduleRun, state: JobState?)) -> JSON {
        var status = run.run.status.rawValue
        if run.run.status == .submitted, let state = run.state { status = state.rawValue }
        return [
            "fire_time": .string(RFC3339.string(run.run.fireTime)), "job_id": JSON(run.run.jobID),
            "status": .string(status), "detail": JSON(run.run.detail),
        ]
    }
}
