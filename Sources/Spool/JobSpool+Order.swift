// The order files of a spool: opened, made again from the names of jobs where somebody has removed them, and removed when all
// their jobs are. Any thread. Failure: SpoolError.storage.

import DurableFiles
import Foundation
import Synchronization
import TextFormats

extension JobSpool {
    /// The order file of a key, made if it is missing. What is in its place and cannot be one is set aside.
    func openOrder(_ key: OrderKey) throws(SpoolError) -> OrderFile {
        let path = layout.orderPath(key)
        for _ in 0..<3 {
            if let order = try openStandingOrder(key, path) { return order }
            try makeOrderShard(key.shard)
        }
        throw SpoolError(.storage, "The folder of \(path) keeps disappearing.")
    }

    /// - Returns: nil when its folder is missing.
    private func openStandingOrder(_ key: OrderKey, _ path: String) throws(SpoolError) -> OrderFile? {
        do throws(FileError) {
            let order = try OrderFile.opened(path, files)
            if try order.isReadable() { return order }
            order.close()
            try folders.setAside(path)
        } catch {
            if error.code == .notFound || error.code == .notDirectory { return nil }
            guard try stored(nil, { () throws(FileError) in try folders.clear(path, after: error) }) else {
                throw SpoolError(error)
            }
        }
        // What it knew of the jobs that wait and run is in their names.
        if let ids = try keyedJobs()[key] {
            try stored { () throws(FileError) in try writeOrder(ids, path) }
        }
        return try stored { () throws(FileError) in try OrderFile.opened(path, files) }
    }

    /// The shard of a key is missing: it is new, or somebody has removed it. Then the order of its jobs is taken from their
    /// names: what runs must go on to keep what waits from running.
    private func makeOrderShard(_ shard: String) throws(SpoolError) {
        let folder = "\(layout.path(.order))/\(shard)"
        let isNew = emptyOrderShards.withLock { $0.remove(shard) != nil }
        if !isNew {
            let jobs = Dictionary(grouping: try keyedJobs(), by: \.key.shard)
            try stored { () throws(FileError) in
                try restoreFolder(layout.path(.order))
                for (shard, keys) in jobs { try rebuildShard(shard, keys.map { ($0.key, $0.value) }) }
            }
            emptyOrderShards.withLock { shards in
                shards = Set((0..<256).map { Hex.text(UInt64($0), digits: 2) }).subtracting(jobs.keys)
                shards.remove(shard)
            }
        }
        _ = try stored { () throws(FileError) in try restoreFolder(folder) }
    }

    /// Filled before it has its name: nobody finds it without the ids.
    private func rebuildShard(_ shard: String, _ keys: [(key: OrderKey, ids: [JobID])]) throws(FileError) {
        let folder = "\(layout.path(.order))/\(shard)"
        if let kind = try folders.kind(of: folder) {
            guard kind != .directory else { return }
            try folders.setAside(folder)
        }
        let temporary = layout.path(.tmp, TemporaryNames.next(for: "order-\(shard)"))
        try files.ensureDirectory(temporary, mode: 0o750)
        defer {
            // Harmless when it stays.
            try? files.removeTree(temporary)
        }
        for (key, ids) in keys {
            try files.create("\(temporary)/\(key).jsonl", OrderFile.lines(ids), mode: 0o640, sync: true)
        }
        try files.syncDirectory(temporary)
        do throws(FileError) {
            try files.rename(temporary, folder)
        } catch {
            // Another process has made it meanwhile.
            guard error.code == .notEmpty || error.code == .exists else { throw error }
        }
        try files.syncDirectory(layout.path(.order))
    }

    private func writeOrder(_ ids: [JobID], _ path: String) throws(FileError) {
        do throws(FileError) {
            try files.createFile(path, OrderFile.lines(ids), mode: 0o640)
        } catch {
            guard error.code == .exists else { throw error }
        }
    }

    /// The jobs of each order key that wait or run, in the order of their ids; those that are not due have not joined.
    private func keyedJobs() throws(SpoolError) -> [OrderKey: [JobID]] {
        var jobs: [OrderKey: Set<JobID>] = [:]
        let time = now()
        for folder in [Folder.queued, .running, .queued] {
            try forEachName(in: folder) { name in
                guard let key = name.orderKey, name.due <= time || name.attempt > 0 || name.crashes > 0 else { return true }
                jobs[key, default: []].insert(name.id)
                return true
            }
        }
        return jobs.mapValues { $0.sorted() }
    }

    // MARK: Removal

    /// Takes the id out of its order; the file goes when nothing of the key is left and nothing of it runs.
    func eraseOrder(_ name: JobFileName) throws(SpoolError) {
        guard let key = name.orderKey, let order = try standingOrder(key) else { return }
        try order.end([name.id])
        _ = try order.remove { $0.live.isEmpty }
    }

    /// Removes the order files whose jobs have all been removed since. Reads each order file: for once a day.
    ///
    /// - Parameter days: the retention of finished jobs.
    /// - Returns: how many.
    public func pruneOrderFiles(olderThanDays days: Int) throws(SpoolError) -> Int {
        let age = JobSpool.age(days, now())
        var removed = 0
        for shard in try listIfThere(layout.path(.order)) where shard.kind == .directory {
            for entry in try listIfThere("\(layout.path(.order))/\(shard.name)") where entry.name.hasSuffix(".jsonl") {
                guard let key = OrderKey(String(entry.name.dropLast(".jsonl".count))) else { continue }
                // One file that cannot be read keeps nobody from removing the others; `check` names it.
                if (try? removeOrder(key, before: age)) == true { removed += 1 }
            }
        }
        return removed
    }

    /// - Returns: whether it is gone by this.
    func removeOrder(_ key: OrderKey, before age: Date) throws(SpoolError) -> Bool {
        guard let order = try standingOrder(key) else { return false }
        func isOver(_ content: OrderFile.Content) throws(FileError) -> Bool {
            // The youngest is the one whose record is most likely still there.
            for id in content.mentioned.sorted(by: >) {
                if id.time >= age { return false }
                if try files.exists(layout.statusPath(id)) { return false }
            }
            return !content.mentioned.isEmpty || content.changed < age
        }
        // Without the locks first: nearly all stay.
        let content = try order.look()
        guard try stored(nil, { () throws(FileError) in try isOver(content) }) else { return false }
        return try order.remove(if: isOver)
    }

    /// nil: there is none.
    func standingOrder(_ key: OrderKey) throws(SpoolError) -> OrderFile? {
        do throws(FileError) {
            let order = try OrderFile.opened(layout.orderPath(key), files, isNew: false)
            return try order.isReadable() ? order : nil
        } catch {
            switch error.code {
            case .notFound, .notDirectory, .isDirectory, .symlink, .invalid: return nil
            default: throw SpoolError(error)
            }
        }
    }
}
