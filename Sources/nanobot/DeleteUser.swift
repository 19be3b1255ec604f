// `delete-user`: asks first; then jobs and workspace go for good.

import Accounts
import ArgumentParser
import Foundation
import Runtime
import Tenants
import TextFormats

struct DeleteUser: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete-user",
        abstract: "Delete a user with all jobs, conversations, reports and memory.",
        discussion: """
            There is no way back. On a terminal it asks for the id again; elsewhere it
            needs --yes.

            Example:
              nanobot delete-user alice --yes
            """)

    @Argument(help: ArgumentHelp("The user.", valueName: "user-id")) var id: String
    @Flag(help: "Do not ask.") var yes = false
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        let user = try UserID(id)
        if let service = try common.service() {
            return try RemoteUsers(service: service, common: common).delete(user, isMeant: yes)
        }
        let services = try common.open()
        if !yes { try ask(user, services) }
        try services.accounts.delete(user)
        try common.answer(["user_id": .string(user.rawValue), "deleted": true], ["deleted \(user)"])
    }

    private func ask(_ user: UserID, _ services: NanobotServices) throws {
        let info = try services.workspaces.info(user)
        guard info.exists else { throw CommandFailure("user_not_found", "There is no user \"\(user)\".") }
        guard !common.json, StandardInput.isInteractive else {
            throw CommandFailure.usage("deleting \(user) cannot be undone; say --yes if you mean it")
        }
        let question =
            "This deletes \(user) for good: \(info.files.count) files in \(info.path), and all jobs. "
            + "Type the id to go on:"
        guard StandardInput.answer(to: question) == user.rawValue else {
            throw CommandFailure("not_confirmed", "\(user) was left as it is")
        }
    }
}
