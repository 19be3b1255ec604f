// `preferences show|set`: how a user wants reports. Schedules follow by themselves.

import Accounts
import ArgumentParser
import Foundation
import Runtime
import Tenants
import TextFormats

struct PreferencesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "preferences",
        abstract: "Show or change how a user wants reports.",
        discussion: """
            Keys: report_frequency (daily, weekly, both, realtime, off), report_time
            (hh:mm), report_weekday, timezone (IANA; empty: the service's), report_format
            (markdown, html, json, text), language, max_report_length (characters),
            notification_channels (file). The report schedules move with them.

            Examples:
              nanobot preferences set alice report_time=07:30 timezone=Europe/Berlin
              nanobot preferences set alice report_frequency=both report_weekday=friday
            """,
        subcommands: [Show.self, Change.self])

    @OptionGroup(visibility: .hidden) var common: CommonOptions

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "show", abstract: "Show all preferences.")

        @Argument(help: ArgumentHelp("The user.", valueName: "user-id")) var user: String
        @OptionGroup(title: "Options of every command") var common: CommonOptions

        func run() throws {
            let user = try UserID(user)
            if let service = try common.service() {
                return try RemoteUsers(service: service, common: common).showPart("preferences", of: user)
            }
            let json = try common.openExisting().configs.get(user).publicJSON["preferences"] ?? .null
            try common.answer(json, UserText.members(json))
        }
    }

    struct Change: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "set", abstract: "Change some preferences; the others stay.")

        @Argument(help: ArgumentHelp("The user.", valueName: "user-id")) var user: String
        @Argument(help: ArgumentHelp("New values.", valueName: "key=value")) var values: [String]
        @OptionGroup(title: "Options of every command") var common: CommonOptions

        func run() throws {
            let user = try UserID(user)
            let change = try PreferencesChange(json: .object(try members()), path: "")
            if let service = try common.service() {
                return try RemoteUsers(service: service, common: common).changePreferences(user, try members())
            }
            let config = try common.open().accounts.updatePreferences(user, change)
            let json = config.publicJSON["preferences"] ?? .null
            try common.answer(json, UserText.members(json))
        }

        private func members() throws -> JSONObject {
            try KeyValues.members(values, example: "report_time=08:00", json: json)
        }

        private func json(_ key: String, _ text: String) -> JSON {
            switch key {
            case "max_report_length": return Int(text).map { JSON($0) } ?? .string(text)
            case "notification_channels": return KeyValues.list(text)
            default: return .string(text)
            }
        }
    }
}
