// Deciding what is due, and bringing stored states in line with preferences: both pure.

import Foundation
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Scheduler

struct FirePlanTests {
    private func schedule(_ text: String, _ misfire: Schedule.Misfire) throws -> Schedule {
        Schedule(
            id: "s", expression: try ScheduleExpression(text), timezone: "UTC", isEnabled: true, job: [:],
            misfire: misfire, overlap: .skip, createdAt: try instant("2026-01-01T00:00:00Z"), source: .user)
    }

    private func plan(
        _ text: String, _ misfire: Schedule.Misfire, from: String, to now: String, attempted: Date? = nil
    ) throws -> FirePlan {
        try FirePlan(
            schedule(text, misfire), in: .utc, handledThrough: instant(from), attempted: attempted, now: instant(now))
    }

    @Test("after downtime the last fire is made up for, or all, or none", arguments: Schedule.Misfire.allCases)
    func misfire(_ misfire: Schedule.Misfire) throws {
        let plan = try plan("0 * * * *", misfire, from: "2026-01-01T00:30:00Z", to: "2026-01-01T05:30:00Z")
        let hours = plan.fires.map { RFC3339.string($0.time).dropFirst(11).prefix(2) }
        switch misfire {
        case .latest: #expect(hours == ["05"])
        case .all: #expect(hours == ["01", "02", "03", "04", "05"])
        case .skip:
            #expect(hours == [])
            #expect(try plan.missed == instant("2026-01-01T05:00:00Z"))
        }
        #expect(plan.fires.filter(\.isLate) == plan.fires)
        #expect(try plan.next == instant("2026-01-01T06:00:00Z"))
    }

    @Test("a minute late is on time under every policy", arguments: Schedule.Misfire.allCases)
    func onTime(_ misfire: Schedule.Misfire) throws {
        let plan = try plan("0 9 * * *", misfire, from: "2026-01-01T09:00:00Z", to: "2026-01-02T09:01:00Z")
        #expect(try plan.fires == [.init(time: instant("2026-01-02T09:00:00Z"), isLate: false)])
        #expect(plan.missed == nil)
    }

    @Test("a fire the queue refused stays on time however long that takes")
    func attempted() throws {
        let plan = try plan(
            "0 9 * * *", .skip, from: "2026-01-01T09:00:00Z", to: "2026-01-02T15:00:00Z",
            attempted: instant("2026-01-02T09:00:00Z"))
        #expect(try plan.fires.map(\.time) == [instant("2026-01-02T09:00:00Z")])
    }

    @Test("years of missed minutes are found at once and cut to the latest hundred")
    func longDowntime() throws {
        let plan = try plan("PT1M", .all, from: "2026-01-01T00:00:00Z", to: "2036-01-01T00:00:00Z")
        #expect(plan.fires.count == FirePlan.maxMadeUp)
        #expect(try plan.fires.last?.time == instant("2036-01-01T00:00:00Z"))
        #expect(try plan.fires.first?.time == instant("2035-12-31T22:21:00Z"))
    }

    @Test("nothing is due before the time, and a one-time schedule ends")
    func nothingDue() throws {
        let early = try plan("2026-05-01T00:00:00Z", .latest, from: "2026-01-01T00:00:00Z", to: "2026-04-30T23:59:59Z")
        #expect(early.fires == [])
        #expect(try early.next == instant("2026-05-01T00:00:00Z"))
        let late = try plan("2026-05-01T00:00:00Z", .latest, from: "2026-01-01T00:00:00Z", to: "2026-06-01T00:00:00Z")
        #expect(try late.fires.map(\.time) == [instant("2026-05-01T00:00:00Z")])
        #expect(late.next == nil)
    }

    @Test("a state from a clock far ahead begins anew, one from a clock set back an hour stands")
    func clockSetBack() throws {
        var state = ScheduleState(since: try instant("2026-01-01T00:00:00Z"))
        state.lastFire = try instant("2026-02-01T09:00:00Z")
        let setBack = try instant("2026-02-01T08:00:00Z")
        let isLeft = !state.correct(now: setBack)
        #expect(isLeft)
        #expect(state.handledThrough == state.lastFire)
        state.lastFire = try instant("2030-01-01T00:00:00Z")
        let isCorrected = state.correct(now: setBack)
        #expect(isCorrected)
        #expect(state.handledThrough == setBack)
    }

    @Test("twenty runs are kept, and the same run is kept once")
    func history() throws {
        var state = ScheduleState(since: Date(timeIntervalSince1970: 0))
        for index in 0..<25 {
            let run = ScheduleRun(
                fireTime: Date(timeIntervalSince1970: Double(index)), jobID: "\(index)", status: .submitted)
            state.record(run)
            state.record(run)
        }
        #expect(state.history.map(\.jobID) == (5..<25).map(String.init))
    }

    @Test("the agenda gives each user once, at the latest time that was set, earliest first")
    func agenda() throws {
        var agenda = Agenda()
        var random = SeededGenerator(seed: 5)
        var expected: [UserID: Date] = [:]
        for _ in 0..<2_000 {
            let user = try UserID("u\(Int.random(in: 0..<50, using: &random))")
            let wake = Date(timeIntervalSince1970: Double(Int.random(in: 0..<1_000, using: &random)))
            switch Int.random(in: 0..<10, using: &random) {
            case 0:
                agenda.remove(user)
                expected[user] = nil
            case 1:
                agenda.lower(user, to: wake)
                expected[user] = min(expected[user] ?? wake, wake)
            default:
                var entry = agenda[user] ?? Agenda.Entry()
                entry.wake = wake
                agenda.set(user, entry)
                expected[user] = wake
            }
        }
        var given: [UserID: Date] = [:]
        var last = Date(timeIntervalSince1970: 0)
        while let wake = agenda.nextWake() {
            #expect(wake >= last)
            last = wake
            let early = agenda.popDue(wake.addingTimeInterval(-0.5))
            #expect(early == nil)
            let popped = agenda.popDue(wake)
            let user = try #require(popped)
            let earlier = given.updateValue(wake, forKey: user)
            #expect(earlier == nil)
        }
        #expect(given == expected)
    }
}
