// Makes tickets for event streams and lets their readers in. A ticket is valid as long as its user lives and its maker's credential is;
// each use, and each reading every few seconds, looks at the disk. Any thread; blocking. Failure: IdentityError.
import DurableFiles
import Foundation
import Synchronization
import Tenants

/// What the service itself knows of makers that have no file: the operator's own token, and whether tokens are asked for at all.
public struct TicketConditions: Sendable {
    /// nil: there is none.
    public var operatorToken: String?
    /// Whether callers need a credential besides tokens made here.
    public var isClosed: Bool

    public init(operatorToken: String?, isClosed: Bool) {
        self.operatorToken = operatorToken
        self.isClosed = isClosed
    }
}

/// One reader with its ticket. The reading ends with the last reference.
public final class TicketReader: Sendable {
    public let caller: Caller
    private let file: TicketFile
    private let isLive: @Sendable () -> Bool
    private let now: @Sendable () -> Date
    private let times: Mutex<(looked: Date, renewed: Date)>

    /// Seconds between looks at the file's name, and between looks at the maker's credential.
    static let lookInterval: TimeInterval = 1
    static let renewInterval: TimeInterval = 15

    init(
        caller: Caller, file: TicketFile, isLive: @escaping @Sendable () -> Bool, now: @escaping @Sendable () -> Date
    ) {
        self.caller = caller
        self.file = file
        self.isLive = isLive
        self.now = now
        times = Mutex((now(), now()))
    }

    /// Whether it is time to call `goesOn`; never blocks.
    public var isDue: Bool {
        let now = now()
        return times.withLock { abs(now.timeIntervalSince($0.looked)) >= Self.lookInterval }
    }

    /// Whether the reader may read on. Keeps the ticket alive; blocks for the disk.
    public func goesOn() -> Bool {
        let now = now()
        let isRenewing = times.withLock { times in
            times.looked = now
            guard abs(now.timeIntervalSince(times.renewed)) >= Self.renewInterval else { return false }
            times.renewed = now
            return true
        }
        guard file.isCurrent else { return false }
        guard isRenewing else { return true }
        guard isLive() else { return false }
        file.renew()
        return true
    }
}

extension TokenDesk {
    /// - Parameters:
    ///   - path: of an event stream, without a query; the caller has looked whether the stream is the user's.
    ///   - caller: who reaches the user.
    /// - Returns: the ticket, shown this once and kept nowhere, and until when its reading must have begun.
    /// - Throws: `.tooManyTickets`, `.invalidField` for a user who is not there, `.configCorrupt`, `.storage`.
    public func makeTicket(
        for user: UserID, path: String, by caller: Caller, under conditions: TicketConditions
    ) throws(IdentityError) -> (ticket: String, expiresAt: Date) {
        guard let life = try incarnation(user) else {
            throw IdentityError(.invalidField, "there is no user \"\(user)\"", field: "user_id")
        }
        let now = now()
        let text = TokenText(owner: user.rawValue, prefix: TokenText.ticketPrefix)
        let ticket = StreamTicket(
            text, user: user, incarnation: life, path: path, by: caller, operatorToken: conditions.operatorToken, now: now)
        try store.keepTicket(ticket)
        // Deleted meanwhile; the deletion may have removed the user's tickets before this one was there. It lets nobody in.
        if (try? incarnation(user)) != life {
            try? store.removeTickets(of: user)
            throw IdentityError(.invalidField, "there is no user \"\(user)\"", field: "user_id")
        }
        return (text.text, min(ticket.endsAt, now.addingTimeInterval(StreamTicket.patience)))
    }

    /// Lets a reader in.
    /// - Parameter isReturning: the reader names the last event it has read.
    /// - Throws: `.ticketInvalid`, `.ticketExpired`, `.ticketInUse`, `.configCorrupt`, `.storage`.
    public func readTicket(
        _ raw: String, path: String, isReturning: Bool, under conditions: TicketConditions
    ) throws(IdentityError) -> TicketReader {
        guard let text = TokenText(raw, prefix: TokenText.ticketPrefix), let user = try? UserID(text.owner),
            let found = try store.findTicket(text, of: user)
        else { throw Self.noTicket }
        var file: TicketFile?
        defer { if file == nil { store.files.closeQuietly(found.descriptor) } }
        let ticket = found.ticket
        guard SecretComparison.isEqual(ticket.hash, text.hash), ticket.path == path,
            try isMakerLive(of: ticket, text, conditions)
        else { throw Self.noTicket }
        guard now().timeIntervalSince(found.usedAt) <= StreamTicket.patience, ticket.endsAt > now() else {
            throw IdentityError(.ticketExpired, "the ticket has expired; make another one")
        }
        let locked = try store.lockTicket(found, isReturning: isReturning)
        file = locked
        return TicketReader(
            caller: ticket.caller, file: locked,
            isLive: { [self] in
                // A disk that does not answer ends no reading.
                ticket.endsAt > now() && (try? isMakerLive(of: ticket, text, conditions)) ?? true
            }, now: now)
    }

    /// Whether the user is the one it was made for, and its maker's credential is still valid.
    private func isMakerLive(
        of ticket: StreamTicket, _ text: TokenText, _ conditions: TicketConditions
    ) throws(IdentityError) -> Bool {
        guard try incarnation(ticket.user) == ticket.incarnation else { return false }
        switch ticket.maker {
        case .credential(let links, let isAdmin):
            var record = TokenRecord(
                id: ticket.id, scope: isAdmin ? .admin : .read, user: isAdmin ? nil : ticket.user,
                incarnation: isAdmin ? nil : ticket.incarnation, name: nil, hash: ticket.hash, createdAt: now(), expiresAt: nil)
            record.lineage = links
            return try store.isLineageLive(record)
        case .operatorToken(let check):
            guard let token = conditions.operatorToken else { return false }
            return SecretComparison.isEqual(check, StreamTicket.check(text, token))
        case .open:
            let isClosed = try isClosed()
            return !conditions.isClosed && !isClosed
        }
    }

    private static let noTicket = IdentityError(.ticketInvalid, "the ticket is not valid for this path")
}
