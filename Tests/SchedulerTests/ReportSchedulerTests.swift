// The scheduler over real workspaces: what it fires, and what it does about restarts, refusals and changes.

import DurableFiles
import Foundation
import Jobs
import Spool
import Synchronization
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Scheduler

struct ReportSchedulerTests {
    @Test(
        "preferences make schedules, which fire and move with them",
        arguments: [
            (ReportFrequency.daily, ["daily-report"]), (.weekly, ["weekly-report"]),
            (.both, ["daily-report", "weekly-report"]), (.realtime, ["realtime-report"]), (.off, []),
        ])
    func derived(frequency: ReportFrequency, ids: [String]) throws {
        // A Sunday.
        let house = try SchedulerHouse(at: "2026-11-22T12:00:00Z", frequency: frequency)
        let scheduler = house.scheduler()
        #expect(try scheduler.schedules(house.user).map(\.id) == ids)
        try house.tick(scheduler, at: "2026-11-22T12:00:00Z")
        #expect(house.queue.requests.isEmpty)
        try house.tick(scheduler, at: "2026-11-23T09:00:00Z")
        #expect(house.queue.schedules.sorted() == ids)
        #expect(Set(house.queue.requests.map(\.kind)) == (ids.isEmpty ? [] : [.report]))
        let summary = try scheduler.summary(house.user).json
        #expect(summary["daily_report"]?["enabled"]?.bool == ids.contains("daily-report"))
        #expect(summary["weekly_report"]?["enabled"]?.bool == ids.contains("weekly-report"))
        #expect(summary["weekly_report"]?["schedule"]?.string == "Monday 09:00")
        #expect(summary["daily_report"]?["timezone"]?.string == "UTC")
        #expect(summary["next_scheduled_jobs"]?.array?.isEmpty == ids.isEmpty)
    }

    @Test("a moved report time counts from the change: earlier today is not made up for, later today fires")
    func moved() throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z", frequency: .daily)
        let scheduler = house.scheduler()
        try house.tick(scheduler, at: "2026-11-24T08:30:00Z")
        try house.prefer(PreferencesChange(reportTime: "08:10"))
        scheduler.userChanged(house.user)
        #expect(try house.tick(scheduler, at: "2026-11-24T08:31:00Z") == "2026-11-24T08:40")
        try house.tick(scheduler, at: "2026-11-24T09:00:00Z")
        #expect(house.queue.requests.isEmpty)
        try house.prefer(PreferencesChange(reportTime: "20:00", timezone: "Asia/Shanghai"))
        try house.tick(scheduler, at: "2026-11-24T12:00:00Z")
        #expect(house.queue.fireTimes == ["2026-11-24T12:00"])
        // Off and on again, and nothing of the time between is made up for.
        try house.prefer(PreferencesChange(reportFrequency: .off))
        scheduler.preferencesChanged(try house.configs.get(house.user))
        house.clock.set(try instant("2026-11-26T13:00:00Z"))
        try house.prefer(PreferencesChange(reportFrequency: .daily))
        scheduler.preferencesChanged(try house.configs.get(house.user))
        try house.tick(house.scheduler(), at: "2026-11-26T13:10:00Z")
        #expect(house.queue.requests.count == 1)
    }

    @Test("a stale agenda fires nothing: preferences are read before each fire")
    func stale() throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z", frequency: .daily)
        let scheduler = house.scheduler()
        try house.tick(scheduler, at: "2026-11-24T08:55:00Z")
        try house.prefer(PreferencesChange(reportFrequency: .off))
        try house.tick(scheduler, at: "2026-11-24T09:00:00Z")
        #expect(house.queue.requests.isEmpty)
    }

    @Test("two schedulers, a restart and a lost record fire each time once")
    func idempotent() throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z", frequency: .daily)
        let (one, two) = (house.scheduler(), house.scheduler())
        for scheduler in [one, two] { try house.tick(scheduler, at: "2026-11-24T08:00:00Z") }
        let before = try LinuxFileSystem().readFile(house.file())
        for scheduler in [one, two, house.scheduler()] { try house.tick(scheduler, at: "2026-11-24T09:00:01Z") }
        #expect(house.queue.submissions == 1)
        // As after a crash between submitting and recording.
        try LinuxFileSystem().replaceFile(house.file(), before)
        try house.tick(house.scheduler(), at: "2026-11-24T09:00:02Z")
        #expect(house.queue.submissions == 2)
        #expect(house.queue.requests.count == 1)
        // Nothing at all is known any more.
        try LinuxFileSystem().remove(house.file())
        try house.tick(house.scheduler(), at: "2026-11-24T09:00:03Z")
        #expect(house.queue.requests.count == 1)
        #expect(try house.scheduler().history(house.user, "daily-report").map(\.run.jobID).count == 1)
    }

    @Test("the clock set back an hour fires nothing twice, set ahead a week it fires once")
    func clockMoves() throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z", frequency: .daily)
        let scheduler = house.scheduler()
        try house.tick(scheduler, at: "2026-11-24T08:00:00Z")
        for time in ["2026-11-24T09:00:00Z", "2026-11-24T08:30:00Z", "2026-11-24T09:00:00Z"] {
            try house.tick(scheduler, at: time)
        }
        #expect(house.queue.requests.count == 1)
        house.queue.finish()
        try house.tick(scheduler, at: "2026-12-01T12:00:00Z")
        #expect(house.queue.fireTimes == ["2026-11-24T09:00", "2026-12-01T09:00"])
        // A clock that was years ahead, and was put right.
        house.queue.finish()
        try house.tick(scheduler, at: "2030-01-01T12:00:00Z")
        house.queue.finish()
        for time in ["2026-12-01T13:00:00Z", "2026-12-02T09:00:00Z"] { try house.tick(scheduler, at: time) }
        #expect(house.queue.fireTimes.suffix(2) == ["2030-01-01T09:00", "2026-12-02T09:00"])
    }

    @Test("a queue that refuses for now is asked again until the job is in", arguments: Schedule.Misfire.allCases)
    func refusedForNow(misfire: Schedule.Misfire) throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z")
        let scheduler = house.scheduler()
        let request: JSON = ["expression": "09:00", "job": chatJob, "misfire": .string(misfire.rawValue)]
        _ = try scheduler.create(house.user, request)
        try house.tick(scheduler, at: "2026-11-24T08:00:00Z")
        house.queue.refuse(JobError(.queueFull, "full", retryAfter: 30), JobError(.storage, "disk"))
        house.clock.set(try instant("2026-11-24T09:00:00Z"))
        var asked: [Date] = []
        while house.queue.requests.isEmpty, asked.count < 5 {
            asked.append(house.clock.now)
            let next = scheduler.tick(at: house.clock.now)
            if house.queue.requests.isEmpty { house.clock.set(next) }
        }
        #expect(asked.count == 3)
        #expect(asked[1].timeIntervalSince(asked[0]) >= 30)
        #expect(house.queue.fireTimes == ["2026-11-24T09:00"])
        #expect(house.queue.requests[0].message == "Good morning")
    }

    @Test("a refused job is tried again on time even when that takes longer than the grace")
    func longRefusal() throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z")
        let scheduler = house.scheduler()
        _ = try scheduler.create(house.user, ["expression": "09:00", "job": chatJob, "misfire": "skip"])
        try house.tick(scheduler, at: "2026-11-24T08:59:00Z")
        house.queue.refuse(JobError(.storage, "disk", retryAfter: 3_600))
        try house.tick(scheduler, at: "2026-11-24T09:00:00Z")
        try house.tick(scheduler, at: "2026-11-24T10:30:00Z")
        #expect(house.queue.fireTimes == ["2026-11-24T09:00"])
    }

    @Test("a job refused for good is recorded and does not come back")
    func refusedForGood() throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z", frequency: .daily)
        let scheduler = house.scheduler()
        try house.tick(scheduler, at: "2026-11-24T08:00:00Z")
        house.queue.refuse(JobError(.invalidJob, "no such model"))
        try house.tick(scheduler, at: "2026-11-24T09:00:00Z")
        try house.tick(scheduler, at: "2026-11-24T09:30:00Z")
        #expect(house.queue.submissions == 1)
        let run = try #require(scheduler.history(house.user, "daily-report").first?.run)
        #expect(run.status == .failed)
        #expect(run.detail == "invalid_job: no such model")
    }

    @Test("a fire whose predecessor has not ended is skipped, or queues up", arguments: Schedule.Overlap.allCases)
    func overlap(overlap: Schedule.Overlap) throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z")
        let scheduler = house.scheduler()
        let view = try scheduler.create(
            house.user, ["expression": "PT1M", "job": chatJob, "overlap": .string(overlap.rawValue)])
        for minute in ["01", "02"] { try house.tick(scheduler, at: "2026-11-24T08:\(minute):00Z") }
        #expect(house.queue.requests.count == (overlap == .skip ? 1 : 2))
        house.queue.finish()
        try house.tick(scheduler, at: "2026-11-24T08:03:00Z")
        let statuses = try scheduler.history(house.user, view.id).map(\.run.status)
        #expect(statuses == [.submitted, overlap == .skip ? .skipped : .submitted, .submitted])
        let last = try #require(try scheduler.view(house.user, view.id).json["last_run"])
        #expect(last["status"]?.string == "queued")
        #expect(last["fire_time"]?.string == "2026-11-24T08:03:00.000Z")
    }

    @Test("after downtime each schedule makes up for what its policy says", arguments: Schedule.Misfire.allCases)
    func downtime(misfire: Schedule.Misfire) throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z")
        let id = try house.scheduler().create(
            house.user, ["expression": "0 9-11 * * *", "job": chatJob, "misfire": .string(misfire.rawValue)]
        ).id
        let misfires = Mutex<[ReportScheduler.Misfire]>([])
        let late = house.scheduler(.init(onMisfire: { one in misfires.withLock { $0.append(one) } }))
        try house.tick(late, at: "2026-11-24T15:00:00Z")
        let expected: [Schedule.Misfire: [String]] = [
            .latest: ["11"], .all: ["09", "10", "11"], .skip: [],
        ]
        let counted: [Schedule.Misfire: [ReportScheduler.Misfire]] = [
            .latest: [.late], .all: [.late, .late, .late], .skip: [.passedOver],
        ]
        #expect(misfires.withLock { $0 } == counted[misfire])
        #expect(house.queue.fireTimes.map { $0.suffix(5).prefix(2) } == expected[misfire]?.map { $0[...] })
        if misfire == .skip { #expect(try late.history(house.user, id).map(\.run.status) == [.missed]) }
        house.queue.finish()
        try house.tick(late, at: "2026-11-25T09:00:00Z")
        #expect(house.queue.fireTimes.last == "2026-11-25T09:00")
        #expect(misfires.withLock { $0 } == counted[misfire])
    }

    @Test("jitter moves the start, always by the same, and not the job's id")
    func jitter() throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z", frequency: .daily)
        let config = try house.configs.get(house.user)
        let schedule = try #require(try Schedule.derived(from: config).first)
        let time = try instant("2026-11-24T09:00:00Z")
        let spread = house.scheduler(.init(jitter: 900))
        let first = try spread.request(for: schedule, at: time, config)
        #expect(try spread.request(for: schedule, at: time, config) == first)
        let start = try #require(first.runAt)
        #expect(start > time && start <= time.addingTimeInterval(900))
        #expect(try house.scheduler().request(for: schedule, at: time, config).runAt == nil)
    }

    @Test("users that come, go and come again are noticed, without their predecessors' runs")
    func users() throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z", frequency: .daily)
        let scheduler = house.scheduler()
        try house.tick(scheduler, at: "2026-11-24T08:00:00Z")
        try house.workspaces.delete(house.user)
        try house.tick(scheduler, at: "2026-11-24T09:00:00Z")
        #expect(house.queue.requests.isEmpty)
        try house.add(house.user, .daily)
        try house.add(UserID("bob"), .daily)
        scheduler.userChanged(house.user)
        try house.tick(scheduler, at: "2026-11-24T09:00:30Z")
        #expect(house.queue.requests.isEmpty)
        // Bob was reported by nobody: the look every ten minutes finds him.
        try house.tick(scheduler, at: "2026-11-24T09:11:00Z")
        try house.tick(scheduler, at: "2026-11-25T09:00:00Z")
        #expect(house.queue.requests.map(\.userID.rawValue).sorted() == ["alice", "bob"])
    }

    @Test("one user's damaged config does not keep the others from firing")
    func damagedUser() throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z", frequency: .daily)
        try house.add(UserID("bob"), .daily)
        try LinuxFileSystem().replaceFile(house.file("config.json"), Array("{".utf8))
        let scheduler = house.scheduler()
        try house.tick(scheduler, at: "2026-11-24T08:00:00Z")
        try house.tick(scheduler, at: "2026-11-24T09:00:00Z")
        #expect(house.queue.requests.map(\.userID.rawValue) == ["bob"])
    }

    @Test("a full disk while recording fires nothing twice, and the record follows")
    func recordFails() throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z", frequency: .daily)
        let files = FaultyFileSystem()
        let workspaces = WorkspaceManager(
            root: house.workspaces.root, files: files, defaultTimeZone: "UTC", now: house.clock.read)
        let scheduler = ReportScheduler(
            queue: house.queue, workspaces: workspaces, configs: UserConfigManager(workspaces: workspaces),
            changes: ChangeMarks(folder: house.workspaces.root + "/.changed"), zones: ZoneCatalog(),
            options: .init(), now: house.clock.read, logger: quietLogger)
        try house.tick(scheduler, at: "2026-11-24T08:00:00Z")
        // Once the job is in, the first attempt to write the record meets a full disk (28 is ENOSPC).
        house.queue.onSubmit { files.set(.fail(call: 3, errno: 28)) }
        try house.tick(scheduler, at: "2026-11-24T09:00:00Z")
        #expect(house.queue.requests.count == 1)
        #expect(files.log.count >= 3)
        let unrecorded = try scheduler.history(house.user, "daily-report")
        #expect(unrecorded.isEmpty)
        try house.tick(scheduler, at: "2026-11-24T09:10:00Z")
        #expect(house.queue.requests.count == 1)
        #expect(try scheduler.history(house.user, "daily-report").count == 1)
    }

    @Test("the started scheduler fires at a wake-up, hears other processes and stops", .timeLimit(.minutes(1)))
    func thread() async throws {
        let house = try SchedulerHouse(at: "2026-11-24T08:00:00Z", frequency: .daily)
        let scheduler = house.scheduler()
        var fired = AsyncStream<Void>.makeStream()
        let signal = fired.continuation
        house.queue.onSubmit { signal.yield() }
        try scheduler.start()
        try scheduler.start()
        // Due, and told so by a mark as another process sets it.
        _ = try scheduler.view(house.user, "daily-report")
        house.clock.set(try instant("2026-11-24T09:00:00Z"))
        house.scheduler().changes.mark(house.user)
        var next = fired.stream.makeAsyncIterator()
        await next.next()
        #expect(house.queue.fireTimes == ["2026-11-24T09:00"])
        scheduler.stop()
        scheduler.stop()
        fired = AsyncStream<Void>.makeStream()
        house.clock.set(try instant("2026-11-25T09:00:00Z"))
        scheduler.userChanged(house.user)
        #expect(house.queue.submissions == 1)
    }
}
