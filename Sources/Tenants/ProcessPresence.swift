// Tells the processes of a home whether another one still lives: each holds the lock of a file of its own, and the kernel
// drops the lock with the process. Any thread. Failure: FileError. Files of dead processes are removed by the next start.
import DurableFiles
import Foundation

public final class ProcessPresence: Sendable {
    let id: String
    private let folder: String
    private let files: any FileSystem
    private let descriptor: Int32

    private static let lock = ".lock"
    private static let maximumContent = 64 << 10

    /// - Parameters:
    ///   - folder: made if missing.
    ///   - id: differs for each presence there ever was.
    ///   - content: what others are told, see `living`; whole when they see it.
    public init(folder: String, id: String, content: [UInt8] = [], files: any FileSystem) throws(FileError) {
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
            try files.writeAll(own, content, path: path)
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

    /// What the living processes tell; nothing where the folder is not there. Changes nothing.
    public static func living(in folder: String, _ files: any FileSystem) throws(FileError) -> [[UInt8]] {
        let names: [String]
        do throws(FileError) {
            names = try files.list(folder).map(\.name)
        } catch {
            guard error.code == .notFound else { throw error }
            return []
        }
        var found: [[UInt8]] = []
        for name in names.sorted() where name != lock && isAlive(name, in: folder, files) {
            do throws(FileError) {
                found.append(try files.readFile("\(folder)/\(name)", maxBytes: maximumContent))
            } catch {
                // Ended since it was listed.
                guard error.code == .notFound else { throw error }
            }
        }
        return found
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
