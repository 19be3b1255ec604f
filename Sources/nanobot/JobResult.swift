// Waits for a job and prints what came of it: the answer, the report's text, or why there is none. Main thread.

import Foundation
import Jobs
import Runtime
import Spool
import Tenants
import TextFormats

struct JobResult {
    let services: NanobotServices
    let common: CommonOptions

    /// - Throws: CommandFailure `job_failed`, `job_cancelled` (exit 1) or `wait_timeout` (exit 69).
    func wait(for id: JobID, until deadline: Date?) throws {
        let follower = JobFollower(client: services.client)
        defer { follower.stop() }
        var progress = JobProgress(client: services.client, common: common)
        let view = try follower.follow(id, until: deadline) { progress.show($0) }
        Terminal.errors.clearPassing()
        guard view.state.isFinal else {
            throw CommandFailure(
                "wait_timeout",
                "job \(id) is still \(view.state.rawValue) and goes on; `\(common.command("status \(id) --follow"))`",
                .unavailable)
        }
        try print(view)
    }

    /// - Throws: CommandFailure `job_failed` or `job_cancelled`, after the job was printed where JSON is wanted.
    func print(_ view: JobView) throws {
        if common.json { try Terminal.output.json(try complete(view)) }
        switch view.state {
        case .completed:
            if !common.json { try Terminal.output.line(try text(view)) }
        case .failed:
            let why = view.error.map { "\($0.code): \($0.detail)" } ?? "no reason was recorded"
            throw CommandFailure(
                "job_failed", "job \(view.id) failed: \(why) (`\(common.command("retry \(view.id)"))` tries again)")
        case .cancelled: throw CommandFailure("job_cancelled", "job \(view.id) was cancelled")
        case .queued, .running: throw CommandFailure("job_unfinished", "job \(view.id) is \(view.state.rawValue)")
        }
    }

    private func text(_ view: JobView) throws -> String {
        guard let report = view.reportID else { return view.response ?? "" }
        let text = try services.workspaces.open(view.userID).readReport(report).text
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }

    /// The job's JSON; a finished report with its text.
    private func complete(_ view: JobView) throws -> JSON {
        guard view.state == .completed, let id = view.reportID else { return view.operatorJSON }
        var members = view.json.object ?? [:]
        let (report, text) = try services.workspaces.open(view.userID).readReport(id)
        members["format"] = .string(report.format.rawValue)
        members["content"] = .string(text)
        return .object(members)
    }
}
