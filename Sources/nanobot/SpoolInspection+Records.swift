// The second half of `SpoolInspection`: status files, order files, marks and what else lies in a spool.

import DurableFiles
import Foundation
import Jobs
import Spool
import TextFormats

extension SpoolInspection {
    /// Bytes of one status or order file that are read.
    private static let maximumRecord = 256 << 20
    /// Seconds after which something that should take a moment is worth a note.
    private static let longAgo: TimeInterval = 3_600

    // MARK: - Status files

    /// - Parameter known: the jobs whose files were found.
    mutating func checkRecords(known: Set<JobID>) throws {
        for day in try entries("status") where try isFolder(day, "status/\(day.name)") {
            for shard in try entries("status/\(day.name)") {
                let folder = "status/\(day.name)/\(shard.name)"
                for entry in try entries(folder) {
                    let path = "\(folder)/\(entry.name)"
                    guard entry.kind == .regular else {
                        wrongKind(path, "a \(entry.kind.rawValue), where a status file is expected")
                        continue
                    }
                    guard entry.name.hasSuffix(".jsonl"),
                        let id = JobID(String(entry.name.dropLast(".jsonl".count)))
                    else {
                        problem("foreign_file", path, "is no status file; move it away")
                        continue
                    }
                    guard path == spool.relativeStatusPath(id) else {
                        problem("wrong_folder", path, "belongs at \(spool.relativeStatusPath(id))")
                        continue
                    }
                    try checkRecord(id, path, hasFile: known.contains(id))
                }
            }
        }
    }

    private mutating func checkRecord(_ id: JobID, _ path: String, hasFile: Bool) throws {
        recordCount += 1
        let found: JobRecord?
        do throws(SpoolError) {
            found = try spool.record(id)
        } catch {
            guard !error.isPassing else { throw error }
            return problem("unreadable_record", path, "cannot be read: \(error.detail)")
        }
        guard let record = found else {
            if !hasFile { try checkEmptyRecord(id, path) }
            return
        }
        if record.state.isFinal, !withEnded { return }
        try checkLines(id, path)
        guard !hasFile, withEnded || !record.state.isFinal else { return }
        switch record.state {
        case .queued, .running:
            guard try isLost(id) else { return }
            problem(
                "lost_job", path,
                "says \(record.state.rawValue), but there is no job file: it was removed by hand, or lost")
        case .completed, .cancelled:
            // It may have ended and moved after done/ was listed.
            guard try !isDone(id) else { return }
            note("no_job_file", path, "the job \(record.state.rawValue); its file in done/ is gone")
        case .failed: break  // Dead letters may be removed; their records stay until retention.
        }
    }

    private mutating func checkEmptyRecord(_ id: JobID, _ path: String) throws {
        // A submission that is under way right now looks the same.
        guard try isThere(path), try isLost(id), spool.now().timeIntervalSince(id.time) > 60 else { return }
        note("cut_short", path, "a submission that was cut short before it was acknowledged; harmless")
    }

    /// Whether a job that has not ended has no file; asked again since jobs move.
    private func isLost(_ id: JobID) throws -> Bool {
        for folder in [Folder.queued, .running, .queued, .dead] {
            if try spool.names(in: folder).contains(where: { $0.id == id }) { return false }
        }
        guard let record = try spool.record(id) else { return true }
        return !record.state.isFinal
    }

    private mutating func isDone(_ id: JobID) throws -> Bool {
        try entries("done/\(id.day)/\(id.shard)").contains { JobFileName($0.name)?.id == id }
    }

    /// Every line that ends in a newline must check; the spool's own reader says which do.
    private mutating func checkLines(_ id: JobID, _ path: String) throws {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try files.readFile(full(path), maxBytes: SpoolInspection.maximumRecord)
        } catch {
            if error.code == .notFound { return }
            problem("unreadable", path, "cannot be read: \(error)")
            return
        }
        var good: Set<Int> = []
        var offset = 0
        while offset < bytes.count, let chunk = try spool.lines(id, from: offset, epoch: nil), chunk.next > offset {
            for line in chunk.lines { good.insert(line.next) }
            offset = chunk.next
        }
        var start = 0
        var number = 0
        var bad: [Int] = []
        for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") {
            number += 1
            if index > start, !good.contains(index + 1), !Self.isBlank(bytes[start..<index]) { bad.append(number) }
            start = index + 1
        }
        if !bad.isEmpty {
            let lines = bad.prefix(5).map(String.init).joined(separator: ", ")
            problem("bad_checksum", path, "\(bad.count) damaged line(s): \(lines). Readers ignore them")
        }
        if start < bytes.count, try spool.record(id)?.state.isFinal ?? false {
            note("torn_line", path, "ends within a line; readers ignore it")
        }
    }

    /// What a power cut leaves of lines that were never synced: their length, and zeros. Nothing is missing there that
    /// anybody was told of.
    private static func isBlank(_ line: ArraySlice<UInt8>) -> Bool { line.allSatisfy { $0 == 0 } }

    // MARK: - Order files

    mutating func checkOrderFiles() throws {
        for shard in try entries("order") {
            for entry in try entries("order/\(shard.name)") {
                let path = "order/\(shard.name)/\(entry.name)"
                guard entry.kind == .regular else {
                    wrongKind(path, "a \(entry.kind.rawValue), where an order file is expected")
                    continue
                }
                guard entry.name.hasSuffix(".jsonl"),
                    let key = OrderKey(String(entry.name.dropLast(".jsonl".count)))
                else {
                    problem("foreign_file", path, "is no order file; move it away")
                    continue
                }
                guard full(path) == spool.layout.orderPath(key) else {
                    problem("wrong_folder", path, "belongs at \(spool.layout.orderPath(key))")
                    continue
                }
                try checkOrder(path)
            }
        }
    }

    private mutating func checkOrder(_ path: String) throws {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try files.readFile(full(path), maxBytes: SpoolInspection.maximumRecord)
        } catch {
            if error.code == .notFound { return }
            problem("unreadable", path, "cannot be read: \(error)")
            return
        }
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)
        let isTorn = bytes.last.map { $0 != UInt8(ascii: "\n") } ?? false
        var bad = 0
        for line in isTorn ? lines.dropLast() : lines[...] where !Self.isBlank(line) {
            // Only whether it parses matters here.
            let json = try? JSON.parse(Array(line))
            let id = (json?["id"] ?? json?["end"])?.string.flatMap { JobID($0) }
            if id == nil { bad += 1 }
        }
        if bad > 0 { problem("bad_line", path, "\(bad) damaged line(s); the order of some jobs may be lost") }
    }

    // MARK: - The rest

    mutating func checkOtherFolders() throws {
        let own = Set(Folder.allCases.map(\.rawValue))
        try checkKinds()
        // A checkout's spool has its documentation beside the folders.
        let documents: Set<String> = ["README.md", "job.schema.json", "examples", ".gitignore"]
        for entry in try entries("aside") {
            note(
                "set_aside", "aside/\(entry.name)",
                "stood where a file or folder of the spool belongs; look at it, and remove it when nobody needs it")
        }
        for entry in try entries("") where !own.contains(entry.name) && entry.name != "aside" && !documents.contains(entry.name) {
            note("foreign_file", entry.name, "is no part of a spool")
        }
        try checkAge("admitting", "a dropped file whose taking in was cut short; a running service finishes it")
        try checkAge("tmp", "left by a crash while it was written; a running service removes it")
        try checkRejected()
        for entry in try entries("control/cancel") {
            let path = "control/cancel/\(entry.name)"
            guard let id = JobID(String(entry.name.prefix(36))) else {
                note("foreign_file", path, "is no cancel mark")
                continue
            }
            // A record that cannot be read is a finding of its own.
            if try files.exists(spool.statusPath(id)) == false { note("stale_mark", path, "asks to cancel a job that does not exist") }
        }
        if spool.isPaused {
            note("paused", "control/paused", "the queue is paused: nothing is started until nanobot resume")
        }
    }

    private mutating func isFolder(_ entry: DirectoryEntry, _ path: String) -> Bool {
        if entry.kind == .directory { return true }
        wrongKind(path, "a \(entry.kind.rawValue), where a folder is expected")
        return false
    }

    /// Where nothing but files, or nothing but folders, belongs and what is there is looked into by nobody else.
    private mutating func checkKinds() throws {
        for shard in try entries("keys") where shard.name != ".lock" {
            guard isFolder(shard, "keys/\(shard.name)") else { continue }
            try expectFiles("keys/\(shard.name)", "a key file")
        }
        for (folder, what) in [
            ("control/cancel", "a cancel mark"), ("control/erased", "a note of an erased user"),
            ("control/starts", "the file of a process"), ("receipts", "a receipt"), ("tmp", "a file being written"),
        ] { try expectFiles(folder, what) }
        for entry in try entries("control") where entry.kind != .regular && !["cancel", "erased", "starts"].contains(entry.name) {
            wrongKind("control/\(entry.name)", "a \(entry.kind.rawValue), where a mark is expected")
        }
        for writer in try entries("log") where writer.kind == .directory && !writer.name.hasPrefix("corrupt-") {
            try expectFiles("log/\(writer.name)", "a part of a log")
        }
        for entry in try entries("log") where entry.kind != .directory && entry.kind != .regular {
            wrongKind("log/\(entry.name)", "a \(entry.kind.rawValue), where the log of a process is expected")
        }
        for entry in try entries("log") where entry.name.hasPrefix("corrupt-") {
            note("set_aside", "log/\(entry.name)", "a damaged part of a log; look at it, and remove it when nobody needs it")
        }
    }

    private mutating func expectFiles(_ folder: String, _ what: String) throws {
        for entry in try entries(folder) where entry.kind != .regular {
            wrongKind("\(folder)/\(entry.name)", "a \(entry.kind.rawValue), where \(what) is expected")
        }
    }

    private mutating func checkAge(_ folder: String, _ what: String) throws {
        for entry in try entries(folder, withTemporaries: true) {
            let path = "\(folder)/\(entry.name)"
            let modified: Date
            do throws(FileError) {
                modified = try files.status(full(path)).modified
            } catch {
                if error.code == .notFound { continue }
                throw error
            }
            if spool.now().timeIntervalSince(modified) > SpoolInspection.longAgo { note("left_over", path, what) }
        }
    }

    /// A rejected file comes with the reason beside it.
    private mutating func checkRejected() throws {
        let names = Set(try entries("rejected").map(\.name))
        let suffix = ".error.json"
        for name in names.sorted() where !name.hasSuffix(suffix) && !names.contains(name + suffix) {
            note("no_reason", "rejected/\(name)", "has no \(name)\(suffix) beside it")
        }
    }
}
