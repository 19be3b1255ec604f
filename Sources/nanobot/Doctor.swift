// `doctor`: says what keeps this installation from working.

import ArgumentParser
import Runtime
import TextFormats

struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Say what keeps this installation from working.",
        discussion: """
            Looks at the settings, the spool's file system and its space, time zones, the
            limit on open files, the rights of files that hold secrets, the model and its
            accounts (each is asked for an answer, without its key), the box for commands,
            MCP servers (each is started or asked for its tools),
            damaged files of users, and whether the service of this home answers, on the
            port it really has.
            Exit 1 if something has failed. `nanobot check` verifies the jobs themselves.

            Example:
              nanobot doctor --json
            """)

    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        let found = try common.openExisting().diagnose()
        try common.answer(
            .array(
                found.map { ["name": .string($0.name), "verdict": .string($0.verdict.rawValue), "detail": .string($0.detail)] }),
            Doctor.table(found))
        let failures = found.count { $0.verdict == .failure }
        guard failures == 0 else {
            throw CommandFailure("problems_found", failures == 1 ? "1 thing has failed" : "\(failures) things have failed")
        }
    }

    private static func table(_ found: [Diagnosis]) -> [String] {
        var columns = TextColumns(["VERDICT", "WHAT", "FOUND"])
        for one in found { columns.add([one.verdict.rawValue, one.name, one.detail]) }
        return columns.lines
    }
}
