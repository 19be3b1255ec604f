// The commands about jobs, asked of a service elsewhere (--server): the same answers, exit codes and words as on the files of
// a home, as far as a service tells them. Main thread.

import Foundation
import Jobs
import NanobotClient
import Spool
import TextFormats

struct RemoteJobs {
    let service: ServiceClient
    let common: CommonOptions

    /// Seconds after which a waiting command looks again though nothing changed: clocks on screen move.
    private static let tick = 1.0

    /// The job as the commands print it.
    private func view(_ job: Job) throws -> JobView {
        guard let view = JobView(json: job.json) else {
            throw CommandFailure("unknown_job", "the service shows a job this version cannot read: \(job.json.text().prefix(200))")
        }
        return view
    }

    // MARK: - submit

    func submit(_ members: JSONObject, waits: Bool, limit: Double?) throws {
        let ticket = try service.submit(members)
        if waits { return try finish(ticket.jobID, limit: limit) }
        if common.json { return try Terminal.output.json(try service.job(ticket.jobID).json) }
        try Terminal.output.line(ticket.jobID)
        if Terminal.output.isInteractive {
            Terminal.errors.note("queued; `\(common.command("status \(ticket.jobID) --follow"))` shows how it goes on")
        }
    }

    /// Waits for the end and prints what came of it.
    private func finish(_ id: String, limit: Double?) throws {
        let job = try watched(id, limit: limit)
        guard job.status.isFinal else {
            throw CommandFailure(
                "wait_timeout",
                "job \(id) is still \(job.status.rawValue) and goes on; `\(common.command("status \(id) --follow"))`", .unavailable)
        }
        let report = job.status == .completed && job.kind == "report" ? try service.report(id) : nil
        if common.json {
            var members = job.json.object ?? [:]
            if let report {
                members["format"] = JSON(report.format)
                members["content"] = JSON(report.content)
            }
            try Terminal.output.json(.object(members))
        }
        switch job.status {
        case .completed:
            let text = report?.content ?? job.response ?? ""
            if !common.json { try Terminal.output.line(text.hasSuffix("\n") ? String(text.dropLast()) : text) }
        case .failed:
            let why = job.error.map { "\($0.code): \(job.operatorDetail ?? $0.detail)" } ?? "no reason was recorded"
            throw CommandFailure("job_failed", "job \(id) failed: \(why) (`\(common.command("retry \(id)"))` tries again)")
        default: throw CommandFailure("job_cancelled", "job \(id) was cancelled")
        }
    }

    private func watched(_ id: String, limit: Double?) throws -> Job {
        var look = PauseLook(service: service)
        var progress = JobProgress(common: common) { look.isPaused() }
        let job = try service.wait(for: id, limit: limit, tick: Self.tick) { progress.show(try view($0)) }
        Terminal.errors.clearPassing()
        return job
    }

    // MARK: - status, jobs

    func status(_ id: String, follow: Bool, events: Bool) throws {
        var job = try service.job(id)
        if events {
            try self.events(id, until: follow ? nil : job)
            if follow { job = try service.job(id) }
        } else if follow {
            job = try watched(id, limit: nil)
        }
        let shown = try view(job)
        if !events { try common.answer(job.json, JobText.lines(shown, record: nil, common.clock(service))) }
        var look = PauseLook(service: service)
        if !follow, shown.state == .queued, !common.json, look.isPaused() { common.remark(JobProgress.paused(common)) }
        guard follow, job.status != .completed else { return }
        let why = job.error.map { " (\($0.code): \(job.operatorDetail ?? $0.detail))" } ?? ""
        throw CommandFailure("job_\(job.status.rawValue)", "job \(id) is \(job.status.rawValue)\(why)")
    }

    /// What the service streams of a job. Of one that has not ended, and shall not be followed, only what there is now.
    private func events(_ id: String, until job: Job?) throws {
        let stopsEarly = job.map { !$0.status.isFinal } ?? false
        try service.events(of: id) { event in
            if common.json {
                var object: JSONObject = ["event": .string(event.name.rawValue)]
                object["id"] = event.id.map { .string($0) }
                object["data"] = event.data
                try Terminal.output.line(JSON.object(object).text())
            } else {
                try Terminal.output.line("\(event.name.rawValue)  \(event.data.text())")
            }
            // The last state that was known is where "now" is.
            return !(stopsEarly && event.name == .status && event.data["status"]?.string == job?.status.rawValue)
        }
    }

    func list(state: String?, user: String?, kind: String?, limit: Int, after: String?) throws {
        var jobs: [Job] = []
        var last = after
        var hasMore = true
        while hasMore, jobs.count < limit {
            let page = try service.jobs(
                state: state, user: user, kind: kind, limit: min(limit - jobs.count, RemoteJobs.pageSize), after: last)
            jobs += page.items
            last = page.items.last?.id
            hasMore = page.hasMore && last != nil
        }
        let views = try jobs.map(view)
        try common.answer(.array(jobs.map(\.json)), ListJobs.table(views, common.clock(service)))
        if jobs.isEmpty { common.remark("no such jobs") }
        if hasMore, let last, Terminal.output.isInteractive { common.remark("there may be more: --after \(last)") }
    }

    static let pageSize = 100

    // MARK: - cancel, retry, report

    func cancel(_ ids: [JobID]) throws {
        try EachJob(common: common).run(ids) { try view(try service.cancel($0.description)) } saying: { view in
            view.state.isFinal ? "\(view.id) \(view.state.rawValue)" : "\(view.id) will end in a moment"
        }
    }

    /// - Parameter ids: nil: all dead letters.
    func retry(_ ids: [JobID]?) throws {
        let chosen = try ids ?? deadLetters()
        if chosen.isEmpty { common.remark("there are no dead letters") }
        try EachJob(common: common).run(chosen) { try view(try service.retry($0.description)) } saying: { view in
            "\(view.id) \(view.state.rawValue), run \(view.run)"
        }
    }

    private func deadLetters() throws -> [JobID] {
        var found: [JobID] = []
        var last: String?
        while true {
            let page = try service.jobs(state: "failed", limit: RemoteJobs.pageSize, after: last)
            found += page.items.compactMap { JobID($0.id) }
            guard page.hasMore, let next = page.items.last?.id else { return found.sorted() }
            last = next
        }
    }

    func report(_ id: String) throws {
        let report = try service.report(id)
        guard report.status == "completed", let content = report.content else {
            throw CommandFailure("report_unfinished", "report \(id) is \(report.status)")
        }
        if common.json { return try Terminal.output.json(report.json) }
        try Terminal.output.line(content.hasSuffix("\n") ? String(content.dropLast()) : content)
    }
}

/// Whether a service's queue is paused, asked now and then. A user's token may not know: then it is taken to go on.
private struct PauseLook {
    /// Seconds an answer is good for.
    private static let interval: TimeInterval = 5

    let service: ServiceClient
    private var askedAt: Date?
    private var answer = false
    private var mayAsk = true

    init(service: ServiceClient) { self.service = service }

    mutating func isPaused(now: Date = Date()) -> Bool {
        guard mayAsk, askedAt.map({ now.timeIntervalSince($0) >= Self.interval }) ?? true else { return answer }
        askedAt = now
        do throws(ClientFailure) {
            answer = try service.queue()["paused"] == true
        } catch {
            // The wait itself says what is wrong with the service.
            mayAsk = error.status != 403
            answer = false
        }
        return answer
    }
}
