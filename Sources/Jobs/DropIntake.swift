// Takes one file in admitting/ to its end: read, parse, submit, receipt, gone; or error file, receipt, rejected/.
// Every step can be repeated: whoever finds the file after a crash goes through all of them again under the same id and
// changes nothing that already stands. Caller: DropBox, one thread of each process at a time.
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
    ///   - isRepeat: an earlier try may have got as far as any step.
    func finish(_ file: AdmittingFile, expected: FileStatus?, isRepeat: Bool) -> Result {
        do throws(FileError) {
            let request: JobRequest
            do throws(JobError) {
                request = try read(file, expected)
            } catch {
                return try refuse(file, error, isRepeat: isRepeat)
            }
            let submitted: SubmittedJob
            do throws(JobError) {
                submitted = try client.submit(request, source: .drop, proposedID: file.id)
            } catch {
                return try refuse(file, error, isRepeat: isRepeat)
            }
            try answer(
                file, acceptance(submitted), isOurs: { isRepeat && $0["id"]?.string == submitted.id.description })
            // The receipt is durable: now the file itself is no longer needed, unless it is the job's own, moved here by hand.
            let path = layout.path(.admitting, file.entry)
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

    private func isThere(_ file: AdmittingFile) -> Bool {
        // A file that cannot be asked about counts as there: it is looked at again later.
        (try? files.exists(layout.path(.admitting, file.entry))) ?? true
    }

    // MARK: - Reading

    private func read(_ file: AdmittingFile, _ expected: FileStatus?) throws(JobError) -> JobRequest {
        let path = layout.path(.admitting, file.entry)
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try files.withFile(path, [.read, .nonBlocking], mode: 0) { (descriptor) throws(FileError) in
                try copy(descriptor, path, expected)
            }
        } catch {
            throw refusal(error)
        }
        return try JobRequest.parse(bytes, now: now())
    }

    private func copy(_ descriptor: Int32, _ path: String, _ expected: FileStatus?) throws(FileError) -> [UInt8] {
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
        // Somebody is still writing it: look again later.
        guard after.size == bytes.count, after.modified == before.modified else {
            throw FileError(code: .wouldBlock, operation: "read", path: path)
        }
        return bytes
    }

    /// What a failed reading means: the file's own fault, or ours and passing.
    private func refusal(_ error: FileError) -> JobError {
        switch error.code {
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

    private func refuse(_ file: AdmittingFile, _ error: JobError, isRepeat: Bool) throws(FileError) -> Result {
        guard isThere(file) else { return .gone }
        guard !error.isPassing else { return .later(error) }
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

    private func acceptance(_ job: SubmittedJob) -> JSON {
        ["id": .string(job.id.description), "status_file": .string(job.statusFile)]
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
