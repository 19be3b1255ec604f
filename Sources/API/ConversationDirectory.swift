// Where the API gets a user's conversations from. Implemented in Runtime over the agent's session files.

import Foundation
import Tenants
import TextFormats

/// One conversation.
public struct ConversationSummary: Sendable, Hashable {
    public var session: SessionID
    public var title: String?
    public var createdAt: Date
    public var updatedAt: Date
    public var messageCount: Int
    /// Of a spawned task; only the task has said anything there.
    public var isSpawned: Bool

    public init(
        session: SessionID, title: String?, createdAt: Date, updatedAt: Date, messageCount: Int, isSpawned: Bool = false
    ) {
        self.session = session
        self.title = title
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.messageCount = messageCount
        self.isSpawned = isSpawned
    }
}

/// One message of a conversation.
public struct ConversationMessage: Sendable, Hashable {
    /// Unique within the conversation: the cursor of paging.
    public var id: String
    /// user, assistant or tool.
    public var role: String
    public var content: String
    public var createdAt: Date?
    /// The job that brought it, where known.
    public var jobID: String?
    /// Of a turn that has no whole answer: it is under way, is tried again, or has ended without one.
    public var isInterrupted: Bool
    /// Why the turn ended without its whole answer: `cancelled`, `timeout` or another code.
    public var stopped: String?

    public init(
        id: String, role: String, content: String, createdAt: Date?, jobID: String?, isInterrupted: Bool = false,
        stopped: String? = nil
    ) {
        self.id = id
        self.role = role
        self.content = content
        self.createdAt = createdAt
        self.jobID = jobID
        self.isInterrupted = isInterrupted
        self.stopped = stopped
    }
}

/// The order of a conversation's messages in a list.
public enum MessageOrder: String, Sendable, CaseIterable {
    /// Oldest first.
    case asc
    /// Newest first.
    case desc
}

/// Messages of a conversation in an order, read when they are asked for: a long page is never in memory as a whole.
public struct ConversationPage: Sendable {
    /// Of the messages, in order.
    public var ids: [String]
    /// About the bytes of each.
    public var sizes: [Int]
    /// The messages of a range of these. Blocks. Throws TenantError.
    public var read: @Sendable (Range<Int>) throws -> [ConversationMessage]

    public init(ids: [String], sizes: [Int], read: @escaping @Sendable (Range<Int>) throws -> [ConversationMessage]) {
        self.ids = ids
        self.sizes = sizes
        self.read = read
    }
}

/// Called on BlockingBridge's threads, several at once; may block on files. Every call throws TenantError, among them
/// `.userNotFound`; reading creates nothing.
public protocol ConversationDirectory: Sendable {
    /// Newest change first, those of spawned tasks left out. `limit` 1…201; `after`: the raw id of the last session of the
    /// page before.
    func conversations(of user: UserID, limit: Int, after: String?) throws -> [ConversationSummary]
    /// - Parameter withSpawned: those of spawned tasks too.
    func conversations(of user: UserID, withSpawned: Bool, limit: Int, after: String?) throws -> [ConversationSummary]
    /// nil when there is no such session.
    func conversation(_ session: SessionID, of user: UserID) throws -> ConversationSummary?
    /// In that order; nil when there is no such session. `after`: the id of the last message of the page before.
    func messages(
        of session: SessionID, user: UserID, order: MessageOrder, limit: Int, after: String?
    ) throws -> ConversationPage?
    /// nil when there is no such session.
    func setTitle(_ title: String, session: SessionID, user: UserID) throws -> ConversationSummary?
    /// false when there was no such session.
    func delete(_ session: SessionID, user: UserID) throws -> Bool
}

extension ConversationDirectory {
    /// For directories that know no spawned tasks.
    public func conversations(
        of user: UserID, withSpawned: Bool, limit: Int, after: String?
    ) throws -> [ConversationSummary] {
        try conversations(of: user, limit: limit, after: after)
    }
}
