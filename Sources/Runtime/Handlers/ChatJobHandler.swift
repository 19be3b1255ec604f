// A chat job: one turn in the user's session. Result: {"response", "session_id", "model", "steps"}, and "finish_reason"
// ("length", "content_filter") where the response is only the beginning of an answer.

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
    let memory: MemoryDesk

    func run(
        _ job: ClaimedJob, _ setting: JobSetting, _ record: RunRecord, _ cancellation: CancellationFlag,
        _ logger: Logger
    ) -> JobOutcome {
        let session = setting.request.sessionID ?? .standard
        if let command = setting.request.command {
            let outcome = commands.run(command, job, setting)
            if command == .new { memory.look(at: session, of: setting.request.userID, in: setting.workspace, logger) }
            return outcome
        }
        let words = words(of: job, setting)
        do throws(AgentError) {
            if let digest = ClientHistoryReference(setting.request.metadata).stored {
                try SessionStore(workspace: setting.workspace).base(
                    session, on: digest, by: job.id.description, at: runner.now())
            }
            try words.open(in: session, of: setting.workspace)
        } catch {
            return .failed(JobFailure(code: error.code, detail: error.detail, isRetryable: error.isRetryable), usage: nil)
        }
        let plan = TurnRunner.Plan(
            kind: .chat, session: session, message: setting.request.message ?? "", language: language(setting),
            isEphemeral: false)
        switch runner.run(plan, job, setting, record, cancellation, logger) {
        case .outcome(let outcome):
            if case .failed(let failure, _) = outcome, !failure.isRetryable {
                let why = UserErrorTexts.sentence(code: failure.code, detail: failure.detail, language: language(setting))
                _ = bringBack("The task could not be done (\(failure.code)): \(why)", job, setting, logger)
            }
            return outcome
        case .result(let result):
            if let failure = bringBack(result.text, job, setting, logger) {
                return .failed(failure, usage: result.usage.json)
            }
            let room = runner.factory.window(of: setting.request.model).inputTokens(most: TurnLimits().contextTokens)
            memory.look(at: session, of: setting.request.userID, in: setting.workspace, logger, rule: BacklogRule(room: room))
            var members: JSONObject = [
                "response": .string(result.text), "session_id": .string(session.rawValue), "model": .string(result.model),
                "steps": JSON(result.steps),
            ]
            if result.finishReason != .stop { members["finish_reason"] = .string(result.finishReason.rawValue) }
            return .completed(result: .object(members), usage: result.usage.json)
        }
    }

    private func language(_ setting: JobSetting) -> String {
        setting.request.language ?? setting.config.preferences.language
    }

    private func words(of job: ClaimedJob, _ setting: JobSetting) -> StoppedTurn {
        StoppedTurn(
            job: job.id.description, question: setting.request.message ?? "", language: language(setting), time: runner.now())
    }

    /// The user's words and a note stay in the session of a chat that has ended without an answer. Doing it again changes nothing.
    /// - Parameter failure: nil: the job was cancelled.
    func leaveWords(_ job: ClaimedJob, _ setting: JobSetting, because failure: JobFailure?, _ logger: Logger) {
        guard setting.request.command == nil else { return }
        do throws(AgentError) {
            try words(of: job, setting).close(
                setting.request.sessionID ?? .standard, of: setting.workspace,
                because: failure?.code ?? StoppedTurn.cancelledCode)
        } catch {
            logger.warning("a chat without an answer is missing in its session", metadata: ["error": "\(error.detail)"])
        }
    }

    /// The answer of a job that `spawn` made goes into the conversation that asked for it, once: the entry's id is the
    /// job's, so a resumed child says nothing twice.
    private func bringBack(_ text: String, _ job: ClaimedJob, _ setting: JobSetting, _ logger: Logger) -> JobFailure? {
        guard setting.source == .agent, let name = setting.request.metadata[ChildJobShelf.parentSession],
            let parent = try? SessionID(name)  // it was one when the child was made
        else { return nil }
        let entry = SessionEntry(
            id: "\(job.id):answer", jobID: job.id.description, message: .assistant(text), time: runner.now())
        do throws(AgentError) {
            try SessionStore(workspace: setting.workspace).append(parent, [entry])
            return nil
        } catch {
            logger.warning("a task's answer is not in its conversation yet", metadata: ["error": "\(error.detail)"])
            return JobFailure(code: error.code, detail: error.detail, isRetryable: error.isRetryable)
        }
    }
}
