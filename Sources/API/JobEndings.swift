// What a caller who waits for a job's answer is told when the job ended without one. Any task. A budget that ran out in the
// job's turn is told like one that was used up before it: 429 with the budget's own code.

import Foundation
import Jobs
import Spool
import Tenants
import WireTypes

struct JobEndings: Sendable {
    let budgets: BudgetDesk
    let bridge: BlockingBridge
    let now: @Sendable () -> Date

    /// - Parameter view: of a job that failed or was cancelled.
    func problem(of view: JobView) async -> ProblemDetails {
        let id = "\(view.id)"
        guard view.state != .cancelled else {
            return ProblemDetails(status: 409, code: "job_cancelled", detail: "the job was cancelled", jobID: id)
        }
        let code = view.error?.code ?? "failed"
        var problem = ProblemDetails.jobFailed(code, view.error?.userDetail ?? "the job failed", jobID: id)
        if problem.status == 429 { problem.retryAfter = await secondsUntilReset(code, view.userID) }
        return problem
    }

    /// The budget may have begun again since, or the user have another plan.
    private func secondsUntilReset(_ code: String, _ user: UserID) async -> Int {
        // What cannot be read is no reason for another answer: the user asks again, and is told then.
        let refusal = try? await bridge.run(for: .user(user)) { [budgets] in try budgets.refusal(of: user, model: nil, counts: false) }
        guard let refusal, refusal.code.rawValue == code, let reset = refusal.resetsAt else { return 1 }
        return Int(max(1, reset.timeIntervalSince(now()).rounded(.up)))
    }
}

extension ProblemDetails {
    /// A job that ended without an answer: the status says whether trying again can help.
    static func jobFailed(_ code: String, _ detail: String, jobID: String) -> ProblemDetails {
        let status: Int
        switch code {
        case JobError.Kind.budgetTokens.rawValue, JobError.Kind.budgetCost.rawValue: status = 429
        case JobError.Kind.userSuspended.rawValue, JobError.Kind.modelNotAllowed.rawValue: status = 403
        case JobError.Kind.modelUnpriced.rawValue, JobError.Kind.contextLengthExceeded.rawValue: status = 422
        default: status = 502
        }
        return ProblemDetails(
            status: status, code: status == 502 ? "job_failed" : code,
            detail: status == 502 ? "\(code): \(detail)" : detail, jobID: jobID)
    }
}
