// Admission: from a submission to a job that survives a power cut.
//
// 1 create status/<id> (O_EXCL: the id is ours) and lock it; note what is being admitted   2 tmp/<id> written and fsynced
// 3 order key, fsynced   4 rename into queued/, fsync queued/   5 `queued` line, fsync, fsync the status folder   6 unlock
// The commit point is the last fsync of 5. The order matters: a `queued` line on disk means that the job file stands.
// With a shared log nothing of this is synced: 3 comes first, and while 2, 4 and 5 are done (and 1, where the id was drawn
// for the job) the log's entry is on its way to the disk, if nobody else is writing; its arrival is the commit point. What
// fails on the way is void in the log too.
// A crash before 4 leaves a status file without a state, which the next submit of the id completes; a crash between 4
// and 5 leaves a job that its claimer, or the next submit, completes. Whoever answers for a job that somebody else has
// admitted makes sure first that it is durable.

import DurableFiles
import Foundation
import TextFormats

extension JobSpool {
    /// Largest job file, bytes.
    public static let maximumPayload = 1 << 20

    /// Admits a job. When this returns, the job survives a power cut.
    ///
    /// - Throws: `.conflict` (the id has other content), `.storage` (nothing was admitted), `.outcomeUnknown`, `.invalid`.
    public func submit(_ submission: Submission) throws(SpoolError) -> Submitted {
        if submission.isFresh, submission.orderKey == nil, let log, let new = try submitNew(submission, log) { return new }
        switch try begin(submission) {
        case .answered(let answer): return answer
        case .planned(let plan):
            let outcome = plan.log.commit(plan.text.entries) { () throws(SpoolError) in
                try writeFiles(plan)
            }
            return try conclude(plan, outcome)
        }
    }

    /// An id nobody else has needs no look before the log is written: its record is made meanwhile, like the other files.
    /// - Returns: nil, and nothing was done: the id is not free after all, or its folder has just been removed.
    private func submitNew(_ submission: Submission, _ log: SharedLog) throws(SpoolError) -> Submitted? {
        try check(submission)
        let id = submission.id
        try stored(id) { () throws(FileError) in try ensureShard(.status, id) }
        let text = text(of: submission, standing: [], orderOffset: nil)
        var plan: PlannedAdmission?
        var isFree = true
        let outcome = log.commit(text.entries) { () throws(SpoolError) in
            guard case .locked(let file) = try StatusFile.create(id, layout.statusPath(id), files) else {
                isFree = false
                throw SpoolError(.storage, "Another job has the id \(id), or its folder is gone.", id: id)
            }
            let made = PlannedAdmission(submission: submission, log: log, text: text, file: file, order: nil)
            plan = made
            try writeFiles(made)
        }
        if let plan { return try conclude(plan, outcome) }
        guard let refusal = outcome.refusal else { return nil }
        if outcome.isInDoubt { throw SpoolError(.outcomeUnknown, refusal.detail, id: id, file: refusal.file) }
        guard !isFree else { throw refusal }
        forgetShard(.status, id)
        return nil
    }

    /// Submissions that become durable together.
    public func batch() -> SubmissionBatch { SubmissionBatch(spool: self) }

    /// An admission through the shared log: the id is ours, its record is locked and still without a word.
    struct PlannedAdmission {
        let submission: Submission
        let log: SharedLog
        fileprivate let text: AdmissionText
        fileprivate let file: StatusFile
        fileprivate let order: OrderFile?
    }

    /// What will stand in the files of a new job.
    fileprivate struct AdmissionText {
        /// What makes it durable.
        let entries: [LogRecord]
        let record: JobRecord
        let admissionLine: [UInt8]
        let queuedLine: [UInt8]
    }

    enum Begun {
        case answered(Submitted)
        /// `writeFiles` must follow, and `conclude` or `takeBack`: until then the job is locked.
        case planned(PlannedAdmission)
    }

    /// The beginning of an admission; with no shared log the whole of it.
    /// - Parameter beforeWaiting: called before it waits for somebody else who holds the job: the caller lets go of what it
    ///   holds itself.
    func begin(_ submission: Submission, beforeWaiting: () -> Void = {}) throws(SpoolError) -> Begun {
        try check(submission)
        let id = submission.id
        let path = layout.statusPath(id)
        for _ in 0..<3 {
            try stored(id) { () throws(FileError) in try ensureShard(.status, id) }
            switch try StatusFile.create(id, path, files) {
            case .locked(let file): return try admit(submission, file)
            case .absent: forgetShard(.status, id)
            case .busy: return try submitAgain(submission, beforeWaiting)
            }
        }
        throw SpoolError(.storage, "The folder of \(path) keeps disappearing.", id: id)
    }

    /// The commit point of submissions whose files stand: one entry of the log for all of them.
    func conclude(_ all: [PlannedAdmission]) -> [(PlannedAdmission, Result<Submitted, SpoolError>)] {
        guard let log, !all.isEmpty else { return [] }
        var failure: SharedLog.Failure?
        do throws(SharedLog.Failure) {
            try log.commit(all.flatMap(\.text.entries))
        } catch {
            failure = error
        }
        return all.map { one in
            do throws(SpoolError) {
                return (one, .success(try conclude(one, failure)))
            } catch {
                return (one, .failure(error))
            }
        }
    }

    /// The files stand and the log has answered: where it has failed they are made durable themselves, or withdrawn.
    private func conclude(_ plan: PlannedAdmission, _ failure: SharedLog.Failure?) throws(SpoolError) -> Submitted {
        if let failure {
            do throws(SpoolError) {
                try syncFiles(plan)
            } catch {
                ownNews.forget(plan.submission.fileName)
                throw withdraw(plan.submission, plan.file, plan.order, error, isKnown: failure.isKnown)
            }
        }
        plan.file.close()
        notify(.queued(plan.submission.fileName))
        return .created(plan.text.record)
    }

    private func conclude(_ plan: PlannedAdmission, _ outcome: SharedLog.Outcome) throws(SpoolError) -> Submitted {
        if let refusal = outcome.refusal { throw takeBack(plan, refusal, isKnown: !outcome.isInDoubt) }
        return try conclude(plan, outcome.failure)
    }

    /// Its files could not be written: nothing of it stays.
    /// - Parameter isKnown: false: the log may bring it back all the same.
    func takeBack(_ plan: PlannedAdmission, _ cause: SpoolError, isKnown: Bool) -> SpoolError {
        ownNews.forget(plan.submission.fileName)
        return withdraw(plan.submission, plan.file, plan.order, cause, isKnown: isKnown)
    }

    private func check(_ submission: Submission) throws(SpoolError) {
        guard JobFileName.isKey(submission.user, JobFileName.maximumUserLength),
            JobFileName.isKey(submission.holdKey, JobFileName.maximumHoldKeyLength),
            (0...9).contains(submission.priority), submission.fileName.hasUsualDue
        else {
            throw SpoolError(.invalid, "User, hold key or priority do not fit a job file's name.", id: submission.id)
        }
        guard submission.payload.count <= JobSpool.maximumPayload else {
            throw SpoolError(
                .invalid, "The job file has more than \(JobSpool.maximumPayload) bytes.", id: submission.id)
        }
    }

    /// The id's status file exists: the job does, or somebody is admitting it, or died while doing so.
    private func submitAgain(_ submission: Submission, _ beforeWaiting: () -> Void) throws(SpoolError) -> Begun {
        let id = submission.id
        let path = layout.statusPath(id)
        while true {
            if let record = try record(id), record.hasBeenClaimed {
                // Its job file stood once; what remains is to make sure that this is on disk.
                try check(record, submission)
                try syncExisting(id, path)
                return .answered(.existing(record))
            }
            switch try StatusFile.openLocked(id, in: folders) {
            case .absent: return try begin(submission, beforeWaiting: beforeWaiting)
            case .locked(let file): return try completeAdmission(submission, file)
            case .busy:
                beforeWaiting()
                JobSpool.waitForCreator()
            }
        }
    }

    /// The creator, or a claimer that has not written its line yet, holds the lock for some milliseconds.
    private static func waitForCreator() {
        let condition = NSCondition()
        condition.withLock { _ = condition.wait(until: Date().addingTimeInterval(0.005)) }
    }

    private func check(_ record: JobRecord, _ submission: Submission) throws(SpoolError) {
        guard let fingerprint = record.fingerprint, fingerprint != submission.fingerprint else { return }
        throw SpoolError(.conflict, "A job of other content has the id \(record.id).", id: record.id)
    }

    private func syncExisting(_ id: JobID, _ path: String) throws(SpoolError) {
        try stored(id) { () throws(FileError) in
            try files.withFile(path, [.read, .write]) { (descriptor) throws(FileError) in
                try files.dataSync(descriptor, path: path)
            }
            try syncer.sync(layout.path(.queued))
            try syncer.sync(layout.statusFolder(id))
        }
    }

    /// We hold the lock and nobody has claimed the job: whatever step of its admission is missing is done now.
    private func completeAdmission(_ submission: Submission, _ file: StatusFile) throws(SpoolError) -> Begun {
        let id = submission.id
        let history = StatusHistory(try file.readAll(repairing: true))
        guard let name = try standing(submission, history) else {
            // Never admitted, or removed by hand since: from the beginning.
            if history.last == nil, try finished(id) { return .answered(.existing(try lostRecord(submission, file))) }
            return try admit(submission, file)
        }
        if let fingerprint = history.fingerprint, fingerprint != submission.fingerprint {
            throw SpoolError(.conflict, "A job of other content has the id \(id).", id: id)
        }
        if history.last == nil, try removeIfBlank(name) { return try admit(submission, file) }
        try stored(id) { () throws(FileError) in
            // Its submitter may have died before its log was synced.
            if let path = try queuedPath(name, id) { try syncJobFile(path) }
            try syncer.sync(layout.path(.queued))
        }
        if history.last == nil { _ = try writeQueuedLine(submission, name, file) }
        try syncRecord(id, file)
        guard let record = try record(id) else {
            throw SpoolError(.corrupt, "The record of \(id) cannot be read.", id: id)
        }
        if history.last == nil {
            file.close()
            notify(.queued(name))
        }
        return .answered(.existing(record))
    }

    /// Of an admission that a power cut ended only the name may be left, without the content.
    private func removeIfBlank(_ name: JobFileName) throws(SpoolError) -> Bool {
        guard let path = try queuedPath(name) else { return false }
        return try stored(name.id) { () throws(FileError) in
            guard try files.readFile(path, maxBytes: JobSpool.maximumPayload).allSatisfy({ $0 == 0 }) else { return false }
            try files.remove(path)
            return true
        }
    }

    /// The job file of an id that has not been claimed, wherever it stands.
    private func standing(_ submission: Submission, _ history: StatusHistory) throws(SpoolError) -> JobFileName? {
        for name in [history.last?.file.flatMap(JobFileName.init), submission.fileName] {
            if let name, try queuedPath(name) != nil { return name }
        }
        return try find(submission.id)
    }

    private func queuedPath(_ name: JobFileName, _ id: JobID) throws(FileError) -> String? {
        do throws(SpoolError) {
            return try queuedPath(name)
        } catch {
            throw error.file ?? FileError(code: .other, operation: "find", path: layout.path(.queued))
        }
    }

    /// The record was lost, but its job file stands among the finished ones.
    private func finished(_ id: JobID) throws(SpoolError) -> Bool {
        try listIfThere(layout.doneFolder(id)).contains { JobFileName($0.name)?.id == id }
    }

    private func lostRecord(_ submission: Submission, _ file: StatusFile) throws(SpoolError) -> JobRecord {
        var status = StatusRecord(state: .completed, name: submission.fileName, at: now())
        status.facts = submission.facts
        status.note = "the record was lost; the job file stands in done/"
        try file.append(status.line, .now)
        try syncRecord(submission.id, file)
        return JobRecord(id: submission.id, first: status, last: status, statusSize: file.size)
    }

    /// What an admission has done so far, so that it can be taken back.
    fileprivate struct Admission {
        var order: OrderFile?
        var orderOffset: Int?
        /// False between the rename into queued/ and a finished fsync of it.
        var isKnown = true
    }

    /// `file` is locked by us and nobody has claimed the job.
    private func admit(_ submission: Submission, _ file: StatusFile) throws(SpoolError) -> Begun {
        var admission = Admission()
        let record: JobRecord
        do throws(SpoolError) {
            if let log { return .planned(try plan(submission, file, log, &admission)) }
            record = try admitDirectly(submission, file, &admission)
        } catch {
            ownNews.forget(submission.fileName)
            throw withdraw(submission, file, admission.order, error, isKnown: admission.isKnown)
        }
        file.close()
        notify(.queued(submission.fileName))
        return .answered(.created(record))
    }

    private func admitDirectly(_ submission: Submission, _ file: StatusFile, _ admission: inout Admission)
        throws(SpoolError) -> JobRecord
    {
        try file.append(submission.admissionLine, .none)
        try writeTemporary(submission, sync: true)
        try joinOrder(submission, sync: true, &admission)
        try moveIn(submission)
        admission.isKnown = false
        try stored(submission.id) { () throws(FileError) in try syncer.sync(layout.path(.queued)) }
        admission.isKnown = true
        let record = try writeQueuedLine(submission, submission.fileName, file)
        try syncRecord(submission.id, file)
        return record
    }

    private func plan(
        _ submission: Submission, _ file: StatusFile, _ log: SharedLog, _ admission: inout Admission
    ) throws(SpoolError) -> PlannedAdmission {
        // Something is there only when an earlier submission of the id has died.
        let standing = file.size == 0 ? [] : try file.writtenBytes()
        try joinOrder(submission, sync: false, &admission)
        let text = text(of: submission, standing: standing, orderOffset: admission.orderOffset)
        return PlannedAdmission(submission: submission, log: log, text: text, file: file, order: admission.order)
    }

    /// What will stand in the files, so that one entry of the log can bring them back.
    private func text(of submission: Submission, standing: [UInt8], orderOffset: Int?) -> AdmissionText {
        let status = queuedStatus(submission, submission.fileName)
        let admissionLine = submission.admissionLine.encoded()
        let queuedLine = status.line.encoded()
        let lines = standing + admissionLine + queuedLine
        var entries: [LogRecord] = [
            .lines(submission.id, offset: 0, isFirst: true, lines), .job(submission.fileName, submission.payload),
        ]
        if let key = submission.orderKey, let orderOffset {
            entries.append(.order(key, submission.id, offset: orderOffset))
        }
        return AdmissionText(
            entries: entries, record: JobRecord(id: submission.id, first: status, last: status, statusSize: lines.count),
            admissionLine: admissionLine, queuedLine: queuedLine)
    }

    /// Writes all files and syncs none.
    func writeFiles(_ plan: PlannedAdmission) throws(SpoolError) {
        try plan.file.append(encoded: plan.text.admissionLine, .none)
        try writeTemporary(plan.submission, sync: false)
        try moveIn(plan.submission)
        try plan.file.append(encoded: plan.text.queuedLine, .none)
    }

    /// The log failed: the files themselves are made durable.
    private func syncFiles(_ plan: PlannedAdmission) throws(SpoolError) {
        let submission = plan.submission
        try plan.order?.sync()
        try stored(submission.id) { () throws(FileError) in
            try syncJobFile(layout.path(.queued, submission.fileName))
            try syncer.sync(layout.path(.queued))
        }
        try syncRecord(submission.id, plan.file)
    }

    private func syncJobFile(_ path: String) throws(FileError) {
        try files.withFile(path, [.read, .write]) { (descriptor) throws(FileError) in
            try files.sync(descriptor, path: path)
        }
    }

    private func writeTemporary(_ submission: Submission, sync: Bool) throws(SpoolError) {
        let temporary = layout.path(.tmp, "\(submission.id).json")
        try stored(submission.id) { () throws(FileError) in
            try withFolder(layout.path(.tmp)) { () throws(FileError) in
                do throws(FileError) {
                    try files.create(temporary, submission.payload, mode: 0o640, sync: sync)
                } catch {
                    // A crashed submit of this id may have left one; we hold the id's lock.
                    guard error.code == .exists else { throw error }
                    if try !folders.clear(temporary, after: error) { try removeIfThere(temporary) }
                    try files.create(temporary, submission.payload, mode: 0o640, sync: sync)
                }
            }
        }
    }

    private func joinOrder(_ submission: Submission, sync: Bool, _ admission: inout Admission) throws(SpoolError) {
        guard let key = submission.orderKey, submission.due <= now() else { return }
        let order = try openOrder(key)
        admission.order = order
        admission.orderOffset = try order.admit(submission.id, sync: sync)
    }

    private func moveIn(_ submission: Submission) throws(SpoolError) {
        let name = submission.fileName
        ownNews.expect(name)
        try stored(submission.id) { () throws(FileError) in
            try withFolder(layout.path(.queued)) { () throws(FileError) in
                try files.rename(layout.path(.tmp, "\(submission.id).json"), layout.path(.queued, name))
            }
        }
    }

    private func writeQueuedLine(_ submission: Submission, _ name: JobFileName, _ file: StatusFile)
        throws(SpoolError) -> JobRecord
    {
        let status = queuedStatus(submission, name)
        try file.append(status.line, .none)
        return JobRecord(id: submission.id, first: status, last: status, statusSize: file.size)
    }

    private func queuedStatus(_ submission: Submission, _ name: JobFileName) -> StatusRecord {
        var status = StatusRecord(state: .queued, name: name, at: now())
        status.due = submission.due
        status.fingerprint = submission.fingerprint
        status.facts = submission.facts
        return status
    }

    private func syncRecord(_ id: JobID, _ file: StatusFile) throws(SpoolError) {
        try file.sync()
        try stored(id) { () throws(FileError) in try syncer.sync(layout.statusFolder(id)) }
    }

    func removeIfThere(_ path: String) throws(FileError) {
        do throws(FileError) {
            try files.remove(path)
        } catch {
            guard error.code == .notFound else { throw error }
        }
    }

    /// Takes an admission back under its lock: the record is emptied first, so that it never speaks of a job file that is
    /// gone. The job file must durably be gone before we may say "not admitted".
    ///
    /// - Parameter isKnown: false when the fsync of queued/ itself failed, as asking it again proves nothing, or when the
    ///   log may hold the admission.
    private func withdraw(
        _ submission: Submission, _ file: StatusFile, _ order: OrderFile?, _ cause: SpoolError, isKnown: Bool
    ) -> SpoolError {
        let id = submission.id
        defer { file.close() }
        do throws(FileError) {
            try files.truncate(file.descriptor, to: 0, path: file.path)
            try removeIfThere(layout.path(.queued, submission.fileName))
            try removeIfThere(layout.path(.tmp, "\(id).json"))
            try removeIfThere(layout.statusPath(id))
            try files.syncDirectory(layout.path(.queued))
        } catch {
            return SpoolError(
                .outcomeUnknown, "\(cause.detail); taking the job back failed too: \(error)", id: id, file: error)
        }
        // An id that never ran is skipped by its followers anyway.
        try? order?.end([id])
        guard isKnown else { return SpoolError(.outcomeUnknown, cause.detail, id: id, file: cause.file) }
        var failure = cause
        failure.id = id
        return failure
    }
}
