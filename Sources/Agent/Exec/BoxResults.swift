// Brings what a command has left in its box back into the workspace: whole files, each written beside its place and renamed, and only
// those whose bytes differ. All or nothing as far as the bounds go: what would take the workspace beyond them is not stored at all.
// A crash in between leaves each file old or new. Under the workspace's lock for files. One thread. Failure: FileError.
import DurableFiles
import Foundation
import Tenants

struct BoxResults {
    struct Bounds {
        /// Regular files, and bytes as the disk gives them, of the whole workspace.
        var files: Int
        var bytes: Int
        /// Bytes that old and new content may take beyond that side by side, for a moment.
        static let slack = 64 << 20
        /// Entries of the whole workspace: what has more cannot be measured any more.
        static let entries = 95_000
    }

    enum Decision {
        /// The workspace has it, or a later version.
        case keep
        case write
        /// Another name for a file of the snapshot.
        case move(Int)
    }

    /// What is to be done, file by file in the order of a walk through the box.
    struct Plan {
        var decisions: [Decision] = []
        /// Nodes of the snapshot that are still there, or moved.
        var kept: Set<Int> = [BoxSnapshot.rootNode]
        /// Files written or renamed, and folders made.
        var writes = 0
        var newFiles = 0
        var newFolders = 0
        var growth = 0
        /// What the growing files grow by, and the largest file that is written.
        var peak = 0
        var largest = 0
        /// Neither file nor folder.
        var special: [String] = []
        var deletedFiles = 0
        var deletedFolders = 0
        var shrinkage = 0
    }

    let workspace: Workspace
    /// What the command has left in data/.
    let box: SealedDirectory
    let snapshot: BoxSnapshot
    let bounds: Bounds

    /// - Returns: why nothing was stored, or what was left out; nil: all is there.
    func store() throws(FileError) -> String? {
        let usage: Workspace.DiskUsage
        do throws(TenantError) {
            usage = try workspace.diskUsage()
        } catch {
            return "nothing of it is stored: \(error.detail)"
        }
        var plan = try self.plan()
        if plan.kept.count < snapshot.nodes.count { try walkDeleted(&plan, removing: false) }
        if let refusal = refusal(plan, usage) { return "nothing of it is stored: \(refusal)" }
        let allowed = max(bounds.bytes, usage.allocated) + Bounds.slack
        // First what is new, so that a crash loses nothing of what has moved into other files; only without room for both
        // side by side what is gone goes first.
        let isTight = usage.allocated + plan.peak + plan.largest > allowed
        var problems: [String] = []
        if isTight { try walkDeleted(&plan, removing: true) }
        if plan.writes > 0 { try write(plan, &problems) }
        if !isTight { try walkDeleted(&plan, removing: true) }
        guard plan.writes > 0 || plan.kept.count < snapshot.nodes.count else {
            return Self.told(plan, problems)
        }
        let root = try workspace.directory.cursor(Workspace.data)
        try root.files.syncAll(root.descriptor, path: Workspace.data)
        return Self.told(plan, problems)
    }

    private static func told(_ plan: Plan, _ problems: [String]) -> String? {
        let all = problems + plan.special.map { "\($0) is neither a file nor a folder" }
        guard !all.isEmpty else { return nil }
        return all.prefix(5).joined(separator: "; ") + (all.count > 5 ? "; …" : "")
    }

    private func refusal(_ plan: Plan, _ usage: Workspace.DiskUsage) -> String? {
        let bytes = usage.allocated + plan.growth - plan.shrinkage
        if bytes > max(bounds.bytes, usage.allocated) {
            return "the workspace would hold \(bytes >> 20) MiB on the disk and may hold \(bounds.bytes >> 20) MiB"
        }
        let files = usage.files + plan.newFiles - plan.deletedFiles
        if files > max(bounds.files, usage.files) {
            return "the workspace would have \(files) files and may have \(bounds.files)"
        }
        let entries = usage.entries + plan.newFiles + plan.newFolders - plan.deletedFiles - plan.deletedFolders
        if entries > max(Bounds.entries, usage.entries) {
            return "the workspace would have \(entries) files and folders and may have \(Bounds.entries)"
        }
        return nil
    }

    // MARK: What has changed

    private func plan() throws(FileError) -> Plan {
        var plan = Plan()
        let walk = try FolderWalk(try box.cursor(), mending: true)
        let host = try workspace.directory.cursor(Workspace.data)
        var way = NodeWay()
        var folder = ""
        // The depth from which on the workspace has no such folder.
        var absent = Int.max
        while let step = try walk.next() {
            let depth = walk.cursor.depth
            if depth < absent { absent = .max }
            while host.depth > depth { try host.leave() }
            if host.depth < depth, absent == .max, !Self.enter(host, folder) { absent = depth }
            guard case .entry(let entry) = step else { continue }
            let node = snapshot.node(entry.name, in: way.folder(at: depth))
            let original = absent == .max ? try Self.status(host, entry.name) : nil
            switch entry.kind {
            case .directory:
                folder = entry.name
                way.enter(node, at: depth)
                if let node { plan.kept.insert(node) }
                if original?.kind != .directory {
                    plan.newFolders += 1
                    plan.writes += 1
                    plan.growth += Workspace.DiskUsage.folderAllocation
                    plan.peak += Workspace.DiskUsage.folderAllocation
                }
            case .regular:
                if let node { plan.kept.insert(node) }
                let decision = try decision(entry, node, host, original, walk.cursor, plan)
                plan.add(decision, entry, original)
            default: if original == nil { plan.special.append(walk.path(of: entry)) }
            }
        }
        return plan
    }

    private static func enter(_ cursor: FolderCursor, _ name: String) -> Bool {
        do throws(FileError) {
            try cursor.enter(name)
            return true
        } catch {
            // No folder of that name, or none that can be looked into: writing there will tell.
            return false
        }
    }

    private static func status(_ cursor: FolderCursor, _ name: String) throws(FileError) -> FileStatus? {
        do throws(FileError) {
            return try cursor.status(name)
        } catch {
            if error.code == .notFound { return nil }
            throw error
        }
    }

    private func decision(
        _ entry: FolderEntry, _ node: Int?, _ host: FolderCursor, _ original: FileStatus?, _ box: FolderCursor, _ plan: Plan
    ) throws(FileError) -> Decision {
        if let node, let copy = snapshot.nodes[node].copy {
            let isUntouched = entry.status.isUnchanged(since: copy) && entry.status.changed == copy.changed
            let isCurrent = original?.isUnchanged(since: snapshot.nodes[node].origin) ?? false
            // Changed or removed in the workspace meanwhile, and not by the command.
            if isUntouched, !isCurrent { return .keep }
        }
        // A write through a mapping changes no time: bytes decide.
        if original?.kind == .regular, original?.size == entry.status.size, try host.isSame(entry.name, as: box, entry.name) {
            return .keep
        }
        guard node == nil, original == nil, entry.status.links == 1, let source = snapshot.node(ofCopy: entry.status.inode),
            !plan.kept.contains(source), try isWhole(source, entry, box)
        else { return .write }
        return .move(source)
    }

    /// Whether the workspace still has a file of the snapshot, with the bytes of this one.
    private func isWhole(_ node: Int, _ entry: FolderEntry, _ box: FolderCursor) throws(FileError) -> Bool {
        let name = snapshot.nodes[node].name
        do throws(FileError) {
            let folder = try workspace.directory.cursor(snapshot.folder(of: node))
            guard try folder.status(name).isUnchanged(since: snapshot.nodes[node].origin) else { return false }
            return try folder.isSame(name, as: box, entry.name)
        } catch {
            if error.code == .notFound { return false }
            throw error
        }
    }

    // MARK: Changing the workspace

    private func write(_ plan: Plan, _ problems: inout [String]) throws(FileError) {
        var mirror = MirroredWalk(try FolderWalk(try box.cursor()), try workspace.directory.cursor(Workspace.data))
        let host = mirror.target
        var decisions = plan.decisions[...]
        while let step = try mirror.next() {
            guard case .entry(let entry) = step, entry.kind == .directory || entry.kind == .regular else { continue }
            // Those of a folder that is skipped are taken off, too: see `count`.
            let decision = entry.kind == .regular ? decisions.popFirst() ?? .keep : .write
            if case .keep = decision { continue }
            let original = try Self.status(host, entry.name)
            if let original, original.kind != .regular, original.kind != .directory {
                problems.append("\(mirror.walk.path(of: entry)) is a link or a special file in the workspace")
                if entry.kind == .directory {
                    mirror.walk.skip()
                    decisions = decisions.dropFirst(try filesBelow(entry, mirror.walk.cursor))
                }
                continue
            }
            if let original, original.kind != entry.kind { _ = try host.files.removeTree(in: host.descriptor, entry.name) }
            switch decision {
            case .move(let node):
                let folder = try workspace.directory.cursor(snapshot.folder(of: node))
                let name = snapshot.nodes[node].name
                try host.files.rename(in: folder.descriptor, name, to: host.descriptor, entry.name, replace: true)
            case .write where entry.kind == .regular:
                try host.replace(entry.name, from: mirror.walk.cursor, entry.name)
            default:
                guard original?.kind != .directory else { continue }
                try host.files.makeDirectory(in: host.descriptor, entry.name, mode: 0o700)
            }
        }
    }

    private func filesBelow(_ entry: FolderEntry, _ cursor: FolderCursor) throws(FileError) -> Int {
        let path = cursor.path.isEmpty ? entry.name : "\(cursor.path)/\(entry.name)"
        let walk = try FolderWalk(try box.cursor(path))
        var count = 0
        while let step = try walk.next() {
            if case .entry(let inner) = step, inner.kind == .regular { count += 1 }
        }
        return count
    }

    /// What the command has removed, as far as it is still what was copied: counted, or removed.
    private func walkDeleted(_ plan: inout Plan, removing: Bool) throws(FileError) {
        guard plan.kept.count < snapshot.nodes.count else { return }
        let walk = try FolderWalk(try workspace.directory.cursor(Workspace.data))
        var way = NodeWay()
        while let step = try walk.next() {
            switch step {
            case .entry(let entry):
                let depth = walk.cursor.depth
                let folder = way.folder(at: depth)
                let node = snapshot.node(entry.name, in: folder)
                if entry.kind == .directory {
                    way.enter(node, at: depth)
                    continue
                }
                if let node {
                    guard !plan.kept.contains(node), entry.status.isUnchanged(since: snapshot.nodes[node].origin) else {
                        continue
                    }
                } else {
                    // Links went with their folder.
                    guard entry.kind != .regular, let folder, !plan.kept.contains(folder) else { continue }
                }
                if removing {
                    try walk.cursor.remove(entry.name, isDirectory: false)
                } else if entry.kind == .regular {
                    plan.deletedFiles += 1
                    plan.shrinkage += Workspace.DiskUsage.allocation(of: entry.status.size)
                }
            case .left(let entry):
                guard let node = snapshot.node(entry.name, in: way.folder(at: walk.cursor.depth)),
                    !plan.kept.contains(node)
                else { continue }
                if removing {
                    // Not empty: somebody else has put something there.
                    try? walk.cursor.remove(entry.name, isDirectory: true)
                } else {
                    plan.deletedFolders += 1
                    plan.shrinkage += Workspace.DiskUsage.folderAllocation
                }
            }
        }
    }
}

extension BoxResults.Plan {
    fileprivate mutating func add(_ decision: BoxResults.Decision, _ entry: FolderEntry, _ original: FileStatus?) {
        decisions.append(decision)
        switch decision {
        case .keep: return
        case .move(let node):
            kept.insert(node)
            writes += 1
        case .write:
            writes += 1
            if original?.kind != .regular { newFiles += 1 }
            let new = Workspace.DiskUsage.allocation(of: entry.status.size)
            let old = original?.kind == .regular ? Workspace.DiskUsage.allocation(of: original!.size) : 0
            growth += new - old
            peak += max(0, new - old)
            largest = max(largest, new)
        }
    }
}
