// Making, rotating and revoking tokens. Each change has one commit point; a change that is refused, or whose process dies
// before that point, leaves what there was:
//
//     first token   the folder `tokens`, with the token in it, is built aside and renamed in
//     token         the rename of its file
//     rotation      the rename of the old token's file, which names the successor; before that the successor's file, which
//                   stands already, is no token
//     revocation    the rename of the file to a hidden name, which is then removed
//
// A failed sync after the rename is answered by taking the change back; where that fails too: `.outcomeUnknown`.
// Changes exclude each other by a lock on `<home>/.tokens.lock`, so that the bound of each owner holds. What a dead process
// has left under hidden names is removed by the next change. Any thread, any process; blocking. Failure: IdentityError.
import DurableFiles
import Foundation
import Tenants
import TextFormats

extension TokenStore {
    // MARK: Making

    /// - Parameters:
    ///   - user: nil exactly for `.admin`.
    ///   - incarnation: the user's, nil exactly for `.admin`.
    ///   - maker: the credential of the caller, where the caller reaches one user: the token ends no later and goes with it.
    /// - Returns: the record, and the token: shown this once and kept nowhere.
    /// - Throws: `.tooManyTokens`, `.invalidField` for an end that has passed or a name too long, `.invalidToken` for a maker
    ///   that has ended, `.storage`, `.outcomeUnknown`.
    public func create(
        _ scope: AccessScope, user: UserID?, incarnation: String?, name: String? = nil, expiresAt: Date? = nil,
        by maker: TokenMaker? = nil
    ) throws(IdentityError) -> (record: TokenRecord, token: String) {
        precondition((scope == .admin) == (user == nil) && (user == nil) == (incarnation == nil))
        let now = now()
        if let expiresAt, expiresAt <= now {
            throw IdentityError(.invalidField, "expires_at must lie in the future", field: "expires_at")
        }
        if let name, !(1...TokenRecord.maximumName).contains(name.count) || name.contains(where: \.isNewline) {
            throw IdentityError(
                .invalidField, "a name is one line of 1 to \(TokenRecord.maximumName) characters", field: "name")
        }
        let text = TokenText(owner: user?.rawValue ?? TokenText.adminOwner)
        var record = TokenRecord(
            id: text.id, scope: scope, user: user, incarnation: incarnation, name: name, hash: text.hash,
            createdAt: now, expiresAt: [expiresAt, maker?.expiresAt].compactMap { $0 }.min())
        record.lineage = maker?.links ?? []
        try check(record, now)
        try locked { () throws(IdentityError) in
            try refuseIfFull(user)
            // The maker may have been revoked since the caller was let in.
            guard try isLineageLive(record) else { throw Self.ended }
            try keep(record)
        }
        return (record, text.text)
    }

    private static let ended = IdentityError(.invalidToken, "the token is not valid")

    private func check(_ record: TokenRecord, _ now: Date) throws(IdentityError) {
        guard !record.isExpired(now) else { throw Self.ended }
        guard record.lineage.count <= TokenMaker.maximumLinks else {
            throw IdentityError(
                .tooManyTokens, "a token depends on at most \(TokenMaker.maximumLinks) others; have an admin make it")
        }
    }

    private func refuseIfFull(_ user: UserID?) throws(IdentityError) {
        let (tokens, unnamed) = try look(user)
        // Of a rotation whose process died. Left in place where the disk refuses: it lets nobody in and counts for nothing.
        for id in unnamed { try? files.remove(path(id, of: user)) }
        guard tokens.count < Self.maximumPerOwner else {
            throw IdentityError(
                .tooManyTokens, "there are \(Self.maximumPerOwner) tokens already; revoke those no longer needed")
        }
    }

    // MARK: Rotating

    /// A new token in the place of an old one, which goes on for `overlap` seconds. The new one keeps the old one's scope, name,
    /// end and lineage; `expiresAt` can bring the end forward only.
    /// - Parameter maker: the credential of the caller, where the caller reaches one user. Rotating another token than the
    ///   maker itself makes the new one depend on the maker too: nobody gets a token that lives longer than what they had.
    /// - Throws: `.tokenNotFound`, `.tokenRotated` when the caller is no admin and a successor lives, and as `create`.
    public func rotate(
        _ id: String, of user: UserID?, overlap: TimeInterval, expiresAt: Date? = nil, by maker: TokenMaker? = nil
    ) throws(IdentityError) -> (record: TokenRecord, token: String) {
        try locked { () throws(IdentityError) in
            let now = now()
            guard let old = try record(id, of: user), !old.isExpired(now), try isLineageLive(old) else {
                throw Self.notFound(id)
            }
            if let expiresAt, expiresAt <= now {
                throw IdentityError(.invalidField, "expires_at must lie in the future", field: "expires_at")
            }
            if maker != nil { try refuseSecondSuccessor(of: old, now) }
            let other = maker?.links.first == .token(line: old.line) ? nil : maker
            let text = TokenText(owner: user?.rawValue ?? TokenText.adminOwner)
            var new = TokenRecord(
                id: text.id, scope: old.scope, user: old.user, incarnation: old.incarnation, name: old.name,
                hash: text.hash, createdAt: now,
                expiresAt: [old.expiresAt, expiresAt, other?.expiresAt].compactMap { $0 }.min())
            new.lineage = old.lineage + (other?.links ?? []).filter { !old.lineage.contains($0) }
            new.rotatedFrom = old.id
            new.firstOfLine = old.line
            try check(new, now)
            try refuseIfFull(user)
            try keep(new)
            let end = now.addingTimeInterval(overlap)
            var shortened = old
            shortened.expiresAt = min(old.expiresAt ?? end, end)
            shortened.successors.append(new.id)
            try replace(old, by: shortened, successor: new.id)
            return (new, text.text)
        }
    }

    /// A rotation makes no second token: a user's program that lost the answer revokes the successor first.
    private func refuseSecondSuccessor(of old: TokenRecord, _ now: Date) throws(IdentityError) {
        for id in old.successors {
            guard let successor = try record(id, of: old.user), !successor.isExpired(now) else { continue }
            throw IdentityError(
                .tokenRotated, "the token was rotated into \(id) already; revoke that one first, or rotate it")
        }
    }

    private func replace(_ old: TokenRecord, by new: TokenRecord, successor: String) throws(IdentityError) {
        do throws(FileError) {
            try files.replaceFile(path(old.id, of: old.user), Self.bytes(new))
        } catch {
            guard restore(old) else {
                throw IdentityError(
                    .outcomeUnknown, "the disk failed while the token was rotated, and it may end early: \(error)")
            }
            // No token any more, since the old one does not name it; the next change of this owner removes it otherwise.
            try? files.remove(path(successor, of: old.user))
            throw IdentityError(.storage, "could not end the old token: \(error)")
        }
    }

    /// - Returns: whether the old token's file is as it was.
    private func restore(_ old: TokenRecord) -> Bool {
        // The disk may have failed before the new content got its name.
        if let found = try? record(old.id, of: old.user), found.successors == old.successors { return true }
        // Whether the disk takes it is the answer.
        return (try? files.replaceFile(path(old.id, of: old.user), Self.bytes(old))) != nil
    }

    // MARK: Revoking

    /// - Throws: `.tokenNotFound`, `.storage`, `.outcomeUnknown`.
    public func revoke(_ id: String, of user: UserID?) throws(IdentityError) {
        guard try isClosed(), TokenText.isID(id) else { throw Self.notFound(id) }
        try locked { () throws(IdentityError) in
            let path = path(id, of: user)
            let hidden = "\(place(of: user))/\(TemporaryNames.next(for: id))"
            do throws(FileError) {
                try files.rename(path, hidden)
            } catch {
                if error.code == .notFound || error.code == .notDirectory { throw Self.notFound(id) }
                throw IdentityError(.storage, "could not revoke the token: \(error)")
            }
            do throws(FileError) {
                try files.syncDirectory(place(of: user))
            } catch {
                do throws(FileError) {
                    try files.rename(hidden, path)
                } catch let second {
                    throw IdentityError(
                        .outcomeUnknown, "the disk failed while the token was revoked; revoke it again: \(second)")
                }
                throw IdentityError(.storage, "could not revoke the token: \(error)")
            }
            // Revoked already; the next change removes a file that stays.
            try? files.remove(hidden)
        }
    }

    /// All of a user's, with the tickets for event streams; none is no error. Repeating it finishes what was cut short.
    public func revokeAll(of user: UserID) throws(IdentityError) {
        try removeTickets(of: user)
        guard try isClosed() else { return }
        try locked { () throws(IdentityError) in
            try call("revoke the tokens") { () throws(FileError) in
                try files.removeTree(place(of: user))
                if try files.exists("\(folder)/users") { try files.syncDirectory("\(folder)/users") }
            }
        }
    }

    // MARK: On disk

    private static func bytes(_ record: TokenRecord) -> [UInt8] { Array(record.fileJSON.text().utf8) + [0x0A] }

    private var home: String { PathParts.split(folder).folder }

    /// One change at a time, in all processes.
    private func locked<Value>(_ body: () throws(IdentityError) -> Value) throws(IdentityError) -> Value {
        let path = "\(home)/.tokens.lock"
        let descriptor = try call("lock the tokens") { () throws(FileError) in
            try files.ensureDirectory(home)
            let descriptor = try files.open(path, [.readWrite, .create])
            do throws(FileError) {
                // Holders make a few file calls and wait for nothing else.
                try files.waitForLock(path) { () throws(FileError) in try files.tryLock(descriptor, path: path) }
            } catch {
                files.closeQuietly(descriptor)
                throw error
            }
            return descriptor
        }
        defer {
            files.closeQuietly(descriptor)
            files.released(path)
        }
        return try body()
    }

    /// The caller holds the lock.
    private func keep(_ record: TokenRecord) throws(IdentityError) {
        guard try isClosed() else { return try keepFirst(record) }
        let place = place(of: record.user)
        let path = path(record.id, of: record.user)
        sweep(place, { TemporaryNames.isTemporary($0) })
        do throws(FileError) {
            try files.ensureDirectory(place)
            try files.createFile(path, Self.bytes(record))
        } catch {
            // It may have got its name before the disk failed.
            try takeBack(error) { () throws(FileError) in try files.remove(path) }
        }
    }

    /// Builds the folder aside with the token in it, and renames it in: the service closes by that rename alone.
    private func keepFirst(_ record: TokenRecord) throws(IdentityError) {
        let staging = "\(home)/\(TemporaryNames.next(for: Self.stagingName))"
        sweep(home, { TemporaryNames.isTemporary($0) && $0.hasPrefix(".\(Self.stagingName).") })
        do throws(FileError) {
            let place = "\(staging)/\(Self.part(of: record.user))"
            try files.ensureDirectory(place)
            try files.createSynced("\(place)/\(record.id).json", Self.bytes(record))
            try files.syncDirectory(place)
            try renameIn(staging)
        } catch {
            // Best effort: the next attempt sweeps what is left.
            try? files.removeTree(staging)
            throw IdentityError(.storage, "could not keep the token: \(error)")
        }
        do throws(FileError) {
            try files.syncDirectory(home)
        } catch {
            try takeBack(error) { () throws(FileError) in
                try files.rename(folder, staging)
                // As above.
                try? files.removeTree(staging)
            }
        }
    }

    private static let stagingName = "tokens-made"

    private func renameIn(_ staging: String) throws(FileError) {
        do throws(FileError) {
            try files.rename(staging, folder, replace: false)
        } catch {
            // A file system without RENAME_NOREPLACE falls back to links, which folders cannot have. The lock keeps others out,
            // and a plain rename replaces nothing but an empty folder.
            guard error.code == .permission || error.code == .unsupported, try !files.exists(folder) else { throw error }
            try files.rename(staging, folder, replace: true)
        }
    }

    /// Answers a failure whose change may be there: `undo` removes it.
    private func takeBack(_ error: FileError, _ undo: () throws(FileError) -> Void) throws(IdentityError) -> Never {
        do throws(FileError) {
            try undo()
        } catch let second {
            guard second.code == .notFound || second.code == .notDirectory else {
                throw IdentityError(
                    .outcomeUnknown, "the disk failed while the token was kept; look at the list of tokens: \(error)")
            }
        }
        throw IdentityError(.storage, "could not keep the token: \(error)")
    }

    /// Removes what dead processes have left; the lock says that nobody alive is at it.
    private func sweep(_ folder: String, _ isLeftover: (String) -> Bool) {
        // Worth no failed call: the next change tries again.
        guard let names = try? names(in: folder) else { return }
        for name in names where isLeftover(name) { try? files.removeTree("\(folder)/\(name)") }
    }
}
