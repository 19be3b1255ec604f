// Ends of a run, and ways back to queued/. Callers hold the lock of the status file.

import DurableFiles
import Foundation
import TextFormats

extension JobSpool {
    /// Seconds that a job which has ended waits for its order file.
    private static let endWait = 1.0

    /// Renames the job file to `.fin`, writes the final line (commit point: it is on disk), moves the file to its last folder.
    /// With a shared log the line is on its way to the disk while the first two are done; what fails takes it back.
    func finish(
        _ file: StatusFile, name: JobFileName, in folder: Folder, final: StatusRecord, order: OrderFile?
    ) throws(SpoolError) {
        let id = name.id
        let here = layout.path(folder, name)
        let finishing = layout.path(.running, name.finishing)
        // A record that was removed or replaced under our hands would take the ending with it into nowhere.
        guard try file.isInPlace() else {
            throw SpoolError(.takenOver, "The record \(file.path) is gone: the job begins anew.", id: id)
        }
        var final = final
        final.due = nil
        final.file = lastName(name, final.state).description
        // When the line fails the file stays an orphan named `.fin`: recovered like any, but not counted as a crash.
        try file.append(final.line) { () throws(SpoolError) in
            do throws(FileError) {
                try files.rename(here, finishing)
            } catch {
                if error.code == .notFound {
                    throw SpoolError(.takenOver, "The job file \(here) is gone: another process took it over.", id: id)
                }
                throw SpoolError(error, id: id)
            }
        }
        settle(finishing, name, final.state)
        // A follower that finds the id checks its final line anyway: a lock that is not free soon is not worth a worker.
        LockWait(seconds: Self.endWait).bounding { try? order?.end([id]) }
        // A mark that came too late means nothing any more; the next scan finds and removes it.
        if final.state == .cancelled { removeCancelMark(id, run: name.run) }
        notify(.finished(id))
    }

    private func lastName(_ name: JobFileName, _ state: JobState) -> JobFileName {
        state == .failed ? name.buried : name.settled
    }

    /// Moves the file of an ended run to done/ or dead/. A failure is left to recovery: the final line stands.
    private func settle(_ source: String, _ name: JobFileName, _ state: JobState) {
        let folder = state == .failed ? layout.path(.dead) : layout.doneFolder(name.id)
        do throws(FileError) {
            if state != .failed { try ensureShard(.done, name.id) }
            try withFolder(folder) { () throws(FileError) in
                try files.rename(source, state == .failed ? layout.path(.dead, name.buried) : layout.donePath(name))
            }
        } catch {
            forgetShard(.done, name.id)
        }
    }

    /// Recovery of a file whose final line was written already: only the move is missing.
    func moveFinished(_ name: JobFileName, from source: String, final: StatusRecord) throws(SpoolError) {
        var name = name.settled
        name.isDead = false
        settle(source, name, final.state)
        removeCancelMark(name.id, run: final.run)
        notify(.finished(name.id))
    }

    /// Cancels a job that is not running: the final line first, then the move.
    func cancelWaiting(_ file: StatusFile, _ name: JobFileName, _ source: String, _ history: StatusHistory)
        throws(SpoolError)
    {
        let target = name.claimed
        var final = StatusRecord(state: .cancelled, name: target, at: now())
        final.epoch = history.lastEpoch
        final.tag = history.last?.tag ?? ""
        final.startedAt = history.last?.startedAt
        final.progress = history.last?.progress ?? 0
        final.error = JobFailure(code: "cancelled", detail: "The job was cancelled.", isRetryable: false)
        if history.facts == nil { final.facts = [:] }
        final.file = target.settled.description
        try file.append(final.line, .now)
        settle(source, target, .cancelled)
        removeCancelMark(name.id, run: target.run)
        notify(.finished(name.id))
    }

    /// The record is larger than is read into memory: fails for good, the record stays for whoever wants to look at it.
    func setAsideOvergrown(_ file: StatusFile, _ name: JobFileName, _ source: String) throws(SpoolError) {
        let failure = JobFailure(
            code: "record_too_large", detail: "The job's record has more than \(StatusFile.maximumSize) bytes.",
            isRetryable: false)
        try file.lookAtEnd()
        try setAside(file, name, source, StatusHistory(last: try file.lastStatus()), failure)
    }

    /// What stands in queued/ under a job's name is no readable file: fails for good and goes to dead/ as it is.
    func setAside(
        _ file: StatusFile, _ name: JobFileName, _ source: String, _ history: StatusHistory, _ cause: FileError
    ) throws(SpoolError) {
        let failure = JobFailure(
            code: "invalid_job", detail: "The job file cannot be read: \(cause)", isRetryable: false)
        try setAside(file, name, source, history, failure)
    }

    /// A job that waits fails for good, and its file goes to dead/ as it is.
    func setAside(
        _ file: StatusFile, _ name: JobFileName, _ source: String, _ history: StatusHistory, _ failure: JobFailure
    ) throws(SpoolError) {
        let target = name.claimed
        var final = StatusRecord(state: .failed, name: target, at: now())
        final.epoch = history.lastEpoch
        final.tag = history.last?.tag ?? ""
        final.error = failure
        if history.facts == nil { final.facts = ["user_id": .string(target.user)] }
        final.file = target.buried.description
        try file.append(final.line, .now)
        settle(source, target, .failed)
        notify(.finished(name.id))
    }

    /// Back to queued/ under the next name. The line goes first: readers see why before the file moves.
    func requeue(
        _ file: StatusFile, from name: JobFileName, to next: JobFileName, status: StatusRecord, failure: JobFailure?,
        note: String
    ) throws(SpoolError) {
        var line = status
        line.state = .queued
        line.attempt = next.attempt
        line.crashes = next.crashes
        line.at = now()
        line.due = next.due
        line.error = failure
        line.note = note
        line.file = next.description
        // Not synced: after a power cut the file is found in running/ and recovered.
        try file.append(line.line, .none)
        try moveBack(name, to: next)
        file.close()
        notify(.queued(next))
    }

    /// - Throws: `.takenOver` when the job is not in running/ any more.
    func moveBack(_ name: JobFileName, to next: JobFileName) throws(SpoolError) {
        let here = layout.path(.running, name)
        ownNews.expect(next)
        do throws(FileError) {
            try withFolder(layout.path(.queued)) { () throws(FileError) in try files.rename(here, layout.path(.queued, next)) }
        } catch {
            ownNews.forget(next)
            if error.code == .notFound {
                throw SpoolError(.takenOver, "The job file \(here) is gone: another process took it over.", id: next.id)
            }
            throw SpoolError(error, id: next.id)
        }
    }

    // MARK: Cancel marks

    func isCancelled(_ id: JobID, run: Int) throws(SpoolError) -> Bool {
        try stored(id) { () throws(FileError) in try files.exists(layout.cancelMark(id, run: run)) }
    }

    func removeCancelMark(_ id: JobID, run: Int) {
        // A mark that stays names a run that is over and means nothing any more.
        try? files.remove(layout.cancelMark(id, run: run))
    }
}
