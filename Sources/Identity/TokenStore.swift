// Where tokens are kept: one file each, so that `ls` shows them and `rm` revokes them.
//
//     <home>/tokens/admin/<id>.json        <home>/tokens/users/<user_id>/<id>.json        (0600, folders 0700)
//
// The folder `tokens` itself is the sign that the service is closed: from the first token on nobody is let in without one,
// also after the last was revoked; an operator who wants the open service back removes the folder.
//
// A token's states: made (its file stands) → expired (its time has passed; the file stays to be seen) → revoked (the file is
// gone). Every change is one atomic file; a crash leaves it done or not done.
//
// Any thread, any process; blocking. Failure: IdentityError.
import DurableFiles
import Foundation
import Tenants
import TextFormats

public struct TokenStore: Sendable {
    /// `<home>/tokens`.
    public let folder: String
    private let files: any FileSystem
    private let now: @Sendable () -> Date

    /// Tokens one user, or the admins together, may have at once; expired ones count until they are revoked.
    public static let maximumPerOwner = 100
    private static let maximumFile = 16 << 10

    public init(
        folder: String, files: any FileSystem = LinuxFileSystem(), now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.folder = folder
        self.files = files
        self.now = now
    }

    /// Whether a token was ever made here.
    public func isClosed() throws(IdentityError) -> Bool {
        try call("look for tokens") { () throws(FileError) in try files.exists(folder) }
    }

    // MARK: Making

    /// - Parameters:
    ///   - user: nil exactly for `.admin`.
    ///   - incarnation: the user's, nil exactly for `.admin`.
    /// - Returns: the record, and the token: shown this once and kept nowhere.
    /// - Throws: `.tooManyTokens`, `.invalidField` for an end that has passed or a name too long, `.storage`.
    public func create(
        _ scope: AccessScope, user: UserID?, incarnation: String?, name: String? = nil, expiresAt: Date? = nil
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
        guard try list(user: user).count < Self.maximumPerOwner else {
            throw IdentityError(
                .tooManyTokens, "there are \(Self.maximumPerOwner) tokens already; revoke those no longer needed")
        }
        let text = TokenText(owner: user?.rawValue ?? TokenText.adminOwner)
        let record = TokenRecord(
            id: text.id, scope: scope, user: user, incarnation: incarnation, name: name, hash: text.hash,
            createdAt: now,
            expiresAt: expiresAt)
        try call("keep the token") { () throws(FileError) in
            try files.ensureDirectory(place(of: user), mode: 0o700)
            try files.replaceFile(path(record.id, of: user), Array(record.fileJSON.text().utf8) + [0x0A])
        }
        return (record, text.text)
    }

    /// A new token in the place of an old one, which goes on for `overlap` seconds.
    /// - Throws: `.tokenNotFound`, as `create`.
    public func rotate(
        _ id: String, of user: UserID?, overlap: TimeInterval, expiresAt: Date? = nil
    ) throws(IdentityError) -> (record: TokenRecord, token: String) {
        guard var old = try record(id, of: user), !old.isExpired(now()) else { throw Self.notFound(id) }
        let made = try create(
            old.scope, user: old.user, incarnation: old.incarnation, name: old.name, expiresAt: expiresAt)
        let end = now().addingTimeInterval(overlap)
        old.expiresAt = min(old.expiresAt ?? end, end)
        try call("end the old token") { () throws(FileError) in
            try files.replaceFile(path(id, of: user), Array(old.fileJSON.text().utf8) + [0x0A])
        }
        return made
    }

    // MARK: Looking

    /// Oldest first; damaged files are left out.
    /// - Parameter user: nil for the admins'.
    public func list(user: UserID?) throws(IdentityError) -> [TokenRecord] {
        let names = try call("list tokens") { () throws(FileError) -> [String] in
            do throws(FileError) {
                return try files.list(place(of: user)).map(\.name)
            } catch {
                if error.code == .notFound { return [] }
                throw error
            }
        }
        var found: [TokenRecord] = []
        for name in names where name.hasSuffix(".json") {
            if let record = try record(String(name.dropLast(".json".count)), of: user) { found.append(record) }
        }
        return found.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
    }

    /// The users who have tokens, sorted.
    public func users() throws(IdentityError) -> [UserID] {
        let entries = try call("list tokens") { () throws(FileError) -> [DirectoryEntry] in
            do throws(FileError) {
                return try files.list("\(folder)/users")
            } catch {
                if error.code == .notFound { return [] }
                throw error
            }
        }
        return entries.compactMap { entry -> UserID? in
            // What is no user's folder is not ours.
            try? UserID(entry.name)
        }.sorted()
    }

    /// - Returns: nil when there is none, or when its file cannot be understood.
    public func record(_ id: String, of user: UserID?) throws(IdentityError) -> TokenRecord? {
        guard TokenText.isID(id) else { return nil }
        let path = path(id, of: user)
        return try call("read the token") { () throws(FileError) -> TokenRecord? in
            let bytes: [UInt8]
            let used: Date
            do throws(FileError) {
                bytes = try files.readFile(path, maxBytes: Self.maximumFile)
                used = try files.status(path).modified
            } catch {
                if error.code == .notFound || error.code == .notDirectory { return nil }
                throw error
            }
            // A damaged file lets nobody in: as good as revoked.
            guard let json = try? JSON.parse(bytes), var record = try? TokenRecord(fileJSON: json), record.id == id,
                record.user == user
            else { return nil }
            if used.timeIntervalSince(record.createdAt) > Self.making { record.lastUsedAt = used }
            return record
        }
    }

    // MARK: Going

    /// - Throws: `.tokenNotFound`, `.storage`.
    public func revoke(_ id: String, of user: UserID?) throws(IdentityError) {
        guard TokenText.isID(id) else { throw Self.notFound(id) }
        let path = path(id, of: user)
        let found = try call("revoke the token") { () throws(FileError) -> Bool in
            do throws(FileError) {
                try files.remove(path)
            } catch {
                if error.code == .notFound || error.code == .notDirectory { return false }
                throw error
            }
            try files.syncDirectory(place(of: user))
            return true
        }
        guard found else { throw Self.notFound(id) }
    }

    /// All of a user's; none is no error.
    public func revokeAll(of user: UserID) throws(IdentityError) {
        try call("revoke the tokens") { () throws(FileError) in
            try files.removeTree(place(of: user))
            if try files.exists("\(folder)/users") { try files.syncDirectory("\(folder)/users") }
        }
    }

    // MARK: Use

    /// Seconds within which uses of one token are noted once.
    static let useGrain: TimeInterval = 600

    /// Seconds between the time written in a file and the file's own that are no use yet.
    private static let making: TimeInterval = 2

    /// Notes that a token was used, in its file's time; a rotation counts as a use.
    func noteUse(of record: TokenRecord) {
        let now = now()
        let last = record.lastUsedAt ?? record.createdAt.addingTimeInterval(Self.making - Self.useGrain)
        guard now.timeIntervalSince(last) > Self.useGrain else { return }
        // Worth no failed request: the next use tries again.
        try? files.touch(path(record.id, of: record.user))
    }

    // MARK: Places

    private func place(of user: UserID?) -> String {
        user.map { "\(folder)/users/\($0)" } ?? "\(folder)/\(TokenText.adminOwner)"
    }

    private func path(_ id: String, of user: UserID?) -> String { "\(place(of: user))/\(id).json" }

    private static func notFound(_ id: String) -> IdentityError {
        IdentityError(.tokenNotFound, "there is no token \"\(id.prefix(32))\"")
    }

    private func call<Value>(_ what: String, _ body: () throws(FileError) -> Value) throws(IdentityError) -> Value {
        do throws(FileError) {
            return try body()
        } catch {
            throw IdentityError(.storage, "could not \(what): \(error)")
        }
    }
}
