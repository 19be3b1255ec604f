// The command line: the list of commands, and the one place where a command's end becomes an exit status.
// Runs on the main thread; `serve` and `worker` are the only commands that start other threads for long.

import ArgumentParser
import Foundation
import Runtime
import TextFormats

@main
struct Nanobot: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nanobot",
        abstract: "Hosts AI assistants for many people; the queue is a folder you can ls.",
        discussion: """
            First steps:
              nanobot serve                        # answers at http://127.0.0.1:8000
              nanobot create-user alice --language en --stock AAPL --stock NVDA
              nanobot submit chat --user alice --wait "What is on my watchlist?"
              nanobot submit report --user alice --report-type daily --wait
              nanobot example                      # all of that, explained step by step

            Commands work on the files of the home, so most of them need no running
            server: jobs wait until one is started.
            Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 69 unavailable
            (disk, address or queue; try later).
            """,
        version: "nanobot \(NanobotServer.version)",
        groupedSubcommands: [
            CommandGroup(name: "Service", subcommands: [Serve.self, WorkOnly.self]),
            CommandGroup(
                name: "Jobs",
                subcommands: [
                    Submit.self, ShowStatus.self, ListJobs.self, ShowReport.self, ReplayTurn.self, CancelJobs.self, RetryJobs.self,
                    ShowQueue.self, PauseQueue.self, ResumeQueue.self,
                ]),
            CommandGroup(
                name: "Users",
                subcommands: [
                    CreateUser.self, ListUsers.self, ShowUser.self, DeleteUser.self, CloneUser.self, ExportUser.self,
                    WatchlistCommand.self, PreferencesCommand.self, PersonaCommand.self, ScheduleCommand.self,
                    ShowSkills.self, ShowUsage.self, SetPlan.self,
                    SuspendUser.self, ResumeUser.self, TokenCommand.self,
                ]),
            CommandGroup(
                name: "Care and learning", subcommands: [CheckSpool.self, Doctor.self, GuidedExample.self, RunTests.self]),
        ])

    @OptionGroup(title: "Options of every command") var common: CommonOptions

    static func main() async {
        // A reader that goes away ends a write with EPIPE, which is handled, instead of ending the process.
        signal(SIGPIPE, SIG_IGN)
        var command: any ParsableCommand
        guard LaunchArguments.program != nil else {
            Terminal.errors.note("nanobot: the arguments of this process cannot be read; start it by its name")
            Foundation.exit(ExitStatus.usage.rawValue)
        }
        do {
            try AddressSpace.atStart.checkCommand()
        } catch {
            Terminal.errors.note(wantsJSON ? error.json.text() : error.line)
            Foundation.exit(error.status.rawValue)
        }
        if let unknown = CommandPath.unknown(in: LaunchArguments.all) {
            Terminal.errors.note(wantsJSON ? unknown.json.text() : unknown.line)
            Foundation.exit(unknown.status.rawValue)
        }
        do {
            command = try await asyncParseAsRoot(LaunchArguments.all)
        } catch {
            Foundation.exit(answer(parsing: error))
        }
        if let missing = missingSubcommand(command) {
            Terminal.errors.note(wantsJSON ? missing.json.text() : missing.line)
            Foundation.exit(missing.status.rawValue)
        }
        do {
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            Foundation.exit(answer(running: error))
        }
    }

    // MARK: - Ends

    private static var wantsJSON: Bool {
        LaunchArguments.all.prefix { $0 != "--" }.contains("--json")
    }

    /// A group such as `schedule` does nothing by itself; `nanobot` alone shows its help.
    private static func missingSubcommand(_ command: any ParsableCommand) -> CommandFailure? {
        let group = type(of: command).configuration
        guard !(command is Nanobot), let name = group.commandName, !group.subcommands.isEmpty else { return nil }
        let names = group.subcommands.compactMap { $0.configuration.commandName }.joined(separator: ", ")
        return .usage("say what to do: nanobot \(name) followed by one of \(names); see nanobot \(name) --help")
    }

    /// Help and version are answers too; ArgumentParser's own status for mistakes is 64, ours is 2.
    private static func answer(parsing error: any Error) -> Int32 {
        let text = fullMessage(for: error)
        if exitCode(for: error) == .success {
            // A closed pipe is the reader's wish.
            try? Terminal.output.line(text)
            return ExitStatus.success.rawValue
        }
        if wantsJSON {
            Terminal.errors.note(CommandFailure.usage(message(for: error)).json.text())
        } else {
            let prefix = "Error: "
            Terminal.errors.note("nanobot: " + (text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : text))
        }
        return ExitStatus.usage.rawValue
    }

    private static func answer(running error: any Error) -> Int32 {
        Terminal.errors.clearPassing()
        if let error = error as? OutputError, error.isClosed { return ExitStatus.success.rawValue }
        // Commands that are mere groups answer with their help.
        if error is CleanExit || exitCode(for: error) == .success { return answer(parsing: error) }
        let failure = HomeOwner.explained(CommandFailure(error))
        Terminal.errors.note(wantsJSON ? failure.json.text() : failure.line)
        return failure.status.rawValue
    }
}
