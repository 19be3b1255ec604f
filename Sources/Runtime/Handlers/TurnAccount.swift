// What one turn spends, on its way between the agent, the budget desk and the user's usage.jsonl. Used by the worker's
// thread only. A budget that cannot be read stops nobody: the log says so, and the next call asks again.

import Agent
import Foundation
import Logging
import Providers
import Tenants
import TextFormats

final class TurnAccount: TurnBudget {
    private let desk: BudgetDesk
    private let job: String
    private let run: Int
    private let kind: String
    private let user: UserID
    private let workspace: Workspace
    private let model: String
    private let now: @Sendable () -> Date
    private let logger: Logger

    init(
        desk: BudgetDesk, job: String, run: Int, kind: String, user: UserID, workspace: Workspace, model: String,
        now: @escaping @Sendable () -> Date, logger: Logger
    ) {
        self.desk = desk
        self.job = job
        self.run = run
        self.kind = kind
        self.user = user
        self.workspace = workspace
        self.model = model
        self.now = now
        self.logger = logger
    }

    func reserve(tokens: Int) throws(AgentError) {
        let refusal: BudgetRefusal?
        do throws(TenantError) {
            refusal = try desk.reserve(tokens, job: job, user: user, model: model)
        } catch {
            logger.warning("the budget could not be asked", metadata: ["error": "\(error.detail)"])
            return
        }
        guard let refusal else { return }
        guard !refusal.isMomentary else { throw AgentError.budgetBusy }
        throw AgentError(code: refusal.code.rawValue, detail: refusal.detail, isRetryable: false)
    }

    func spent(_ usage: TokenUsage) { desk.spent(usage.totalTokens, usage.costUSD, job: job, user: user) }

    /// The turn is over, however it ended. What the job has used in all its runs goes into usage.jsonl; a later line of the
    /// same job replaces this one in every sum.
    /// - Parameter model: the one that gave the last answer; nil: the one that was to be asked.
    func close(_ usage: TokenUsage, model answered: String? = nil) {
        defer { end() }
        guard usage != .zero else { return }
        desk.spent(usage.totalTokens, usage.costUSD, job: job, user: user)
        var entry: JSONObject = [
            "id": .string("\(job):\(run):\(usage.totalTokens)"), "time": .string(RFC3339.string(now())),
            "job_id": .string(job), "run": JSON(run), "kind": .string(kind), "model": .string(answered ?? model),
        ]
        entry.merge(usage.json.object ?? [:])
        do throws(TenantError) {
            try workspace.appendUsage(.object(entry))
        } catch {
            // The job's final line carries the same figures; losing the copy must not fail the job.
            logger.warning("usage not recorded", metadata: ["error": "\(error.detail)"])
        }
    }

    private func end() {
        do throws(TenantError) {
            try desk.ended(job)
        } catch {
            logger.warning("the service's usage not recorded", metadata: ["error": "\(error.detail)"])
        }
    }
}
