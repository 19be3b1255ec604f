// After a death or a power cut: what a log says is compared with the files it speaks of, and what is missing is put back.
// Run by whoever opens the spool, before anything can be claimed; one process at a time (`log/.replay`). A log whose lock
// is held belongs to a living process and is left alone. Repeating a replay changes nothing.
//
// What the log knows and the files do not is put back under the job's own lock:
//   lines of a status file  where they stood; a gap before them, of lines never synced, is filled with empty lines
//   the job file            where the record's last state has it, unless it stands in any folder already
//   an id of an order file  at the end, in the order of the log's offsets
//   the move out of queued/ of a job whose last line says that it has ended
// A job of a user that was erased since is left out. Then everything is synced, and the logs go.

import DurableFiles
import Foundation
import TextFormats

/// What a replay found.
public struct ReplayReport: Sendable, Equatable {
    /// Logs of dead processes.
    public var logs = 0
    /// Jobs they spoke of.
    public var jobs = 0
    /// Jobs of which something had to be put back.
    public var restored = 0
    /// Segments with damaged frames before good ones, or with jobs that could not be put back: set aside in log/ for a
    /// person to look at.
    public var corrupt: [String] = []
    /// Jobs whose files could not be compared because something else stands in their place.
    public var skipped: [JobID] = []
    /// Logs that cannot be looked into: their folder or lock is closed to us.
    public var closed: [FileError] = []
    /// Why there is no shared log although one was asked for; files are synced one by one.
    public var withoutLog: FileError?
}

struct LogReplay {
    /// Another process's replay of a long log is waited for; one that was stopped in the middle ends this start with an error.
    private static let replayWait = LockWait(seconds: 120)

    let layout: SpoolLayout
    let files: any FileSystem
    let folders: SpoolFolders
    let now: @Sendable () -> Date

    /// A dead process's log, its lock held by us.
    private struct Orphan {
        var folder: String
        var lock: Int32
    }

    private struct Work {
        var lines: [JobID: [(offset: Int, isFirst: Bool, bytes: [UInt8])]] = [:]
        var jobs: [JobID: (name: JobFileName, payload: [UInt8])] = [:]
        var order: [OrderKey: [(offset: Int, id: JobID)]] = [:]
        /// Segments to be set aside, and under which name.
        var damaged: [(path: String, aside: String)] = []
        /// A checkpoint of one of the logs has failed: what files seem to hold may be in memory only.
        var isDistrusted = false

        /// - Parameter record: in the order in which they were written, of one segment.
        mutating func add(_ record: LogRecord) {
            switch record {
            case .lines(let id, let offset, let isFirst, let bytes):
                lines[id, default: []].append((offset, isFirst, bytes))
            case .job(let name, let payload): jobs[name.id] = (name, payload)
            case .order(let key, let id, let offset): order[key, default: []].append((offset, id))
            // Its frame was left out.
            case .void: break
            }
        }

        /// Another log.
        mutating func add(_ other: Work) {
            lines.merge(other.lines) { $0 + $1 }
            jobs.merge(other.jobs) { $1 }
            order.merge(other.order) { $0 + $1 }
            damaged += other.damaged
            isDistrusted = isDistrusted || other.isDistrusted
        }
    }

    func run(opening durability: JobSpool.Durability, _ bounds: SharedLog.Bounds) throws(SpoolError)
        -> (log: SharedLog?, report: ReplayReport)
    {
        var report = ReplayReport()
        let folder = layout.path(.log)
        return try stored { () throws(FileError) in
            let isQuiet = try files.list(folder).allSatisfy { $0.kind != .directory }
            if isQuiet, durability == .files { return (nil, report) }
            let file = OpenDescriptor(try folders.open(layout.replayLock, [.read, .write, .create]), files)
            // Closing drops the lock.
            defer { withExtendedLifetime(file) {} }
            // Waits for another process's replay: it is over when ours begins, and finds nothing left.
            try Self.replayWait.bounding { () throws(FileError) in
                try files.waitForLock(layout.replayLock) { () throws(FileError) in
                    try files.tryLock(file.raw, path: layout.replayLock)
                }
            }
            try replayOrphans(&report)
            guard durability == .sharedLog else { return (nil, report) }
            let writer = JobID.make(now: now()).description
            do throws(FileError) {
                return (try SharedLog(root: layout.root, writer: writer, files: files, bounds: bounds), report)
            } catch {
                // A full disk must not keep a service from starting: it works, and says no where there is no room.
                report.withoutLog = error
                return (nil, report)
            }
        }
    }

    private func replayOrphans(_ report: inout ReplayReport) throws(FileError) {
        var orphans: [Orphan] = []
        defer { for orphan in orphans { files.closeQuietly(orphan.lock) } }
        var work = Work()
        for entry in try files.list(layout.path(.log)) where entry.kind == .directory {
            let folder = "\(layout.path(.log))/\(entry.name)"
            let lock: Int32
            do throws(FileError) {
                lock = try openLock(of: folder)
            } catch {
                switch error.code {
                // Its process has just ended it.
                case .notFound: continue
                case .permission:
                    report.closed.append(error)
                    continue
                default: throw error
                }
            }
            guard try files.tryLock(lock, path: folder) else {
                files.closeQuietly(lock)
                continue
            }
            orphans.append(Orphan(folder: folder, lock: lock))
            work.add(try read(folder, named: entry.name))
        }
        guard !orphans.isEmpty else { return }
        report.logs = orphans.count
        report.jobs = Set(work.lines.keys).union(work.jobs.keys).count
        try put(work, &report)
        try files.syncAll(layout.root)
        // Not before what is good in them is on disk: a start that ends here finds them again.
        for (path, aside) in work.damaged {
            try files.rename(path, aside)
            report.corrupt.append(aside)
        }
        for orphan in orphans {
            if !report.skipped.isEmpty { try setAside(orphan.folder, &report) }
            try files.removeTree(orphan.folder)
        }
        try files.syncDirectory(layout.path(.log))
    }

    /// What is no file in the place of a lock is set aside: no process holds that.
    private func openLock(of folder: String) throws(FileError) -> Int32 {
        let path = "\(folder)/lock"
        do throws(FileError) {
            return try files.open(path, [.read, .write, .create], mode: 0o640)
        } catch {
            guard try folders.clear(path, after: error) else { throw error }
            return try files.open(path, [.read, .write, .create], mode: 0o640)
        }
    }

    private func read(_ folder: String, named writer: String) throws(FileError) -> Work {
        var work = Work()
        let numbers = try files.list(folder).compactMap { entry in
            entry.name.hasSuffix(".wal") ? Int(entry.name.dropLast(4)) : nil
        }
        if try files.exists("\(folder)/\(SharedLog.distrustMark)") { work.isDistrusted = true }
        for number in numbers.sorted() {
            let path = "\(folder)/\(number).wal"
            let bytes: [UInt8]
            do throws(FileError) {
                bytes = try files.readFile(path, maxBytes: 256 << 20)
            } catch {
                // None of ours (a folder, a pipe), or far too large: a disk that fails is another matter.
                guard !error.isPassing else { throw error }
                work.damaged.append((path, asidePath(writer, number)))
                continue
            }
            let content = LogSegment.content(of: bytes)
            let frames = content.frames.map { (number: $0.number, records: LogRecord.parse($0.body)) }
            let isReadable = !content.isCorrupt && frames.allSatisfy { $0.records != nil }
            var void: Set<Int> = []
            for case .void(let frame) in frames.flatMap({ $0.records ?? [] }) { void.insert(frame) }
            for frame in frames where !void.contains(frame.number) {
                for record in frame.records ?? [] { work.add(record) }
            }
            guard !isReadable else { continue }
            work.damaged.append((path, asidePath(writer, number)))
        }
        return work
    }

    private func asidePath(_ writer: String, _ number: Int) -> String {
        layout.path(.log, "corrupt-\(writer)-\(number).wal")
    }

    /// Keeps what a log knows of jobs that could not be put back.
    private func setAside(_ folder: String, _ report: inout ReplayReport) throws(FileError) {
        for entry in try files.list(folder) where entry.name.hasSuffix(".wal") {
            let aside = "\(layout.path(.log))/corrupt-\(PathParts.split(folder).name)-\(entry.name)"
            try files.rename("\(folder)/\(entry.name)", aside)
            report.corrupt.append(aside)
        }
    }

    // MARK: - Putting back

    private func put(_ work: Work, _ report: inout ReplayReport) throws(FileError) {
        guard !work.lines.isEmpty || !work.jobs.isEmpty else { return }
        let places = try Places(layout, files)
        let erased = try Erased(layout, files)
        for id in Set(work.lines.keys).union(work.jobs.keys).sorted() {
            let job = work.jobs[id]
            let lines = (work.lines[id] ?? []).sorted { $0.offset < $1.offset }
            if let job, erased.covers(job.name, admitted: Self.admission(lines)) { continue }
            do throws(FileError) {
                if try put(id, job, lines, places, isDistrusted: work.isDistrusted) { report.restored += 1 }
            } catch {
                // One job's trouble is no reason to keep all the others from starting; the disk's is.
                guard !error.isPassing else { throw error }
                report.skipped.append(id)
            }
        }
        for (key, entries) in work.order {
            let ids = entries.sorted { ($0.offset, $0.id) < ($1.offset, $1.id) }.map(\.id)
            try restoreOrder(key, ids)
        }
    }

    private func restoreOrder(_ key: OrderKey, _ ids: [JobID]) throws(FileError) {
        let path = layout.orderPath(key)
        func open() throws(FileError) -> OrderFile {
            let order = try OrderFile.opened(path, files)
            guard try order.isReadable() else { throw FileError(code: .invalid, operation: "open", path: path) }
            return order
        }
        let order = try folders.with(PathParts.split(path).folder) { () throws(FileError) in
            do throws(FileError) {
                return try open()
            } catch {
                guard try folders.clear(path, after: error) else { throw error }
                return try open()
            }
        }
        try unwrapped { () throws(SpoolError) in try order.restore(ids) }
    }

    /// - Returns: whether something was missing.
    private func put(
        _ id: JobID, _ job: (name: JobFileName, payload: [UInt8])?,
        _ lines: [(offset: Int, isFirst: Bool, bytes: [UInt8])], _ places: Places, isDistrusted: Bool
    ) throws(FileError) -> Bool {
        try unwrapped { () throws(SpoolError) -> Bool in
            let path = layout.statusPath(id)
            let file: StatusFile
            switch try StatusFile.openLocked(id, in: folders, flags: [.read, .write]) {
            case .locked(let opened): file = opened
            // Somebody living holds the job: then its files are what they should be.
            case .busy: return false
            case .absent:
                // Without its beginning the record is one that was removed since it was synced.
                guard lines.first?.isFirst == true else { return false }
                try stored(id) { () throws(FileError) in
                    try folders.restore(layout.statusFolder(id))
                    files.closeQuietly(try files.open(path, [.write, .create], mode: 0o640))
                }
                guard case .locked(let created) = try StatusFile.openLocked(id, in: folders, flags: [.read, .write]) else {
                    return false
                }
                file = created
            }
            let before = file.size
            for line in lines { try file.putBack(line.bytes, at: line.offset, always: isDistrusted) }
            let history = StatusHistory(try file.readAll(repairing: false))
            var isRestored = file.size != before
            if let job, try restore(job.name, job.payload, history, places, isDistrusted) { isRestored = true }
            if let last = history.last, last.state.isFinal, try moveEnded(id, last, places) { isRestored = true }
            return isRestored
        }
    }

    /// - Returns: whether the job file was missing or damaged.
    private func restore(
        _ name: JobFileName, _ payload: [UInt8], _ history: StatusHistory, _ places: Places, _ isDistrusted: Bool
    ) throws(SpoolError) -> Bool {
        try stored(name.id) { () throws(FileError) in
            let last = history.last
            let lastName = last?.file.flatMap { JobFileName($0) } ?? name
            if let standing = places.paths[name.id] {
                return try rewrite(standing, payload, always: isDistrusted)
            }
            switch last?.state {
            case .completed, .cancelled:
                try folders.restore(layout.doneFolder(name.id))
                return try rewrite(layout.donePath(lastName), payload, always: isDistrusted)
            case .failed: return try rewrite(layout.path(.dead, lastName.buried), payload)
            // As an orphan: recovery gives it back, and counts what there is to count.
            case .running: return try rewrite(layout.path(.running, lastName), payload)
            case .queued, nil: return try rewrite(layout.path(.queued, lastName), payload)
            }
        }
    }

    /// The end of a run is on disk and its last move is not: a job for next week would stand among the waiting until then.
    private func moveEnded(_ id: JobID, _ last: StatusRecord, _ places: Places) throws(SpoolError) -> Bool {
        guard let standing = places.paths[id], standing.hasPrefix(layout.path(.queued) + "/"),
            let name = JobFileName(PathParts.split(standing).name), name.claimed.run <= last.run
        else { return false }
        let settled = name.claimed
        return try stored(id) { () throws(FileError) in
            if last.state == .failed {
                try files.rename(standing, layout.path(.dead, settled.buried))
            } else {
                try folders.restore(layout.doneFolder(id))
                try files.rename(standing, layout.donePath(settled))
            }
            return true
        }
    }

    /// When a job was admitted, by the record's own words: its id may be older.
    private static func admission(_ lines: [(offset: Int, isFirst: Bool, bytes: [UInt8])]) -> Date? {
        guard let first = lines.first, first.isFirst else { return nil }
        var found: Date?
        StatusFile.eachLine(in: first.bytes[...]) { range in
            guard found == nil, let line = StatusLine(first.bytes[range]) else { return }
            found = StatusRecord(line)?.at
        }
        return found
    }

    /// - Parameter always: also what seems to be right already.
    private func rewrite(_ path: String, _ payload: [UInt8], always: Bool = false) throws(FileError) -> Bool {
        do throws(FileError) {
            let standing = try files.readFile(path, maxBytes: JobSpool.maximumPayload)
            // Lost data is missing or zeros. Anything whole was changed by hand since, and stays.
            let isSame = standing == payload
            if isSame ? !always : (try? JSON.parse(standing)) != nil { return false }
        } catch {
            guard error.code == .notFound else { throw error }
        }
        try files.replaceFile(path, payload, mode: 0o640)
        return true
    }

    private func unwrapped<Value>(_ body: () throws(SpoolError) -> Value) throws(FileError) -> Value {
        do throws(SpoolError) {
            return try body()
        } catch {
            throw error.file ?? FileError(code: .other, operation: "replay", path: layout.root)
        }
    }

    /// Where the job files of all live folders stand.
    private struct Places {
        var paths: [JobID: String] = [:]

        init(_ layout: SpoolLayout, _ files: any FileSystem) throws(FileError) {
            for folder in [Folder.queued, .running, .dead] {
                for entry in try files.list(layout.path(folder)) {
                    let path = layout.path(folder, entry.name)
                    if entry.kind == .directory, JobFileName(entry.name) == nil {
                        // One that may not be looked into hides no others.
                        for inner in (try? files.list(path)) ?? [] { add(inner.name, "\(path)/\(inner.name)") }
                    } else {
                        add(entry.name, path)
                    }
                }
            }
        }

        private mutating func add(_ name: String, _ path: String) {
            if let name = JobFileName(name) { paths[name.id] = path }
        }
    }

    /// Users that were erased, and when: control/erased/<user> holds the time.
    private struct Erased {
        var times: [String: Date] = [:]

        init(_ layout: SpoolLayout, _ files: any FileSystem) throws(FileError) {
            do throws(FileError) {
                for entry in try files.list(layout.erasedFolder) where entry.kind != .directory {
                    // What cannot be read is no note of ours.
                    guard let note = try? files.readFile("\(layout.erasedFolder)/\(entry.name)", maxBytes: 64) else { continue }
                    let text = String(decoding: note, as: UTF8.self)
                    times[entry.name] = RFC3339.date(text.trimmingCharacters(in: .whitespacesAndNewlines))
                }
            } catch {
                guard error.code == .notFound || error.code == .notDirectory else { throw error }
            }
        }

        /// A user made anew after the erasure may admit jobs with ids that are older than it.
        func covers(_ name: JobFileName, admitted: Date?) -> Bool {
            times[name.user].map { (admitted ?? name.id.time) <= $0 } ?? false
        }
    }
}
