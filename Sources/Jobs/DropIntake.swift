// Takes one file in admitting/ to its end: read, parse, submit, receipt, gone; or error file, receipt, rejected/.
// Every step can be repeated: whoever finds the file after a crash goes through all of them again under the same id and
// changes nothing that already stands. Caller: DropBox, one thread of each process at a time.
//
// Programs save a file twice, and may still write into a file that was renamed here. So a file is refused only when it
// has not changed for a while (`settled`), and is removed only when it is what was read: what was written into it since
// becomes a job of its own.
// Failure: passing ones leave the file where it is and are reported as `.later`.

import DurableFiles
import Foundation
import Spool
import TextFormats

/// A file in admitting/: `<id>~<name>`, or `<id>~` with the name in `<id>.name` where both do not fit into one name.
struct AdmittingFile: Sendable {
    var id: JobID
    var name: String
    /// What it is called inside admitting/.
    var entry: String
    var noteEntry: String? { entry.utf8.count == 37 ? "\(id).name" : nil }

    init(id: JobID, name: String) {
        self.id = id
        self.name = name
        let full = "\(id)~\(name)"
        entry = full.utf8.count <= DropName.maxBytes ? full : "\(id)~"
    }

    /// - Returns: nil for names that are not ours. A name kept apart is filled in by the caller.
    init?(entry: String) {
        let bytes = Array(entry.utf8)
        guard bytes.count >= 37, bytes[36] == UInt8(ascii: "~"),
            let id = JobID(String(decoding: bytes[..<36], as: UTF8.self))
        else { return nil }
        self.id = id
        self.entry = entry
        name = String(decoding: bytes[37...], as: UTF8.self)
    }
}

struct DropIntake: Sendable {
    let layout: SpoolLayout
    let files: any FileSystem
    let client: JobClient
    let now: @Sendable () -> Date

    enum Result {
        case accepted(SubmittedJob)
        /// The job was admitted and has its receipt; the file was written to after it was read, and is still there.
        case acceptedAndChanged(SubmittedJob)
        /// It is no job, and may be about to become one: nothing was answered. To be finished again once it is settled.
        case doubtful
        /// What it held before is a job. What it holds now is another: the file waits under this new id.
        case separated(AdmittingFile)
        case rejected(JobError)
        /// Something passing is in the way.
        case later(JobError)
        /// Another process finished it.
        case gone
    }

    /// Receipts and error files are for the person who dropped the file, who may be in our group only.
    private static let answerMode: UInt32 = 0o640

    /// - Parameters:
    ///   - expected: what lstat said before the rename; another inode or owner by now is a swapped file.
    ///   - settled: what lstat said of the file after it had not changed for a while; nil: it may have changed just now.
    ///   - isRepeat: an earlier try may have got as far as any step.
    func finish(
        _ file: AdmittingFile, expected: FileStatus?, settled: FileStatus? = nil, isRepeat: Bool
    ) -> Result {
        do throws(FileError) {
            let request: JobRequest
            let source: FileStatus
            do throws(JobError) {
                (request, source) = try read(layout.path(.admitting, file.entry), expected)
            } catch {
                return try refuse(file, error, settled, isRepeat: isRepeat)
            }
            let submitted: SubmittedJob
            do throws(JobError) {
                submitted = try client.submit(request, source: .drop, proposedID: file.id)
            } catch {
                if error.kind == .conflict, isRepeat, request.id == nil, error.jobID == file.id {
                    return try separate(file)
                }
                return try refuse(file, error, settled, isRepeat: isRepeat)
            }
            try answer(
                file, acceptance(submitted.id, submitted.statusFile, request.notices),
                isOurs: { isRepeat && $0["id"]?.string == submitted.id.description })
            let path = layout.path(.admitting, file.entry)
            if try hasChanged(path, since: source) { return .acceptedAndChanged(submitted) }
            // The receipt is durable: now the file itself is no longer needed, unless it is the job's own, moved here by hand.
            if !submitted.isNew {
                do throws(JobError) {
                    _ = try client.takeBack(path, as: submitted.id)
                } catch {
                    return .later(error)
                }
            }
            try removeIfThere(path)
            try removeNote(file)
            return .accepted(submitted)
        } catch {
            return error.code == .notFound && !isThere(file) ? .gone : .later(JobError(error, jobID: file.id))
        }
    }

    private func hasChanged(_ path: String, since source: FileStatus) throws(FileError) -> Bool {
        do {
            return try !files.status(path).isUnchanged(since: source)
        } catch {
            // Another process has removed it.
            if error.code == .notFound { return false }
            throw error
        }
    }

    private func isThere(_ file: AdmittingFile) -> Bool {
        // A file that cannot be asked about counts as there: it is looked at again later.
        (try? files.exists(layout.path(.admitting, file.entry))) ?? true
    }

    // MARK: - Reading

    /// Whether a file of incoming/ that was closed holds a job as it is. Where that cannot be told now, it is taken in, and
    /// `finish` finds the same obstacle.
    func holdsJob(_ path: String) -> Bool {
        do throws(JobError) {
            _ = try read(path, nil)
            return true
        } catch {
            return error.isPassing
        }
    }

    private func read(
        _ path: String, _ expected: FileStatus?
    ) throws(JobError) -> (request: JobRequest, source: FileStatus) {
        let copied: (bytes: [UInt8], source: FileStatus)
        do throws(FileError) {
            copied = try files.withFile(path, [.read, .nonBlocking], mode: 0) { (descriptor) throws(FileError) in
                try copy(descriptor, path, expected)
            }
        } catch {
            throw refusal(error)
        }
        return (try JobRequest.parse(copied.bytes, now: now()), copied.source)
    }

    private func copy(
        _ descriptor: Int32, _ path: String, _ expected: FileStatus?
    ) throws(FileError) -> (bytes: [UInt8], source: FileStatus) {
        let before = try files.status(of: descriptor, path: path)
        guard before.kind == .regular, before.links == 1 else {
            throw FileError(code: .invalid, operation: "open", path: path)
        }
        if let expected {
            guard before.inode == expected.inode, before.device == expected.device, before.owner == expected.owner
            else { throw FileError(code: .invalid, operation: "open", path: path) }
        }
        guard before.size <= JobRequest.maxBytes else {
            throw FileError(code: .tooLarge, operation: "read", path: path)
        }
        let bytes = try files.readRange(descriptor, from: 0, count: JobRequest.maxBytes + 1, path: path)
        let after = try files.status(of: descriptor, path: path)
        // A program is still writing to the file: look again later.
        guard after.size == bytes.count, after.isUnchanged(since: before) else {
            throw FileError(code: .wouldBlock, operation: "read", path: path)
        }
        return (bytes, after)
    }

    /// What a failed reading means: the file's own fault, or ours and passing.
    private func refusal(_ error: FileError) -> JobError {
        switch error.code {
        case .wouldBlock: return JobError(.invalidJSON, "the file is still being written")
        case .tooLarge:
            return JobError(.tooLarge, "a job file has at most \(JobRequest.maxBytes) bytes; this one has more")
        case .invalid, .symlink, .isDirectory:
            return JobError(.invalidJob, "a job file must be a regular file with one name, no link, pipe or folder")
        case .permission:
            return JobError(.invalidJob, "the service may not read this file; make it readable and drop it again")
        default: return JobError(error)
        }
    }

    // MARK: - Answers

    private func refuse(
        _ file: AdmittingFile, _ error: JobError, _ settled: FileStatus?, isRepeat: Bool
    ) throws(FileError) -> Result {
        guard isThere(file) else { return .gone }
        guard !error.isPassing else { return .later(error) }
        // Asked after the file was read: a change since the quiet time began, or while it was read, shows here.
        guard let settled, try files.status(layout.path(.admitting, file.entry)).isUnchanged(since: settled) else {
            return .doubtful
        }
        var details: JSONObject = ["code": .string(error.code), "detail": .string(error.detail)]
        if let field = error.field { details["field"] = .string(field) }
        let report: JSON = ["error": .object(details)]
        let target = try writeErrorFile(file, report, isRepeat: isRepeat)
        try answer(file, report, isOurs: { isRepeat && $0 == report })
        // Commit point: from here on the file is no longer in admitting/, and all answers stand.
        try files.rename(layout.path(.admitting, file.entry), layout.path(.rejected, target), replace: false)
        try files.syncDirectory(layout.path(.rejected))
        try files.syncDirectory(layout.path(.admitting))
        try removeNote(file)
        return .rejected(error)
    }

    /// The file's id is the id of a job made from earlier content: gives the file another id. Commit point: the rename.
    private func separate(_ file: AdmittingFile) throws(FileError) -> Result {
        // The crash that may have come between the job and its receipt is made up for here, the last time the two ids meet.
        try answer(
            file, acceptance(file.id, client.spool.relativeStatusPath(file.id), []),
            isOurs: { $0["id"]?.string == file.id.description })
        let next = AdmittingFile(id: JobID.make(now: now()), name: file.name)
        if let note = next.noteEntry {
            try files.createFile(layout.path(.admitting, note), Array(next.name.utf8))
        }
        try files.rename(
            layout.path(.admitting, file.entry), layout.path(.admitting, next.entry), replace: false)
        try files.syncDirectory(layout.path(.admitting))
        try removeNote(file)
        return .separated(next)
    }

    private func acceptance(_ id: JobID, _ statusFile: String, _ notices: [String]) -> JSON {
        var members: JSONObject = ["id": .string(id.description), "status_file": .string(statusFile)]
        if !notices.isEmpty { members["notices"] = JSON(notices) }
        return .object(members)
    }

    /// `rejected/<name>.error.json`, before the file itself arrives. - Returns: the name the file will have there.
    private func writeErrorFile(_ file: AdmittingFile, _ report: JSON, isRepeat: Bool) throws(FileError) -> String {
        let suffix = DropName.errorSuffix
        let numbered = DropName.numbered(file.name, file.id, room: suffix.utf8.count)
        let fits = file.name.utf8.count + suffix.utf8.count <= DropName.maxBytes
        for target in fits ? [file.name, numbered] : [numbered] {
            guard !(try files.exists(layout.path(.rejected, target))) else { continue }
            let path = layout.path(.rejected, target + suffix)
            if try create(path, report) { return target }
            // The numbered name holds our id: an error file there is our own from an earlier try.
            if target == numbered { return target }
            if isRepeat, try content(path) == report { return target }
        }
        throw FileError(code: .exists, operation: "create", path: layout.path(.rejected, numbered))
    }

    /// The receipt: `receipts/<name>`, or `<stem>~<id>.json` where that name is taken.
    private func answer(_ file: AdmittingFile, _ json: JSON, isOurs: (JSON) -> Bool) throws(FileError) {
        let path = layout.path(.receipts, file.name)
        if try create(path, json) { return }
        if let standing = try content(path), isOurs(standing) { return }
        // Holds our id: what stands there already is our own from an earlier try.
        _ = try create(layout.path(.receipts, DropName.numbered(file.name, file.id)), json)
    }

    /// - Returns: false when the name is taken.
    private func create(_ path: String, _ json: JSON) throws(FileError) -> Bool {
        do {
            try files.createFile(path, json.bytes() + [0x0A], mode: Self.answerMode)
            return true
        } catch {
            if error.code == .exists { return false }
            throw error
        }
    }

    private func content(_ path: String) throws(FileError) -> JSON? {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try files.readFile(path, maxBytes: 64 << 10)
        } catch {
            switch error.code {
            case .notFound, .tooLarge, .isDirectory, .invalid, .symlink, .permission: return nil
            default: throw error
            }
        }
        // What is not JSON was not written by us.
        return try? JSON.parse(bytes)
    }

    private func removeIfThere(_ path: String) throws(FileError) {
        do {
            try files.remove(path)
        } catch {
            if error.code != .notFound { throw error }
        }
    }

    private func removeNote(_ file: AdmittingFile) throws(FileError) {
        if let note = file.noteEntry { try removeIfThere(layout.path(.admitting, note)) }
    }
}

extension FileStatus {
    /// As far as a file system tells: the same file, of the same size, not written to since.
    fileprivate func isUnchanged(since earlier: FileStatus) -> Bool {
        inode == earlier.inode && device == earlier.device && size == earlier.size && modified == earlier.modified
    }
}
