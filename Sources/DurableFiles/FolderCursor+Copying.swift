// Copying files between two trees of folders, each at the place of its cursor. The files of a command's box and those of a workspace
// are such trees. One thread. Failure: FileError.

import Foundation

extension FolderCursor {
    /// Bytes copied or compared at a time.
    private static let piece = 256 << 10
    /// Rights a copy takes over: its owner always reads and writes it, and nobody else writes.
    private static let rights: UInt32 = 0o755

    /// Copies a file of the other cursor's folder into a new file of this one.
    /// - Parameter maxBytes: `.tooLarge` beyond.
    /// - Returns: what the new file is.
    @discardableResult
    public func copy(
        _ name: String, from source: FolderCursor, as newName: String, maxBytes: Int = .max, keepsTime: Bool = false
    ) throws(FileError) -> FileStatus {
        try source.reading(name) { (file, status) throws(FileError) in
            let mode = status.mode & Self.rights | 0o600
            let new = try open(newName, [.write, .create, .exclusive], mode: mode)
            do throws(FileError) {
                try copy(file, from: source, to: new, maxBytes: maxBytes, path: newName)
                if keepsTime { try files.setModified(new, status.modified, path: newName) }
                let made = try files.status(of: new, path: newName)
                try files.close(new, path: newName)
                return made
            } catch {
                files.closeQuietly(new)
                // Best effort: an incomplete file has no use.
                try? remove(newName, isDirectory: false)
                throw error
            }
        }
    }

    private func copy(
        _ file: Int32, from source: FolderCursor, to new: Int32, maxBytes: Int, path: String
    ) throws(FileError) {
        var offset = 0
        while true {
            let bytes = try source.files.readRange(file, from: offset, count: Self.piece, path: path)
            guard !bytes.isEmpty else { return }
            guard offset + bytes.count <= maxBytes else {
                throw FileError(code: .tooLarge, operation: "copy", path: path)
            }
            try files.writeAll(new, bytes, at: offset, path: path)
            offset += bytes.count
        }
    }

    /// Puts a copy of a file of the other cursor's folder in the place of a file of this one, or where there is none.
    /// Commit point: the rename. Durable with the next sync of the file system.
    public func replace(_ name: String, from source: FolderCursor, _ sourceName: String) throws(FileError) {
        let temporary = TemporaryNames.next(for: name)
        try copy(sourceName, from: source, as: temporary)
        do throws(FileError) {
            try files.rename(in: descriptor, temporary, to: descriptor, name, replace: true)
        } catch {
            // Best effort: the leftover is a dot file.
            try? remove(temporary, isDirectory: false)
            throw error
        }
    }

    /// Whether two regular files hold the same bytes.
    public func isSame(_ name: String, as other: FolderCursor, _ otherName: String) throws(FileError) -> Bool {
        try reading(name) { (file, status) throws(FileError) in
            try other.reading(otherName) { (otherFile, otherStatus) throws(FileError) in
                guard status.size == otherStatus.size else { return false }
                var offset = 0
                while offset < status.size {
                    let bytes = try files.readRange(file, from: offset, count: Self.piece, path: name)
                    let others = try other.files.readRange(otherFile, from: offset, count: Self.piece, path: otherName)
                    guard !bytes.isEmpty, bytes == others else { return false }
                    offset += bytes.count
                }
                return true
            }
        }
    }
}
