// `schedule add`: a schedule of a user's own.

import ArgumentParser
import Foundation
import Jobs
import Runtime
import Scheduler
import Tenants
import TextFormats

struct AddSchedule: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add a schedule.",
        discussion: """
            With --message it sends a chat message, otherwise it orders a report.

            Examples:
              nanobot schedule add alice "monday 08:00" --report-type weekly
              nanobot schedule add alice "*/30 9-17 * * mon-fri" --focus-area chips
              nanobot schedule add alice PT6H --message "Check my watchlist for news."
            """)

    @Argument(help: ArgumentHelp("The user.", valueName: "user-id")) var user: String
    @Argument(help: ArgumentHelp("When: see `nanobot schedule --help`.", valueName: "expression"))
    var expression: String

    @Option(help: "Form of the expression: daily, weekly, cron, every or at. (default: as it looks)")
    var kind: ScheduleKind?
    @Option(help: ArgumentHelp("IANA time zone. (default: the user's)", valueName: "zone")) var timezone: String?
    @Option(help: ArgumentHelp("Send this chat message.", valueName: "text")) var message: String?
    @Option(help: ArgumentHelp("Conversation of the message.", valueName: "id")) var session: String?
    @Option(help: "Kind of report: daily, weekly, monthly or custom.") var reportType: ReportType?
    @Option(help: ArgumentHelp("What the report shall answer.", valueName: "text")) var customPrompt: String?
    @Option(help: ArgumentHelp("A matter to look at closely; may be repeated.", valueName: "text"))
    var focusArea: [String] = []
    @Option(help: "Form of the report: markdown, html, json or text.") var format: ReportFormat?
    @Option(help: ArgumentHelp("Model.", valueName: "name")) var model: String?
    @Option(help: "Fire times missed while nothing ran: latest, all or skip. (default: latest)")
    var misfire: Schedule.Misfire?
    @Option(help: "While the last run's job has not ended: skip or queue. (default: skip)")
    var overlap: Schedule.Overlap?
    @Option(help: ArgumentHelp("The schedule's id. (default: a random one)", valueName: "id")) var id: String?
    @Flag(help: "Add it paused.") var paused = false

    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func validate() throws {
        let isReport = reportType != nil || customPrompt != nil || !focusArea.isEmpty || format != nil
        if message != nil, isReport { throw ValidationError("--message is for a chat; leave report options out.") }
        if message == nil, session != nil { throw ValidationError("--session needs --message.") }
    }

    func run() throws {
        if let service = try common.service() {
            return try RemoteSchedules(service: service, common: common, user: user).add(request, id: id)
        }
        let user = try UserID(user)
        let services = try common.open()
        let view = try services.scheduler.create(user, request, id: id)
        let clock = common.clock(services)
        let next = view.schedule.isEnabled ? "next run \(clock.text(view.nextRun, of: user))" : "paused"
        try common.answer(view.json, ["\(view.id)  \(view.schedule.expression.kind.rawValue), \(next)"])
    }

    private var request: JSON {
        var members: JSONObject = ["expression": .string(expression), "job": job]
        members["kind"] = kind.map { .string($0.rawValue) }
        members["timezone"] = timezone.map { .string($0) }
        members["misfire"] = misfire.map { .string($0.rawValue) }
        members["overlap"] = overlap.map { .string($0.rawValue) }
        if paused { members["enabled"] = false }
        return .object(members)
    }

    private var job: JSON {
        var job: JSONObject = ["kind": message == nil ? "report" : "chat"]
        job["message"] = message.map { .string($0) }
        job["session_id"] = session.map { .string($0) }
        job["report_type"] = reportType.map { .string($0.rawValue) }
        job["custom_prompt"] = customPrompt.map { .string($0) }
        if !focusArea.isEmpty { job["focus_areas"] = JSON(focusArea) }
        job["format"] = format.map { .string($0.rawValue) }
        job["model"] = model.map { .string($0) }
        return .object(job)
    }
}
