// Every file call of a change to an account, its plan, its settings or its schedules fails once, or is where the process dies:
// what a fresh process finds is as before or as after, a refused change has changed nothing, and nothing that is left over stops
// the next change.

import DurableFiles
import Foundation
import Jobs
import Scheduler
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Accounts

@Suite struct AccountCrashTests {
    enum Change: String, CaseIterable, Sendable {
        case create, clone, delete, plan, suspend, watchlist, preferences, persona, customData
        case addSchedule, pauseSchedule, removeSchedule, runSchedule
    }

    enum Fault: CaseIterable, Sendable {
        case stop, inputOutput, diskFull, shortWrite

        func at(_ call: Int) -> FaultyFileSystem.Fault {
            switch self {
            case .stop: .stop(call: call)
            case .inputOutput: .fail(call: call, errno: 5)
            case .diskFull: .fail(call: call, errno: 28)
            case .shortWrite: .shortWrite(call: call)
            }
        }
    }

    /// What callers can tell of both users, without times and drawn ids.
    private struct Picture: Hashable {
        var users: [String]
        var settings: [String]
        var standings: [String]
        var schedules: [String]
        var jobs: [Int]
    }

    private let bob: UserID

    init() throws { bob = try UserID("bob") }

    /// alice with a watchlist, a plan, a schedule of her own and a waiting job.
    private func home(_ change: Change) throws -> AccountsHome {
        let home = try AccountsHome()
        guard change != .create else { return home }
        try home.accounts.create(home.alice)
        try home.accounts.updateWatchlist(home.alice, WatchlistChange(stocks: ["AAPL"]))
        try home.workspaces.open(home.alice).changeStanding { $0.plan = "free" }
        let job: JSON = ["kind": "report"]
        _ = try home.scheduler.create(
            home.alice, ["kind": "every", "expression": "PT2H", "job": job], id: "mine")
        try home.submitChat(home.alice)
        return home
    }

    private func perform(_ change: Change, _ home: AccountsHome) throws {
        let alice = home.alice
        switch change {
        case .create: try home.accounts.create(alice)
        case .clone: try home.accounts.clone(from: alice, to: bob)
        case .delete: try home.accounts.delete(alice)
        case .plan: try home.workspaces.open(alice).changeStanding { $0.plan = "pro" }
        case .suspend: try home.workspaces.open(alice).changeStanding { $0.suspension = "bill" }
        case .watchlist: try home.accounts.updateWatchlist(alice, WatchlistChange(stocks: ["TSLA"]))
        case .preferences:
            var preferences = PreferencesChange()
            preferences.reportTime = "07:15"
            try home.accounts.updatePreferences(alice, preferences)
        case .persona:
            var persona = PersonaChange()
            persona.riskPreference = "low"
            try home.accounts.updatePersona(alice, persona)
        case .customData: try home.accounts.updateCustomData(alice, ["a": 1])
        case .addSchedule:
            let job: JSON = ["kind": "report"]
            _ = try home.scheduler.create(alice, ["kind": "every", "expression": "PT3H", "job": job], id: "other")
        case .pauseSchedule: _ = try home.scheduler.setEnabled(alice, "mine", false)
        case .removeSchedule: try home.scheduler.remove(alice, "mine")
        case .runSchedule: _ = try home.scheduler.runNow(alice, "mine")
        }
    }

    private func picture(_ home: AccountsHome) throws -> Picture {
        var picture = Picture(
            users: try home.workspaces.list().map(\.rawValue), settings: [], standings: [], schedules: [], jobs: [])
        for user in try home.workspaces.list() {
            let config = try home.configs.get(user)
            picture.settings.append(
                "\(config.version) \(config.watchlist.stocks) \(config.preferences.reportTime) "
                    + "\(config.persona.json.text()) \(JSON.object(config.customData).text())")
            picture.standings.append(try home.workspaces.open(user).standing().json.text())
            picture.schedules += try home.scheduler.schedules(user).map { "\(user) \($0.schedule.id) \($0.schedule.isEnabled)" }
            picture.jobs.append(try home.jobs(of: user).count)
        }
        return picture
    }

    private func code(_ body: () throws -> Void) -> String? {
        do { try body() } catch {
            if let error = error as? ScheduleError { return error.jobCode ?? error.code.rawValue }
            if let error = error as? TenantError { return error.code.rawValue }
            return "\(error)"
        }
        return nil
    }

    @Test(
        "A change that fails or is cut short at any file call is made or not made, and a refused one is not",
        arguments: Change.allCases, Fault.allCases)
    func matrix(change: Change, fault: Fault) throws {
        let whole = try home(change)
        let before = try picture(whole)
        whole.files.set(.none)
        try perform(change, whole)
        let calls = whole.files.calls
        let after = try picture(whole)
        #expect(before != after && calls > 5)
        // A deletion asks for a hundred things; its steps are many more than its kinds of steps.
        for call in stride(from: 1, through: calls, by: change == .delete ? max(1, calls / 60) : 1) {
            let home = try home(change)
            home.files.set(fault.at(call))
            let code = code { try perform(change, home) }
            let log = home.files.log
            home.files.crash()
            home.files.set(.none)
            try home.restart()
            let isBegun = try change == .delete && !home.workspaces.halfDeleted().isEmpty
            try home.accounts.finishDeletions()
            let place = "\(change), \(fault) at call \(call): \(log.count >= call ? log[call - 1] : "?") → \(code ?? "made")"
            let found = try picture(home)
            if change == .delete {
                // The jobs go first: a deletion that has begun is repeated until it is done.
                #expect(found.users == before.users || found == after, "\(place)")
                if code == "storage" { #expect(found == before, "\(place)") }
                if code == nil || isBegun { #expect(found == after, "\(place)") }
            } else {
                #expect(found == before || found == after, "\(place)")
                if code == nil { #expect(found == after, "\(place)") }
                if code != nil, code != "outcome_unknown", fault != .stop { #expect(found == before, "\(place)") }
                if code == "outcome_unknown" { #expect(change == .runSchedule || fault == .stop, "\(place)") }
            }
            try goesOn(change, home, found == after, place)
        }
    }

    /// The change, or one like it, can be made, and clears away what writes have left.
    private func goesOn(_ change: Change, _ home: AccountsHome, _ isDone: Bool, _ place: String) throws {
        if !isDone { try perform(change, home) }
        guard change != .delete else { return }
        try home.accounts.updateCustomData(home.alice, ["next": 1])
        try home.workspaces.open(home.alice).changeStanding { $0.plan = "next" }
        let job: JSON = ["kind": "report"]
        _ = try home.scheduler.create(home.alice, ["kind": "every", "expression": "PT5H", "job": job], id: "next")
        let root = home.workspaces.root
        let left = try FileManager.default.subpathsOfDirectory(atPath: root).filter {
            $0.split(separator: "/").last.map { TemporaryNames.isTemporary(String($0)) } ?? false || $0.hasPrefix(".creating")
                || $0.hasPrefix(".deleting")
        }
        #expect(left.isEmpty, "\(place)")
    }
}
