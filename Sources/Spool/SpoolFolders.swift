// The folders of a spool, made again when somebody has removed one, and cleared of what is none of ours: something else in
// the place of a folder or of a file (a folder, a pipe, a link …) is moved into aside/ and reported, so that it stops nobody.
// Nothing is deleted. Any thread. Failure: FileError of the call that was to be made, or of the move.

import DurableFiles
import Foundation
import Synchronization

/// Something that stood where a file or folder of the spool belongs.
public struct SetAside: Sendable, Hashable {
    /// Where it was, relative to the spool.
    public var place: String
    /// Where it is now.
    public var path: String
    public var kind: FileKind
}

final class SpoolFolders: Sendable {
    let layout: SpoolLayout
    let files: any FileSystem
    private let listener = Mutex<(@Sendable (SetAside) -> Void)?>(nil)
    /// What was set aside before there was a listener.
    private let early = Mutex<[SetAside]>([])

    /// Bytes of a place that become part of the new name.
    private static let longestName = 200

    init(layout: SpoolLayout, files: any FileSystem) {
        self.layout = layout
        self.files = files
    }

    /// What was set aside before `listen`.
    var unheard: [SetAside] { early.withLock { $0 } }

    /// From now on `body` is told, on the thread where it happens.
    func listen(_ body: @escaping @Sendable (SetAside) -> Void) { listener.withLock { $0 = body } }

    /// Runs a call that needs a folder. Where it fails because the folder is missing, or something else is in its place, the
    /// folder is made and the call is made once more.
    func with<Value>(_ folder: String, _ body: () throws(FileError) -> Value) throws(FileError) -> Value {
        do throws(FileError) {
            return try body()
        } catch {
            guard error.code == .notFound || error.code == .notDirectory, try restore(folder) else { throw error }
            return try body()
        }
    }

    /// Makes a folder of the spool and those above it, with their entries on disk.
    /// - Returns: false when it was there.
    /// - Throws: `.symlink` for a link to a folder: what is behind it is somebody's data.
    @discardableResult
    func restore(_ folder: String) throws(FileError) -> Bool {
        guard folder.hasPrefix(layout.root + "/") else { return false }
        var path = layout.root
        var isChanged = false
        for part in folder.dropFirst(layout.root.count + 1).split(separator: "/") {
            path += "/\(part)"
            switch try kind(of: path) {
            case .directory?: continue
            case .symlink? where leadsToFolder(path):
                throw FileError(code: .symlink, operation: "open (a link to a folder: put the folder itself here)", path: path)
            case .some: try setAside(path)
            case nil: break
            }
            try files.ensureDirectory(path, mode: 0o750)
            isChanged = true
        }
        return isChanged
    }

    /// Opens a file of ours; what stands in its place and is no file is set aside first.
    /// - Parameter flags: a missing file is an error unless they have `.create`.
    func open(_ path: String, _ flags: OpenFlags, mode: UInt32 = 0o640) throws(FileError) -> Int32 {
        let folder = PathParts.split(path).folder
        return try with(folder) { () throws(FileError) in
            do throws(FileError) {
                return try files.open(path, flags, mode: mode)
            } catch {
                guard try clear(path, after: error) else { throw error }
                return try files.open(path, flags, mode: mode)
            }
        }
    }

    /// After a call on a file of ours has failed: sets aside what is there, if it is no file.
    /// - Returns: false when it is a file, or nothing is there: the error is another one's.
    func clear(_ path: String, after error: FileError) throws(FileError) -> Bool {
        switch error.code {
        case .isDirectory, .symlink, .invalid, .exists, .notEmpty, .notDirectory, .permission: break
        default: return false
        }
        guard let found = try kind(of: path), found != .regular else { return false }
        try setAside(path)
        return true
    }

    /// As `replaceFile`: also where the folder is missing or a folder has the file's name.
    func replace(_ path: String, _ bytes: [UInt8]) throws(FileError) {
        try with(PathParts.split(path).folder) { () throws(FileError) in
            do throws(FileError) {
                try files.replaceFile(path, bytes, mode: 0o640)
            } catch {
                guard try clear(path, after: error) else { throw error }
                try files.replaceFile(path, bytes, mode: 0o640)
            }
        }
    }

    /// Removes a file of ours; a folder with its name is set aside. Nothing there: no error.
    func remove(_ path: String) throws(FileError) {
        do throws(FileError) {
            try files.remove(path)
        } catch {
            if error.code == .notFound || error.code == .notDirectory { return }
            guard try clear(path, after: error) else { throw error }
        }
    }

    func kind(of path: String) throws(FileError) -> FileKind? {
        do throws(FileError) {
            return try files.status(path).kind
        } catch {
            if error.code == .notFound || error.code == .notDirectory { return nil }
            throw error
        }
    }

    private func leadsToFolder(_ path: String) -> Bool {
        guard let descriptor = try? files.open(path, [.read, .directory, .followLinks]) else { return false }
        files.closeQuietly(descriptor)
        return true
    }

    /// Moves what is at `path` into aside/, under a name that tells where it was.
    @discardableResult
    func setAside(_ path: String) throws(FileError) -> SetAside {
        let kind = try files.status(path).kind
        let place = String(path.dropFirst(layout.root.count + 1))
        try files.ensureDirectory(layout.aside, mode: 0o750)
        let stem = place.replacing("/", with: "~").suffix(Self.longestName)
        let target = "\(layout.aside)/\(stem)~\(String(UInt32.random(in: .min ... .max), radix: 36))"
        do throws(FileError) {
            try files.rename(path, target, replace: false)
        } catch {
            // A folder that changes its parent is written to; its owner may have taken the right.
            guard error.code == .permission, kind == .directory else { throw error }
            try files.setMode(path, 0o700)
            try files.rename(path, target, replace: false)
        }
        try files.syncDirectory(layout.aside)
        let found = SetAside(place: place, path: target, kind: kind)
        if let tell = listener.withLock({ $0 }) { tell(found) } else { early.withLock { $0.append(found) } }
        return found
    }
}
