// What workspaces hold, for people and for the API. Any thread; walks folders, so it blocks for as long as that takes.
import DurableFiles
import Foundation
import TextFormats

/// What is known about one user's folder.
public struct WorkspaceInfo: Sendable {
    public var exists: Bool
    /// Where the folder is or would be.
    public var path: String
    /// Paths in the workspace, without hidden ones; at most 100,000 entries of both kinds together.
    public var directories: [String] = []
    public var files: [String] = []
    /// Nil when the user does not exist or the config cannot be read.
    public var config: UserConfig?
    public var createdAt: Date?
    /// The bytes of these files.
    public var sizeBytes = 0

    public var json: JSON {
        [
            "exists": .bool(exists), "path": .string(path), "directories": JSON(directories), "files": JSON(files),
            "config": config?.publicJSON ?? .null, "created_at": JSON(createdAt.map(RFC3339.string)),
            "size_bytes": JSON(sizeBytes),
        ]
    }
}

/// What all workspaces hold together.
public struct WorkspaceStats: Sendable, Hashable {
    public var totalUsers = 0
    public var totalFiles = 0
    public var totalSizeBytes = 0
    /// The folder of all workspaces.
    public var basePath: String

    /// In units of 1,048,576 bytes, rounded to two decimals.
    public var totalSizeMB: Double { (Double(totalSizeBytes) / 1_048_576 * 100).rounded() / 100 }

    public var json: JSON {
        [
            "total_users": JSON(totalUsers), "total_files": JSON(totalFiles),
            "total_size_bytes": JSON(totalSizeBytes), "total_size_mb": .double(totalSizeMB),
            "base_path": .string(basePath),
        ]
    }
}

extension WorkspaceManager {
    /// What lstat tells of a file in a user's workspace, by its path alone: to see whether it is still the same one. One
    /// call, which waits for no disk where the name was looked up a moment ago.
    ///
    /// - Returns: nil when it is not there, or on a file system to which other hosts write.
    public func standing(_ path: String, of user: UserID) -> FileStatus? {
        files.isShared ? nil : try? files.status("\(self.path(of: user))/\(path)")
    }

    /// What a user's folder holds. An unknown user is an answer (`exists` false), not an error.
    public func info(_ id: UserID) throws(TenantError) -> WorkspaceInfo {
        var info = WorkspaceInfo(exists: false, path: path(of: id))
        let workspace: Workspace
        do {
            workspace = try open(id)
        } catch {
            if error.code == .userNotFound { return info }
            throw error
        }
        info.exists = true
        for entry in try workspace.visible() {
            if entry.kind == .directory {
                info.directories.append(entry.path)
            } else {
                info.files.append(entry.path)
                info.sizeBytes += entry.size
            }
        }
        info.directories.sort()
        info.files.sort()
        do {
            info.config = try workspace.readConfig()
            info.createdAt = info.config?.createdAt
        } catch {
            // The rest is worth showing while the config waits for repair.
            guard error.code == .configCorrupt else { throw error }
        }
        return info
    }

    /// Adds up all users' files, hidden ones apart. Takes long with many users; those deleted meanwhile are left out.
    public func stats() throws(TenantError) -> WorkspaceStats {
        var stats = WorkspaceStats(basePath: root)
        for id in try list() {
            let files: [SealedEntry]
            do {
                files = try open(id).visible().filter { $0.kind == .regular }
            } catch {
                if error.code == .userNotFound || error.file?.code == .notFound { continue }
                throw error
            }
            stats.totalUsers += 1
            stats.totalFiles += files.count
            stats.totalSizeBytes += files.reduce(0) { $0 + $1.size }
        }
        return stats
    }
}
