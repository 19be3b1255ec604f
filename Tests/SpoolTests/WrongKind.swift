// Things that can stand where a file or folder of the spool belongs.

import DurableFiles
import Foundation
import Glibc

enum WrongKind: String, CaseIterable {
    case folder, fullFolder, pipe, link, danglingLink, socket, empty

    func make(at path: String) throws {
        let files = LinuxFileSystem()
        switch self {
        case .folder: try files.makeDirectory(path, mode: 0o750)
        case .fullFolder:
            try files.makeDirectory(path, mode: 0o750)
            try files.create("\(path)/inside", [1], mode: 0o640, sync: false)
        case .pipe: guard mkfifo(path, 0o640) == 0 else { throw FileError(errno: errno, operation: "mkfifo", path: path) }
        case .link: try link("/etc/hostname", path)
        case .danglingLink: try link("/nowhere/at/all", path)
        case .socket:
            guard mknod(path, S_IFSOCK | 0o640, 0) == 0 else { throw FileError(errno: errno, operation: "mknod", path: path) }
        case .empty: try files.create(path, [], mode: 0o640, sync: false)
        }
    }

    private func link(_ target: String, _ path: String) throws {
        guard symlink(target, path) == 0 else { throw FileError(errno: errno, operation: "symlink", path: path) }
    }
}
