// Tells the processes of a home whether another one still lives: each holds the lock of a file of its own, and the kernel
// drops the lock with the process. Any thread. Failure: FileError. Files of dead processes are removed by the next start.
import DurableFiles
import Foundation

final class ProcessPresence: Sendable {
    let id: String
    private let folder: String
    private let files: any FileSystem
    private let descriptor: Int32

    private static let lock = ".lock"

    /// - Parameters:
    ///   - folder: made if missing.
    ///   - id: differs for each presence there ever was.
    init(folder: String, id: String, files: any FileSystem) throws(FileError) {
        self.folder = folder
        self.id = id
        self.files = files
        try files.ensureDirectory(folder, mode: 0o700)
        // Between the file's making and its locking nobody may look: it would seem to be a dead process's.
        let guardian = try files.open("\(folder)/\(Self.lock)", [.read, .write, .create], mode: 0o600)
        defer {
            files.closeQuietly(guardian)
            files.released("\(folder)/\(Self.lock)")
        }
        try files.waitForLock("\(folder)/\(Self.lock)") { () throws(FileError) in
            try files.tryLock(guardian, path: folder)
        }
        try Self.sweep(folder, files)
        let path = "\(folder)/\(id)"
        let own = try files.open(path, [.read, .write, .create, .exclusive], mode: 0o600)
        do throws(FileError) {
            guard try files.tryLock(own, path: path) else { throw FileError(code: .busy, operation: "lock", path: path) }
        } catch {
            files.closeQuietly(own)
            throw error
        }
        descriptor = own
    }

    deinit {
        // Best effort: a file that stays is removed by the next start.
        try? files.remove("\(folder)/\(id)")
        files.closeQuietly(descriptor)
    }

    private static func sweep(_ folder: String, _ files: any FileSystem) throws(FileError) {
        for entry in try files.list(folder) where entry.name != lock && !isAlive(entry.name, in: folder, files) {
            // Best effort: the file of a dead process only takes room.
            try? files.remove("\(folder)/\(entry.name)")
        }
    }

    /// - Returns: true also where it cannot be told: what a living process has reserved must not be given away.
    static func isAlive(_ id: String, in folder: String, _ files: any FileSystem) -> Bool {
        let path = "\(folder)/\(id)"
        do throws(FileError) {
            let descriptor = try files.open(path, [.read, .write, .nonBlocking], mode: 0o600)
            defer { files.closeQuietly(descriptor) }
            return try !files.tryLock(descriptor, path: path)
        } catch {
            return error.code != .notFound
        }
    }
}
