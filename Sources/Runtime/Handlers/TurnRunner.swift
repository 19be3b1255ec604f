// What chat, report and heartbeat jobs have in common: resolve the model, run the turn, translate how it ended.
// Called on worker threads; keeps nothing.

import Agent
import Foundation
import HTTPTransport
import Jobs
import Logging
import Providers
import Spool
import Tenants
import TextFormats
import Workers

struct TurnRunner: Sendable {
    let loop: AgentLoop
    let factory: ProviderFactory
    let now: @Sendable () -> Date

    /// The parts of a turn that differ by kind of job.
    struct Plan {
        var kind: TurnKind
        var session: SessionID
        var message: String
        var language: String
        var isEphemeral: Bool
    }

    enum Ended {
        case result(TurnResult)
        case outcome(JobOutcome)
    }

    func run(
        _ plan: Plan, _ job: ClaimedJob, _ setting: JobSetting, _ record: RunRecord, _ cancellation: CancellationFlag,
        _ logger: Logger
    ) -> Ended {
        let model: ResolvedModel
        do throws(ProviderError) {
            model = try factory.resolve(setting.request.model)
        } catch {
            return .outcome(
                .failed(
                    JobFailure(code: error.code.rawValue, detail: error.detail, isRetryable: error.isRetryable),
                    usage: nil))
        }
        var limits = TurnLimits(deadline: setting.deadline)
        limits.modelCallSeconds = max(limits.modelCallSeconds, Double(setting.request.timeout) / 2)
        let turn = Turn(
            jobID: job.id.description, user: setting.request.userID, session: plan.session,
            workspace: setting.workspace, config: setting.config, kind: plan.kind, userMessage: plan.message,
            model: model, limits: limits, now: now(), timeZone: setting.config.timeZone, language: plan.language,
            ephemeralSession: plan.isEphemeral)
        do throws(AgentError) {
            let result = try loop.run(
                turn, journal: SpoolJournal(record), events: SpoolEvents(record, logger: logger),
                cancellation: cancellation.turnToken())
            account(result.usage, result.model, job, setting, plan, logger)
            return .result(result)
        } catch {
            return .outcome(outcome(of: error, job, setting, plan, logger))
        }
    }

    private func outcome(
        of error: AgentError, _ job: ClaimedJob, _ setting: JobSetting, _ plan: Plan, _ logger: Logger
    ) -> JobOutcome {
        if error.code == "drained" { return .released(reason: "drain") }
        let usage = error.usage == .zero ? nil : error.usage.json
        if error.code == "cancelled" {
            account(error.usage, "", job, setting, plan, logger)
            return .cancelled(usage: usage)
        }
        logger.warning("turn failed", metadata: ["code": "\(error.code)", "detail": "\(error.detail)"])
        return .failed(
            JobFailure(
                code: error.code, detail: error.detail, isRetryable: error.isRetryable, retryAfter: error.retryAfter),
            usage: usage)
    }

    /// One line in the user's usage.jsonl. A resumed job may write its line again: readers take one per job and run.
    private func account(
        _ usage: TokenUsage, _ model: String, _ job: ClaimedJob, _ setting: JobSetting, _ plan: Plan, _ logger: Logger
    ) {
        guard usage != .zero else { return }
        var entry: JSONObject = [
            "time": .string(RFC3339.string(now())), "job_id": .string(job.id.description), "run": JSON(job.run),
            "kind": .string(plan.kind.rawValue), "model": .string(model),
        ]
        entry.merge(usage.json.object ?? [:])
        do throws(TenantError) {
            try setting.workspace.appendUsage(.object(entry))
        } catch {
            // The job's final line carries the same figures; losing the copy must not fail the job.
            logger.warning("usage not recorded", metadata: ["error": "\(error.detail)"])
        }
    }
}
