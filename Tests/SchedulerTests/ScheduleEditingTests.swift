// Making, changing, removing and running schedules, and what is left when schedules.json is damaged.

import DurableFiles
import Foundation
import Jobs
import Spool
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Scheduler

struct ScheduleEditingTests {
    @Test(
        "a schedule of each kind is made, shown, kept over a restart and fired",
        arguments: [
            ("09:00", "daily", "2026-11-24T01:00"), ("tuesday 09:00", "weekly", "2026-11-24T01:00"),
            ("0 9 * * *", "cron", "2026-11-24T01:00"), ("PT1H", "every", "2026-11-24T01:30"),
            ("2026-11-24T01:15:00Z", "at", "2026-11-24T01:15"), ("2026-11-24T09:15", "at", "2026-11-24T01:15"),
        ])
    func kinds(expression: String, kind: String, next: String) throws {
        let house = try SchedulerHouse(at: "2026-11-24T00:30:00.250Z")
        let made = try house.scheduler().create(
            house.user,
            ["kind": .string(kind), "expression": .string(expression), "timezone": "Asia/Shanghai", "job": chatJob])
        let json = made.json
        #expect(json["id"]?.string?.count == 10)
        #expect(json["kind"]?.string == kind)
        #expect(json["timezone"]?.string == "Asia/Shanghai")
        #expect(json["enabled"]?.bool == true)
        #expect(json["next_run_at"]?.string?.hasPrefix(next) == true)
        #expect(json["last_run"]?.isNull == true)
        let restarted = house.scheduler()
        #expect(try restarted.schedules(house.user).map(\.json) == [json])
        #expect(try restarted.upcoming(house.user, limit: 1).map(\.json["id"]) == [.string(made.id)])
        try house.tick(restarted, at: next + ":00Z")
        #expect(house.queue.fireTimes == [next])
        #expect(house.queue.requests.first?.message == "Good morning")
    }

    @Test(
        "a schedule that can't work is refused, and the field is named",
        arguments: [
            (["job": chatJob], "expression"),
            (["expression": "09:00"], "job"),
            (["expression": "09:00", "job": ["kind": "chat"]], "job.message"),
            (["expression": "09:00", "job": ["kind": "dance"]], "job.kind"),
            (["expression": "09:00", "job": ["kind": "report", "run_at": "2027-01-01T00:00:00Z"]], "job.run_at"),
            (["expression": "09:00", "job": ["kind": "report", "id": "x"]], "job.id"),
            (["expression": "09:00", "job": ["kind": "report", "user_id": "bob"]], "job.user_id"),
            (["expression": "09:00", "job": ["kind": "report", "metadata": [.null, .null]]], "job.metadata"),
            (["expression": "09:00", "job": "report"], "job"),
            (["expression": "09:00", "job": chatJob, "timezone": "Mars/Olympus"], "timezone"),
            (["expression": "09:00", "job": chatJob, "enable": true], "enable"),
            (["expression": "09:00", "job": chatJob, "kind": "cron"], "expression"),
            (["expression": "09:00", "job": chatJob, "misfire": "never"], "misfire"),
            (["expression": "0 0 30 2 *", "job": chatJob], "expression"),
            (["expression": "2026-11-23T00:00:00Z", "job": chatJob], "expression"),
            (["expression": 9, "job": chatJob], "expression"),
        ] as [(JSON, String)])
    func refused(json: JSON, field: String) throws {
        let house = try SchedulerHouse(at: "2026-11-24T00:30:00Z")
        let scheduler = house.scheduler()
        let error = #expect(throws: ScheduleError.self) { try scheduler.create(house.user, json) }
        #expect(error?.field == field)
        #expect(try scheduler.schedules(house.user).isEmpty)
    }

    @Test("a user has a bounded number of schedules, and unknown users have none")
    func bounds() throws {
        let house = try SchedulerHouse(at: "2026-11-24T00:30:00Z")
        let scheduler = house.scheduler(.init(schedulesPerUser: 2))
        for _ in 0..<2 { _ = try scheduler.create(house.user, ["expression": "09:00", "job": chatJob]) }
        let full = #expect(throws: ScheduleError.self) {
            try scheduler.create(house.user, ["expression": "09:00", "job": chatJob])
        }
        #expect(full?.code == .tooMany)
        let nobody = #expect(throws: ScheduleError.self) {
            try scheduler.create(UserID("nobody"), ["expression": "09:00", "job": chatJob])
        }
        #expect(nobody?.code == .userNotFound)
        #expect(try !house.workspaces.exists(UserID("nobody")))
    }

    @Test("made again under its own id a schedule is the one that is there; other content is a conflict")
    func ownID() throws {
        let house = try SchedulerHouse(at: "2026-11-24T00:30:00Z")
        let scheduler = house.scheduler()
        let json: JSON = ["expression": "2026-11-24T01:00:00Z", "job": chatJob]
        let first = try scheduler.create(house.user, json, id: "job-7-step-2")
        try house.tick(scheduler, at: "2026-11-24T01:00:00Z")
        // Repeated by a resumed turn, after the time has passed.
        #expect(try scheduler.create(house.user, json, id: "job-7-step-2").id == first.id)
        #expect(try scheduler.schedules(house.user).count == 1)
        let other = #expect(throws: ScheduleError.self) {
            try scheduler.create(house.user, ["expression": "10:00", "job": chatJob], id: "job-7-step-2")
        }
        #expect(other?.code == .conflict)
        for id in ["daily-report", "", "-x", "A", "a/b"] {
            #expect(throws: ScheduleError.self) { try scheduler.create(house.user, json, id: id) }
        }
    }

    @Test("a change keeps what it does not name, counts from now, and a pause is not made up for")
    func update() throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z")
        let scheduler = house.scheduler()
        let id = try scheduler.create(house.user, ["expression": "09:00", "job": chatJob, "misfire": "all"]).id
        try house.tick(scheduler, at: "2026-11-24T08:30:00Z")
        let moved = try scheduler.update(house.user, id, ["expression": "0 8 * * *"])
        #expect(moved.json["kind"]?.string == "cron")
        #expect(moved.json["misfire"]?.string == "all")
        #expect(moved.json["next_run_at"]?.string == "2026-11-25T08:00:00.000Z")
        try house.tick(scheduler, at: "2026-11-24T10:00:00Z")
        #expect(house.queue.requests.isEmpty)
        #expect(try scheduler.setEnabled(house.user, id, false).nextRun == nil)
        try house.tick(scheduler, at: "2026-11-27T08:00:00Z")
        _ = try scheduler.setEnabled(house.user, id, true)
        try house.tick(scheduler, at: "2026-11-27T10:00:00Z")
        #expect(house.queue.requests.isEmpty)
        try house.tick(scheduler, at: "2026-11-28T08:00:00Z")
        #expect(house.queue.fireTimes == ["2026-11-28T08:00"])
        let error = #expect(throws: ScheduleError.self) { try scheduler.update(house.user, "nope", ["enabled": true]) }
        #expect(error?.code == .notFound)
        let bad = #expect(throws: ScheduleError.self) {
            try scheduler.update(house.user, id, ["job": ["kind": "chat"]])
        }
        #expect(bad?.field == "job.message")
    }

    @Test("a removed schedule is gone with its history; one from the preferences can only be changed there")
    func remove() throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z", frequency: .both)
        let scheduler = house.scheduler()
        let id = try scheduler.create(house.user, ["expression": "09:00", "job": chatJob]).id
        try house.tick(scheduler, at: "2026-11-24T08:30:00Z")
        #expect(try scheduler.remove(house.user, id))
        #expect(try !scheduler.remove(house.user, id))
        try house.tick(scheduler, at: "2026-11-24T09:00:00Z")
        #expect(house.queue.schedules == ["daily-report"])
        #expect(throws: ScheduleError.self) { try scheduler.history(house.user, id) }
        let derived = #expect(throws: ScheduleError.self) { try scheduler.remove(house.user, "weekly-report") }
        #expect(derived?.code == .derived)
        #expect(derived?.detail.contains("report_frequency") == true)
        #expect(throws: ScheduleError.self) {
            try scheduler.update(house.user, "weekly-report", ["enabled": false])
        }
    }

    @Test("run now submits a new job each time, paused or derived, and leaves the fire times alone")
    func runNow() throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z", frequency: .daily)
        let scheduler = house.scheduler()
        let own = try scheduler.create(house.user, ["expression": "10:00", "job": chatJob, "enabled": false]).id
        let jobs = try [
            scheduler.runNow(house.user, own), scheduler.runNow(house.user, own),
            scheduler.runNow(house.user, "daily-report"),
        ]
        #expect(Set(jobs).count == 3)
        #expect(house.queue.requests.map(\.id) == jobs)
        #expect(try scheduler.history(house.user, own).map(\.run.jobID) == [jobs[1].description, jobs[0].description])
        house.queue.finish()
        try house.tick(scheduler, at: "2026-11-24T09:00:00Z")
        #expect(house.queue.fireTimes.last == "2026-11-24T09:00")
        #expect(house.queue.requests.count == 4)
        house.queue.refuse(JobError(.userQueueFull, "full", retryAfter: 7))
        let refused = #expect(throws: ScheduleError.self) { try scheduler.runNow(house.user, own) }
        #expect(refused?.jobCode == "user_queue_full")
        #expect(refused?.retryAfter == 7)
        #expect(throws: ScheduleError.self) { try scheduler.runNow(house.user, "weekly-report") }
    }

    @Test(
        "a damaged schedules.json is set aside, whole, and the report schedules go on",
        arguments: ["{", "[]", "{\"version\":1,\"schedules\":[{\"id\":\"x\"}]}", "{\"version\":0}", ""])
    func damaged(text: String) throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z", frequency: .daily)
        let files = LinuxFileSystem()
        try files.replaceFile(house.file(), Array(text.utf8))
        let scheduler = house.scheduler()
        try house.tick(scheduler, at: "2026-11-24T08:00:00Z")
        try house.tick(scheduler, at: "2026-11-24T09:00:00Z")
        #expect(house.queue.schedules == ["daily-report"])
        let aside = try files.list(house.file("")).map(\.name).filter { $0.hasPrefix("schedules.json.corrupt-") }
        #expect(aside.count == 1)
        #expect(try files.readFile(house.file(aside[0])) == Array(text.utf8))
    }

    @Test("a schedules.json of a newer version is neither used nor touched")
    func newer() throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z", frequency: .daily)
        let text = Array("{\"version\":2,\"schedules\":{}}".utf8)
        try LinuxFileSystem().replaceFile(house.file(), text)
        #expect(throws: ScheduleError.self) { try house.scheduler().schedules(house.user) }
        try house.tick(house.scheduler(), at: "2026-11-24T09:00:00Z")
        #expect(try LinuxFileSystem().readFile(house.file()) == text)
    }

    @Test("a schedules.json copied from another user keeps the schedules and forgets the runs")
    func copied() throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z", frequency: .daily)
        let scheduler = house.scheduler()
        let id = try scheduler.create(house.user, ["expression": "10:00", "job": chatJob]).id
        _ = try scheduler.runNow(house.user, id)
        let bob = try UserID("bob")
        try house.add(bob, .off)
        try LinuxFileSystem().replaceFile(
            "\(house.workspaces.root)/bob/schedules.json", LinuxFileSystem().readFile(house.file()))
        try house.tick(scheduler, at: "2026-11-24T08:00:00Z")
        #expect(try scheduler.schedules(bob).map(\.id) == [id])
        #expect(try scheduler.history(bob, id).isEmpty)
    }

    @Test("changes of many threads to one user's schedules are all kept")
    func concurrent() async throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z")
        let (one, two) = (house.scheduler(), house.scheduler())
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<20 {
                group.addTask {
                    _ = try (index % 2 == 0 ? one : two).create(house.user, ["expression": "09:00", "job": chatJob])
                }
            }
            try await group.waitForAll()
        }
        #expect(try one.schedules(house.user).count == 20)
    }
}
