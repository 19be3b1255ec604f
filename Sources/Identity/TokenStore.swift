// Where tokens are kept: one file each, so that `ls` shows them and `rm` revokes them.
//
//     <home>/tokens/admin/<id>.json        <home>/tokens/users/<user_id>/<id>.json        (0600, folders 0700)
//
// The folder `tokens` itself is the sign that the service is closed: from the first token on nobody is let in without one,
// also after the last was revoked; an operator who wants the open service back removes the folder. The folder comes into
// being together with the first token, by one rename, so an attempt that fails or is killed closes nothing.
//
// A token's states: made (its file stands) → expired (its time has passed; the file stays to be seen) → revoked (the file is
// gone). How each change is made is in TokenStore+Changing.swift.
//
// Any thread, any process; blocking. Failure: IdentityError.
import DurableFiles
import Foundation
import Tenants
import TextFormats

public struct TokenStore: Sendable {
    /// `<home>/tokens`.
    public let folder: String
    let files: any FileSystem
    let now: @Sendable () -> Date

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

    // MARK: Looking

    /// Oldest first; damaged files are left out, and so is what a rotation cut short has left.
    /// - Parameter user: nil for the admins'.
    public func list(user: UserID?) throws(IdentityError) -> [TokenRecord] { try look(user).tokens }

    /// - Returns: also the ids of successors that no old token names: of rotations that were cut short.
    func look(_ user: UserID?) throws(IdentityError) -> (tokens: [TokenRecord], unnamed: [String]) {
        var found: [TokenRecord] = []
        for name in try names(in: place(of: user)) where name.hasSuffix(".json") {
            if let record = try stored(String(name.dropLast(".json".count)), of: user) { found.append(record) }
        }
        let successors = Dictionary(uniqueKeysWithValues: found.map { ($0.id, $0.successors) })
        let isUnnamed = { (record: TokenRecord) -> Bool in
            guard let old = record.rotatedFrom, let named = successors[old] else { return false }
            return !named.contains(record.id)
        }
        let tokens = found.filter { !isUnnamed($0) }.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
        return (tokens, found.filter(isUnnamed).map(\.id))
    }

    /// The users who have tokens, sorted.
    public func users() throws(IdentityError) -> [UserID] {
        var found: [UserID] = []
        for name in try names(in: "\(folder)/users") {
            // What is no user's folder is not ours.
            guard let user = try? UserID(name) else { continue }
            if try names(in: place(of: user)).contains(where: { $0.hasSuffix(".json") }) { found.append(user) }
        }
        return found.sorted()
    }

    /// No folder: no names.
    func names(in path: String) throws(IdentityError) -> [String] {
        try call("list tokens") { () throws(FileError) -> [String] in
            do throws(FileError) {
                return try files.list(path).map(\.name)
            } catch {
                if error.code == .notFound || error.code == .notDirectory { return [] }
                throw error
            }
        }
    }

    /// - Returns: nil when there is none, or when its file cannot be understood.
    public func record(_ id: String, of user: UserID?) throws(IdentityError) -> TokenRecord? {
        guard let record = try stored(id, of: user) else { return nil }
        // A rotation commits by the old token's file; where that names no such successor, this one was never given to anybody.
        if let old = record.rotatedFrom, let before = try stored(old, of: user), !before.successors.contains(id) {
            return nil
        }
        return record
    }

    private func stored(_ id: String, of user: UserID?) throws(IdentityError) -> TokenRecord? {
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

    // MARK: Lineage

    /// Whether every credential that the token was made by is still valid. Reads all tokens of the user, where there are any.
    public func isLineageLive(_ record: TokenRecord) throws(IdentityError) -> Bool {
        guard !record.lineage.isEmpty else { return true }
        let all = try list(user: record.user)
        return Self.isLineageLive(record, among: all, at: now(), visited: [record.id])
    }

    /// - Parameter visited: tokens that are being looked at; a rotated token may depend on its own line.
    private static func isLineageLive(
        _ record: TokenRecord, among all: [TokenRecord], at now: Date, visited: Set<String>
    ) -> Bool {
        record.lineage.allSatisfy { link in
            switch link {
            case .jwt(_, _, _, let endsAt): return endsAt > now
            case .token(let line):
                return all.contains { maker in
                    guard maker.line == line, maker.incarnation == record.incarnation, !maker.isExpired(now) else {
                        return false
                    }
                    return visited.contains(maker.id)
                        || isLineageLive(maker, among: all, at: now, visited: visited.union([maker.id]))
                }
            }
        }
    }

    // MARK: Use

    /// Seconds within which uses of one token are noted once.
    static let useGrain: TimeInterval = 600

    /// Seconds between the time written in a file and the file's own that are no use yet.
    private static let making: TimeInterval = 2

    /// Notes that a token was used, in its file's time; a rotation counts as a use. The first use is noted at once and durably,
    /// later ones once in `useGrain`: a token costs no write per request.
    func noteUse(of record: TokenRecord) {
        let path = path(record.id, of: record.user)
        if let last = record.lastUsedAt {
            guard now().timeIntervalSince(last) > Self.useGrain else { return }
            // Worth no failed request: the next use tries again.
            try? files.touch(path)
        } else {
            // As above.
            try? noteFirstUse(path, record)
        }
    }

    /// Commit point: the sync of the file, whose time is then later than what making it can have left there. A use that follows
    /// the making at once is written down as up to `making` later than it was.
    private func noteFirstUse(_ path: String, _ record: TokenRecord) throws(FileError) {
        let file = try files.open(path, [.readWrite])
        defer { files.closeQuietly(file) }
        let earliest = record.createdAt.addingTimeInterval(Self.making + 0.001)
        try files.setModified(file, max(now(), earliest), path: path)
        try files.sync(file, path: path)
    }

    // MARK: Places

    func place(of user: UserID?) -> String { "\(folder)/\(Self.part(of: user))" }

    /// Below the folder.
    static func part(of user: UserID?) -> String { user.map { "users/\($0)" } ?? TokenText.adminOwner }

    func path(_ id: String, of user: UserID?) -> String { "\(place(of: user))/\(id).json" }

    static func notFound(_ id: String) -> IdentityError {
        IdentityError(.tokenNotFound, "there is no token \"\(id.prefix(32))\"")
    }

    func call<Value>(_ what: String, _ body: () throws(FileError) -> Value) throws(IdentityError) -> Value {
        do throws(FileError) {
            return try body()
        } catch {
            throw IdentityError(.storage, "could not \(what): \(error)")
        }
    }
}
