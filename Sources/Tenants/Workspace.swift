// One user's folder: the names in it, the config, text files. The only maker of a tenant's paths. Any thread; every
// instance holds one descriptor, beneath which the kernel resolves all paths. Failure: TenantError.
// Reports are in Workspace+Reports.swift, usage in Workspace+Usage.swift.
import DurableFiles
import Foundation
import TextFormats

public final class Workspace: Sendable {
    public static let agents = "AGENTS.md"
    public static let soul = "SOUL.md"
    public static let user = "USER.md"
    public static let heartbeat = "HEARTBEAT.md"
    public static let config = ConfigFile.name
    public static let memory = "memory/MEMORY.md"
    public static let history = "memory/history.jsonl"
    public static let sessions = "sessions"
    public static let skills = "skills"
    public static let reports = "reports"
    public static let data = "data"
    public static let schedules = "schedules.json"
    public static let usage = "usage.jsonl"

    /// The folders every workspace begins with.
    static let folders = ["memory", sessions, skills, reports, data]
    /// Largest text file read or written here, in bytes.
    public static let maximumTextBytes = 16 << 20
    /// Most entries looked at when a workspace is measured.
    static let maximumEntries = 100_000

    public let user: UserID
    /// Where the folder stood when it was opened.
    public let path: String
    public let directory: SealedDirectory
    let files: any FileSystem
    let now: @Sendable () -> Date
    let configFile: ConfigFile

    /// - Throws: `.userNotFound` when there is no such folder.
    init(
        user: UserID, path: String, files: any FileSystem, defaultTimeZone: String,
        now: @escaping @Sendable () -> Date
    ) throws(TenantError) {
        do {
            directory = try SealedDirectory(path: path, files: files)
        } catch {
            // A link or a file of that name is no workspace: nothing is reached through it.
            if [.notFound, .notDirectory, .symlink].contains(error.code) { throw .notFound(user) }
            throw TenantError(error, doing: "open the workspace of \"\(user)\"")
        }
        self.user = user
        self.path = path
        self.files = files
        self.now = now
        configFile = ConfigFile(user: user, directory: directory, defaultTimeZone: defaultTimeZone, now: now)
    }

    /// The user's config, read from the file.
    /// - Throws: `.configCorrupt`, `.userNotFound` (deleted meanwhile), `.storage`.
    public func readConfig() throws(TenantError) -> UserConfig {
        do {
            return try configFile.read()
        } catch {
            // A deletion under way looks like a workspace without a config.
            if error.code == .configCorrupt, error.quarantinePath == nil, try !isInPlace() { throw .notFound(user) }
            throw error
        }
    }

    /// Whether the folder still stands under its name: not renamed out by a deletion. Certain while the config's lock
    /// is held, since a deletion holds it too.
    func isInPlace() throws(TenantError) -> Bool {
        do {
            let there = try files.status(path)
            let here = try directory.status("")
            return there.inode == here.inode && there.device == here.device
        } catch {
            if error.code == .notFound { return false }
            throw TenantError(error, doing: "look for the workspace of \"\(user)\"")
        }
    }

    // MARK: - Text files

    /// The text of a file, nil when there is none. Bytes that are no UTF-8 become U+FFFD.
    public func readText(_ path: String, maxBytes: Int = maximumTextBytes) throws(TenantError) -> String? {
        do {
            return String(decoding: try directory.read(path, maxBytes: maxBytes), as: UTF8.self)
        } catch {
            if error.code == .notFound { return nil }
            throw TenantError(error, doing: "read \(path) of \"\(user)\"")
        }
    }

    /// Replaces the file, atomically and durably.
    public func writeText(_ path: String, _ text: String) throws(TenantError) {
        let bytes = try textBytes(text, for: path)
        do {
            try directory.write(path, bytes)
        } catch {
            throw TenantError(error, doing: "write \(path) of \"\(user)\"")
        }
    }

    func textBytes(_ text: String, for path: String) throws(TenantError) -> [UInt8] {
        let bytes = Array(text.utf8)
        guard bytes.count <= Self.maximumTextBytes else {
            throw TenantError(
                FileError(code: .tooLarge, operation: "write", path: path), doing: "write \(path) of \"\(user)\"")
        }
        return bytes
    }

    // MARK: - Measuring

    /// All regular files of the workspace, hidden ones too, and their bytes.
    public struct DiskUsage: Sendable, Hashable {
        public var files = 0
        public var bytes = 0
        /// Files, folders and everything else.
        public var entries = 0
        /// Bytes the disk gives for them: whole blocks, and one for each folder.
        public var allocated = 0
        /// False when there are more than 100,000 entries, or some that cannot be looked at: then there is more than this.
        public var isComplete = true

        static let block = 4_096

        /// Bytes the disk gives for a file of this size.
        public static func allocation(of size: Int) -> Int { (size + block - 1) / block * block }
        /// And for a folder.
        public static let folderAllocation = block
    }

    /// Walks the whole folder, or one in it: milliseconds for hundreds of files. However deep the folders are.
    public func diskUsage(below folder: String = "") throws(TenantError) -> DiskUsage {
        var usage = DiskUsage()
        let walk = try walk(folder)
        usage.isComplete = try forEachEntry(walk) { entry in
            usage.entries += 1
            if entry.kind == .directory { usage.allocated += DiskUsage.folderAllocation }
            guard entry.kind == .regular else { return }
            usage.files += 1
            usage.bytes += entry.status.size
            usage.allocated += DiskUsage.allocation(of: entry.status.size)
        }
        return usage
    }

    /// Makes readable what a command of the user has made unreadable: nothing in a workspace is hidden from those who count it,
    /// copy it or remove it.
    public func mend() throws(TenantError) { _ = try forEachEntry(try walk(mending: true)) { _ in } }

    /// Bytes of all paths of an export together: a deep folder makes long paths.
    private static let maximumPathBytes = 64 << 20

    /// The files an export of the user holds: all but locks and what is being written. At any depth.
    /// - Throws: `.storage` when some of them cannot be found, or when their paths take more than 64 MiB.
    public func exportedFiles() throws(TenantError) -> [String] {
        let walk = try walk()
        var paths: [String] = []
        var bytes = 0
        let isComplete = try forEachEntry(walk) { entry in
            guard entry.kind == .regular, !entry.name.hasPrefix(".") else { return }
            bytes += walk.cursor.path.utf8.count + entry.name.utf8.count + 1
            if bytes <= Self.maximumPathBytes { paths.append(walk.path(of: entry)) }
        }
        guard isComplete, bytes <= Self.maximumPathBytes else {
            throw TenantError(
                .storage,
                "The workspace of \"\(user)\" has more than \(Self.maximumEntries) files, some that cannot be read, or paths "
                    + "of more than \(Self.maximumPathBytes >> 20) MiB.")
        }
        return paths
    }

    /// Files and folders that are not hidden (locks, files being written). Links and special files are not ours.
    func visible() throws(TenantError) -> [SealedEntry] {
        Self.visible(try findings())
    }

    private static func visible(_ found: SealedDirectory.Findings) -> [SealedEntry] {
        found.entries.filter { !$0.name.hasPrefix(".") && ($0.kind == .regular || $0.kind == .directory) }
    }

    private func findings() throws(TenantError) -> SealedDirectory.Findings {
        do {
            return try directory.walk("", maxEntries: Self.maximumEntries)
        } catch {
            throw listing(error)
        }
    }

    /// Everything in the workspace, one entry at a time, at any depth.
    public func walk(_ folder: String = "", mending: Bool = false) throws(TenantError) -> FolderWalk {
        do {
            return try FolderWalk(try directory.cursor(folder), mending: mending)
        } catch {
            throw listing(error)
        }
    }

    /// - Returns: whether `body` saw all there is.
    private func forEachEntry(_ walk: FolderWalk, _ body: (FolderEntry) -> Void) throws(TenantError) -> Bool {
        var entries = 0
        do throws(FileError) {
            while let step = try walk.next() {
                guard case .entry(let entry) = step else { continue }
                guard entries < Self.maximumEntries else { return false }
                entries += 1
                body(entry)
            }
        } catch {
            // A folder was moved while it was walked through: what is behind it was not seen.
            return false
        }
        return walk.isComplete
    }

    private func listing(_ error: FileError) -> TenantError {
        TenantError(error, doing: "list the workspace of \"\(user)\"")
    }
}
