// The locks of a workspace: one hidden file each, in the workspace's own folder and nowhere else. Any thread, any process.
//
// A lock's file lies where no command of the user can open it. A command's box shows folders of the workspace and visible
// files, and flock(2) asks for no right to write: a command could hold the lock of any file it can open, for as long as it
// runs. So no file that a box shows is ever locked, not data of a user and not a lock below a folder. `SealedDirectory`
// refuses other names.
import DurableFiles

extension Workspace {
    /// What can be locked, with the name of the lock's file.
    public enum Lock: String, Sendable, CaseIterable {
        /// config.json, and whether the user exists: creation and deletion hold it.
        case config = ".config.lock"
        /// account.json.
        case account = ".account.lock"
        /// schedules.json.
        case schedules = ".schedules.lock"
        /// The number of a user's spawned jobs.
        case tasks = ".tasks.lock"
        /// Files that the user writes.
        case files = ".files.lock"
        /// Every file of sessions/.
        case sessions = ".sessions.lock"
        /// Every file of memory/.
        case memory = ".memory.lock"
        /// usage.jsonl.
        case usage = ".usage.lock"
    }

    /// Runs `body` while no other thread or process holds the lock; waits for it as `LockWait.current` says.
    /// - Throws: FileError, `.busy` when the lock does not come free; what `body` throws.
    public func withLock<Value>(_ lock: Lock, _ body: () throws -> Value) throws -> Value {
        try directory.withLock(lock.rawValue, body)
    }

    /// Locks of earlier versions, in folders that a box shows. Nothing takes them any more.
    private static let formerLocks = ["sessions/.lock", "sessions/.tasks.lock", "memory/.lock"]

    /// What is shown of the workspace to a command of the user: folders and visible files, never a link, and nothing that is
    /// a lock. Removes the empty files that earlier versions used as locks inside of folders.
    /// - Returns: names in the workspace's own folder.
    public func shownToCommands() throws(TenantError) -> [String] {
        do {
            for path in Self.formerLocks where directory.exists(path) { try directory.remove(path) }
            return try directory.list("").filter {
                !$0.name.hasPrefix(".") && ($0.kind == .regular || $0.kind == .directory)
            }.map(\.name)
        } catch {
            throw TenantError(error, doing: "look at the workspace of \"\(user)\"")
        }
    }
}
