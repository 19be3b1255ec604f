// The API's view of stored conversations. Called on blocking threads, several at once.

import API
import Agent
import Foundation
import Providers
import Tenants
import TextFormats
import WireTypes

struct ConversationShelf: ConversationDirectory {
    let workspaces: WorkspaceManager
    let now: @Sendable () -> Date

    private func store(_ user: UserID) throws -> SessionStore { SessionStore(workspace: try workspaces.open(user)) }

    /// "No such session" becomes nil, what the disk says a `TenantError`.
    private func found<Value>(_ body: () throws(AgentError) -> Value) throws(TenantError) -> Value? {
        do throws(AgentError) {
            return try body()
        } catch {
            if error.code == "session_not_found" { return nil }
            if error.code == "message_not_found" { throw TenantError(.invalidField, error.detail, field: "after") }
            if error.code == "invalid_text" { throw TenantError(.invalidField, error.detail, field: "title") }
            throw TenantError(error.code == TenantError.Code.lockTimeout.rawValue ? .lockTimeout : .storage, error.detail)
        }
    }

    private func summary(_ found: SessionSummary) -> ConversationSummary? {
        // A file that was put there by hand may carry a name no session can have.
        guard let session = try? SessionID(found.id) else { return nil }
        return ConversationSummary(
            session: session, title: found.title, createdAt: found.createdAt, updatedAt: found.updatedAt,
            messageCount: found.messageCount, isSpawned: found.isSpawned)
    }

    func conversations(of user: UserID, limit: Int, after: String?) throws -> [ConversationSummary] {
        try conversations(of: user, withSpawned: false, limit: limit, after: after)
    }

    func conversations(
        of user: UserID, withSpawned: Bool, limit: Int, after: String?
    ) throws -> [ConversationSummary] {
        let store = try store(user)
        let all = (try found { () throws(AgentError) in try store.list() } ?? []).filter { withSpawned || !$0.isSpawned }
        var start = 0
        if let after {
            guard let place = all.firstIndex(where: { $0.id == after }) else { throw ProblemDetails.lostCursor }
            start = place + 1
        }
        return all[start...].compactMap(summary).prefix(limit).map { $0 }
    }

    func conversation(_ session: SessionID, of user: UserID) throws -> ConversationSummary? {
        let store = try store(user)
        return try found { () throws(AgentError) in try store.summary(session) }.flatMap(summary)
    }

    func messages(
        of session: SessionID, user: UserID, order: MessageOrder, limit: Int, after: String?
    ) throws -> ConversationPage? {
        let store = try store(user)
        let found: SessionPage?
        do {
            found = try self.found { () throws(AgentError) in
                try store.page(session, limit: limit, after: after, isNewestFirst: order == .desc)
            }
        } catch {
            if error.code == .invalidField { throw ProblemDetails.lostCursor }
            throw error
        }
        guard let page = found else { return nil }
        return ConversationPage(ids: page.ids, sizes: page.sizes) { range in
            do throws(AgentError) {
                return try page.entries(range).map { entry in
                    ConversationMessage(
                        id: entry.id, role: entry.message.role.rawValue, content: entry.message.content,
                        createdAt: entry.time, jobID: entry.jobID, isInterrupted: entry.isInterrupted, stopped: entry.stopped)
                }
            } catch {
                throw TenantError(.storage, error.detail)
            }
        }
    }

    func setTitle(_ title: String, session: SessionID, user: UserID) throws -> ConversationSummary? {
        let store = try store(user)
        let time = now()
        return try found { () throws(AgentError) in try store.setTitle(session, title, at: time) }.flatMap(summary)
    }

    func delete(_ session: SessionID, user: UserID) throws -> Bool {
        let store = try store(user)
        let history = HistoryLog(workspace: try workspaces.open(user))
        return try found { () throws(AgentError) in
            // What was made of its messages first: a crash in between leaves a conversation that can be deleted again.
            try history.forget(session)
            return try store.delete(session)
        } ?? false
    }
}
