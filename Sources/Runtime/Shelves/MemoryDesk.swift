// Makes the jobs that keep memory and history, when a turn or a /new has left something to do. Such a job is a heartbeat (the
// background lane) of the source `agent`, with the task in its metadata, which counts from that source alone. At most one
// for each part of a conversation and day. Called on worker threads, several at once; a job that cannot be made is logged: the
// next turn tries again.

import Agent
import Foundation
import Jobs
import Logging
import Spool
import Tenants
import TextFormats

/// What a memory job is to do.
enum MemoryTask: Sendable, Hashable {
    /// Up to the entry of this id.
    case consolidate(SessionID, through: String)
    case tidy

    private static let key = "memory_task"
    private static let session = "memory_session"
    private static let through = "memory_through"

    /// - Parameter metadata: of a job whose source is `agent`.
    init?(_ metadata: [String: String]) {
        switch metadata[Self.key] {
        case "consolidate":
            guard let session = metadata[Self.session].flatMap({ try? SessionID($0) }),
                let through = metadata[Self.through]
            else { return nil }
            self = .consolidate(session, through: through)
        case "tidy": self = .tidy
        default: return nil
        }
    }

    var metadata: JSON {
        switch self {
        case .consolidate(let session, let through):
            [
                Self.key: "consolidate", Self.session: .string(session.rawValue), Self.through: .string(through),
            ]
        case .tidy: [Self.key: "tidy"]
        }
    }
}

struct MemoryDesk: Sendable {
    let client: JobClient
    let isOn: Bool
    /// Of MEMORY.md, which stands in every prompt.
    let maxTokens: Int
    let now: @Sendable () -> Date

    static let defaultMaxTokens = 2_000
    /// A token is about three characters of such notes, in the languages there are.
    private static let charactersPerToken = 3

    var maxCharacters: Int { maxTokens * Self.charactersPerToken }

    func isTooLong(_ memory: String) -> Bool { memory.count > maxCharacters }

    /// After a turn, or a conversation that was begun anew.
    /// - Parameter rule: when a part of it is due.
    func look(
        at session: SessionID, of user: UserID, in workspace: Workspace, _ logger: Logger, rule: BacklogRule = BacklogRule()
    ) {
        guard isOn else { return }
        do throws(AgentError) {
            guard let backlog = try SessionStore(workspace: workspace).backlog(session, rule),
                let first = backlog.entries.first,
                let last = backlog.last
            else { return }
            submit(.consolidate(session, through: last.id), user, mark: "\(session.rawValue) \(first.id)", logger)
        } catch {
            logger.warning("the history is not kept", metadata: ["error": "\(error.detail)"])
        }
    }

    func tidy(_ user: UserID, _ memory: String, _ logger: Logger) {
        submit(.tidy, user, mark: Fingerprint.sha256Hex(Array(memory.utf8)), logger)
    }

    /// - Parameter mark: what the job is about; the same gives the same job.
    private func submit(_ task: MemoryTask, _ user: UserID, mark: String, _ logger: Logger) {
        let day = Date(timeIntervalSince1970: (now().timeIntervalSince1970 / 86_400).rounded(.down) * 86_400)
        let digest = Fingerprint.sha256(Array("memory \(user) \(mark)".utf8))
        let id = JobID.derived(from: digest, time: day)
        do {
            let request = try JobRequest.parse(
                [
                    "kind": "heartbeat", "user_id": .string(user.rawValue), "id": .string(id.description),
                    "metadata": task.metadata,
                ], now: now(), allowAnyID: true)
            _ = try client.submit(request, source: .agent)
        } catch {
            logger.warning("a job for the memory is not made", metadata: ["error": "\(error)"])
        }
    }
}
