// `persona show|set`: what kind of investor a user is. The next turn has it.

import Accounts
import ArgumentParser
import Runtime
import Tenants
import TextFormats

struct PersonaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "persona",
        abstract: "Show or change what kind of investor a user is.",
        discussion: """
            Keys: risk_preference, investment_experience, investment_horizon,
            preferred_report_length (each a text; empty takes it away), focus_areas,
            avoid_topics (each a list, with commas between).

            Examples:
              nanobot persona set alice risk_preference=cautious focus_areas=chips,energy
              nanobot persona set alice investment_horizon= avoid_topics=
              nanobot persona show alice
            """,
        subcommands: [Show.self, Change.self])

    @OptionGroup(visibility: .hidden) var common: CommonOptions

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "show", abstract: "Show the persona.")

        @Argument(help: ArgumentHelp("The user.", valueName: "user-id")) var user: String
        @OptionGroup(title: "Options of every command") var common: CommonOptions

        func run() throws {
            let user = try UserID(user)
            if let service = try common.service() {
                return try RemoteUsers(service: service, common: common).showPart("persona", of: user)
            }
            let json = try common.openExisting().configs.get(user).persona.json
            try common.answer(json, UserText.members(json))
        }
    }

    struct Change: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "set", abstract: "Change some of the persona; the rest stays.")

        @Argument(help: ArgumentHelp("The user.", valueName: "user-id")) var user: String
        @Argument(help: ArgumentHelp("New values.", valueName: "key=value")) var values: [String]
        @OptionGroup(title: "Options of every command") var common: CommonOptions

        func run() throws {
            let user = try UserID(user)
            let members = try KeyValues.members(values, example: "risk_preference=cautious") { key, text in
                key == "focus_areas" || key == "avoid_topics" ? KeyValues.list(text) : .string(text)
            }
            let change = try PersonaChange(json: .object(members), path: "")
            if let service = try common.service() {
                return try RemoteUsers(service: service, common: common).changePersona(user, members)
            }
            let json = try common.open().accounts.updatePersona(user, change).persona.json
            try common.answer(json, UserText.members(json))
        }
    }
}
