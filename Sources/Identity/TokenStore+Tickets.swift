// Where tickets are kept: one file each, in <home>/stream-tickets/<user_id>/<id>.json (0600, folders 0700). The file's lock is the
// reading: it excludes a second reader in every process of the home, and ends with its process. The file's time is the last
// moment the ticket was made, read, or left; after `StreamTicket.patience` without a reader it is worth nothing.
//
//     made → (a reader comes in time) read → (the reader leaves) left → (comes back in time) read → … → expired
//
// A reader that comes back before its old connection is known to be dead replaces the file by one of the same content that it has
// locked, in one rename: the old reader finds another file under the name, and ends. Nothing here is synced: a power cut that takes
// a ticket costs its owner one call. Any thread, any process; blocking. Failure: IdentityError.
import DurableFiles
import Foundation
import Tenants
import TextFormats

extension TokenStore {
    private static let maximumTicketFile = 16 << 10

    var ticketFolder: String { "\(PathParts.split(folder).folder)/stream-tickets" }

    private func ticketPlace(_ user: UserID) -> String { "\(ticketFolder)/\(user)" }

    func ticketPath(_ id: String, of user: UserID) -> String { "\(ticketPlace(user))/\(id).json" }

    // MARK: Making

    /// - Throws: `.tooManyTickets`, `.storage`.
    func keepTicket(_ ticket: StreamTicket) throws(IdentityError) {
        let place = ticketPlace(ticket.user)
        let path = ticketPath(ticket.id, of: ticket.user)
        try call("keep the ticket") { () throws(FileError) in try files.ensureDirectory(place) }
        guard try sweepTickets(place) < StreamTicket.maximumPerUser else {
            throw IdentityError(
                .tooManyTickets,
                "this user has \(StreamTicket.maximumPerUser) tickets; a ticket that is not used ends after a minute")
        }
        try call("keep the ticket") { () throws(FileError) in
            files.closeQuietly(try makeTicketFile(path, ticket))
        }
    }

    /// - Returns: the open file.
    private func makeTicketFile(_ path: String, _ ticket: StreamTicket) throws(FileError) -> Int32 {
        let descriptor = try files.open(path, [.readWrite, .create, .exclusive])
        do throws(FileError) {
            try files.writeAll(descriptor, Array(ticket.fileJSON.text().utf8) + [0x0A], path: path)
            try files.setModified(descriptor, now(), path: path)
        } catch {
            files.closeQuietly(descriptor)
            // Worth nothing without its content; the next sweep takes it otherwise.
            try? files.remove(path)
            throw error
        }
        return descriptor
    }

    /// Removes what has expired. - Returns: how many are left.
    private func sweepTickets(_ place: String) throws(IdentityError) -> Int {
        var left = 0
        let now = now()
        for name in try names(in: place) {
            let path = "\(place)/\(name)"
            // A file that cannot be looked at is another process's to remove, or gone.
            guard let status = try? files.status(path) else { continue }
            guard isOver(status, now), removeUnread(path) else {
                left += 1
                continue
            }
        }
        return left
    }

    /// Of all users, also of those who are there no more.
    public func removeExpiredTickets() throws(IdentityError) {
        for user in try names(in: ticketFolder) { _ = try sweepTickets("\(ticketFolder)/\(user)") }
    }

    private func isOver(_ status: FileStatus, _ now: Date) -> Bool {
        now.timeIntervalSince(status.modified) > StreamTicket.patience
    }

    /// A process that was stopped for a while may still read it.
    private func removeUnread(_ path: String) -> Bool {
        // What fails here is tried again by the next ticket.
        guard let descriptor = try? files.open(path, [.readWrite]) else { return false }
        defer { files.closeQuietly(descriptor) }
        guard (try? files.tryLock(descriptor, path: path)) == true else { return false }
        return (try? files.remove(path)) != nil
    }

    // MARK: Reading

    /// A ticket whose file is open, and not yet locked.
    struct FoundTicket {
        var ticket: StreamTicket
        var descriptor: Int32
        var path: String
        /// When it was last used.
        var usedAt: Date
    }

    /// - Returns: nil when there is none, or when its file cannot be understood. The caller closes the file.
    func findTicket(_ text: TokenText, of user: UserID) throws(IdentityError) -> FoundTicket? {
        let path = ticketPath(text.id, of: user)
        return try call("read the ticket") { () throws(FileError) -> FoundTicket? in
            let descriptor: Int32
            do throws(FileError) {
                descriptor = try files.open(path, [.readWrite, .nonBlocking])
            } catch {
                if error.code == .notFound || error.code == .notDirectory { return nil }
                throw error
            }
            do throws(FileError) {
                let used = try files.status(of: descriptor, path: path).modified
                let bytes = try files.readAll(descriptor, maxBytes: Self.maximumTicketFile, path: path)
                // A damaged file lets nobody in.
                if let json = try? JSON.parse(bytes), let ticket = try? StreamTicket(fileJSON: json), ticket.id == text.id,
                    ticket.user == user
                {
                    return FoundTicket(ticket: ticket, descriptor: descriptor, path: path, usedAt: used)
                }
            } catch {
                files.closeQuietly(descriptor)
                throw error
            }
            files.closeQuietly(descriptor)
            return nil
        }
    }

    /// Begins the reading; from here on the file is the reader's to close.
    /// - Parameter isReturning: the reader has read this stream before and may take it from its own old connection.
    /// - Throws: `.ticketInUse`.
    func lockTicket(_ found: FoundTicket, isReturning: Bool) throws(IdentityError) -> TicketFile {
        let path = found.path
        let isFree = try call("read the ticket") { () throws(FileError) in
            guard try files.tryLock(found.descriptor, path: path) else { return false }
            // Another reader may have replaced the file since it was opened.
            guard try isNamed(found.descriptor, path) else { return false }
            try files.setModified(found.descriptor, now(), path: path)
            return true
        }
        if isFree { return TicketFile(files: files, descriptor: found.descriptor, path: path, now: now) }
        guard isReturning else {
            throw IdentityError(.ticketInUse, "another reader has this ticket; make one for each reader")
        }
        let descriptor = try call("read the ticket") { () throws(FileError) in try replace(found) }
        files.closeQuietly(found.descriptor)
        return TicketFile(files: files, descriptor: descriptor, path: path, now: now)
    }

    private func replace(_ found: FoundTicket) throws(FileError) -> Int32 {
        let temporary = "\(PathParts.split(found.path).folder)/\(TemporaryNames.next(for: found.ticket.id))"
        let descriptor = try makeTicketFile(temporary, found.ticket)
        do throws(FileError) {
            _ = try files.tryLock(descriptor, path: temporary)
            // The commit point.
            try files.rename(temporary, found.path)
        } catch {
            files.closeQuietly(descriptor)
            // The next sweep takes it otherwise.
            try? files.remove(temporary)
            throw error
        }
        return descriptor
    }

    private func isNamed(_ descriptor: Int32, _ path: String) throws(FileError) -> Bool {
        try files.status(path).inode == files.status(of: descriptor, path: path).inode
    }

    // MARK: Removing

    /// All of a user's; none is no error.
    func removeTickets(of user: UserID) throws(IdentityError) {
        try call("remove the tickets") { () throws(FileError) in
            guard try files.exists(ticketPlace(user)) else { return }
            try files.removeTree(ticketPlace(user))
        }
    }
}

/// A ticket's file while it is read. Closing it, when the last reference goes, ends the reading and begins the reader's time to come
/// back. Any thread; each call is a few system calls.
final class TicketFile: Sendable {
    private let files: any FileSystem
    private let descriptor: Int32
    private let path: String
    private let now: @Sendable () -> Date

    init(files: any FileSystem, descriptor: Int32, path: String, now: @escaping @Sendable () -> Date) {
        self.files = files
        self.descriptor = descriptor
        self.path = path
        self.now = now
    }

    /// Whether the name still means this file: no other reader came back, and the ticket was not removed. A disk that does not answer
    /// ends no reading.
    var isCurrent: Bool {
        do throws(FileError) {
            return try files.status(path).inode == files.status(of: descriptor, path: path).inode
        } catch {
            return error.code != .notFound && error.code != .notDirectory
        }
    }

    /// Sets the ticket's time to now. A failure costs nothing but a reader's time to come back.
    func renew() { try? files.setModified(descriptor, now(), path: path) }

    deinit {
        renew()
        files.closeQuietly(descriptor)
    }
}
