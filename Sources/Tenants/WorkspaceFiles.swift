// A workspace as files that its user may read and change: the one rule of which, for the agent's tools and for HTTP. Paths are
// resolved by the kernel beneath the workspace; a file with several names is not read or replaced, since it may belong
// elsewhere. Any thread; blocks. Failure: WorkspaceFileError.
import DurableFiles
import Foundation

/// Why a file cannot be had or changed.
public struct WorkspaceFileError: Error, Sendable, Hashable {
    public enum Code: String, Sendable, CaseIterable {
        /// It leads out of the workspace, or is no path.
        case pathNotAllowed = "path_not_allowed"
        /// Kept by other parts of the house, with calls of its own.
        case protected = "protected_file"
        case notFound = "file_not_found"
        /// A folder, a link, something special.
        case notAFile = "not_a_file"
        case tooLarge = "file_too_large"
        case diskQuota = "disk_quota"
        /// It is not what the caller took it for.
        case versionConflict = "version_conflict"
        /// Another change of the user's files does not come to its end; nothing was changed.
        case lockTimeout = "lock_timeout"
        case storage
    }

    public var code: Code
    public var detail: String

    public init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }
}

public struct WorkspaceFiles: Sendable {
    /// Bytes of one file that is read or written as a whole.
    public static let maximumFile = 16 << 20
    /// Bytes that are read at a time.
    private static let piece = 256 << 10
    /// Characters of a path; of one that is only listed or removed, since a command may have made deeper folders.
    public static let maximumPath = 1_024
    public static let deepestPath = 65_536
    /// Owned by other parts of the house: changed by their own tools and calls, never as text.
    private static let protectedFiles: Set<String> = ["config.json", "account.json", "schedules.json", "usage.jsonl"]
    private static let protectedFolders: Set<String> = ["sessions"]
    /// The operator's, not the user's.
    private static let hiddenFiles: Set<String> = ["account.json"]

    /// How often the removal of a folder is tried while somebody still puts files into it.
    private static let removalAttempts = 5

    private let workspace: Workspace
    /// Bytes of the whole workspace; 0: no bound.
    private let allowedBytes: Int

    public init(_ workspace: Workspace, allowedBytes: Int) {
        self.workspace = workspace
        self.allowedBytes = allowedBytes
    }

    // MARK: - Which

    /// The path without redundant parts; "" is the root.
    public static func normal(_ path: String, longest: Int = maximumPath) throws(WorkspaceFileError) -> String {
        let parts = path.split(separator: "/", omittingEmptySubsequences: true).map(String.init).filter { $0 != "." }
        guard !path.hasPrefix("/"), !parts.contains(".."), !path.unicodeScalars.contains("\0"),
            path.count <= longest
        else {
            throw WorkspaceFileError(
                .pathNotAllowed,
                "\"\(path.prefix(200))\" leads out of the workspace; use a relative path such as data/notes.md")
        }
        return parts.joined(separator: "/")
    }

    /// The path of a file that may be changed as one.
    public static func writable(_ path: String, longest: Int = maximumPath) throws(WorkspaceFileError) -> String {
        let normal = try normal(path, longest: longest)
        guard !normal.isEmpty else { throw WorkspaceFileError(.notAFile, "the path must name a file") }
        let parts = normal.split(separator: "/").map(String.init)
        // Compared without case, so that the rule also holds on file systems that ignore case.
        let first = parts[0].lowercased()
        let isProtected =
            parts.contains { $0.hasPrefix(".") } || protectedFolders.contains(first)
            || (parts.count == 1 && protectedFiles.contains(first))
        guard !isProtected else {
            throw WorkspaceFileError(.protected, "\(normal) is kept by nanobot and is not written as a file")
        }
        return normal
    }

    /// The path of what may be looked at.
    private static func readable(_ path: String, longest: Int = maximumPath) throws(WorkspaceFileError) -> String {
        let normal = try normal(path, longest: longest)
        guard isVisible(normal) else { throw absent(normal) }
        return normal
    }

    private static func isVisible(_ normal: String) -> Bool {
        !normal.split(separator: "/").contains { $0.hasPrefix(".") } && !hiddenFiles.contains(normal.lowercased())
    }

    // MARK: - Reading

    /// Files and folders right below a folder, by name.
    public func list(_ folder: String) throws(WorkspaceFileError) -> [SealedEntry] {
        let path = try Self.readable(folder, longest: Self.deepestPath)
        do throws(FileError) {
            return try workspace.directory.list(path).filter {
                Self.isVisible($0.path) && ($0.kind == .regular || $0.kind == .directory)
            }
        } catch {
            throw Self.failure(error, path)
        }
    }

    /// A file of at most `maximumFile` bytes, for reading piece by piece.
    public func open(_ path: String) throws(WorkspaceFileError) -> SealedFile {
        let path = try Self.readable(path)
        guard !path.isEmpty else { throw WorkspaceFileError(.notAFile, "the path must name a file") }
        do throws(FileError) {
            return try workspace.directory.openFile(path, maxBytes: Self.maximumFile, singleName: true)
        } catch {
            throw Self.failure(error, path)
        }
    }

    /// The SHA-256 of a file as 64 hex digits, read piece by piece.
    public static func fingerprint(of file: SealedFile) throws(WorkspaceFileError) -> String {
        var hash = RunningFingerprint()
        var offset = 0
        do throws(FileError) {
            while offset < file.size {
                let bytes = try file.read(from: offset, count: min(piece, file.size - offset))
                if bytes.isEmpty { break }
                hash.add(bytes)
                offset += bytes.count
            }
        } catch {
            throw failure(error, file.path)
        }
        return hash.hex
    }

    // MARK: - Changing

    /// Creates or replaces a file, durably and at once.
    /// - Parameter check: gets the fingerprint of what is there now, nil for nothing; may refuse. nil: whatever is there.
    /// - Returns: whether it is new.
    public func write(
        _ path: String, _ bytes: [UInt8], check: ((String?) throws -> Void)? = nil
    ) throws -> Bool {
        let path = try Self.writable(path)
        guard bytes.count <= Self.maximumFile else {
            throw WorkspaceFileError(.tooLarge, "a file has at most \(Self.maximumFile) bytes")
        }
        return try locked {
            let before = try current(path)
            try check?(try before?.fingerprint())
            try requireSpace(for: bytes.count)
            do throws(FileError) {
                try workspace.directory.write(path, bytes)
            } catch {
                throw Self.failure(error, path)
            }
            return before == nil
        }
    }

    /// Removes a file, or an empty folder.
    /// - Parameter check: as of `write`.
    public func remove(_ path: String, check: ((String?) throws -> Void)? = nil) throws {
        let path = try Self.writable(path)
        try locked {
            let before = try current(path)
            try check?(try before?.fingerprint())
            do throws(FileError) {
                try workspace.directory.remove(path)
            } catch {
                throw Self.failure(error, path)
            }
        }
    }

    private func locked<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try workspace.withLock(.files, body)
        } catch let error as FileError {
            throw WorkspaceFileError(error.code == .busy ? .lockTimeout : .storage, error.description)
        }
    }

    /// Removes a file, or a folder with all that is in it, hidden files too, however deep. Nothing there: no error, so that the
    /// call can be repeated. Others may change files meanwhile: what they put into the folder goes with it.
    /// - Parameter isCancelled: asked between removals; true leaves the rest, which the next call removes.
    public func removeTree(_ path: String, isCancelled: () -> Bool = { false }) throws(WorkspaceFileError) {
        let path = try Self.writable(path, longest: Self.deepestPath)
        var attempt = 1
        var isDone = false
        while true {
            do throws(FileError) {
                isDone = try workspace.directory.removeTree(path, isCancelled: isCancelled)
                break
            } catch {
                // Somebody still puts files into it.
                guard error.code == .notEmpty, attempt < Self.removalAttempts else { throw Self.failure(error, path) }
                attempt += 1
            }
        }
        guard isDone else { throw WorkspaceFileError(.storage, "the removal was cut short; repeat it") }
    }

    private enum Current {
        case file(SealedFile)
        /// A folder, or a file too large to be read: counts as an empty one.
        case other

        func fingerprint() throws(WorkspaceFileError) -> String {
            switch self {
            case .file(let file): try WorkspaceFiles.fingerprint(of: file)
            case .other: Fingerprint.sha256Hex([])
            }
        }
    }

    /// nil: there is nothing.
    private func current(_ path: String) throws(WorkspaceFileError) -> Current? {
        do throws(WorkspaceFileError) {
            return .file(try open(path))
        } catch {
            switch error.code {
            case .notFound: return nil
            case .notAFile where (try? workspace.directory.list(path)) != nil: return .other
            case .tooLarge: return .other
            default: throw error
            }
        }
    }

    /// - Parameter bytes: what is to be written; what it replaces is not taken off, for both stand on the disk for a moment.
    /// - Throws: `disk_quota`, `storage`.
    public func requireSpace(for bytes: Int) throws(WorkspaceFileError) {
        guard allowedBytes > 0 else { return }
        let usage: Workspace.DiskUsage
        do throws(TenantError) {
            usage = try workspace.diskUsage()
        } catch {
            throw WorkspaceFileError(.storage, error.detail)
        }
        guard usage.isComplete else {
            throw WorkspaceFileError(.diskQuota, "the workspace holds more than can be counted; some of it has to be removed first")
        }
        let used = usage.bytes
        guard used + bytes > allowedBytes else { return }
        throw WorkspaceFileError(.diskQuota, "the workspace holds \(used) bytes of the \(allowedBytes) it may hold")
    }

    private static func absent(_ path: String) -> WorkspaceFileError {
        WorkspaceFileError(.notFound, "there is no file \"\(path.prefix(200))\"")
    }

    private static func failure(_ error: FileError, _ path: String) -> WorkspaceFileError {
        switch error.code {
        case .notFound, .notDirectory: absent(path)
        case .escapes, .symlink:
            WorkspaceFileError(.pathNotAllowed, "\"\(path.prefix(200))\" is not a file of this workspace alone")
        case .invalid, .nameTooLong: WorkspaceFileError(.pathNotAllowed, "\"\(path.prefix(200))\" is no path of a file")
        case .isDirectory, .notEmpty: WorkspaceFileError(.notAFile, "\"\(path.prefix(200))\" is a folder")
        case .tooLarge: WorkspaceFileError(.tooLarge, "\"\(path.prefix(200))\" has more than \(maximumFile) bytes")
        default: WorkspaceFileError(.storage, error.description)
        }
    }
}
