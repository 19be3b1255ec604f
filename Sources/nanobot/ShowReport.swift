// `report`: the text of a finished report.

import ArgumentParser
import Foundation
import Jobs
import Runtime
import Spool
import Tenants
import TextFormats

struct ShowReport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Print a finished report.",
        discussion: """
            The id of a report is the id of its job. Reports stay in the user's workspace
            (reports/<id>.md and so on) after their jobs were removed.

            Example:
              nanobot report 019ac3e4-7f2e-7c41-9d55-0c8e1f6a2b37 > report.md
            """)

    @Argument(help: ArgumentHelp("The report's id.", valueName: "report-id"))
    var id: String

    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        let id = try common.jobID(id)
        if let service = try common.service() {
            return try RemoteJobs(service: service, common: common).report(id.description)
        }
        let services = try common.openExisting()
        let view = try services.client.view(id)
        if let view {
            guard view.kind == .report else {
                throw CommandFailure("no_report", "job \(id) is a \(view.kind.rawValue); see `nanobot status \(id)`")
            }
            guard view.state == .completed else {
                throw CommandFailure("report_unfinished", "report \(id) is \(JobProgress.text(view))")
            }
        }
        guard let found = try find(id.description, view?.userID, services) else {
            throw CommandFailure("report_not_found", "there is no report \(id)")
        }
        if common.json {
            return try Terminal.output.json([
                "report_id": .string(found.report.id), "user_id": .string(found.user.rawValue),
                "format": .string(found.report.format.rawValue),
                "created_at": .string(RFC3339.string(found.report.createdAt)), "content": .string(found.text),
            ])
        }
        try Terminal.output.line(found.text.hasSuffix("\n") ? String(found.text.dropLast()) : found.text)
    }

    /// In the owner's workspace; where the job is forgotten, in whichever has it.
    private func find(_ id: String, _ owner: UserID?, _ services: NanobotServices) throws -> Found? {
        let users = try owner.map { [$0] } ?? services.workspaces.list()
        for user in users {
            if let found = try read(id, user, services.workspaces) { return found }
        }
        return nil
    }

    private struct Found {
        var user: UserID
        var report: ReportFile
        var text: String
    }

    private func read(_ id: String, _ user: UserID, _ workspaces: WorkspaceManager) throws(TenantError) -> Found? {
        do {
            let (report, text) = try workspaces.open(user).readReport(id)
            return Found(user: user, report: report, text: text)
        } catch {
            if error.code == .reportNotFound || error.code == .userNotFound { return nil }
            throw error
        }
    }
}
