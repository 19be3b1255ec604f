// Cancel, retry of dead letters, pause. Any thread, any process.

import DurableFiles
import Foundation
import TextFormats

/// A cancel mark: it names one run, so that a mark left behind does not stop an operator's retry.
public struct CancelRequest: Sendable, Hashable {
    public var id: JobID
    public var run: Int

    public init(id: JobID, run: Int) {
        self.id = id
        self.run = run
    }

    /// - Parameter name: of the mark, "<id>.<run>".
    public init?(_ name: String) {
        let parts = name.split(separator: ".")
        guard parts.count == 2, let id = JobID(String(parts[0])), let run = Int(parts[1]) else { return nil }
        self.id = id
        self.run = run
    }
}

extension JobSpool {
    /// Cancels a job: one that waits is final when this returns; one that runs is told by a durable mark and by
    /// `SpoolEvent.cancelRequested`, and ends at its next step.
    ///
    /// - Returns: the record as it stands then.
    /// - Throws: `.notFound`; `.state` when the job has ended.
    public func cancel(_ id: JobID) throws(SpoolError) -> JobRecord {
        guard let before = try record(id) else { throw SpoolError(.notFound, "There is no job \(id).", id: id) }
        guard !before.state.isFinal else {
            throw SpoolError(.state, "The job is \(before.state.rawValue) and cannot be cancelled.", id: id)
        }
        try stored(id) { () throws(FileError) in
            let mark = layout.cancelMark(id, run: before.run)
            do throws(FileError) {
                try withFolder(layout.cancelFolder) { () throws(FileError) in
                    try files.createSynced(mark, [], mode: 0o640)
                }
            } catch {
                guard error.code == .exists else { throw error }
            }
            try files.syncDirectory(layout.cancelFolder)
        }
        if case .locked(let file) = try StatusFile.openLocked(id, in: folders) {
            try cancelUnderLock(id, run: before.run, file)
        } else {
            notify(.cancelRequested(id))
        }
        guard let after = try record(id) else { throw SpoolError(.notFound, "There is no job \(id).", id: id) }
        return after
    }

    /// Ends a job that has a cancel mark and waits: it went back to queued/ while it was being cancelled. A job that is
    /// held by somebody is left to them.
    public func endCancelled(_ request: CancelRequest) throws(SpoolError) {
        guard try isCancelled(request.id, run: request.run) else { return }
        if case .locked(let file) = try StatusFile.openLocked(request.id, in: folders) {
            try cancelUnderLock(request.id, run: request.run, file)
        }
    }

    /// Ends a job of which nothing has been begun and which may not be begun any more. One that somebody has, or that an operator
    /// has retried, is left alone.
    /// - Returns: whether it has ended by this.
    @discardableResult
    public func endWaiting(_ id: JobID, _ failure: JobFailure) throws(SpoolError) -> Bool {
        guard case .locked(let file) = try StatusFile.openLocked(id, in: folders) else { return false }
        // Read back from the end: of a job that has long ended the record may be long.
        guard let state = try file.lastStatus()?.state, state == .queued else { return false }
        file.log = log
        let history = StatusHistory(try file.readAll(repairing: true))
        guard let last = history.last, last.state == .queued, let name = last.file.flatMap(JobFileName.init),
            name.claimed.run == 1, let source = try queuedPath(name)
        else { return false }
        try setAside(file, name, source, history, failure)
        return true
    }

    /// We hold the lock, so nobody runs it: end it where it waits. In running/ it is an orphan: the mark ends it when
    /// it is claimed again.
    private func cancelUnderLock(_ id: JobID, run: Int, _ file: StatusFile) throws(SpoolError) {
        // With the log a replay also makes up for a last move that a power cut took back.
        file.log = log
        let history = StatusHistory(try file.readAll(repairing: true))
        if let last = history.last, last.state.isFinal, last.run >= run {
            removeCancelMark(id, run: run)
            return
        }
        var name = (history.last?.file).flatMap(JobFileName.init)
        if let named = name, try queuedPath(named) == nil { name = nil }
        if name == nil { name = try names(in: .queued).first { $0.id == id } }
        if name == nil, try find(id) == nil { name = (history.last?.file).flatMap(JobFileName.init) }
        guard let name, name.claimed.run == run else { return }
        // A job file that somebody has taken away needs no move.
        let source = try queuedPath(name) ?? layout.path(.queued, name)
        try cancelWaiting(file, name, source, history)
        file.close()
    }

    /// True when a running job has been asked to stop. Cheap enough to ask between steps.
    public func isCancelRequested(_ id: JobID, run: Int) -> Bool {
        // An unreadable folder must not stop a run that nobody is known to have cancelled.
        (try? isCancelled(id, run: run)) ?? false
    }

    /// The runs with a cancel mark.
    public func cancelRequests() throws(SpoolError) -> [CancelRequest] {
        try listIfThere(layout.cancelFolder).compactMap { CancelRequest($0.name) }
    }

    /// Begins the next run of a dead letter: what `mv dead/X queued/` does, made durable and told.
    ///
    /// - Throws: `.notFound`; `.state` when the job is not in dead/.
    public func retry(_ id: JobID) throws(SpoolError) -> JobRecord {
        guard let before = try record(id) else { throw SpoolError(.notFound, "There is no job \(id).", id: id) }
        guard let name = try names(in: .dead).first(where: { $0.id == id }) else {
            throw SpoolError(.state, "The job is \(before.state.rawValue); only a dead letter can be retried.", id: id)
        }
        // By hand a file may have lost its stamp; here it always has it, so the claim begins the next run.
        var stamped = name.buried
        stamped.dueMilliseconds = Int64(now().timeIntervalSince1970 * 1000)
        stamped.run = max(name.run, before.run)
        guard case .locked(let file) = try StatusFile.openLocked(id, in: folders, wait: true) else {
            throw SpoolError(.state, "The job is being changed by somebody else; ask again.", id: id)
        }
        let history = StatusHistory(try file.readAll(repairing: true))
        ownNews.expect(stamped)
        do throws(FileError) {
            try files.rename(layout.path(.dead, name), layout.path(.queued, stamped))
        } catch {
            ownNews.forget(stamped)
            guard error.code == .notFound else { throw SpoolError(error, id: id) }
            throw SpoolError(.state, "Somebody else has just retried the job.", id: id)
        }
        var status = StatusRecord(state: .queued, name: stamped.claimed, at: now())
        status.epoch = history.lastEpoch
        status.tag = history.last?.tag ?? ""
        status.due = stamped.due
        status.file = stamped.description
        status.note = "retry of a dead letter"
        status.voidsJournal = history.last?.error?.code == "crash_loop"
        defer {
            // Also when it could not be made durable: the file is in queued/ and will run.
            file.close()
            notify(.queued(stamped))
        }
        try file.append(status.line, .now)
        try stored(id) { () throws(FileError) in
            try files.syncDirectory(layout.path(.queued))
            try files.syncDirectory(layout.path(.dead))
        }
        return try record(id) ?? before
    }

    /// Gives a job back its file when somebody has moved the only copy out of the spool's folders: the bytes of `path` are put
    /// where the record has the job. `path` itself stays: whoever put it there may still write into it.
    ///
    /// - Returns: false, and nothing was done: the job has its file, or has ended and needs none any more.
    /// - Throws: `.storage`, one that passes where somebody has the job just now.
    public func takeBack(_ path: String, as id: JobID) throws(SpoolError) -> Bool {
        let file: StatusFile?
        switch try StatusFile.openLocked(id, in: folders) {
        case .locked(let opened): file = opened
        case .busy: file = nil
        case .absent: return false
        }
        defer { file?.close() }
        guard let record = try record(id), let name = record.file.flatMap(JobFileName.init) else { return false }
        let (folder, target): (Folder, JobFileName)
        switch record.state {
        case .queued: (folder, target) = (.queued, name)
        case .running: (folder, target) = (.running, name.settled)
        case .failed: (folder, target) = (.dead, name.buried)
        case .completed, .cancelled: return false
        }
        guard try find(id) == nil else { return false }
        // Whoever runs it holds the lock, and finds its file again when it ends; all others are let alone.
        guard file != nil || folder == .running else {
            throw SpoolError(FileError(code: .wouldBlock, operation: "flock", path: layout.statusPath(id)), id: id)
        }
        // It may have ended since its record was read: then the file is in done/.
        if file == nil, try self.record(id)?.state != .running { return false }
        if folder == .queued { ownNews.expect(target) }
        do throws(FileError) {
            try files.createFile(
                layout.path(folder, target), try files.readFile(path, maxBytes: JobSpool.maximumPayload), mode: 0o640)
        } catch {
            ownNews.forget(target)
            throw SpoolError(error, id: id)
        }
        if folder == .queued { notify(.queued(target)) }
        return true
    }

    /// Removes a dead letter's job file for good; its record stays until retention.
    public func removeDead(_ id: JobID) throws(SpoolError) {
        guard let name = try names(in: .dead).first(where: { $0.id == id }) else {
            throw SpoolError(.notFound, "There is no dead letter \(id).", id: id)
        }
        try stored(id) { () throws(FileError) in try files.remove(layout.path(.dead, name)) }
    }

    // MARK: Pause

    public var isPaused: Bool {
        // Unreadable control folder: going on is what an operator expects of a queue nobody paused.
        (try? files.exists(layout.pauseMark)) ?? false
    }

    /// Nothing new is started until `resume`; survives restarts.
    public func pause() throws(SpoolError) {
        try stored { () throws(FileError) in try folders.replace(layout.pauseMark, []) }
        notify(.paused)
    }

    public func resume() throws(SpoolError) {
        try stored { () throws(FileError) in
            try folders.remove(layout.pauseMark)
            try withFolder(layout.path(.control)) { () throws(FileError) in
                try files.syncDirectory(layout.path(.control))
            }
        }
        notify(.resumed)
    }

    public var pauseMarkFolder: String { layout.path(.control) }
    public var cancelMarkFolder: String { layout.cancelFolder }
}
