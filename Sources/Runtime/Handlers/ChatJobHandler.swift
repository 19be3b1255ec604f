// A chat job: one turn in the user's session. Result: {"response", "session_id", "model"}.

import Agent
import Foundation
import Jobs
import Logging
import Providers
import Spool
import Tenants
import TextFormats
import Workers

struct ChatJobHandler: Sendable {
    let runner: TurnRunner
    let commands: ChatCommandHandler

    func run(
        _ job: ClaimedJob, _ setting: JobSetting, _ record: RunRecord, _ cancellation: CancellationFlag,
        _ logger: Logger
    ) -> JobOutcome {
        if let command = setting.request.command { return commands.run(command, job, setting) }
        let session = setting.request.sessionID ?? .standard
        let plan = TurnRunner.Plan(
            kind: .chat, session: session, message: setting.request.message ?? "",
            language: setting.request.language ?? setting.config.preferences.language, isEphemeral: false)
        switch runner.run(plan, job, setting, record, cancellation, logger) {
        case .outcome(let outcome): return outcome
        case .result(let result):
            return .completed(
                result: [
                    "response": .string(result.text), "session_id": .string(session.rawValue),
                    "model": .string(result.model), "steps": JSON(result.steps),
                ],
                usage: result.usage.json)
        }
    }
}
