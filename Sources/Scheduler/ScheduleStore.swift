// Reads and changes a workspace's schedules.json. Any thread, any process: changes hold a lock on a file beside it,
// each is one atomic, durable replacement (commit point: the rename). A file that cannot be read is set aside as
// schedules.json.corrupt-<time>, reported, and the user goes on without own schedules. Blocking.

import DurableFiles
import Foundation
import Logging
import Tenants
import TextFormats

struct ScheduleStore: Sendable {
    /// Largest file, in bytes: 50 schedules with their jobs and histories are well below.
    static let maxBytes = 16 << 20

    let now: @Sendable () -> Date
    let logger: Logger

    /// No file: no own schedules, nothing handled yet.
    func load(_ workspace: Workspace) throws(ScheduleError) -> UserSchedules {
        if let found = try readable(workspace) { return found }
        // Only under the lock is it sure that the damaged file is not just being replaced by another process.
        return try locked(workspace) { () throws(ScheduleError) in try loadOrSetAside(workspace) }
    }

    /// Runs `body` on the current content, under the lock; stores what it left if it returns `true`.
    func change(
        _ workspace: Workspace, _ body: (inout UserSchedules) throws(ScheduleError) -> Bool
    ) throws(ScheduleError) {
        try locked(workspace) { () throws(ScheduleError) in
            var schedules = try loadOrSetAside(workspace)
            guard try body(&schedules) else { return }
            workspace.directory.sweepTemporaries(of: Workspace.schedules)
            do throws(FileError) {
                try workspace.directory.write(Workspace.schedules, schedules.json.bytes(pretty: true))
            } catch {
                throw Self.storage(error)
            }
        }
    }

    /// Tells whether the file may have changed since another call gave the same answer; nil: there is none.
    func mark(_ workspace: Workspace) throws(ScheduleError) -> FileStatus? {
        do {
            return try workspace.directory.status(Workspace.schedules)
        } catch {
            if error.code == .notFound { return nil }
            throw Self.storage(error)
        }
    }

    // MARK: -

    private func locked<Value>(
        _ workspace: Workspace, _ body: () throws(ScheduleError) -> Value
    ) throws(ScheduleError) -> Value {
        do {
            return try workspace.withLock(.schedules, body)
        } catch let error as ScheduleError {
            throw error
        } catch let error as FileError {
            throw Self.storage(error)
        } catch {
            throw ScheduleError(.storage, "the schedules cannot be locked: \(error)")
        }
    }

    /// nil: there is a file, and it is damaged.
    private func readable(_ workspace: Workspace) throws(ScheduleError) -> UserSchedules? {
        let bytes: [UInt8]
        do {
            bytes = try workspace.directory.read(Workspace.schedules, maxBytes: Self.maxBytes)
        } catch {
            switch error.code {
            case .notFound: return UserSchedules()
            case .tooLarge: return nil
            default: throw Self.storage(error)
            }
        }
        do {
            let json = try JSON.parse(bytes)
            if let version = json["version"]?.int, version > UserSchedules.version {
                throw ScheduleError(
                    .storage, "schedules.json has version \(version), made by a newer nanobot; use that one")
            }
            return try UserSchedules(json: json)
        } catch let error as ScheduleError {
            throw error
        } catch {
            logger.error(
                "schedules.json cannot be read",
                metadata: ["user.id": "\(workspace.user)", "error": "\(error)"])
            return nil
        }
    }

    private func loadOrSetAside(_ workspace: Workspace) throws(ScheduleError) -> UserSchedules {
        if let found = try readable(workspace) { return found }
        let stamp = RFC3339.string(now()).filter { $0.isNumber }
        let aside = "\(Workspace.schedules).corrupt-\(stamp)"
        do {
            try workspace.directory.rename(Workspace.schedules, aside, replace: false)
        } catch {
            throw Self.storage(error)
        }
        logger.error(
            "schedules.json was set aside; repair it and move it back to have the user's own schedules again",
            metadata: ["user.id": "\(workspace.user)", "file": "\(aside)"])
        return UserSchedules()
    }

    private static func storage(_ error: FileError) -> ScheduleError {
        if error.mayHaveHappened {
            return ScheduleError(.outcomeUnknown, "the disk failed, and the change may have been made: \(error)", retryAfter: 5)
        }
        return ScheduleError(
            error.code == .busy ? .lockTimeout : .storage, "the schedules cannot be read or stored: \(error)", retryAfter: 5)
    }
}
