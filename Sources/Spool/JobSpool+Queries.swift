// Looking at the queue. Reads only; any thread. A folder listing is not a snapshot: not finding a moving job proves
// nothing, its lock and status file do.

import DurableFiles
import Foundation
import TextFormats

extension JobSpool {
    public func statusPath(_ id: JobID) -> String { layout.statusPath(id) }

    /// "status/2026-11-24/ab/<id>.jsonl"
    public func relativeStatusPath(_ id: JobID) -> String { layout.relativeStatusPath(id) }

    /// - Returns: nil when the id was never admitted (or its record was pruned).
    public func record(_ id: JobID) throws(SpoolError) -> JobRecord? {
        try StatusReader(files: files).record(id, layout.statusPath(id))
    }

    /// The job files of `queued`, `running` or `dead`; in queued/ also those in folders inside it.
    public func names(in folder: Folder) throws(SpoolError) -> [JobFileName] {
        var names: [JobFileName] = []
        try forEachName(in: folder) { name in
            names.append(name)
            return true
        }
        return names
    }

    /// As `names`, one by one as they are read; `body` returns false to stop.
    public func forEachName(in folder: Folder, _ body: (JobFileName) -> Bool) throws(SpoolError) {
        try eachFile(in: folder) { entry, _ in JobFileName(entry).map(body) ?? true }
    }

    /// When a name in queued/, or in a folder inside it that a scan has seen, came or went last. Whoever listed all of them
    /// more than a second after that need not list them again: a million names cost a second.
    public func queuedChanged() throws(SpoolError) -> Date {
        try stored { () throws(FileError) in
            var latest = try files.status(layout.path(.queued)).modified
            // A folder that has gone changed queued/ itself.
            for shard in shards { if let status = try? files.status(shard) { latest = max(latest, status.modified) } }
            return latest
        }
    }

    /// The ids of an order key that have not ended, in the order they were admitted, with their states.
    public func liveJobs(orderKey key: OrderKey) throws(SpoolError) -> [(id: JobID, state: JobState)] {
        guard let order = try standingOrder(key) else { return [] }
        var jobs: [(id: JobID, state: JobState)] = []
        for id in try order.live() {
            guard let record = try record(id), !record.state.isFinal else { continue }
            jobs.append((id, record.state))
        }
        return jobs
    }

    /// The first id of an order key that has not ended; nil when there is none.
    public func orderHead(_ key: OrderKey) throws(SpoolError) -> JobID? { try liveJobs(orderKey: key).first?.id }

    /// Files in queued/ whose names are none of ours: dropped by hand in the wrong place. Paths, hidden files left out.
    public func foreignFiles() throws(SpoolError) -> [String] {
        var paths: [String] = []
        try eachFile(in: .queued) { entry, path in
            if JobFileName(entry) == nil, !entry.hasPrefix(".") { paths.append(path()) }
            return true
        }
        return paths
    }

    /// - Parameter body: gets the name and the path; returns false to stop.
    private func eachFile(in folder: Folder, _ body: (String, () -> String) -> Bool) throws(SpoolError) {
        let path = layout.path(folder)
        var inner: [String] = []
        var goesOn = true
        try stored { () throws(FileError) in
            try withFolder(path) { () throws(FileError) in try files.forEachEntry(path) { entry in
                // A folder with a job's name is taken for the job: its claim says that it cannot be read, and puts it into dead/.
                if entry.kind == .directory, JobFileName(entry.name) == nil {
                    if folder == .queued, !entry.name.hasPrefix(".") { inner.append("\(path)/\(entry.name)") }
                    return true
                }
                goesOn = body(entry.name) { "\(path)/\(entry.name)" }
                return goesOn
            } }
        }
        for shard in inner where goesOn {
            noteShard(shard)
            // One folder that cannot be read must not hide all the others.
            try? files.forEachEntry(shard) { entry in
                guard entry.kind != .directory else { return true }
                goesOn = body(entry.name) { "\(shard)/\(entry.name)" }
                return goesOn
            }
        }
    }

    /// The days that have finished jobs, newest first.
    public func doneDays() throws(SpoolError) -> [String] {
        try listIfThere(layout.path(.done)).filter { $0.kind == .directory }.map(\.name).sorted(by: >)
    }

    /// The finished jobs whose ids were made on that day.
    public func doneNames(day: String) throws(SpoolError) -> [JobFileName] {
        let folder = "\(layout.path(.done))/\(day)"
        var names: [JobFileName] = []
        for shard in try listIfThere(folder) where shard.kind == .directory {
            for entry in try listIfThere("\(folder)/\(shard.name)") {
                if let name = JobFileName(entry.name) { names.append(name) }
            }
        }
        return names
    }

    func listIfThere(_ path: String) throws(SpoolError) -> [DirectoryEntry] {
        do throws(FileError) {
            return try files.list(path)
        } catch {
            // Something else than a folder: nothing of ours is in it.
            if error.code == .notFound || error.code == .notDirectory || error.code == .symlink { return [] }
            throw SpoolError(error)
        }
    }

    /// Whether a process holds the lock of a job in running/. The lock is ours for a moment: a claim or recovery that meets it
    /// tries again.
    /// - Returns: nil when the job is not there any more.
    public func isHeld(_ name: JobFileName) throws(SpoolError) -> Bool? {
        let path = layout.statusPath(name.id)
        var isHeld = false
        do throws(FileError) {
            let descriptor = try files.open(path, [.read, .write, .nonBlocking])
            defer { files.closeQuietly(descriptor) }
            isHeld = try !files.tryLock(descriptor, path: path)
        } catch {
            if error.isPassing { throw SpoolError(error, id: name.id) }
            // No record, or none that can be locked: nobody holds it.
        }
        return try stored(name.id) { () throws(FileError) in try files.exists(layout.path(.running, name)) ? isHeld : nil }
    }

    /// The job file of an id, wherever it stands among the live folders and dead/; looks at names, so O(waiting jobs).
    func find(_ id: JobID) throws(SpoolError) -> JobFileName? {
        var found: JobFileName?
        for folder in [Folder.queued, .running, .dead, .queued] where found == nil {
            try forEachName(in: folder) { name in
                if name.id == id { found = name }
                return found == nil
            }
        }
        return found
    }

    /// Folders whose rights were taken away: nothing can be said of what is in them.
    public func closedFolders() throws(SpoolError) -> [Folder] {
        var closed: [Folder] = []
        for folder in Folder.allCases {
            let path = layout.path(folder)
            do throws(FileError) {
                // To be listed and to be entered are two rights.
                _ = try files.status("\(path)/.")
                try files.forEachEntry(path) { _ in false }
            } catch {
                guard error.code == .permission else {
                    if error.code == .notFound { continue }
                    throw SpoolError(error)
                }
                closed.append(folder)
            }
        }
        return closed
    }

    /// Where a file of queued/ stands: in the folder itself or in one inside it that a scan has seen. nil: not there.
    func queuedPath(_ name: JobFileName) throws(SpoolError) -> String? {
        try stored(name.id) { () throws(FileError) in
            let plain = layout.path(.queued, name)
            if try files.exists(plain) { return plain }
            for folder in shards where try files.exists("\(folder)/\(name)") { return "\(folder)/\(name)" }
            return nil
        }
    }

    /// The bytes of a job file in any folder; nil when there is none.
    public func payload(_ id: JobID) throws(SpoolError) -> [UInt8]? {
        guard let record = try record(id) else { return nil }
        if let name = record.file.flatMap(JobFileName.init), let bytes = try payload(id, under: name) { return bytes }
        // Renamed by hand, or its last state was lost with the power: any name that bears the id.
        guard let name = try find(id) else { return nil }
        return try payload(id, under: name)
    }

    private func payload(_ id: JobID, under name: JobFileName) throws(SpoolError) -> [UInt8]? {
        let settled = name.settled
        let places = [
            layout.path(.queued, settled), layout.path(.running, settled), layout.path(.running, settled.finishing),
            layout.donePath(settled), layout.path(.dead, settled), layout.path(.dead, settled.buried),
        ]
        for place in places {
            do throws(FileError) {
                return try files.readFile(place, maxBytes: JobSpool.maximumPayload)
            } catch {
                if error.code != .notFound { throw SpoolError(error, id: id) }
            }
        }
        return nil
    }
}
