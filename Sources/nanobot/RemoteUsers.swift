// The commands about users, asked of a service elsewhere (--server). Main thread.

import Foundation
import NanobotClient
import Tenants
import TextFormats

struct RemoteUsers {
    let service: ServiceClient
    let common: CommonOptions

    func create(_ user: UserID, _ data: InitialUserData, persona: JSON?) throws {
        var initial: JSONObject = [:]
        initial["watchlist"] = data.watchlist?.json
        initial["preferences"] = data.preferences?.json
        initial["persona"] = persona
        initial["custom_data"] = data.customData.map { .object($0) }
        let created = try service.createUser(user.rawValue, initial: initial)
        try common.answer(created, ["created \(user) at \(service.url)"])
    }

    func list(limit: Int?, after: String?) throws {
        var users: [JSON] = []
        var last = after
        var hasMore = true
        while hasMore, users.count < limit ?? .max {
            let page = try service.users(limit: min((limit ?? .max) - users.count, RemoteJobs.pageSize), after: last)
            users += page.items
            last = page.items.last?["user_id"]?.string
            hasMore = page.hasMore && last != nil
        }
        // Not each user's zone: that would be a call for each.
        let clock = Clock()
        var table = TextColumns(["USER", "PLAN", "ACCOUNT", "CREATED"])
        for user in users {
            let created = user["created_at"]?.string.flatMap(RFC3339.date)
            // Services before this version do not tell; those of now leave out what they cannot read.
            let account =
                user["suspended"] == nil
                ? ["?", "?"]
                : UserText.account(
                    plan: user["plan"]?.string, suspension: user["suspended"] == true ? user["reason"]?.string ?? "" : nil)
            table.add([user["user_id"]?.string ?? "?"] + account + [clock.text(created)])
        }
        try common.answer(.array(users), users.isEmpty ? [] : table.lines)
        if users.isEmpty { common.remark("no users yet; `\(common.command("create-user ID"))` makes one") }
    }

    func show(_ user: UserID) throws {
        let json = try service.user(user.rawValue)
        var lines = ["user         \(user)"]
        for part in ["watchlist", "preferences", "persona"] {
            if let members = json[part] { lines += [part] + UserText.members(members) }
        }
        try common.answer(json, lines)
    }

    func delete(_ user: UserID, isMeant: Bool) throws {
        if !isMeant {
            // That there is one is said before anybody is asked.
            _ = try service.user(user.rawValue)
            guard !common.json, StandardInput.isInteractive else {
                throw CommandFailure.usage("deleting \(user) cannot be undone; say --yes if you mean it")
            }
            let question = "This deletes \(user) at \(service.url) for good, with all files and jobs. Type the id to go on:"
            guard StandardInput.answer(to: question) == user.rawValue else {
                throw CommandFailure("not_confirmed", "\(user) was left as it is")
            }
        }
        try service.deleteUser(user.rawValue)
        try common.answer(["user_id": .string(user.rawValue), "deleted": true], ["deleted \(user)"])
    }

    // MARK: - Watchlist, preferences

    func showPart(_ part: String, of user: UserID) throws {
        let json = try service.user(user.rawValue)[part] ?? .null
        try common.answer(json, UserText.members(json))
    }

    func addToWatchlist(_ user: UserID, _ kind: WatchlistKind, _ entries: [String]) throws {
        try change(user, kind, "added") { standing in
            let known = Set(standing.map { $0.lowercased() })
            return standing + entries.filter { !known.contains($0.lowercased()) }
        } saying: { before, after in after.filter { !before.contains($0) } }
    }

    func removeFromWatchlist(_ user: UserID, _ kind: WatchlistKind, _ entries: [String]) throws {
        let unwanted = Set(entries.map { $0.lowercased() })
        try change(user, kind, "removed") { standing in standing.filter { !unwanted.contains($0.lowercased()) } } saying: {
            before, after in before.filter { !after.contains($0) }
        }
    }

    func replaceWatchlist(_ user: UserID, _ kind: WatchlistKind, _ entries: [String]) throws {
        try change(user, kind, "now") { _ in entries } saying: { $1 }
    }

    private func change(
        _ user: UserID, _ kind: WatchlistKind, _ verb: String, _ change: ([String]) -> [String],
        saying: ([String], [String]) -> [String]
    ) throws {
        let (before, json) = try service.changeWatchlist(user.rawValue, list: kind.rawValue, change)
        let after = json["watchlist"]?[kind.rawValue]?.array?.compactMap(\.string) ?? []
        let said = saying(before, after)
        let what = said.isEmpty ? "nothing" : said.joined(separator: ", ")
        try common.answer(json["watchlist"] ?? .null, ["\(user) \(kind.rawValue): \(verb) \(what)"])
    }

    func changePreferences(_ user: UserID, _ members: JSONObject) throws {
        let json = try service.setPreferences(user.rawValue, members)["preferences"] ?? .null
        try common.answer(json, UserText.members(json))
    }

    func changePersona(_ user: UserID, _ members: JSONObject) throws {
        let json = try service.setPersona(user.rawValue, members)["persona"] ?? .null
        try common.answer(json, UserText.members(json))
    }

    func skills(_ user: UserID) throws { try ShowSkills.answer(service.skills(user.rawValue), common) }

    // MARK: - Limits

    func usage(_ user: UserID) throws {
        let limits = try service.limits(user.rawValue)
        try common.answer(limits, ShowUsage.lines(limits, of: user, common.clock(service)))
    }

    func setPlan(_ user: UserID, _ plan: String?) throws {
        let limits = try service.setPlan(user.rawValue, plan)
        try common.answer(limits, ["\(user): plan \(plan ?? "none")"])
    }

    func suspend(_ user: UserID, reason: String) throws {
        let limits = try service.suspend(user.rawValue, reason: reason)
        try common.answer(limits, ["\(user) is suspended: \(reason)"])
    }

    func resume(_ user: UserID) throws {
        let limits = try service.resume(user.rawValue)
        try common.answer(limits, ["\(user) goes on"])
    }
}
