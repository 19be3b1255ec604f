// Conversations of spawned tasks: each task has one of its own, `task-` and the end of the task's job id. They are not shown
// among the user's own and go with their job. One that the user has gone on talking in is the user's own. Pure; any thread.

import Foundation
import Tenants

public enum SpawnedSession {
    private static let prefix = "task-"
    /// Characters of the job's id.
    private static let length = 12

    /// - Parameter job: the id of the task's job.
    public static func id(of job: String) -> String { prefix + job.suffix(length) }

    static func isName(_ session: String) -> Bool {
        session.hasPrefix(prefix) && session.utf8.count == prefix.utf8.count + length
    }

    /// Whether only the task has said anything there.
    /// - Parameter jobs: of the session's messages.
    static func isOne(_ session: String, _ jobs: [String]) -> Bool {
        isName(session) && !jobs.isEmpty && jobs.allSatisfy { id(of: $0) == session }
    }
}
