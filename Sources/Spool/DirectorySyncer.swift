// One fsync of a folder for all who ask at the same time (group commit). Any thread; callers wait.
// A caller is answered by an fsync that began after it asked. A failed fsync fails everybody it was meant for and is
// never taken as made good by a later one.

import DurableFiles
import Foundation

final class DirectorySyncer: Sendable {
    private final class Folder {
        /// Tickets handed out, and up to which a finished fsync answers.
        var asked = 0
        var answered = 0
        var isSyncing = false
        var waiting = 0
        var failures: [(tickets: Range<Int>, error: FileError)] = []
    }

    private let files: any FileSystem
    private let condition = NSCondition()
    /// Guarded by `condition`.
    nonisolated(unsafe) private var folders: [String: Folder] = [:]

    init(files: any FileSystem) { self.files = files }

    func sync(_ path: String) throws(FileError) {
        condition.lock()
        let folder = folders[path] ?? Folder()
        folders[path] = folder
        folder.asked += 1
        folder.waiting += 1
        let ticket = folder.asked
        while folder.answered < ticket {
            if folder.isSyncing {
                condition.wait()
                continue
            }
            folder.isSyncing = true
            let upTo = folder.asked
            condition.unlock()
            var failure: FileError?
            do throws(FileError) {
                try files.syncDirectory(path)
            } catch {
                failure = error
            }
            condition.lock()
            if let failure { folder.failures.append((folder.answered + 1..<upTo + 1, failure)) }
            folder.answered = upTo
            folder.isSyncing = false
            condition.broadcast()
        }
        let failure = folder.failures.first { $0.tickets.contains(ticket) }?.error
        folder.waiting -= 1
        if folder.waiting == 0 { folders[path] = nil }
        condition.unlock()
        if let failure { throw failure }
    }
}
