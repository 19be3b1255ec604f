// `token create|list|rotate|revoke`: credentials of the HTTP service, made and ended on the machine itself. No server need
// run; a running one knows within a second, since a token is a file it reads.

import ArgumentParser
import Foundation
import Identity
import Runtime
import Tenants
import TextFormats

struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Make, list, rotate and revoke tokens of the HTTP service.",
        discussion: """
            From the first token on every caller needs one. To open the service to
            this machine again, remove the folder <home>/tokens. A rotation keeps the
            old token's end; what a token made (server.user_tokens_may_mint) goes with it.

            Examples:
              nanobot token create --admin                # for the application's server
              nanobot token create alice                  # reaches alice only
              nanobot token create alice --read --expires 2027-01-01T00:00:00Z
              nanobot token rotate 3k9x4m2p7q1z --overlap 3600
              nanobot token revoke 3k9x4m2p7q1z
            """,
        subcommands: [CreateToken.self, ListTokens.self, RotateToken.self, RevokeToken.self])

    @OptionGroup(visibility: .hidden) var common: CommonOptions
}

extension TokenStore {
    /// Whose token it is: nil in the answer for the admins'. Looks through all users.
    /// - Throws: CommandFailure `token_not_found`.
    fileprivate func owner(of id: String) throws -> UserID? {
        if try record(id, of: nil) != nil { return nil }
        for user in try users() where try record(id, of: user) != nil { return user }
        throw CommandFailure(
            "token_not_found", "there is no token \"\(id.prefix(32))\"; `nanobot token list` shows them")
    }
}

struct CreateToken: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a token; it is shown this once and kept only as a hash.")

    @Argument(help: ArgumentHelp("The one user it reaches.", valueName: "user-id")) var user: String?
    @Flag(help: "It reaches every user.") var admin = false
    @Flag(help: "It may read only.") var read = false
    @Option(help: ArgumentHelp("What to call it in lists.", valueName: "text")) var name: String?
    @Option(help: ArgumentHelp("When it ends (RFC 3339). (default: never)", valueName: "time")) var expires: String?
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func validate() throws {
        guard admin != (user != nil) else { throw ValidationError("Name the user it reaches, or say --admin.") }
        if admin, read { throw ValidationError("--read is for tokens of a user.") }
    }

    func run() throws {
        let end = try TokenTime.read(expires, "expires")
        let user = try user.map { try UserID($0) }
        let services = try common.open()
        if let user { _ = try services.configs.get(user) }
        let scope: AccessScope = admin ? .admin : read ? .read : .user
        let made = try services.tokens.create(scope, user: user, name: name, expiresAt: end)
        try TokenTime.show(made, common)
    }
}

struct RotateToken: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate", abstract: "Make a token in the place of another, which goes on for a while.")

    @Argument(help: ArgumentHelp("The old one's id.", valueName: "token-id")) var id: String
    @Option(help: ArgumentHelp("Seconds the old one goes on.", valueName: "s")) var overlap = 3_600
    @Option(help: ArgumentHelp("When the new one ends, if sooner than the old one (RFC 3339).", valueName: "time"))
    var expires: String?
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func validate() throws {
        guard (0...2_592_000).contains(overlap) else {
            throw ValidationError("--overlap must be from 0 to 2592000 (30 days).")
        }
    }

    func run() throws {
        let end = try TokenTime.read(expires, "expires")
        let services = try common.open()
        let owner = try services.tokens.store.owner(of: id)
        let made = try services.tokens.rotate(id, of: owner, overlap: TimeInterval(overlap), expiresAt: end)
        try TokenTime.show(made, common)
    }
}

struct ListTokens: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List tokens, without the tokens.")

    @Argument(help: ArgumentHelp("Only this user's. (default: the admins' and every user's)", valueName: "user-id"))
    var user: String?
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        let owner = try user.map { try UserID($0) }
        let services = try common.openExisting()
        let store = services.tokens.store
        var records: [TokenRecord] = []
        if let owner {
            records = try store.list(user: owner)
        } else {
            records = try store.list(user: nil)
            for user in try store.users() { records += try store.list(user: user) }
        }
        try common.answer(.array(records.map(\.publicJSON)), Self.lines(records, common.clock(services)))
    }

    private static func lines(_ records: [TokenRecord], _ clock: Clock) -> [String] {
        guard !records.isEmpty else { return ["no tokens"] }
        var table = TextColumns(["ID", "REACHES", "SCOPE", "MADE", "USED", "ENDS", "PARENT", "NAME"])
        for record in records {
            table.add([
                record.id, record.user?.rawValue ?? "everybody", record.scope.rawValue,
                clock.text(record.createdAt, of: record.user), clock.text(record.lastUsedAt, of: record.user),
                clock.text(record.expiresAt, of: record.user), record.lineage.first?.words ?? "", record.name ?? "",
            ])
        }
        return table.lines
    }
}

struct RevokeToken: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "End tokens: they let nobody in any more.")

    @Argument(help: ArgumentHelp("As `token list` shows them.", valueName: "token-id")) var ids: [String]
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        let tokens = try common.openExisting().tokens
        let owners = try ids.map { try tokens.store.owner(of: $0) }
        var goingOn: [String] = []
        for (id, owner) in zip(ids, owners) {
            let successors = try tokens.store.record(id, of: owner)?.successors ?? []
            try tokens.revoke(id, of: owner)
            for successor in successors where try !ids.contains(successor) && tokens.store.record(successor, of: owner) != nil {
                goingOn.append("\(successor), into which \(id) was rotated, goes on")
            }
        }
        try common.answer(["revoked": JSON(ids)], ids.map { "\($0) is revoked" })
        for words in goingOn { common.remark(words) }
    }
}

enum TokenTime {
    static func read(_ text: String?, _ option: String) throws -> Date? {
        guard let text else { return nil }
        guard let date = RFC3339.date(text) else {
            throw CommandFailure.usage("--\(option) must be a time such as 2027-01-01T00:00:00Z", field: option)
        }
        return date
    }

    static func show(_ made: (record: TokenRecord, token: String), _ common: CommonOptions) throws {
        var members = made.record.publicJSON.object ?? [:]
        members["token"] = .string(made.token)
        try common.answer(.object(members), [made.token])
        common.remark("token \(made.record.id) for \(made.record.user?.rawValue ?? "everybody"); it is shown this once")
    }
}
