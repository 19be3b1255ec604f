// `jobs`: the jobs there are, newest first.

import ArgumentParser
import Foundation
import Jobs
import Runtime
import Spool
import Tenants
import TextFormats

struct ListJobs: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jobs",
        abstract: "List jobs, newest first.",
        discussion: """
            Examples:
              nanobot jobs --user alice --limit 5
              nanobot jobs --state failed --json
              nanobot jobs --after 019ac3e4-7f2e-7c41-9d55-0c8e1f6a2b37     # the next page
            """)

    @Option(help: "Only jobs in this state: queued, running, completed, failed or cancelled.")
    var state: JobState?

    @Option(help: ArgumentHelp("Only this user's jobs.", valueName: "id"))
    var user: String?

    @Option(help: "Only jobs of this kind: chat, report or heartbeat.")
    var kind: JobKind?

    @Option(help: ArgumentHelp("How many at most, 1 to 10000.", valueName: "n"))
    var limit = 50

    @Option(help: ArgumentHelp("Only jobs older than this one: the last of the page before.", valueName: "job-id"))
    var after: String?

    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func validate() throws {
        guard (1...10_000).contains(limit) else { throw ValidationError("--limit must be a number from 1 to 10000.") }
    }

    func run() throws {
        let after = try after.map { try common.jobID($0) }
        let user = try user.map { try UserID($0) }
        if let service = try common.service() {
            return try RemoteJobs(service: service, common: common).list(
                state: state?.rawValue, user: user?.rawValue, kind: kind?.rawValue, limit: limit, after: after?.description)
        }
        let services = try common.openExisting()
        // Opened to say that there is no such user; the settings are of no interest.
        if let user { _ = try services.workspaces.open(user) }
        let jobs = try services.client.list(JobFilter(state: state, user: user, kind: kind), limit: limit, after: after)
        try common.answer(.array(jobs.map(\.operatorJSON)), ListJobs.table(jobs, common.clock(services)))
        if jobs.isEmpty { common.remark("no such jobs") }
        if jobs.count == limit, let last = jobs.last, Terminal.output.isInteractive {
            common.remark("there may be more: --after \(last.id)")
        }
    }

    static func table(_ jobs: [JobView], _ clock: Clock) -> [String] {
        guard !jobs.isEmpty else { return [] }
        var table = TextColumns(["ID", "KIND", "USER", "CREATED", "STATUS"])
        for job in jobs {
            table.add([
                job.id.description, job.kind.rawValue, job.userID.rawValue,
                clock.text(job.createdAt, of: job.userID), JobProgress.text(job),
            ])
        }
        return table.lines
    }
}
