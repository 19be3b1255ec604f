// How processes tell each other's scheduler that a user's preferences or schedules change: a file per user in one
// folder is rewritten (one byte, the same inode), which inotify reports. Any thread, any process.
// A mark is a hint, so none is fsynced and a failure is no error: a scheduler reads everything at its start and looks
// for changes every ten minutes, and each fire reads the preferences first.

import DurableFiles
import Foundation
import Tenants

public struct ChangeMarks: Sendable {
    public let folder: String
    private let files: any FileSystem

    /// - Parameter folder: made when missing; by convention `<workspaces>/.changed`.
    public init(folder: String, files: any FileSystem = LinuxFileSystem()) {
        self.folder = folder
        self.files = files
    }

    /// Set once before a change and once after it: the first mark makes the scheduler look a second time a little
    /// later, so a writer that dies between its change and the second mark is noticed too.
    public func mark(_ user: UserID) {
        do {
            try write(user)
        } catch {
            guard error.code == .notFound else { return }
            // The first mark of this installation. A failure here: see the head of the file.
            try? files.ensureDirectory(folder)
            try? write(user)
        }
    }

    private func write(_ user: UserID) throws(FileError) {
        try files.withFile("\(folder)/\(user.rawValue)", [.write, .create, .truncate]) { (file) throws(FileError) in
            try files.writeAll(file, [10], path: folder)
        }
    }

    /// Forgets a user that is gone.
    func remove(_ user: UserID) {
        // Left behind it is an empty note to nobody, removed at a later look.
        try? files.remove("\(folder)/\(user.rawValue)")
    }

    func prepare() throws(FileError) { try files.ensureDirectory(folder) }
}
