// The commands about schedules, asked of a service elsewhere (--server). Main thread.

import Foundation
import NanobotClient
import Tenants
import TextFormats

struct RemoteSchedules {
    let service: ServiceClient
    let common: CommonOptions
    let user: UserID
    private let clock: Clock

    init(service: ServiceClient, common: CommonOptions, user: String) throws {
        self.service = service
        self.common = common
        self.user = try UserID(user)
        clock = common.clock(service)
    }

    private func time(_ json: JSON?) -> String { clock.text(json?.string.flatMap(RFC3339.date), of: user) }

    func list() throws {
        let schedules = try service.schedules(of: user.rawValue)
        var table = TextColumns(["ID", "KIND", "EXPRESSION", "ZONE", "JOB", "NEXT"])
        for one in schedules {
            let job = [one["job"]?["kind"]?.string, one["job"]?["report_type"]?.string].compactMap { $0 }
            table.add([
                one["id"]?.string ?? "?", one["kind"]?.string ?? "-", one["expression"]?.string ?? "-",
                one["timezone"]?.string ?? "-", job.joined(separator: " "),
                one["enabled"] == false ? "paused" : time(one["next_run_at"]),
            ])
        }
        try common.answer(.array(schedules), schedules.isEmpty ? [] : table.lines)
        if schedules.isEmpty { common.remark("\(user) has no schedules") }
    }

    func add(_ schedule: JSON, id: String?) throws {
        guard id == nil else { throw CommandFailure.usage("with --server the service draws the schedule's id: leave out --id") }
        let made = try service.addSchedule(schedule.object ?? [:], to: user.rawValue)
        let next = made["enabled"] == false ? "paused" : "next run \(time(made["next_run_at"]))"
        try common.answer(made, ["\(made["id"]?.string ?? "?")  \(made["kind"]?.string ?? ""), \(next)"])
    }

    func remove(_ id: String) throws {
        try service.removeSchedule(id, of: user.rawValue)
        try common.answer(["id": .string(id), "removed": true], ["removed \(id)"])
    }

    func setEnabled(_ id: String, _ isEnabled: Bool) throws {
        let now = try service.changeSchedule(id, of: user.rawValue, ["enabled": .bool(isEnabled)])
        try common.answer(now, [isEnabled ? "resumed \(id), next at \(time(now["next_run_at"]))" : "paused \(id)"])
    }

    func run(_ id: String) throws {
        let ticket = try service.runSchedule(id, of: user.rawValue)
        try common.answer(["job_id": .string(ticket.jobID), "status": .string(ticket.status)], [ticket.jobID])
    }

    func history(_ id: String) throws {
        let runs = try service.scheduleHistory(id, of: user.rawValue)
        var table = TextColumns(["FIRED", "STATUS", "JOB", "WHY"])
        for run in runs {
            table.add([
                time(run["fire_time"]), run["status"]?.string ?? "?", run["job_id"]?.string ?? "-", run["detail"]?.string ?? "",
            ])
        }
        try common.answer(.array(runs), runs.isEmpty ? [] : table.lines)
        if runs.isEmpty { common.remark("\(id) has not run yet") }
    }
}
