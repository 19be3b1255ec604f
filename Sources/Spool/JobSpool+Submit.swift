// Admission: from a submission to a job that survives a power cut.
//
// 1 create status/<id> (O_EXCL: the id is ours) and lock it   2 tmp/<id> written and fsynced   3 order key, fsynced
// 4 rename into queued/   5 `queued` line, fsynced; queued/ and the status folder fsynced   6 unlock, tell
// The commit point is the last fsync of 5. A crash before 4 leaves an empty status file that the next submit of the id
// completes; a crash between 4 and 5 leaves a job whose claimer completes it.

import DurableFiles
import Foundation
import TextFormats

/// A job to be admitted. `payload` and `holdKey` mean nothing to the spool.
public struct Submission: Sendable {
    public var id: JobID
    /// `[a-z0-9_-]`, 1–64 bytes.
    public var user: String
    public var lane: Lane
    /// 0 (first) to 9.
    public var priority: Int
    public var due: Date
    public var orderKey: OrderKey?
    /// `[a-z0-9_-]`, 1–16 bytes.
    public var holdKey: String
    public var payload: [UInt8]
    /// Equal for equal content, whatever the id.
    public var fingerprint: String
    /// What every reader of the status file shall know without opening the job file.
    public var facts: JSONObject

    public init(
        id: JobID, user: String, lane: Lane, priority: Int, due: Date, orderKey: OrderKey?, holdKey: String,
        payload: [UInt8], fingerprint: String, facts: JSONObject
    ) {
        self.id = id
        self.user = user
        self.lane = lane
        self.priority = priority
        self.due = due
        self.orderKey = orderKey
        self.holdKey = holdKey
        self.payload = payload
        self.fingerprint = fingerprint
        self.facts = facts
    }

    var fileName: JobFileName {
        JobFileName(
            id: id, due: due, lane: lane, priority: priority, user: user, orderKey: orderKey, holdKey: holdKey)
    }
}

public enum Submitted: Sendable {
    case created(JobRecord)
    /// The id was admitted before, with the same content.
    case existing(JobRecord)

    public var record: JobRecord {
        switch self {
        case .created(let record), .existing(let record): return record
        }
    }
}

extension JobSpool {
    /// Largest job file, bytes.
    public static let maximumPayload = 1 << 20

    /// Admits a job. When this returns, the job survives a power cut.
    ///
    /// - Throws: `.conflict` (the id has other content), `.storage` (nothing was admitted), `.outcomeUnknown`, `.invalid`.
    public func submit(_ submission: Submission) throws(SpoolError) -> Submitted {
        try check(submission)
        let id = submission.id
        let path = layout.statusPath(id)
        for _ in 0..<3 {
            try stored(id) { () throws(FileError) in try ensureFolder(layout.statusFolder(id)) }
            switch try StatusFile.create(id, path, files) {
            case .locked(let file): return .created(try admit(submission, file))
            case .absent: forgetFolder(layout.statusFolder(id))
            case .busy: return try submitAgain(submission)
            }
        }
        throw SpoolError(.storage, "The folder of \(path) keeps disappearing.", id: id)
    }

    private func check(_ submission: Submission) throws(SpoolError) {
        guard JobFileName(submission.fileName.description) == submission.fileName else {
            throw SpoolError(.invalid, "User, hold key or priority do not fit a job file's name.", id: submission.id)
        }
        guard submission.payload.count <= JobSpool.maximumPayload else {
            throw SpoolError(
                .invalid, "The job file has more than \(JobSpool.maximumPayload) bytes.", id: submission.id)
        }
    }

    /// The id's status file exists: the job does, or somebody is admitting it, or died while doing so.
    private func submitAgain(_ submission: Submission) throws(SpoolError) -> Submitted {
        let id = submission.id
        if let record = try record(id) { return try existing(record, submission) }
        // No state in it: wait for the creator; its lock dies with it.
        switch try StatusFile.openLocked(id, layout.statusPath(id), files, wait: true) {
        case .busy, .absent: return try submit(submission)
        case .locked(let file):
            if let record = try record(id) { return try existing(record, submission) }
            if let name = try find(id) {
                // The job file stands: only the record of it is missing.
                return .existing(try completeAdmission(submission, name, file))
            }
            return .created(try admit(submission, file))
        }
    }

    private func existing(_ record: JobRecord, _ submission: Submission) throws(SpoolError) -> Submitted {
        if let fingerprint = record.fingerprint {
            guard fingerprint == submission.fingerprint else {
                throw SpoolError(.conflict, "A job of other content has the id \(record.id).", id: record.id)
            }
        }
        return .existing(record)
    }

    private func completeAdmission(_ submission: Submission, _ name: JobFileName, _ file: StatusFile)
        throws(SpoolError) -> JobRecord
    {
        let record = try writeQueuedLine(submission, name, file)
        try syncAdmission(submission, file)
        return record
    }

    /// `file` is locked by us and has no state in it.
    private func admit(_ submission: Submission, _ file: StatusFile) throws(SpoolError) -> JobRecord {
        let id = submission.id
        let name = submission.fileName
        let temporary = layout.path(.tmp, "\(id).json")
        var order: OrderFile?
        do throws(SpoolError) {
            try stored(id) { () throws(FileError) in
                // A crashed submit of this id may have left one; we hold the id's lock.
                try removeIfThere(temporary)
                try files.createSynced(temporary, submission.payload, mode: 0o640)
            }
            if let key = submission.orderKey, submission.due <= now() {
                order = try OrderFile.open(layout.orderPath(key), files)
                try order?.admit(id)
            }
            try stored(id) { () throws(FileError) in try files.rename(temporary, layout.path(.queued, name)) }
        } catch {
            throw withdraw(submission, file, order, error)
        }
        let record: JobRecord
        do throws(SpoolError) {
            record = try writeQueuedLine(submission, name, file)
            try syncAdmission(submission, file)
        } catch {
            throw withdraw(submission, file, order, error)
        }
        file.close()
        notify(.queued(name))
        return record
    }

    private func writeQueuedLine(_ submission: Submission, _ name: JobFileName, _ file: StatusFile)
        throws(SpoolError) -> JobRecord
    {
        var status = StatusRecord(state: .queued, name: name, at: now())
        status.due = submission.due
        status.fingerprint = submission.fingerprint
        status.facts = submission.facts
        try file.append(status.line, sync: false)
        return JobRecord(id: submission.id, first: status, last: status, statusSize: file.size)
    }

    private func syncAdmission(_ submission: Submission, _ file: StatusFile) throws(SpoolError) {
        try file.sync()
        try stored(submission.id) { () throws(FileError) in
            try syncer.sync(layout.path(.queued))
            try syncer.sync(layout.statusFolder(submission.id))
        }
    }

    func removeIfThere(_ path: String) throws(FileError) {
        do throws(FileError) {
            try files.remove(path)
        } catch {
            guard error.code == .notFound else { throw error }
        }
    }

    /// Takes an admission back under its lock. The job file must durably be gone before we may say "not admitted".
    private func withdraw(
        _ submission: Submission, _ file: StatusFile, _ order: OrderFile?, _ cause: SpoolError
    ) -> SpoolError {
        let id = submission.id
        defer { file.close() }
        do throws(FileError) {
            try removeIfThere(layout.path(.tmp, "\(id).json"))
            try removeIfThere(layout.path(.queued, submission.fileName))
            try removeIfThere(layout.statusPath(id))
            try files.syncDirectory(layout.path(.queued))
        } catch {
            return SpoolError(
                .outcomeUnknown, "\(cause.detail); taking the job back failed too: \(error)", id: id, file: error)
        }
        // An id that never ran is skipped by its followers anyway.
        try? order?.end([id])
        var failure = cause
        failure.id = id
        return failure
    }
}
