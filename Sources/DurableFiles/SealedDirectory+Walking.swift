// Listing a sealed folder, walking through it and removing parts of it, at any depth. Any thread; failure: FileError.

import Foundation

extension SealedDirectory {
    /// Bytes of the longest path a walk tells of: the kernel takes none that is longer.
    private static let longestPath = 4_095

    /// A cursor that begins in a folder.
    public func cursor(_ path: String = "") throws(FileError) -> FolderCursor {
        try FolderCursor(files: files, root: try open(path, [.read, .directory]))
    }

    /// Sorted by name; links and special files are listed with their kind, never followed.
    /// - Parameter isCancelled: asked for each entry; true ends the list with those found so far.
    public func list(_ path: String, isCancelled: () -> Bool = { false }) throws(FileError) -> [SealedEntry] {
        let clean = try checked(path, "list")
        let walk = try FolderWalk(try cursor(clean))
        var entries: [SealedEntry] = []
        while !isCancelled(), let step = try walk.next() {
            walk.skip()
            guard case .entry(let entry) = step else { continue }
            entries.append(SealedEntry(entry, path: clean.isEmpty ? entry.name : "\(clean)/\(entry.name)"))
        }
        return entries
    }

    /// What a look into many folders has found.
    public struct Findings: Sendable {
        public var entries: [SealedEntry] = []
        /// False: there is more, of which nothing is known but that it is there.
        public var isComplete = true
    }

    /// Everything below `path`, all entries of a folder one after the other, at most `maxEntries`. What is so deep that no path can name
    /// it is left out, and the findings are not complete: for that there is `FolderWalk`.
    /// - Parameters:
    ///   - mending: what its owner has made unreadable (rights taken away, names that are no text) is made readable.
    ///   - isCancelled: asked for each entry; true ends the walk, and the findings are not complete.
    public func walk(
        _ path: String, maxEntries: Int, mending: Bool = false, isCancelled: () -> Bool = { false }
    ) throws(FileError) -> Findings {
        let clean = try checked(path, "list")
        let prefix = clean.isEmpty ? "" : clean + "/"
        let walk = try FolderWalk(try cursor(clean), mending: mending)
        var findings = Findings()
        var count = 0
        // By folder, and the folder of each depth on the way.
        var groups: [[SealedEntry]] = [[]]
        var way = [0]
        do throws(FileError) {
            while let step = try walk.next() {
                guard case .entry(let entry) = step else { continue }
                let length = prefix.utf8.count + walk.cursor.path.utf8.count + 1 + entry.name.utf8.count
                guard length <= Self.longestPath else {
                    findings.isComplete = false
                    walk.skip()
                    continue
                }
                guard count < maxEntries, !isCancelled() else {
                    findings.isComplete = false
                    break
                }
                count += 1
                let depth = walk.cursor.depth
                groups[way[depth]].append(SealedEntry(entry, path: prefix + walk.path(of: entry)))
                guard entry.kind == .directory else { continue }
                way.removeLast(way.count - depth - 1)
                way.append(groups.count)
                groups.append([])
            }
        } catch {
            // A folder was moved while it was walked through: what is behind it was not seen.
            findings.isComplete = false
        }
        if !walk.isComplete { findings.isComplete = false }
        findings.entries = Array(groups.joined())
        return findings
    }

    /// Removes a file, or a folder with all that is in it, however deep; durable. Nothing there: no error.
    /// - Parameter isCancelled: asked between removals; true leaves the rest, to be removed by the same call again.
    /// - Returns: false when it was cancelled.
    /// - Throws: the first reason why something could not be removed; what could be is gone.
    public func removeTree(_ path: String, isCancelled: () -> Bool = { false }) throws(FileError) -> Bool {
        do throws(FileError) {
            return try withParent(path, create: false) { (parent, name) throws(FileError) in
                let isDone = try files.removeTree(in: parent, name, isCancelled: isCancelled)
                try files.sync(parent, path: path)
                return isDone
            }
        } catch {
            // No folder that could hold it.
            guard error.code == .notFound else { throw error }
            return true
        }
    }
}

extension SealedEntry {
    init(_ entry: FolderEntry, path: String) {
        let isOurs = entry.kind == .regular || entry.kind == .directory
        self.init(
            name: entry.name, path: path, kind: entry.kind, size: isOurs ? entry.status.size : 0,
            modified: isOurs ? entry.status.modified : Date(timeIntervalSince1970: 0))
    }
}
