// Jobs that a turn starts beside itself (`spawn`), by the same door as all jobs. A child is a chat in a session of its own,
// of the source `agent`; its id comes from the call that made it, so a repeated step makes none twice. Called on worker
// threads, several at once.

import Agent
import DurableFiles
import Foundation
import Jobs
import Spool
import Tenants
import TextFormats

struct ChildJobShelf: ChildJobs {
    let client: JobClient
    let workspaces: WorkspaceManager
    let now: @Sendable () -> Date

    /// Children of one user that have not ended.
    static let maximumAlive = 8
    /// In the child's metadata: where its answer goes.
    static let parentSession = "parent_session"
    private static let lookAt = 200

    func spawn(user: UserID, task: String, session: SessionID, parent: String, callID: String) throws -> JSON {
        guard let parentID = JobID(parent) else {
            throw ToolFailure(code: "tool_failed", detail: "the turn's job has no id")
        }
        let id = JobID.derived(from: Fingerprint.sha256(Array("spawn \(callID)".utf8)), time: parentID.time)
        do {
            let request = try JobRequest.parse(
                [
                    "kind": "chat", "user_id": .string(user.rawValue), "id": .string(id.description),
                    "session_id": .string(SpawnedSession.id(of: id.description)),
                    "message": .string(task),
                    "metadata": [Self.parentSession: .string(session.rawValue), "spawned_by": .string(parent)],
                ], now: now(), allowAnyID: true)
            // Two turns of one user must not both see the last free place.
            let job = try workspaces.open(user).withLock(.tasks) {
                if try client.view(id) == nil { try checkNumber(user) }
                return try client.submit(request, source: .agent)
            }
            return ["job_id": .string(job.id.description), "status": .string(job.state.rawValue)]
        } catch let error as JobError {
            throw ToolFailure(code: error.code, detail: error.detail)
        }
    }

    private func checkNumber(_ user: UserID) throws {
        var alive = 0
        for state in [JobState.queued, .running] {
            alive += try client.list(JobFilter(state: state, user: user), limit: Self.lookAt, after: nil)
                .count { $0.isSpawned }
        }
        guard alive < Self.maximumAlive else {
            throw ToolFailure(
                code: "too_many_tasks", detail: "\(alive) tasks are under way; wait for some to end before you start another")
        }
    }
}
