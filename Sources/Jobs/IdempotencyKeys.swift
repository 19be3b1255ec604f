// Idempotency keys: keys/<xx>/<hash>.json says which job a user's key stands for. The file is durable before the job
// is submitted, so a crash in between is completed by the next sending of the same key, under the same id.
// Callers: JobClient, any thread. Commit point: the rename in `createFile`. Failure: JobError `storage`.

import DurableFiles
import Foundation
import Spool
import Synchronization
import Tenants
import TextFormats

final class IdempotencyKeys: Sendable {
    /// How long a key stands for its job, in seconds.
    static let lifetime: TimeInterval = 7 * 86_400
    /// Bytes of a key file at most: what is larger was not written by us.
    private static let maxBytes = 4_096

    /// What a key stands for.
    struct Entry: Sendable, Equatable {
        var id: JobID
        /// The fingerprint of the request that came with the key first.
        var fingerprint: String
        var at: Date
    }

    private let spool: JobSpool
    private let folder: String
    private let files: any FileSystem
    private let now: @Sendable () -> Date
    /// Shards, at most 256 of them.
    private let preparedFolders = Mutex<Set<String>>([])

    init(spool: JobSpool, now: @escaping @Sendable () -> Date) {
        self.spool = spool
        folder = spool.layout.path(.keys)
        files = spool.files
        self.now = now
    }

    /// The file name of a key. The incarnation is part of it: a user made anew meets no old keys.
    static func name(user: UserID, incarnation: String, route: String, key: String) -> String {
        // None of the first three contains a NUL, so the joined text is unambiguous.
        Fingerprint.sha256Hex(Array("\(user.rawValue)\0\(incarnation)\0\(route)\0\(key)".utf8))
    }

    private func path(_ name: String) -> String { "\(folder)/\(name.prefix(2))/\(name).json" }

    /// - Returns: nil when the key is free: never used, or more than 7 days ago. What is returned is durable.
    func entry(_ name: String) throws(JobError) -> Entry? {
        let path = path(name)
        do {
            guard let entry = try read(path), isLive(entry) else { return nil }
            try secure(path)
            return entry
        } catch {
            throw JobError(error)
        }
    }

    /// Makes the key stand for `entry`, durably, unless it already stands for another.
    /// - Returns: what the key stands for now; of several callers at once, in any process, all get the same.
    func reserve(_ name: String, _ entry: Entry) throws(JobError) -> Entry {
        let path = path(name)
        do {
            try prepareFolder(of: path)
            let isCreated = try inShard(of: path) { () throws(FileError) in try create(path, entry) }
            if isCreated { return entry }
            if let standing = try read(path), isLive(standing) {
                try secure(path)
                return standing
            }
            return try replace(path, entry)
        } catch {
            throw JobError(error, jobID: entry.id)
        }
    }

    /// Whoever made the key may not have synced its folder entry yet, or have died before: nobody builds on it until
    /// that is done.
    private func secure(_ path: String) throws(FileError) {
        try prepareFolder(of: path)
        try files.syncDirectory(PathParts.split(path).folder)
    }

    /// Makes the shard, and syncs its entry once in this process, whoever made it.
    private func prepareFolder(of path: String) throws(FileError) {
        let shard = PathParts.split(path).folder
        guard !preparedFolders.withLock({ $0.contains(shard) }) else { return }
        try spool.withFolder(shard) { () throws(FileError) in try files.ensureDirectory(shard) }
        try files.syncDirectory(folder)
        preparedFolders.withLock { _ = $0.insert(shard) }
    }

    /// A call that finds its shard gone is made again once the shard has been.
    private func inShard<Value>(of path: String, _ body: () throws(FileError) -> Value) throws(FileError) -> Value {
        do throws(FileError) {
            return try body()
        } catch {
            let shard = PathParts.split(path).folder
            guard error.code == .notFound || error.code == .notDirectory else { throw error }
            preparedFolders.withLock { _ = $0.remove(shard) }
            try prepareFolder(of: path)
            return try body()
        }
    }

    /// The file is there but is too old or unreadable. Only holders of the lock replace, so two cannot both win.
    private func replace(_ path: String, _ entry: Entry) throws(FileError) -> Entry {
        try locked { () throws(FileError) in
            if let standing = try read(path), isLive(standing) { return standing }
            try setAsideIfUnreadable(path)
            try files.replaceFile(path, bytes(entry))
            return entry
        }
    }

    private func create(_ path: String, _ entry: Entry) throws(FileError) -> Bool {
        do {
            try files.createFile(path, bytes(entry))
            return true
        } catch {
            if error.code == .exists { return false }
            throw error
        }
    }

    /// Removes what is older than 7 days. Cheap enough for once a day.
    func prune() throws(JobError) {
        do {
            for shard in try files.list(folder) where shard.name.utf8.count == 2 && shard.kind == .directory {
                try prune(shard: "\(folder)/\(shard.name)")
            }
        } catch {
            if error.code != .notFound { throw JobError(error) }
        }
    }

    private func prune(shard: String) throws(FileError) {
        // Key files are never changed, so their time stamp is the key's; the lock is taken only where there is work.
        let limit = now().addingTimeInterval(-Self.lifetime)
        let old = try files.list(shard).filter { entry in
            guard entry.name.hasSuffix(".json") else { return false }
            // A file that is gone by now needs no removal.
            guard let status = try? files.status("\(shard)/\(entry.name)") else { return false }
            return status.modified < limit
        }
        guard !old.isEmpty else { return }
        try locked { () throws(FileError) in
            for entry in old {
                let path = "\(shard)/\(entry.name)"
                guard let standing = try read(path), !isLive(standing) else { continue }
                // Somebody else may have been faster.
                do throws(FileError) { try files.remove(path) } catch { guard error.code == .notFound else { throw error } }
            }
        }
    }

    // MARK: - The file

    private func isLive(_ entry: Entry) -> Bool { entry.at > now().addingTimeInterval(-Self.lifetime) }

    private func bytes(_ entry: Entry) -> [UInt8] {
        let json: JSON = [
            "id": .string(entry.id.description), "hash": .string(entry.fingerprint),
            "at": .string(RFC3339.string(entry.at)),
        ]
        return json.bytes() + [0x0A]
    }

    /// - Returns: nil when there is no file, or none that can be understood.
    private func read(_ path: String) throws(FileError) -> Entry? {
        do {
            return decode(try files.readFile(path, maxBytes: Self.maxBytes))
        } catch {
            switch error.code {
            case .notFound, .tooLarge, .isDirectory, .notDirectory, .invalid, .symlink: return nil
            default: throw error
            }
        }
    }

    private func decode(_ bytes: [UInt8]) -> Entry? {
        // Damaged is the same as absent here; `replace` sets such a file aside.
        guard let json = try? JSON.parse(bytes), let id = json["id"]?.string.flatMap({ JobID($0) }),
            let fingerprint = json["hash"]?.string, let at = json["at"]?.string.flatMap({ RFC3339.date($0) })
        else { return nil }
        return Entry(id: id, fingerprint: fingerprint, at: at)
    }

    private func setAsideIfUnreadable(_ path: String) throws(FileError) {
        guard try read(path) == nil, try files.exists(path) else { return }
        try files.rename(path, "\(path).bad", replace: true)
    }

    private func locked<Value>(_ body: () throws(FileError) -> Value) throws(FileError) -> Value {
        let path = "\(folder)/.lock"
        let descriptor = try spool.openFile(path, [.readWrite, .create])
        // Closing drops the lock.
        defer {
            files.closeQuietly(descriptor)
            files.released(path)
        }
        // Holders do a few file operations and never wait for anything else.
        try files.waitForLock(path) { () throws(FileError) in try files.tryLock(descriptor, path: path) }
        return try body()
    }
}
