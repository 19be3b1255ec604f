// Where everything stands in a spool directory. Pure; any thread. docs/spool-format.md is the same for people.

public enum Folder: String, Sendable, CaseIterable {
    case incoming, admitting, receipts, rejected, queued, running, dead, done, status, order, keys, control, tmp, log
}

public struct SpoolLayout: Sendable {
    /// Without a slash at its end.
    public let root: String

    public init(root: String) {
        self.root = root.count > 1 && root.hasSuffix("/") ? String(root.dropLast()) : root
    }

    public func path(_ folder: Folder) -> String { "\(root)/\(folder.rawValue)" }
    public func path(_ folder: Folder, _ name: String) -> String { "\(root)/\(folder.rawValue)/\(name)" }
    public func path(_ folder: Folder, _ name: JobFileName) -> String { path(folder, name.description) }

    public func relativeStatusPath(_ id: JobID) -> String { "status/\(id.day)/\(id.shard)/\(id).jsonl" }
    public func statusPath(_ id: JobID) -> String { "\(root)/\(relativeStatusPath(id))" }
    public func statusFolder(_ id: JobID) -> String { "\(root)/status/\(id.day)/\(id.shard)" }
    public func doneFolder(_ id: JobID) -> String { "\(root)/done/\(id.day)/\(id.shard)" }
    public func donePath(_ name: JobFileName) -> String { "\(doneFolder(name.id))/\(name.settled)" }
    public func orderPath(_ key: OrderKey) -> String { "\(root)/order/\(key.shard)/\(key).jsonl" }

    var cancelFolder: String { "\(root)/control/cancel" }
    func cancelMark(_ id: JobID, run: Int) -> String { "\(cancelFolder)/\(id).\(run)" }
    var pauseMark: String { "\(root)/control/paused" }
    var erasedFolder: String { "\(root)/control/erased" }
    var replayLock: String { "\(root)/log/.replay" }
    var suspectLock: String { "\(root)/control/suspect" }
    /// What stood where something of the spool belongs.
    public var aside: String { "\(root)/aside" }
    var startsFolder: String { "\(root)/control/starts" }
    var pruneMark: String { "\(root)/control/pruned" }
}
