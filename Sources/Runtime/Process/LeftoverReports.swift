// Removes reports whose jobs ended without one although no worker had the job in hand at its end: the process was killed
// between the report and the final line, and the job was then cancelled, or expired, while it waited. Called by the
// housekeeper's thread; blocking. Failure is logged; what is left is looked at an hour later.

import Foundation
import Jobs
import Logging
import Spool
import Tenants

struct LeftoverReports {
    /// Seconds since the job's end. Below them an operator's retry of the job may be writing the report.
    private static let rest: TimeInterval = 60

    let workspaces: WorkspaceManager
    let client: JobClient
    let now: @Sendable () -> Date
    let logger: Logger

    /// Lists every user's reports and looks at their jobs: some microseconds a report.
    /// - Returns: how many were removed.
    @discardableResult
    func remove() -> Int {
        var removed = 0
        do {
            for user in try workspaces.list() { removed += try remove(of: user) }
        } catch {
            logger.warning("reports without a job are not all removed", metadata: ["error": "\(error)"])
        }
        return removed
    }

    private func remove(of user: UserID) throws -> Int {
        var removed = 0
        do {
            let workspace = try workspaces.open(user)
            for text in try workspace.reportIDs() {
                guard let id = JobID(text), let job = try client.view(id), job.userID == user, isLeftover(job) else {
                    continue
                }
                try workspace.removeReport(text)
                removed += 1
            }
        } catch let error as TenantError where error.code == .userNotFound {
            // Deleted since the users were listed.
        }
        return removed
    }

    private func isLeftover(_ job: JobView) -> Bool {
        guard job.state == .failed || job.state == .cancelled, let end = job.completedAt else { return false }
        return now().timeIntervalSince(end) >= Self.rest
    }
}
