// `usage`, `set-plan`, `suspend-user`, `resume-user`: what an operator decides about a user, and what the user has used.
// No server need run; a running one knows at once, since the decision is a file it reads.

import ArgumentParser
import Foundation
import Runtime
import Tenants
import TextFormats

struct ShowUsage: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "usage", abstract: "Show what a user has used today and this month, and the limits.",
        discussion: "Without a user: what all users together have used, where limits.service bounds it.")

    @Argument(help: ArgumentHelp("The user.", valueName: "user-id")) var id: String?
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        if let service = try common.service() {
            guard let id else { throw ValidationError("With --server name a user.") }
            return try RemoteUsers(service: service, common: common).usage(try UserID(id))
        }
        let services = try common.openExisting()
        guard let id else {
            guard let summary = try services.budgets.serviceSummary() else {
                throw ValidationError("The settings do not bound the whole service (limits.service): name a user.")
            }
            return try common.answer(summary, ShowUsage.lines(summary, of: nil, common.clock(services)))
        }
        let user = try UserID(id)
        let summary = try services.budgets.summary(of: user)
        try common.answer(summary, ShowUsage.lines(summary, of: user, common.clock(services)))
    }

    static func lines(_ summary: JSON, of user: UserID?, _ clock: Clock) -> [String] {
        func limit(_ key: String) -> String {
            guard let value = summary[key], !value.isNull else { return "no limit" }
            return "of \(value.text())"
        }
        func text(_ key: String) -> String { summary[key]?.string ?? summary[key]?.text() ?? "" }
        func time(_ key: String) -> String { clock.full(summary[key]?.string.flatMap(RFC3339.date), of: user) }
        var lines = [
            summary["plan"].map { "plan: \($0.string ?? "none")" } ?? "all users together",
            "tokens today: \(text("tokens_today")), \(limit("tokens_per_day")); the day ends at \(time("day_ends_at"))",
            "USD this month: \(text("cost_this_month")), \(limit("cost_per_month")); the month ends at "
                + time("month_ends_at"),
        ]
        if let reason = summary["reason"]?.string { lines.insert("suspended: \(reason)", at: 0) }
        return lines
    }
}

struct SetPlan: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set-plan", abstract: "Give a user a plan of the settings.",
        discussion: "Without a plan's name the user has the limits of everybody again.")

    @Argument(help: ArgumentHelp("The user.", valueName: "user-id")) var id: String
    @Argument(help: ArgumentHelp("A name under \"plans\" in config.json.", valueName: "plan")) var plan: String?
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        if let service = try common.service() {
            return try RemoteUsers(service: service, common: common).setPlan(try UserID(id), plan)
        }
        let standing = try common.open().budgets.setPlan(plan, of: try UserID(id))
        try common.answer(standing.json, ["\(id): plan \(standing.plan ?? "none")"])
    }
}

struct SuspendUser: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "suspend-user", abstract: "Take in no more jobs of a user until resume-user.",
        discussion: """
            Reading stays possible. Waiting jobs end as failed (user_suspended) when their
            turn comes; `nanobot retry` brings them back later.
            """)

    @Argument(help: ArgumentHelp("The user.", valueName: "user-id")) var id: String
    @Option(help: ArgumentHelp("Why; the user is told.", valueName: "text")) var reason = "ask the operator"
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        if let service = try common.service() {
            return try RemoteUsers(service: service, common: common).suspend(try UserID(id), reason: reason)
        }
        let standing = try common.open().budgets.suspend(try UserID(id), reason: reason)
        try common.answer(standing.json, ["\(id) is suspended: \(reason)"])
    }
}

struct ResumeUser: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume-user", abstract: "Take in jobs of a suspended user again.")

    @Argument(help: ArgumentHelp("The user.", valueName: "user-id")) var id: String
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        if let service = try common.service() {
            return try RemoteUsers(service: service, common: common).resume(try UserID(id))
        }
        let standing = try common.open().budgets.resume(try UserID(id))
        try common.answer(standing.json, ["\(id) goes on"])
    }
}
