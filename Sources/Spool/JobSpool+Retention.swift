// Removing what is old, and what belonged to a user who was deleted. File by file, each under its lock; only what has
// ended and stands in no live folder. Any thread; meant to run beside everything else, unhurried.

import DurableFiles
import Foundation
import TextFormats

extension JobSpool {
    public struct Pruned: Sendable {
        public var jobs = 0
        /// Left alone: held, not final, dead letters.
        public var kept = 0
        /// Order files of the jobs removed.
        public var orderFiles = 0
        /// Whose jobs were removed.
        public var users: Set<String> = []
        var keys: Set<OrderKey> = []

        mutating func note(_ name: JobFileName) {
            users.insert(name.user)
            if let key = name.orderKey { keys.insert(key) }
        }
    }

    /// Seconds the clock may be ahead of the last mark before pruning refuses to trust it.
    static let trustedClockStep: TimeInterval = 86_400
    /// Days: an id may be submitted again for 7 days, and must be known as long.
    static let shortestRetention = 8

    /// Removes finished jobs older than `days`, and what is left of them: their order files and cancel marks.
    ///
    /// - Throws: `.state` when the clock is more than a day ahead of the last pruning: remove control/pruned to confirm.
    public func prune(olderThanDays days: Int) throws(SpoolError) -> Pruned {
        try checkClock()
        var pruned = Pruned()
        let age = JobSpool.age(days, now())
        let limit = JobSpool.day(age)
        let dead = Set(try names(in: .dead).map(\.id))
        for day in try pastDays(in: .status, before: limit) {
            let folder = "\(layout.path(.status))/\(day)"
            for shard in try listIfThere(folder) where shard.kind == .directory {
                try prune(shard: "\(folder)/\(shard.name)", dead: dead, before: age, &pruned)
            }
            removeIfEmptyFolder(folder)
        }
        for day in try pastDays(in: .done, before: limit) { try pruneDone(day, before: age, &pruned) }
        try pruneCancelMarks(before: age)
        for key in pruned.keys where try removeOrder(key, before: age) { pruned.orderFiles += 1 }
        return pruned
    }

    /// The time before which a job must have ended to be removed, with this retention.
    public func retentionLimit(days: Int) -> Date { JobSpool.age(days, now()) }

    /// The same.
    static func age(_ days: Int, _ now: Date) -> Date {
        now.addingTimeInterval(-Double(max(JobSpool.shortestRetention, days)) * 86_400)
    }

    private static func day(_ date: Date) -> String { String(RFC3339.string(date).prefix(10)) }

    private func pastDays(in folder: Folder, before limit: String) throws(SpoolError) -> [String] {
        try listIfThere(layout.path(folder)).filter { $0.kind == .directory && $0.name < limit }.map(\.name).sorted()
    }

    /// Job files whose records are gone: a crash came between the two, or somebody has removed the records.
    private func pruneDone(_ day: String, before age: Date, _ pruned: inout Pruned) throws(SpoolError) {
        let folder = "\(layout.path(.done))/\(day)"
        for shard in try listIfThere(folder) where shard.kind == .directory {
            let path = "\(folder)/\(shard.name)"
            for entry in try listIfThere(path) {
                guard let name = JobFileName(entry.name), name.id.time < age else { continue }
                try stored(name.id) { () throws(FileError) in
                    guard try !files.exists(layout.statusPath(name.id)) else { return }
                    try folders.remove("\(path)/\(entry.name)")
                    pruned.jobs += 1
                }
                pruned.note(name)
            }
            removeIfEmptyFolder(path)
        }
        removeIfEmptyFolder(folder)
    }

    /// Marks of jobs whose records are gone: nothing else would ever remove them.
    private func pruneCancelMarks(before age: Date) throws(SpoolError) {
        for request in try cancelRequests() where request.id.time < age {
            guard try stored(request.id, { () throws(FileError) in try !files.exists(layout.statusPath(request.id)) })
            else { continue }
            removeCancelMark(request.id, run: request.run)
        }
    }

    private func checkClock() throws(SpoolError) {
        let time = now()
        do throws(FileError) {
            let last = try files.readFile(layout.pruneMark, maxBytes: 64)
            let text = String(decoding: last, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
            if let marked = RFC3339.date(text), time.timeIntervalSince(marked) > JobSpool.trustedClockStep {
                throw FileError(code: .invalid, operation: "clock", path: text)
            }
        } catch {
            if error.operation == "clock" {
                throw SpoolError(
                    .state,
                    "The clock is more than a day ahead of the last pruning (\(error.path)). If it is right, "
                        + "remove \(layout.pruneMark) to go on.")
            }
            // Something else than a file says nothing of the time, and is set aside below.
            if error.isPassing { throw SpoolError(error) }
        }
        try stored { () throws(FileError) in
            try folders.replace(layout.pruneMark, Array((RFC3339.string(time) + "\n").utf8))
        }
    }

    private func prune(shard folder: String, dead: Set<JobID>, before age: Date, _ pruned: inout Pruned)
        throws(SpoolError)
    {
        for entry in try listIfThere(folder) {
            guard entry.name.hasSuffix(".jsonl"), let id = JobID(String(entry.name.dropLast(6))) else { continue }
            if !dead.contains(id), try remove(id, endedBefore: age, &pruned) { pruned.jobs += 1 } else { pruned.kept += 1 }
        }
        removeIfEmptyFolder(folder)
    }

    /// Removes the job file and the record of one job, under its lock.
    private func remove(_ id: JobID, endedBefore age: Date, _ pruned: inout Pruned) throws(SpoolError) -> Bool {
        guard case .locked(let file) = try StatusFile.openLocked(id, in: folders) else { return false }
        let last = StatusHistory(try file.readAll(repairing: false)).last
        if let last {
            // By when it ended, not by its id; and its last move must have been made.
            guard last.state.isFinal, last.at < age else { return false }
            if let name = last.file.flatMap(JobFileName.init) {
                guard try !standsInLiveFolder(name) else { return false }
                try stored(id) { () throws(FileError) in try removeIfThere(layout.donePath(name)) }
                pruned.note(name)
            }
        } else if try find(id) != nil {
            return false
        }
        try stored(id) { () throws(FileError) in try files.remove(file.path) }
        return true
    }

    private func standsInLiveFolder(_ name: JobFileName) throws(SpoolError) -> Bool {
        var plain = name.settled
        plain.isDead = false
        for spelling in [plain, plain.buried] {
            if try queuedPath(spelling) != nil { return true }
            let isThere = try stored(name.id) { () throws(FileError) in
                for place in [spelling, spelling.finishing] where try files.exists(layout.path(.running, place)) {
                    return true
                }
                return try files.exists(layout.path(.dead, spelling))
            }
            if isThere { return true }
        }
        return false
    }

    private func removeIfEmptyFolder(_ path: String) {
        do throws(FileError) {
            try files.removeDirectory(path)
            forgetFolder(path)
        } catch {
            // Not empty, or gone: both are fine.
        }
    }

    // MARK: Erasure

    /// Removes every trace of a user's jobs that are not running: job files, records, order files.
    /// Cancel the running ones first; call again until it returns 0.
    ///
    /// - Returns: how many jobs could not be removed because somebody holds them.
    public func erase(user: String) throws(SpoolError) -> Int {
        var held = 0
        // First of all: no replay of any process's log may bring back what goes now.
        try stored { () throws(FileError) in
            try folders.replace(
                "\(layout.erasedFolder)/\(user)", Array((RFC3339.string(now()) + "\n").utf8))
        }
        for folder in [Folder.queued, .running, .dead] {
            for name in try names(in: folder) where name.user == user { try erase(name, in: folder, &held) }
        }
        for day in try doneDays() {
            for name in try doneNames(day: day) where name.user == user {
                try stored(name.id) { () throws(FileError) in
                    try removeIfThere(layout.donePath(name))
                    try removeIfThere(layout.statusPath(name.id))
                }
                try eraseOrder(name)
            }
        }
        try stored { () throws(FileError) in
            for folder in [Folder.queued, .running, .dead] { try files.syncDirectory(layout.path(folder)) }
            // What the user has said is also in the log until its next checkpoint.
            try log?.checkpoint()
        }
        return held
    }

    private func erase(_ name: JobFileName, in folder: Folder, _ held: inout Int) throws(SpoolError) {
        let opened = try StatusFile.openLocked(name.id, in: folders)
        if case .busy = opened {
            held += 1
            return
        }
        // The job file first: without its record it would run again.
        let path = folder == .queued ? try queuedPath(name) : layout.path(folder, name)
        if let path { try stored(name.id) { () throws(FileError) in try removeIfThere(path) } }
        try stored(name.id) { () throws(FileError) in try removeIfThere(layout.statusPath(name.id)) }
        if case .locked(let file) = opened { file.close() }
        try eraseOrder(name)
        removeCancelMark(name.id, run: name.run)
        notify(.finished(name.id))
    }

    /// Removes one job wholly: its job file wherever it stands, its record, its order file's entry.
    ///
    /// - Returns: false when somebody holds it.
    public func erase(_ id: JobID) throws(SpoolError) -> Bool {
        guard let record = try record(id), let name = record.file.flatMap(JobFileName.init) else { return true }
        var held = 0
        let folder: Folder = try queuedPath(name) != nil ? .queued : name.isDead ? .dead : .running
        try erase(name, in: folder, &held)
        guard held == 0 else { return false }
        try stored(id) { () throws(FileError) in
            try removeIfThere(layout.donePath(name))
            // No replay of the log may bring the job back.
            try log?.checkpoint()
        }
        return true
    }

    /// Removes temporary files that a crash left more than a day ago, in every folder where files are written, and notes of
    /// erased users as old: no log is.
    public func sweepTemporaries() throws(SpoolError) {
        let limit = now().addingTimeInterval(-86_400)
        for folder in [layout.path(.tmp), layout.erasedFolder] {
            try sweep(folder, olderThan: limit) { _ in true }
        }
        for folder in try temporaryFolders() {
            try sweep(folder, olderThan: limit, TemporaryNames.isTemporary)
        }
    }

    /// Where files are written beside their place, or the file of a readiness probe may have been left.
    private func temporaryFolders() throws(SpoolError) -> [String] {
        var all = [layout.cancelFolder, layout.startsFolder]
        all += [Folder.queued, .dead, .admitting, .receipts, .rejected, .control, .status, .order, .keys].map(layout.path)
        for folder in [Folder.status, .order, .keys] {
            all += try listIfThere(layout.path(folder)).filter { $0.kind == .directory }
                .map { layout.path(folder, $0.name) }
        }
        for writer in try listIfThere(layout.path(.log)) where writer.kind == .directory {
            all.append(layout.path(.log, writer.name))
        }
        return all
    }

    private func sweep(_ folder: String, olderThan limit: Date, _ isMeant: (String) -> Bool) throws(SpoolError) {
        for entry in try listIfThere(folder) where isMeant(entry.name) {
            let path = "\(folder)/\(entry.name)"
            try stored { () throws(FileError) in
                do throws(FileError) {
                    let status = try files.status(path)
                    guard status.modified < limit else { return }
                    if status.kind == .regular { try files.remove(path) }
                    if status.kind == .directory, TemporaryNames.isTemporary(entry.name) { try files.removeTree(path) }
                } catch {
                    guard error.code == .notFound else { throw error }
                }
            }
        }
    }
}
