// `replay`: a job's turn again from its journal, step by step, without a model call and without running a tool.

import ArgumentParser
import Runtime
import Spool
import TextFormats

struct ReplayTurn: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Play a job's turn through again from its journal.",
        discussion: """
            Nothing is asked, run or changed: the recorded answers and results go through
            today's decisions once more. Where those would differ, it says so.
            """)

    @Argument(help: ArgumentHelp("The job's id.", valueName: "job-id")) var id: String
    @Option(help: ArgumentHelp("Only this step, from 0.", valueName: "n")) var step: Int?
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        let id = try common.jobID(id)
        let services = try common.openExisting()
        guard try services.spool.record(id) != nil else {
            throw CommandFailure("not_found", "there is no job \(id); `\(common.command("jobs"))` lists them")
        }
        guard let replay = try services.replay(id) else {
            throw CommandFailure("no_journal", "job \(id) has no recorded model call: there is nothing to play through")
        }
        if let step, !(0..<replay.stepCount).contains(step) {
            throw CommandFailure("no_step", "the turn has \(replay.stepCount) steps, from 0", field: "step", .usage)
        }
        try common.answer(replay.json(step: step), replay.lines(step: step))
    }
}
