// Lets callers in by their tokens, and remembers for a second what it read: a poll should cost no look at the disk, a
// revocation by another process should hold at once as people count. What this process revokes it forgets at once.
// Any thread; `remembered` and `isKnownOpen` never block, the rest does.
import Foundation
import Synchronization
import Tenants

public final class TokenDesk: Sendable {
    public let store: TokenStore
    let incarnation: @Sendable (UserID) throws(IdentityError) -> String?
    let now: @Sendable () -> Date

    /// Seconds a look at the disk is good for.
    public static let memory: TimeInterval = 1
    /// Tokens remembered at once; beyond it all are forgotten and read again.
    private static let maximumRemembered = 20_000

    private struct Entry {
        var record: TokenRecord
        var readAt: Date
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var closedSince: Date?
        var openAt: Date?
        /// Counts changes: what was read before a change is not remembered after it.
        var changes = 0
    }

    private let state = Mutex(State())

    /// - Parameter incarnation: the user's as it is now; nil when there is no such user. Throws `.configCorrupt`, `.storage`.
    public init(
        store: TokenStore, incarnation: @escaping @Sendable (UserID) throws(IdentityError) -> String?,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.store = store
        self.incarnation = incarnation
        self.now = now
    }

    // MARK: Letting in

    /// - Returns: nil when the disk must be asked: call `authenticate` where blocking is allowed.
    /// - Throws: `.invalidToken` for what is no token of this program, or not the one remembered.
    public func remembered(_ token: String) throws(IdentityError) -> Caller? {
        guard let text = TokenText(token) else { throw Self.invalid }
        let now = now()
        let entry = state.withLock { $0.entries[Self.key(text)] }
        guard let entry, Self.isFresh(entry.readAt, now) else { return nil }
        return try judge(entry.record, text, now)
    }

    /// - Throws: `.invalidToken`; for a valid token also `.configCorrupt`, `.storage`.
    public func authenticate(_ token: String) throws(IdentityError) -> Caller {
        guard let text = TokenText(token) else { throw Self.invalid }
        let owner = text.owner == TokenText.adminOwner ? nil : try? UserID(text.owner)
        let now = now()
        let changes = state.withLock { $0.changes }
        guard let record = try store.record(text.id, of: owner), try store.isLineageLive(record) else {
            state.withLock { $0.entries[Self.key(text)] = nil }
            throw Self.invalid
        }
        // Judged first: what is wrong with a user's files only a holder of that user's token is told.
        let caller = try judge(record, text, now)
        if let user = record.user, try incarnation(user) != record.incarnation { throw Self.invalid }
        state.withLock { state in
            guard state.changes == changes else { return }
            if state.entries.count >= Self.maximumRemembered { state.entries = [:] }
            state.entries[Self.key(text)] = Entry(record: record, readAt: now)
        }
        store.noteUse(of: record)
        return caller
    }

    /// The hash is compared whole, every byte each time: neither the first wrong one nor anything of the token shows in the
    /// time it takes.
    private func judge(_ record: TokenRecord, _ text: TokenText, _ now: Date) throws(IdentityError) -> Caller {
        guard SecretComparison.isEqual(record.hash, text.hash), !record.isExpired(now) else { throw Self.invalid }
        return record.caller
    }

    // MARK: Open or closed

    /// - Returns: nil when the disk must be asked (`isClosed`).
    public func isKnownClosed() -> Bool? {
        let now = now()
        return state.withLock { state in
            if state.closedSince.map({ Self.isFresh($0, now) }) ?? false { return true }
            return state.openAt.map { Self.isFresh($0, now) } ?? false ? false : nil
        }
    }

    /// Whether callers need a token.
    public func isClosed() throws(IdentityError) -> Bool {
        let changes = state.withLock { $0.changes }
        let isClosed = try store.isClosed()
        let now = now()
        state.withLock { state in
            guard state.changes == changes else { return }
            state.closedSince = isClosed ? now : nil
            state.openAt = isClosed ? nil : now
        }
        return isClosed
    }

    // MARK: Changing

    /// As `TokenStore.create`, for a user or, without one, for an admin.
    /// - Throws: also `.invalidField` for a user who is not there.
    public func create(
        _ scope: AccessScope, user: UserID?, name: String? = nil, expiresAt: Date? = nil, by maker: TokenMaker? = nil
    ) throws(IdentityError) -> (record: TokenRecord, token: String) {
        var life: String?
        if let user {
            life = try incarnation(user)
            guard life != nil else {
                throw IdentityError(.invalidField, "there is no user \"\(user)\"", field: "user_id")
            }
        }
        defer { forget() }
        let made = try store.create(
            scope, user: user, incarnation: life, name: name, expiresAt: expiresAt, by: maker)
        // Settings that cannot be read say nothing of a life: the token is not given out.
        if let user, (try? incarnation(user)) != life {
            // Deleted meanwhile; the deletion may have removed the user's tokens before this one was there. It lets nobody in.
            try? store.revoke(made.record.id, of: user)
            throw IdentityError(.invalidField, "there is no user \"\(user)\"", field: "user_id")
        }
        return made
    }

    public func rotate(
        _ id: String, of user: UserID?, overlap: TimeInterval, expiresAt: Date? = nil, by maker: TokenMaker? = nil
    ) throws(IdentityError) -> (record: TokenRecord, token: String) {
        defer { forget() }
        return try store.rotate(id, of: user, overlap: overlap, expiresAt: expiresAt, by: maker)
    }

    public func revoke(_ id: String, of user: UserID?) throws(IdentityError) {
        defer { forget() }
        try store.revoke(id, of: user)
    }

    public func revokeAll(of user: UserID) throws(IdentityError) {
        defer { forget() }
        try store.revokeAll(of: user)
    }

    private func forget() { state.withLock { $0 = State(changes: $0.changes + 1) } }

    private static func key(_ text: TokenText) -> String { "\(text.owner).\(text.id)" }

    /// A clock set back makes nothing fresh for longer.
    private static func isFresh(_ readAt: Date, _ now: Date) -> Bool {
        (0...memory).contains(now.timeIntervalSince(readAt))
    }

    private static let invalid = IdentityError(.invalidToken, "the token is not valid")
}
