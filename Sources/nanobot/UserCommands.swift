// `create-user`, `list-users`, `show-user`, `clone-user`: people come and are looked at. Changes go through Accounts.

import Accounts
import ArgumentParser
import DurableFiles
import Foundation
import Runtime
import Tenants
import TextFormats

struct CreateUser: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create-user",
        abstract: "Create a user with a workspace.",
        discussion: """
            --initial takes the initial_data of POST /users: {"watchlist": {...},
            "preferences": {...}, "persona": {...}, "custom_data": {...}}; flags win over
            it.

            Examples:
              nanobot create-user alice --language en --stock AAPL --stock NVDA
              nanobot create-user bo --report-time 08:30 --timezone Asia/Shanghai
              nanobot create-user carol --initial carol.json
            """)

    @Argument(help: ArgumentHelp("a-z, 0-9, _ and -, at most 64 characters.", valueName: "user-id"))
    var id: String

    @Option(help: ArgumentHelp("Language of reports. (default: zh)", valueName: "tag")) var language: String?
    @Option(help: "daily, weekly, both, realtime or off. (default: daily)") var reportFrequency: ReportFrequency?
    @Option(help: ArgumentHelp("Time of day of reports. (default: 09:00)", valueName: "hh:mm")) var reportTime: String?
    @Option(help: "Day of the weekly report. (default: monday)") var reportWeekday: Weekday?
    @Option(help: "Form of reports: markdown, html, json or text. (default: markdown)")
    var reportFormat: ReportFormat?
    @Option(help: ArgumentHelp("IANA time zone. (default: the service's)", valueName: "zone")) var timezone: String?
    @Option(help: ArgumentHelp("A stock to follow; may be repeated.", valueName: "symbol")) var stock: [String] = []
    @Option(help: ArgumentHelp("A person to follow; may be repeated.", valueName: "name")) var influencer: [String] = []
    @Option(help: ArgumentHelp("A word to follow; may be repeated.", valueName: "word")) var keyword: [String] = []
    @Option(help: ArgumentHelp("A sector to follow; may be repeated.", valueName: "name")) var sector: [String] = []

    @Option(
        help: ArgumentHelp("JSON file with initial data; - is standard input.", valueName: "file"),
        completion: .file(extensions: ["json"]))
    var initial: String?

    @OptionGroup(title: "Options of every command") var common: CommonOptions

    /// Bytes of a file for --initial.
    private static let maximumFile = 1 << 20

    func run() throws {
        let user = try UserID(id)
        let (data, persona) = try initialData()
        if let service = try common.service() {
            return try RemoteUsers(service: service, common: common).create(user, data, persona: persona)
        }
        let services = try common.open()
        let config = try services.accounts.create(user, initial: data)
        try common.answer(
            config.publicJSON,
            ["created \(user) in \(services.workspaces.path(of: user))"])
    }

    /// What the flags and --initial say, and the persona as it was written.
    private func initialData() throws -> (InitialUserData, persona: JSON?) {
        var data = InitialUserData()
        var persona: JSON?
        if let initial {
            let bytes =
                initial == "-"
                ? Array(try StandardInput.text().utf8)
                : try LinuxFileSystem().readSystemFile(initial, maxBytes: CreateUser.maximumFile)
            let json: JSON
            do {
                json = try JSON.parse(bytes)
            } catch {
                throw CommandFailure("invalid_json", "\(initial) is not valid JSON: \(error)", field: "initial", .usage)
            }
            data = try InitialUserData(json: json, path: "")
            persona = data.persona == nil ? nil : json["persona"]
        }
        var watchlist = data.watchlist ?? WatchlistChange()
        for (kind, entries) in [
            (WatchlistKind.stocks, stock), (.influencers, influencer), (.keywords, keyword), (.sectors, sector),
        ] where !entries.isEmpty {
            watchlist[kind] = entries
        }
        data.watchlist = watchlist
        var preferences = data.preferences ?? PreferencesChange()
        preferences.language = language ?? preferences.language
        preferences.reportFrequency = reportFrequency ?? preferences.reportFrequency
        preferences.reportTime = reportTime ?? preferences.reportTime
        preferences.reportWeekday = reportWeekday ?? preferences.reportWeekday
        preferences.reportFormat = reportFormat ?? preferences.reportFormat
        preferences.timezone = timezone ?? preferences.timezone
        data.preferences = preferences
        return (try data.validated(path: ""), persona)
    }
}

struct ListUsers: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list-users", abstract: "List the users.",
        discussion: """
            With --json an array of users, each as GET /users/{id} gives it, with plan,
            suspended and reason beside it.
            """)

    @Option(help: ArgumentHelp("How many at most. (default: all)", valueName: "n")) var limit: Int?
    @Option(help: ArgumentHelp("Only users after this one, by id.", valueName: "user-id")) var after: String?
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit must be 1 or more.") }
    }

    func run() throws {
        let after = try after.map { try UserID($0) }
        if let service = try common.service() {
            return try RemoteUsers(service: service, common: common).list(limit: limit, after: after?.rawValue)
        }
        let services = try common.openExisting()
        var users: [Row] = []
        for id in try services.workspaces.list(limit: limit, after: after) {
            if let user = try look(at: id, services) { users.append(user) }
        }
        try common.answer(.array(users.map(\.json)), ListUsers.table(users, common.clock(services)))
        if users.isEmpty { common.remark("no users yet; `\(common.command("create-user ID"))` makes one") }
    }

    private struct Row {
        var id: UserID
        /// nil: its file cannot be read.
        var config: UserConfig?
        /// As above.
        var standing: AccountStanding?

        var json: JSON {
            var members = config?.publicJSON.object ?? ["user_id": .string(id.rawValue)]
            if let standing { members.merge(standing.summary) }
            return .object(members)
        }
    }

    /// nil: deleted since it was listed. A file that cannot be read is told and shown as such.
    private func look(at id: UserID, _ services: NanobotServices) throws -> Row? {
        func read<Value>(_ body: () throws(TenantError) -> Value) throws(TenantError) -> Value? {
            do throws(TenantError) {
                return try body()
            } catch {
                guard error.code == .configCorrupt else { throw error }
                common.remark("nanobot: \(id): \(error.detail)")
                return nil
            }
        }
        do throws(TenantError) {
            return Row(
                id: id, config: try read { () throws(TenantError) in try services.configs.get(id) },
                standing: try read { () throws(TenantError) in try services.workspaces.open(id).standing() })
        } catch {
            if error.code == .userNotFound { return nil }
            throw error
        }
    }

    private static func table(_ users: [Row], _ clock: Clock) -> [String] {
        guard !users.isEmpty else { return [] }
        var table = TextColumns(["USER", "PLAN", "ACCOUNT", "LANGUAGE", "REPORTS", "TIME", "ZONE", "STOCKS", "CREATED"])
        for user in users {
            let account = [user.id.rawValue] + UserText.account(user.standing)
            guard let config = user.config else {
                table.add(account + ["?", "?", "?", "?", "?", "config.json cannot be read"])
                continue
            }
            let preferences = config.preferences
            table.add(account + [
                preferences.language, preferences.reportFrequency.rawValue, preferences.reportTime,
                config.timeZone, String(config.watchlist.stocks.count), clock.text(config.createdAt, of: user.id),
            ])
        }
        return table.lines
    }
}

struct ShowUser: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show-user", abstract: "Show a user: watchlist, preferences, persona, workspace.")

    @Argument(help: ArgumentHelp("The user.", valueName: "user-id")) var id: String
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        let user = try UserID(id)
        if let service = try common.service() {
            return try RemoteUsers(service: service, common: common).show(user)
        }
        let services = try common.openExisting()
        let config = try services.configs.get(user)
        let info = try services.workspaces.info(user)
        let standing = try services.workspaces.open(user).standing()
        var members = config.publicJSON.object ?? [:]
        members["workspace"] = [
            "path": .string(info.path), "files": JSON(info.files.count), "size_bytes": JSON(info.sizeBytes),
        ]
        members.merge(standing.summary)
        try common.answer(.object(members), ShowUser.lines(config, info, standing, common.clock(services)))
    }

    private static func lines(
        _ config: UserConfig, _ info: WorkspaceInfo, _ standing: AccountStanding, _ clock: Clock
    ) -> [String] {
        let account = UserText.account(standing)
        var lines = [
            "user         \(config.userID)", "plan         \(account[0])", "account      \(account[1])",
            "created      \(clock.full(config.createdAt, of: config.userID))",
            "updated      \(clock.full(config.updatedAt, of: config.userID))",
            "workspace    \(info.path) (\(info.files.count) files, \(info.sizeBytes) bytes)",
        ]
        lines += ["watchlist"] + UserText.members(config.watchlist.json)
        lines += ["preferences"] + UserText.members(config.publicJSON["preferences"] ?? .null)
        lines += ["persona"] + UserText.members(config.persona.json)
        if !config.customData.isEmpty { lines.append("custom_data  \(JSON.object(config.customData).text())") }
        return lines
    }
}

struct CloneUser: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clone-user", abstract: "Create a user after another's pattern.",
        discussion: """
            Takes over settings, templates and skills; not what belongs to the person:
            conversations, memory, reports.

            Example:
              nanobot clone-user alice bob
            """)

    @Argument(help: ArgumentHelp("The pattern.", valueName: "from")) var source: String
    @Argument(help: ArgumentHelp("The new user.", valueName: "to")) var target: String
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        let source = try UserID(source)
        let target = try UserID(target)
        let services = try common.open()
        let config = try services.accounts.clone(from: source, to: target)
        try common.answer(
            config.publicJSON, ["created \(target) after \(source) in \(services.workspaces.path(of: target))"])
    }
}

/// Settings in words.
enum UserText {
    /// The plan, and whether the account is suspended. - Parameter standing: nil: its file cannot be read.
    static func account(_ standing: AccountStanding?) -> [String] {
        guard let standing else { return ["?", "account.json cannot be read"] }
        return account(plan: standing.plan, suspension: standing.suspension)
    }

    static func account(plan: String?, suspension: String?) -> [String] {
        [plan ?? "-", suspension.map { "suspended: \($0)" } ?? "active"]
    }

    /// "  name  value" for each member; arrays as "a, b", nothing as "-".
    static func members(_ json: JSON) -> [String] {
        guard let object = json.object else { return [] }
        let width = object.keys.map(\.count).max() ?? 0
        return object.map { key, value in
            "  \(key.padding(toLength: width, withPad: " ", startingAt: 0))  \(text(value))"
        }
    }

    static func text(_ value: JSON) -> String {
        if value.isNull { return "-" }
        if let items = value.array { return items.isEmpty ? "-" : items.map(text).joined(separator: ", ") }
        return value.string ?? value.text()
    }
}
