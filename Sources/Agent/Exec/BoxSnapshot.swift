// A user's workspace as it is copied into the box of a command: what was copied, and what it was. The command changes the copy only;
// BoxResults brings the changes back. Symbolic links and special files are not copied, and nothing whose name begins with a dot but
// in data/. One thread. Failure: FileError.
import DurableFiles
import Foundation
import Tenants

struct BoxSnapshot {
    struct Node {
        var parent: Int
        var name: String
        /// As it was in the workspace.
        var origin: FileStatus
        /// As its copy began; nil for a folder.
        var copy: FileStatus?
    }

    private struct Place: Hashable {
        var folder: Int
        var name: String
    }

    /// The first is data/ itself.
    private(set) var nodes: [Node] = []
    private var places: [Place: Int] = [:]
    /// Of the copies.
    private var inodes: [UInt64: Int] = [:]

    static let rootNode = 0
    /// Seconds after which a file that was being written was left by a process that died.
    private static let abandoned: TimeInterval = 3_600

    /// - Parameters:
    ///   - shown: names of the workspace's own folder.
    ///   - rest: gets all of the workspace but data/.
    ///   - data: gets data/.
    ///   - isCancelled: asked for each entry. True ends the copying, and the box must not be used.
    init(
        of workspace: Workspace, showing shown: Set<String>, rest: SealedDirectory, data: SealedDirectory, now: Date,
        isCancelled: () -> Bool
    ) throws(FileError) {
        var mirror = MirroredWalk(try FolderWalk(try workspace.directory.cursor()), try rest.cursor())
        while let step = try mirror.next(), !isCancelled() {
            guard case .entry(let entry) = step else { continue }
            let isShown = mirror.walk.cursor.depth > 0 ? !entry.name.hasPrefix(".") : shown.contains(entry.name)
            guard isShown, mirror.walk.cursor.depth > 0 || entry.name != Workspace.data else {
                mirror.walk.skip()
                continue
            }
            _ = try mirror.copy(entry)
        }
        try copyData(try workspace.directory.cursor(Workspace.data), try data.cursor(), now, isCancelled)
    }

    private mutating func copyData(
        _ source: FolderCursor, _ target: FolderCursor, _ now: Date, _ isCancelled: () -> Bool
    ) throws(FileError) {
        let root = try source.files.status(of: source.descriptor, path: Workspace.data)
        nodes = [Node(parent: Self.rootNode, name: "", origin: root, copy: nil)]
        var mirror = MirroredWalk(try FolderWalk(source), target)
        var way = NodeWay()
        while let step = try mirror.next(), !isCancelled() {
            guard case .entry(let entry) = step else { continue }
            guard !TemporaryNames.isTemporary(entry.name) else {
                mirror.walk.skip()
                if now.timeIntervalSince(entry.status.modified) > Self.abandoned, entry.kind == .regular {
                    // Best effort: it only takes room.
                    try? source.remove(entry.name, isDirectory: false)
                }
                continue
            }
            guard let copy = try mirror.copy(entry) else { continue }
            let depth = mirror.walk.cursor.depth
            let isFolder = entry.kind == .directory
            let index = nodes.count
            nodes.append(
                Node(parent: way.folder(at: depth)!, name: entry.name, origin: entry.status, copy: isFolder ? nil : copy))
            places[Place(folder: nodes[index].parent, name: entry.name)] = index
            if isFolder { way.enter(index, at: depth) } else { inodes[copy.inode] = index }
        }
    }

    func node(_ name: String, in folder: Int?) -> Int? { folder.flatMap { places[Place(folder: $0, name: name)] } }

    func node(ofCopy inode: UInt64) -> Int? { inodes[inode] }

    /// The path of the folder that holds a node, in the workspace.
    func folder(of node: Int) -> String {
        var names: [String] = []
        var index = nodes[node].parent
        while index != Self.rootNode {
            names.append(nodes[index].name)
            index = nodes[index].parent
        }
        return ([Workspace.data] + names.reversed()).joined(separator: "/")
    }
}

extension FileStatus {
    /// Whether this is the same file with, as far as its facts tell, the same content.
    func isUnchanged(since earlier: FileStatus) -> Bool {
        kind == earlier.kind && inode == earlier.inode && size == earlier.size && modified == earlier.modified
    }
}

/// The nodes of the folders on the way of a walk; nil for a folder without one.
struct NodeWay {
    private var way: [Int?] = [BoxSnapshot.rootNode]

    func folder(at depth: Int) -> Int? { way[depth] }

    /// - Parameter depth: of the folder's parent.
    mutating func enter(_ node: Int?, at depth: Int) {
        way.removeLast(way.count - depth - 1)
        way.append(node)
    }
}

/// A walk through one tree, with a cursor in another that is in the folder of the same path.
struct MirroredWalk {
    let walk: FolderWalk
    let target: FolderCursor
    private var folder = ""

    init(_ walk: FolderWalk, _ target: FolderCursor) {
        self.walk = walk
        self.target = target
    }

    /// As of `FolderWalk`. A folder must have been made in the target, or skipped, before the next step.
    mutating func next() throws(FileError) -> FolderWalk.Step? {
        let step = try walk.next()
        if walk.cursor.depth > target.depth { try target.enter(folder) }
        while target.depth > walk.cursor.depth { try target.leave() }
        if case .entry(let entry) = step, entry.kind == .directory { folder = entry.name }
        return step
    }

    /// Copies an entry of the last step into the target, where there is none of its name; a folder empty.
    /// - Returns: the copy; nil for what is neither file nor folder, or has vanished.
    func copy(_ entry: FolderEntry) throws(FileError) -> FileStatus? {
        do throws(FileError) {
            switch entry.kind {
            case .directory:
                try target.files.makeDirectory(in: target.descriptor, entry.name, mode: 0o700)
                return try target.status(entry.name)
            case .regular: return try target.copy(entry.name, from: walk.cursor, as: entry.name, keepsTime: true)
            default: return nil
            }
        } catch {
            guard entry.kind == .regular, error.code == .notFound || error.code == .symlink else { throw error }
            return nil
        }
    }
}
