// Recovery: a file in running/ whose lock can be had belongs to a process that died. Back to queued/ with it, or on to
// its last folder when the final line stands. Any thread, any process; the lock decides who does it.

import DurableFiles
import Foundation
import TextFormats

public struct OrphanReaper: Sendable {
    private let spool: JobSpool

    public init(_ spool: JobSpool) { self.spool = spool }

    /// What one pass found.
    public struct Pass: Sendable {
        /// Given back to queued/.
        public var requeued: [JobID] = []
        /// Buried after too many crashes.
        public var buried: [JobID] = []
        /// Only their last move was missing.
        public var settled: [JobID] = []
        /// Held by living processes, ours left out.
        public var foreign = 0
        /// Could not be handled now; tried again by the next pass.
        public var failures: [SpoolError] = []
    }

    /// - Parameters:
    ///   - own: jobs running in this process; they are skipped without touching their files.
    ///   - uncounted: jobs whose ending this living process could not write down (full disk): no crash of theirs.
    public func pass(except own: Set<JobID> = [], uncounted: Set<JobID> = []) throws(SpoolError) -> Pass {
        var pass = Pass()
        for name in try spool.names(in: .running) where !own.contains(name.id) {
            do throws(SpoolError) {
                try recover(name, isCounted: !uncounted.contains(name.id), &pass)
            } catch {
                pass.failures.append(error)
            }
        }
        return pass
    }

    private func recover(_ name: JobFileName, isCounted: Bool, _ pass: inout Pass) throws(SpoolError) {
        let id = name.id
        let files = spool.files
        let source = spool.layout.path(.running, name)
        let file: StatusFile
        switch try StatusFile.openLocked(id, in: spool.folders) {
        case .busy:
            pass.foreign += 1
            return
        case .locked(let opened): file = opened
        case .absent:
            // The record is lost with all it held: the job begins anew.
            try stored(id) { () throws(FileError) in try spool.ensureShard(.status, id) }
            guard case .locked(let created) = try StatusFile.create(id, spool.layout.statusPath(id), files) else {
                return
            }
            file = created
        }
        // Listed before we had the lock: it may have moved since.
        guard try stored(id, { () throws(FileError) in try files.exists(source) }) else { return }
        let history: StatusHistory
        do throws(SpoolError) {
            history = StatusHistory(try file.readAll(repairing: true))
        } catch {
            guard error.file?.code == .tooLarge else { throw error }
            try spool.setAsideOvergrown(file, name, source)
            pass.buried.append(id)
            return
        }
        if let last = history.last, last.state.isFinal, last.run >= name.run {
            // It may be in memory only, its writer having died before the fsync.
            try file.sync()
            try stored(id) { () throws(FileError) in try spool.syncer.sync(spool.layout.statusFolder(id)) }
            try spool.moveFinished(name, from: source, final: last)
            pass.settled.append(id)
            return
        }
        guard let found = try confirmed(name, history) else { return }
        do throws(SpoolError) {
            try giveBack(found, file, history, isCounted: isCounted, &pass)
        } catch {
            // It had gone before we had the lock, and an old listing or name hid that.
            guard error.code != .takenOver else { return }
            throw error
        }
    }

    /// On a shared file system a listing may be old: a job that another host has given back and claimed again since then
    /// runs under another name. Where name and record differ, a rename tells: the server answers it.
    /// - Returns: the name it has now; nil when it is not there.
    private func confirmed(_ name: JobFileName, _ history: StatusHistory) throws(SpoolError) -> JobFileName? {
        guard spool.files.isShared, !name.isFinishing, let claimed = history.claimedName,
            claimed != name.settled.description
        else { return name }
        do throws(FileError) {
            try spool.files.rename(
                spool.layout.path(.running, name), spool.layout.path(.running, name.finishing))
            return name.finishing
        } catch {
            if error.code == .notFound { return nil }
            throw SpoolError(error, id: name.id)
        }
    }

    /// The name the job was to have in queued/, if its worker died between saying so and moving it.
    private func announced(_ name: JobFileName, _ history: StatusHistory) -> JobFileName? {
        guard let last = history.last, last.state == .queued, history.claimedName == name.settled.description,
            let next = last.file.flatMap(JobFileName.init), next.id == name.id, next.run == name.run
        else { return nil }
        return next
    }

    /// A crash counts only when the claim completed no step; enough of them, while run alone, bury the job.
    private func giveBack(
        _ name: JobFileName, _ file: StatusFile, _ history: StatusHistory, isCounted: Bool, _ pass: inout Pass
    ) throws(SpoolError) {
        if let next = announced(name, history) {
            // A retry, hold or release was written down and only its move is missing: what it counted stays counted.
            try spool.moveBack(name, to: next)
            file.close()
            spool.notify(.queued(next))
            pass.requeued.append(name.id)
            return
        }
        let wasClaimed = history.last?.state == .running
        let counted = isCounted && wasClaimed && !history.hasStepSinceClaim
        let next = name.recovered(countingCrash: counted)
        var status = history.last ?? StatusRecord(state: .queued, name: next, at: spool.now())
        status.facts = nil
        status.fingerprint = nil
        status.voidsJournal = false
        if name.run > status.run {
            // It died between taking a retried dead letter and saying so.
            status.voidsJournal = status.error?.code == "crash_loop"
            status.run = name.run
            status.progress = 0
            status.result = nil
            status.usage = nil
            status.error = nil
        }
        if counted, next.crashes > JobSpool.countedCrashesToBury {
            status.state = .failed
            status.at = spool.now()
            status.crashes = next.crashes
            status.error = JobFailure(
                code: "crash_loop", detail: "The process died \(next.crashes) times while running this job.",
                isRetryable: false)
            try spool.finish(file, name: name, in: .running, final: status, order: nil)
            pass.buried.append(name.id)
            return
        }
        try spool.requeue(
            file, from: name, to: next, status: status, failure: nil, note: counted ? "crash" : "recovered")
        pass.requeued.append(name.id)
    }
}

extension JobSpool {
    /// One pass of an `OrphanReaper`.
    public func recoverOrphans(except own: Set<JobID> = [], uncounted: Set<JobID> = []) throws(SpoolError)
        -> OrphanReaper.Pass
    {
        try OrphanReaper(self).pass(except: own, uncounted: uncounted)
    }
}
