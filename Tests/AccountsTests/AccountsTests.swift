// Users from creation to deletion over a real home: workspaces, queue and schedules together.

import Foundation
import Jobs
import Scheduler
import Synchronization
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Accounts

struct AccountsTests {
    @Test("a user is made with the data given, and the schedule follows from the first moment")
    func create() throws {
        let home = try AccountsHome()
        let initial = try InitialUserData(
            json: [
                "watchlist": ["stocks": ["AAPL"]],
                "preferences": ["report_time": "07:30", "timezone": "Asia/Shanghai"],
                "persona": ["focus_areas": ["chips"]], "custom_data": ["plan": "gold"],
            ])
        let made = try home.accounts.create(home.alice, initial: initial)
        #expect(try home.configs.get(home.alice) == made)
        #expect(made.watchlist.stocks == ["AAPL"])
        #expect(made.customData["plan"] == "gold")
        let summary = try home.scheduler.summary(home.alice)
        #expect(summary.daily.json == ["enabled": true, "schedule": "07:30", "timezone": "Asia/Shanghai"])
        let again = #expect(throws: TenantError.self) { try home.accounts.create(home.alice) }
        #expect(again?.code == .userExists)
    }

    @Test("a change of preferences reaches the schedule, other changes leave it alone")
    func change() throws {
        let home = try AccountsHome()
        try home.accounts.create(home.alice)
        home.scheduler.tick(at: home.clock.now)
        let config = try home.accounts.updatePreferences(
            home.alice, PreferencesChange(reportFrequency: .both, reportTime: "18:45"), ifMatch: 1)
        #expect(try home.scheduler.summary(home.alice).weekly.schedule == "Monday 18:45")
        #expect(try home.scheduler.schedules(home.alice).map(\.id) == ["daily-report", "weekly-report"])
        let before = try home.scheduler.upcoming(home.alice, limit: 5)
        try home.accounts.updateWatchlist(home.alice, try WatchlistChange(json: ["stocks": ["TSLA"]]))
        try home.accounts.updatePersona(home.alice, try PersonaChange(json: ["focus_areas": ["cars"]]))
        try home.accounts.updateCustomData(home.alice, ["a": 1])
        #expect(try home.accounts.addToWatchlist(home.alice, .stocks, ["NVDA"]).changed == ["NVDA"])
        #expect(try home.scheduler.upcoming(home.alice, limit: 5) == before)
        let stale = #expect(throws: TenantError.self) {
            try home.accounts.updatePreferences(home.alice, PreferencesChange(), ifMatch: config.version)
        }
        #expect(stale?.code == .versionConflict)
        #expect(throws: TenantError.self) {
            try home.accounts.updatePreferences(home.alice, PreferencesChange(reportTime: "25:00"))
        }
        #expect(try home.configs.get(home.alice).preferences.reportTime == "18:45")
    }

    @Test("turned off and on again while no scheduler ran, a report is not made up for")
    func offAndOn() throws {
        let home = try AccountsHome()
        try home.accounts.create(home.alice)
        home.scheduler.tick(at: home.clock.now)
        try home.accounts.updatePreferences(home.alice, PreferencesChange(reportFrequency: .off))
        home.clock.advance(by: 3 * 86_400)
        try home.accounts.updatePreferences(home.alice, PreferencesChange(reportFrequency: .daily))
        try home.restart()
        home.scheduler.tick(at: home.clock.now)
        #expect(try home.jobs(of: home.alice).isEmpty)
        home.clock.advance(by: 86_400)
        home.scheduler.tick(at: home.clock.now)
        #expect(try home.jobs(of: home.alice).map(\.kind) == [.report])
    }

    @Test("a clone has the pattern's preferences and none of its schedules")
    func clone() throws {
        let home = try AccountsHome()
        let bob = try UserID("bob")
        try home.accounts.create(
            home.alice, initial: try InitialUserData(json: ["preferences": ["report_time": "06:00"]]))
        _ = try home.scheduler.create(home.alice, ["expression": "10:00", "job": ["kind": "heartbeat"]])
        try home.accounts.clone(from: home.alice, to: bob)
        #expect(try home.scheduler.schedules(bob).map(\.id) == ["daily-report"])
        #expect(try home.scheduler.summary(bob).daily.schedule == "06:00")
    }

    @Test("deleting takes the jobs and the workspace, and nobody else's")
    func delete() throws {
        let home = try AccountsHome()
        let bob = try UserID("bob")
        for user in [home.alice, bob] {
            try home.accounts.create(user)
            try home.submitChat(user)
            try home.submitChat(user)
        }
        try home.accounts.delete(home.alice)
        #expect(try home.workspaces.list() == [bob])
        #expect(try home.jobs(of: home.alice).isEmpty)
        #expect(try home.jobs(of: bob).count == 2)
        #expect(throws: JobError.self) { try home.submitChat(home.alice) }
        let again = #expect(throws: TenantError.self) { try home.accounts.delete(home.alice) }
        #expect(again?.code == .userNotFound)
        // A new user of the same id begins with nothing, and fires on its own.
        try home.accounts.create(home.alice)
        #expect(try home.scheduler.history(home.alice, "daily-report").isEmpty)
        home.clock.advance(by: 86_400)
        home.scheduler.tick(at: home.clock.now)
        #expect(try home.jobs(of: home.alice).count == 1)
    }

    @Test("a deletion that stops at any system call leaves a user that is whole or gone, and can be finished")
    func crashes() throws {
        let calls = try deletion(stoppingAt: nil)
        #expect(calls > 10)
        for call in stride(from: 1, through: calls, by: max(1, calls / 40)) { _ = try deletion(stoppingAt: call) }
    }

    /// - Returns: how many calls the deletion made.
    private func deletion(stoppingAt call: Int?) throws -> Int {
        let home = try AccountsHome()
        try home.accounts.create(home.alice)
        try home.submitChat(home.alice)
        home.files.set(call.map { .stop(call: $0) } ?? .none)
        let isDone: Bool
        do {
            try home.accounts.delete(home.alice)
            isDone = true
        } catch {
            isDone = false
        }
        let calls = home.files.calls
        home.files.crash()
        home.files.set(.none)
        try home.restart()
        if try home.workspaces.exists(home.alice) {
            #expect(!isDone)
            // Whole: it can be read and deleted again.
            _ = try home.configs.get(home.alice)
            try home.accounts.delete(home.alice)
        } else {
            try home.accounts.finishDeletions()
        }
        #expect(try !home.workspaces.exists(home.alice))
        #expect(try home.workspaces.halfDeleted().isEmpty)
        #expect(try home.jobs(of: home.alice).isEmpty, "stopped at call \(call ?? 0)")
        return calls
    }
}
