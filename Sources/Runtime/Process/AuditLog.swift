// The audit log: one line of JSON for each call that changed something or was refused, in <home>/audit/<day>.jsonl (0600).
// Entries come from request tasks, which must not block: they are put into a bounded queue, and one thread of its own writes
// what has gathered in one append. What finds the queue full is counted, and the count is written when there is room again:
// a flood costs entries, never memory. Failure: a line in the service's log, once for each spell; the service goes on.
import API
import DurableFiles
import Foundation
import Logging
import Synchronization
import TextFormats

final class AuditLog: Sendable {
    private struct State {
        var waiting: [AuditEntry] = []
        var lost = 0
        var isFailing = false
        var isWriting = false
    }

    private let folder: String
    private let files: any FileSystem
    private let retentionDays: Int
    private let now: @Sendable () -> Date
    private let logger: Logger
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "nanobot.audit")

    /// Entries that may wait for the disk.
    static let maximumWaiting = 10_000

    init(
        folder: String, retentionDays: Int, files: any FileSystem = LinuxFileSystem(),
        now: @escaping @Sendable () -> Date,
        logger: Logger
    ) {
        self.folder = folder
        self.retentionDays = retentionDays
        self.files = files
        self.now = now
        self.logger = logger
    }

    /// Never blocks.
    func add(_ entry: AuditEntry) {
        let isFirst = state.withLock { state -> Bool in
            guard state.waiting.count < Self.maximumWaiting else {
                state.lost += 1
                return false
            }
            state.waiting.append(entry)
            defer { state.isWriting = true }
            return !state.isWriting
        }
        if isFirst { queue.async { self.write() } }
    }

    /// Returns when everything added before has been written or given up.
    func flush() { queue.sync { write() } }

    private func write() {
        while true {
            let (entries, lost) = state.withLock { state -> ([AuditEntry], Int) in
                defer {
                    state.waiting = []
                    state.lost = 0
                }
                if state.waiting.isEmpty, state.lost == 0 { state.isWriting = false }
                return (state.waiting, state.lost)
            }
            guard !entries.isEmpty || lost > 0 else { return }
            var text = entries.map { $0.json.text() + "\n" }.joined()
            if lost > 0 {
                let note: JSON = ["time": .string(RFC3339.string(now())), "lost_entries": JSON(lost)]
                text += note.text() + "\n"
            }
            append(text)
        }
    }

    private func append(_ text: String) {
        let path = "\(folder)/\(RFC3339.string(now()).prefix(10)).jsonl"
        do throws(FileError) {
            let isNew = try !files.exists(path)
            if isNew {
                try files.ensureDirectory(folder, mode: 0o700)
                try prune()
            }
            try files.withFile(path, [.write, .append, .create]) { (descriptor) throws(FileError) in
                try files.writeAll(descriptor, Array(text.utf8), path: path)
            }
            state.withLock { $0.isFailing = false }
        } catch {
            let isFirst = state.withLock { state -> Bool in
                defer { state.isFailing = true }
                return !state.isFailing
            }
            if isFirst { logger.error("the audit log cannot be written", metadata: ["error": "\(error)"]) }
        }
    }

    /// Days older than jobs are kept go.
    private func prune() throws(FileError) {
        let oldest = now().addingTimeInterval(-Double(retentionDays) * 86_400)
        let limit = "\(RFC3339.string(oldest).prefix(10)).jsonl"
        for entry in try files.list(folder) where entry.name.hasSuffix(".jsonl") && entry.name < limit {
            try files.remove("\(folder)/\(entry.name)")
        }
    }
}
