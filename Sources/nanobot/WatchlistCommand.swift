// `watchlist show|add|remove|set`: what a user follows.

import Accounts
import ArgumentParser
import Foundation
import Runtime
import Tenants
import TextFormats

struct WatchlistCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watchlist",
        abstract: "Show or change what a user follows.",
        discussion: """
            Examples:
              nanobot watchlist add alice TSLA MSFT
              nanobot watchlist set alice --kind keywords "rate cut" chips
              nanobot watchlist show alice
            """,
        subcommands: [Show.self, Add.self, Remove.self, Replace.self], defaultSubcommand: nil)

    @OptionGroup(visibility: .hidden) var common: CommonOptions

    struct Entries: ParsableArguments {
        @Argument(help: ArgumentHelp("The user.", valueName: "user-id")) var user: String
        @Argument(help: ArgumentHelp("Symbols, names or words.", valueName: "entry")) var entries: [String] = []
        @Option(help: "The list: stocks, influencers, keywords or sectors.") var kind = WatchlistKind.stocks
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "show", abstract: "Show all four lists.")

        @Argument(help: ArgumentHelp("The user.", valueName: "user-id")) var user: String
        @OptionGroup(title: "Options of every command") var common: CommonOptions

        func run() throws {
            let user = try UserID(user)
            if let service = try common.service() {
                return try RemoteUsers(service: service, common: common).showPart("watchlist", of: user)
            }
            let watchlist = try common.openExisting().configs.get(user).watchlist
            try common.answer(watchlist.json, UserText.members(watchlist.json))
        }
    }

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add", abstract: "Add entries; those that are there already stay.")

        @OptionGroup var list: Entries
        @OptionGroup(title: "Options of every command") var common: CommonOptions

        func run() throws {
            let user = try UserID(list.user)
            try list.refuseNone()
            if let service = try common.service() {
                return try RemoteUsers(service: service, common: common).addToWatchlist(user, list.kind, list.entries)
            }
            let result = try common.open().accounts.addToWatchlist(user, list.kind, list.entries)
            try WatchlistCommand.answer(common, result.config, list.kind, "added", result.changed)
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "Remove entries; upper and lower case count as the same.")

        @OptionGroup var list: Entries
        @OptionGroup(title: "Options of every command") var common: CommonOptions

        func run() throws {
            let user = try UserID(list.user)
            try list.refuseNone()
            if let service = try common.service() {
                return try RemoteUsers(service: service, common: common).removeFromWatchlist(user, list.kind, list.entries)
            }
            let result = try common.open().accounts.removeFromWatchlist(user, list.kind, list.entries)
            try WatchlistCommand.answer(common, result.config, list.kind, "removed", result.changed)
        }
    }

    struct Replace: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "set", abstract: "Replace a list; without entries it is emptied.")

        @OptionGroup var list: Entries
        @OptionGroup(title: "Options of every command") var common: CommonOptions

        func run() throws {
            let user = try UserID(list.user)
            if let service = try common.service() {
                return try RemoteUsers(service: service, common: common).replaceWatchlist(user, list.kind, list.entries)
            }
            var change = WatchlistChange()
            change[list.kind] = list.entries
            let config = try common.open().accounts.updateWatchlist(user, try change.validated())
            try WatchlistCommand.answer(common, config, list.kind, "now", config.watchlist[list.kind])
        }
    }

    private static func answer(
        _ common: CommonOptions, _ config: UserConfig, _ kind: WatchlistKind, _ verb: String, _ entries: [String]
    ) throws {
        let what = entries.isEmpty ? "nothing" : entries.joined(separator: ", ")
        try common.answer(config.watchlist.json, ["\(config.userID) \(kind.rawValue): \(verb) \(what)"])
    }
}

extension WatchlistCommand.Entries {
    fileprivate func refuseNone() throws {
        if entries.isEmpty { throw CommandFailure.usage("name at least one entry, such as AAPL") }
    }
}
