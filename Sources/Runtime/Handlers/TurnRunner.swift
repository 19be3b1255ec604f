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
    let budgets: BudgetDesk
    let now: @Sendable () -> Date
    /// Seconds before a job is offered again that waits for what other calls leave of a budget: the longer, the older it is.
    private static let budgetWaits: ClosedRange<TimeInterval> = 1...15

    /// The parts of a turn that differ by kind of job.
    struct Plan {
        var kind: TurnKind
        var session: SessionID
        var message: String
        var language: String
        var isEphemeral: Bool
        /// One answer without tools, for which two model calls are spent at most.
        var asksOnce = false
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
            let user = setting.request.userID
            model = try factory.resolve(setting.request.model) { !budgets.usable([$0], by: user).isEmpty }
        } catch {
            return .outcome(
                .failed(
                    JobFailure(code: error.code.rawValue, detail: error.detail, isRetryable: error.isRetryable),
                    usage: nil))
        }
        var limits = TurnLimits(deadline: setting.deadline)
        if plan.asksOnce { limits.askOnce() }
        limits.stepSeconds = Double(setting.request.timeout)
        // A call that delivers may take all the time the job has; one that does not is ended by its silence.
        limits.modelCallSeconds = max(limits.modelCallSeconds, Double(setting.request.timeout))
        var turn = Turn(
            jobID: job.id.description, user: setting.request.userID, session: plan.session,
            workspace: setting.workspace, config: setting.config, kind: plan.kind, userMessage: plan.message,
            model: model, limits: limits, now: now(), timeZone: setting.config.timeZone, language: plan.language,
            ephemeralSession: plan.isEphemeral)
        turn.isSpawned = setting.source == .agent
        turn.isLastAttempt = job.attempt + 1 >= setting.request.maxAttempts
        turn.follows = ClientHistoryReference(setting.request.metadata).follows
        turn.clientInstructions = ClientInstructions.text(in: setting.request.metadata)
        let account = TurnAccount(
            desk: budgets, job: turn.jobID, run: job.run, kind: plan.kind.rawValue, user: turn.user,
            workspace: turn.workspace, model: model, now: now, logger: logger)
        do throws(AgentError) {
            let result = try loop.run(
                turn, journal: SpoolJournal(record, run: job.run), events: SpoolEvents(record, logger: logger),
                cancellation: cancellation.turnToken(), budget: account)
            account.close(result.usage, model: result.model)
            return .result(result)
        } catch {
            account.close(error.usage)
            return .outcome(outcome(of: error, job, logger))
        }
    }

    private func outcome(of error: AgentError, _ job: ClaimedJob, _ logger: Logger) -> JobOutcome {
        if error.code == "drained" { return .released(reason: "drain") }
        if error.code == AgentError.budgetBusy.code {
            let age = now().timeIntervalSince(job.createdAt)
            return .postponed(
                JobFailure(code: error.code, detail: error.detail, isRetryable: true),
                seconds: min(max(age / 10, Self.budgetWaits.lowerBound), Self.budgetWaits.upperBound))
        }
        let usage = error.usage == .zero ? nil : error.usage.json
        if error.code == "cancelled" { return .cancelled(usage: usage) }
        logger.warning("turn failed", metadata: ["code": "\(error.code)", "detail": "\(error.detail)"])
        return .failed(
            JobFailure(
                code: error.code, detail: error.detail, isRetryable: error.isRetryable, retryAfter: error.retryAfter,
                retryUntil: error.retryUntil),
            usage: usage)
    }
}
