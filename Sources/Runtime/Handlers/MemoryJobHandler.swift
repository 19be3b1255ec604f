// The background job that brings the older part of a conversation into memory/history.jsonl and what it says about the
// user into MEMORY.md. One model call, journaled like any turn's. States: due → asked → in the history → facts remembered
// → marked in the session → (tidied by a job of its own, if the memory has grown too long). Each step is idempotent by ids, so a
// crash between two repeats nothing. Where the model fails for good or does not answer in the asked form, and with the offline one,
// the words themselves go into the history, shortened. Called on worker threads; keeps nothing.

import Agent
import Foundation
import Jobs
import Logging
import Providers
import Spool
import Tenants
import TextFormats
import Workers

struct MemoryJobHandler: Sendable {
    let runner: TurnRunner
    let desk: MemoryDesk

    func run(
        _ task: MemoryTask, _ job: ClaimedJob, _ setting: JobSetting, _ record: RunRecord,
        _ cancellation: CancellationFlag, _ logger: Logger
    ) -> JobOutcome {
        do {
            switch task {
            case .consolidate(let session, let through):
                return try consolidate(session, through, job, setting, record, cancellation, logger)
            case .tidy: return try tidy(job, setting, record, cancellation, logger)
            }
        } catch let error as AgentError {
            return .failed(
                JobFailure(code: error.code, detail: error.detail, isRetryable: error.isRetryable), usage: nil)
        } catch {
            return .failed(JobFailure(code: "internal", detail: "\(error)", isRetryable: true), usage: nil)
        }
    }

    // MARK: - Consolidating

    private func consolidate(
        _ session: SessionID, _ through: String, _ job: ClaimedJob, _ setting: JobSetting, _ record: RunRecord,
        _ cancellation: CancellationFlag, _ logger: Logger
    ) throws -> JobOutcome {
        let sessions = SessionStore(workspace: setting.workspace)
        // Up to where it was when the job was made: a resumed job must not take new messages for those its model has seen.
        guard let backlog = try sessions.backlog(session, through: through), let first = backlog.entries.first,
            let last = backlog.last
        else { return Self.silent("nothing is due") }
        let memory = MemoryStore(workspace: setting.workspace)
        let whole = Consolidation(backlog.entries, summary: backlog.summary)
        let language = setting.config.preferences.language
        var parts = Consolidation.Parts(summary: whole.raw, facts: [])
        var isRaw = true
        var usage: JSON?
        if !isOffline(setting) {
            let room = TurnRoom.tokens(in: runner.factory.window(of: setting.request.model))
            let prompt = whole.prompt(memory: try memory.show(), language: language, room: room)
            switch ask(prompt, job, setting, record, cancellation, logger) {
            case .result(let result):
                usage = result.usage.json
                if result.finishReason == .stop, let told = Consolidation.parts(of: result.text) {
                    (parts, isRaw) = (told, false)
                } else {
                    logger.warning("a conversation goes into the history as it is: the model's answer is no summary")
                }
            case .outcome(let outcome):
                guard case .failed(let failure, let spent) = outcome, isLast(failure, job, setting) else {
                    return outcome
                }
                logger.warning(
                    "a conversation goes into the history as it is", metadata: ["error": "\(failure.detail)"])
                usage = spent
            }
        }
        if !parts.summary.isEmpty {
            try HistoryLog(workspace: setting.workspace).append(
                HistoryEntry(
                    id: "\(session.rawValue):\(last.id)", session: session, from: first.time, to: last.time,
                    content: parts.summary, isRaw: isRaw))
        }
        let kept = try remember(parts.facts, memory, logger)
        let summary = backlog.isClosed ? nil : Consolidation.joined(backlog.summary, parts.summary)
        try sessions.markConsolidated(session, through: last.id, summary: summary, at: runner.now())
        let length = try memory.show()
        if desk.isTooLong(length), !isOffline(setting) { desk.tidy(setting.request.userID, length, logger) }
        return .completed(
            result: [
                "silent": true, "session_id": .string(session.rawValue), "messages": JSON(backlog.entries.count),
                "raw": .bool(isRaw), "remembered": JSON(kept),
            ], usage: usage)
    }

    /// A memory that is full loses no conversation: the fact is in the history.
    private func remember(_ facts: [String], _ memory: MemoryStore, _ logger: Logger) throws(AgentError) -> Int {
        var kept = 0
        for fact in facts {
            do throws(AgentError) {
                if try memory.remember(fact, on: runner.now(), makesRoom: true) { kept += 1 }
            } catch {
                guard error.code == "memory_full" || error.code == "invalid_text" else { throw error }
                logger.notice("a fact is not remembered", metadata: ["error": "\(error.detail)"])
            }
        }
        return kept
    }

    // MARK: - Tidying

    private func tidy(
        _ job: ClaimedJob, _ setting: JobSetting, _ record: RunRecord, _ cancellation: CancellationFlag,
        _ logger: Logger
    ) throws -> JobOutcome {
        let memory = MemoryStore(workspace: setting.workspace)
        let text = try memory.show()
        guard desk.isTooLong(text), !isOffline(setting) else { return Self.silent("the memory is not too long") }
        let prompt = Consolidation.tidyPrompt(memory: text, maxTokens: desk.maxTokens)
        switch ask(prompt, job, setting, record, cancellation, logger) {
        case .outcome(let outcome): return outcome
        case .result(let result):
            // An answer that is not shorter, or no memory at all, is not worth losing one for.
            guard result.finishReason == .stop,
                let new = MemoryStore.tidied(text, by: result.text, limit: desk.maxCharacters)
            else {
                return .completed(
                    result: ["silent": true, "reason": "the new text was no shorter memory"], usage: result.usage.json)
            }
            let isReplaced = try memory.replace(text, with: new + "\n")
            return .completed(
                result: ["silent": true, "replaced": .bool(isReplaced), "characters": JSON(new.count)],
                usage: result.usage.json)
        }
    }

    // MARK: -

    private func ask(
        _ prompt: String, _ job: ClaimedJob, _ setting: JobSetting, _ record: RunRecord,
        _ cancellation: CancellationFlag, _ logger: Logger
    ) -> TurnRunner.Ended {
        let plan = TurnRunner.Plan(
            kind: .heartbeat, session: .standard, message: prompt, language: setting.config.preferences.language,
            isEphemeral: true, asksOnce: true)
        return runner.run(plan, job, setting, record, cancellation, logger)
    }

    private func isLast(_ failure: JobFailure, _ job: ClaimedJob, _ setting: JobSetting) -> Bool {
        !failure.isRetryable || job.attempt + 1 >= setting.request.maxAttempts
    }

    /// The built-in planner is no language model: it would summarise nothing.
    private func isOffline(_ setting: JobSetting) -> Bool {
        (try? runner.factory.resolve(setting.request.model))?.fullName == ProviderFactory.offlineName
    }

    private static func silent(_ reason: String) -> JobOutcome {
        .completed(result: ["silent": true, "reason": .string(reason)], usage: nil)
    }
}
