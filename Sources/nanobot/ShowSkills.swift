// `skills`: what a user's assistant can do by instruction, and what is wrong with the files that say so.

import ArgumentParser
import Runtime
import Tenants
import TextFormats

struct ShowSkills: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "skills",
        abstract: "Show a user's skills, and what is wrong with their files.",
        discussion: """
            Skills are files skills/NAME/SKILL.md of the workspace over the built-in ones.

            Example:
              nanobot skills alice
            """)

    @Argument(help: ArgumentHelp("The user.", valueName: "user-id")) var user: String
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        let user = try UserID(user)
        if let service = try common.service() {
            return try RemoteUsers(service: service, common: common).skills(user)
        }
        try ShowSkills.answer(.array(try common.openExisting().skills.skills(of: user).map(\.json)), common)
    }

    /// - Parameter skills: as GET /users/{id}/skills gives them.
    static func answer(_ skills: JSON, _ common: CommonOptions) throws {
        var table = TextColumns(["SKILL", "STATE", "SOURCE", "WHAT"])
        for skill in skills.array ?? [] {
            let problems = skill["problems"]?.array?.compactMap(\.string) ?? []
            let state =
                skill["available"] != true ? "unavailable" : !problems.isEmpty ? "faulty" : skill["always"] == true ? "always" : "ready"
            let obstacle = skill["obstacle"]?.string.map { [$0] } ?? []
            let said = obstacle + problems.filter { !obstacle.contains($0) }
            table.add([
                skill["name"]?.string ?? "?", state, skill["source"]?.string ?? "?",
                said.isEmpty ? skill["description"]?.string ?? "" : said.joined(separator: "; "),
            ])
        }
        try common.answer(skills, table.lines)
    }
}
