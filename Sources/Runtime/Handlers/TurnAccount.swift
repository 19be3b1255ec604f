// What one turn spends, on its way between the agent, the budget desk and the user's usage.jsonl. Used by the worker's
// thread only. A budget that cannot be read fails the call: the job tries again.

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
    private let model: ResolvedModel
    private let now: @Sendable () -> Date
    private let logger: Logger

    init(
        desk: BudgetDesk, job: String, run: Int, kind: String, user: UserID, workspace: Workspace,
        model: ResolvedModel, now: @escaping @Sendable () -> Date, logger: Logger
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

    /// Also where no model is asked: the user may have been suspended meanwhile.
    /// - Throws: `budgetBusy` while calls under way may use up what is left; the budget's code where nothing is left;
    ///   `storage` where it cannot be told: an unknown rest is not spent.
    func reserve(_ request: ChatRequest) throws(AgentError) {
        let most = model.most(for: request)
        let refusal: BudgetRefusal?
        do throws(TenantError) {
            refusal = try desk.reserve(
                UsageTotal(tokens: most.tokens, cost: most.cost), job: job, user: user, model: model.fullName)
        } catch {
            throw AgentError(
                code: error.code.rawValue, detail: "the budget cannot be looked at: \(error.detail)",
                isRetryable: error.code == .storage)
        }
        guard let refusal else { return }
        guard !refusal.isMomentary else { throw AgentError.budgetBusy }
        throw AgentError(code: refusal.code.rawValue, detail: refusal.detail, isRetryable: false)
    }

    func spent(_ usage: TokenUsage) {
        do throws(TenantError) {
            try desk.spent(UsageTotal(tokens: usage.totalTokens, cost: usage.costUSD), job: job, user: user)
        } catch {
            // Other processes take the call to be under way until this one writes again.
            logger.warning("other processes were not told what a call has used", metadata: ["error": "\(error.detail)"])
        }
    }

    /// The turn is over, however it ended. What the job has used in all its runs goes into usage.jsonl; a later line of the
    /// same job replaces this one in every sum.
    /// - Parameter model: the one that gave the last answer; nil: none did, and a turn that has used nothing is not recorded.
    func close(_ usage: TokenUsage, model answered: String? = nil) {
        do throws(TenantError) {
            try desk.ended(job, user: user, used: UsageTotal(tokens: usage.totalTokens, cost: usage.costUSD)) {
                if usage != .zero || answered != nil { record(usage, answered ?? model.fullName) }
            }
        } catch {
            logger.warning("the use of a turn was not told to everybody", metadata: ["error": "\(error.detail)"])
        }
    }

    private func record(_ usage: TokenUsage, _ model: String) {
        var entry: JSONObject = [
            "id": .string("\(job):\(run):\(usage.totalTokens)"), "time": .string(RFC3339.string(now())),
            "job_id": .string(job), "run": JSON(run), "kind": .string(kind), "model": .string(model),
        ]
        entry.merge(usage.json.object ?? [:])
        do throws(TenantError) {
            try workspace.appendUsage(.object(entry))
        } catch {
            // The job's final line carries the same figures; losing the copy must not fail the job.
            logger.warning("usage not recorded", metadata: ["error": "\(error.detail)"])
        }
    }
}
