// `schedule …`: a user's schedules, and when an expression fires.

import ArgumentParser
import Foundation
import Jobs
import Runtime
import Scheduler
import Spool
import Tenants
import TextFormats

struct ScheduleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schedule",
        abstract: "Show, add, remove, pause and run schedules; work out fire times.",
        discussion: """
            Expressions: five cron fields, "0 9 * * mon-fri" (names, ranges, steps, lists,
            L, #, @daily …); a time of day, "09:00"; a weekday and a time, "monday 09:00";
            an interval, "PT15M"; a moment in RFC 3339, or without an offset, "2026-12-24T18:00",
            in the schedule's time zone. The schedules daily-report, weekly-report and
            realtime-report follow from the user's preferences.

            Examples:
              nanobot schedule list alice
              nanobot schedule add alice "0 18 * * fri" --report-type weekly
              nanobot schedule add alice 2026-12-24T18:00:00+01:00 --message "Any news?"
              nanobot schedule next "30 2 * * *" --timezone Europe/Berlin --count 3
            """,
        subcommands: [
            List.self, AddSchedule.self, Remove.self, Pause.self, Resume.self, RunNow.self, History.self,
            NextFires.self,
        ])

    @OptionGroup(visibility: .hidden) var common: CommonOptions

    struct Named: ParsableArguments {
        @Argument(help: ArgumentHelp("The user.", valueName: "user-id")) var user: String
        @Argument(help: ArgumentHelp("The schedule.", valueName: "schedule-id")) var id: String
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List a user's schedules.",
            discussion: "With --json the answer of GET /schedule.")

        @Argument(help: ArgumentHelp("The user.", valueName: "user-id")) var user: String
        @OptionGroup(title: "Options of every command") var common: CommonOptions

        func run() throws {
            if let service = try common.service() {
                return try RemoteSchedules(service: service, common: common, user: user).list()
            }
            let user = try UserID(user)
            let services = try common.openExisting()
            let summary = try services.scheduler.summary(user)
            try common.answer(summary.json, ScheduleCommand.table(summary.schedules, of: user, common.clock(services)))
            if summary.schedules.isEmpty { common.remark("\(user) has no schedules") }
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "remove", abstract: "Remove a schedule.")

        @OptionGroup var named: Named
        @OptionGroup(title: "Options of every command") var common: CommonOptions

        func run() throws {
            if let service = try common.service() {
                return try RemoteSchedules(service: service, common: common, user: named.user).remove(named.id)
            }
            let user = try UserID(named.user)
            guard try common.open().scheduler.remove(user, named.id) else {
                throw CommandFailure("schedule_not_found", "\(user) has no schedule \(named.id)")
            }
            try common.answer(["id": .string(named.id), "removed": true], ["removed \(named.id)"])
        }
    }

    struct Pause: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "pause", abstract: "Let a schedule rest.")

        @OptionGroup var named: Named
        @OptionGroup(title: "Options of every command") var common: CommonOptions

        func run() throws {
            if let service = try common.service() {
                return try RemoteSchedules(service: service, common: common, user: named.user).setEnabled(named.id, false)
            }
            let view = try common.open().scheduler.setEnabled(try UserID(named.user), named.id, false)
            try common.answer(view.json, ["paused \(view.id)"])
        }
    }

    struct Resume: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "resume", abstract: "Let a paused schedule go on; what it missed is not made up for.")

        @OptionGroup var named: Named
        @OptionGroup(title: "Options of every command") var common: CommonOptions

        func run() throws {
            if let service = try common.service() {
                return try RemoteSchedules(service: service, common: common, user: named.user).setEnabled(named.id, true)
            }
            let services = try common.open()
            let user = try UserID(named.user)
            let view = try services.scheduler.setEnabled(user, named.id, true)
            let next = "next at \(common.clock(services).text(view.nextRun, of: user))"
            try common.answer(view.json, ["resumed \(view.id), \(next)"])
        }
    }

    struct RunNow: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "run", abstract: "Submit a schedule's job now; its fire times stay as they are.")

        @OptionGroup var named: Named
        @OptionGroup(title: "Options of every command") var common: CommonOptions

        func run() throws {
            if let service = try common.service() {
                return try RemoteSchedules(service: service, common: common, user: named.user).run(named.id)
            }
            let services = try common.open()
            let id = try services.scheduler.runNow(try UserID(named.user), named.id)
            // Without its record the id alone is the answer.
            let view = try services.client.view(id)?.operatorJSON ?? ["job_id": .string(id.description)]
            try common.answer(view, [id.description])
        }
    }

    struct History: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "history", abstract: "Show a schedule's last 20 runs, newest first.")

        @OptionGroup var named: Named
        @OptionGroup(title: "Options of every command") var common: CommonOptions

        func run() throws {
            if let service = try common.service() {
                return try RemoteSchedules(service: service, common: common, user: named.user).history(named.id)
            }
            let user = try UserID(named.user)
            let services = try common.openExisting()
            let runs = try services.scheduler.history(user, named.id)
            try common.answer(.array(runs.map(History.json)), History.table(runs, of: user, common.clock(services)))
            if runs.isEmpty { common.remark("\(named.id) has not run yet") }
        }

        private static func status(_ run: ScheduleRun, _ state: JobState?) -> String {
            run.status == .submitted ? state?.rawValue ?? run.status.rawValue : run.status.rawValue
        }

        private static func json(_ entry: (run: ScheduleRun, state: JobState?)) -> JSON {
            var object: JSONObject = [
                "fire_time": .string(RFC3339.string(entry.run.fireTime)), "job_id": JSON(entry.run.jobID),
                "status": .string(status(entry.run, entry.state)),
            ]
            object["detail"] = entry.run.detail.map { .string($0) }
            return .object(object)
        }

        private static func table(
            _ runs: [(run: ScheduleRun, state: JobState?)], of user: UserID, _ clock: Clock
        ) -> [String] {
            guard !runs.isEmpty else { return [] }
            var table = TextColumns(["FIRED", "STATUS", "JOB", "WHY"])
            for (run, state) in runs {
                table.add([
                    clock.text(run.fireTime, of: user), status(run, state), run.jobID ?? "-", run.detail ?? "",
                ])
            }
            return table.lines
        }
    }

    private static func table(_ schedules: [ScheduleView], of user: UserID, _ clock: Clock) -> [String] {
        guard !schedules.isEmpty else { return [] }
        var table = TextColumns(["ID", "KIND", "EXPRESSION", "ZONE", "JOB", "NEXT", "LAST"])
        for view in schedules {
            let job = view.schedule.job
            let what = [job["kind"]?.string, job["report_type"]?.string].compactMap { $0 }.joined(separator: " ")
            let last = view.lastRun.map { run in
                "\(clock.text(run.fireTime, of: user)) \(view.lastState?.rawValue ?? run.status.rawValue)"
            }
            table.add([
                view.id, view.schedule.expression.kind.rawValue, view.schedule.expression.text, view.schedule.timezone,
                what, view.schedule.isEnabled ? clock.text(view.nextRun, of: user) : "paused", last ?? "-",
            ])
        }
        return table.lines
    }
}
