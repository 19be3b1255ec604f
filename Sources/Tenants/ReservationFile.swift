// What the processes of one home have open: tokens and money that running jobs have used and not yet written down, and what
// calls under way may use. A file of JSON lines in the home, one line for each change; the last line of a process and user
// counts, as long as the process lives. Any thread. Failure: FileError, TenantError where a lock cannot be had.
//
// The file is no record: nothing in it is synced, and a line that a crash tore is passed over. It is read and written under
// its lock. A file that has grown long is replaced by one with the lines that count, under a new name in its first line:
// who has read the old one begins with the new one.
import DurableFiles
import Foundation
import Synchronization
import TextFormats

/// What one process has open of one user.
struct OpenUsage: Sendable, Hashable {
    /// Used by running jobs, as far as usage.jsonl does not have it.
    var used = UsageTotal()
    /// The most that calls under way can use.
    var reserved = UsageTotal()

    static func + (left: OpenUsage, right: OpenUsage) -> OpenUsage {
        OpenUsage(used: left.used + right.used, reserved: left.reserved + right.reserved)
    }
}

final class ReservationFile: Sendable {
    /// By user, or what stands for one.
    typealias Rows = [String: OpenUsage]

    private struct Known {
        var generation = ""
        var offset = 0
        /// By process.
        var rows: [String: Rows] = [:]
    }

    private static let name = "calls.jsonl"
    private static let lock = ".lock"
    private static let processes = "processes"
    /// Bytes: of the first line; of a file that is not worth replacing; of one look.
    private static let header = 64
    private static let smallest = 64 << 10
    private static let chunk = 1 << 20
    private static let newline = UInt8(ascii: "\n")

    private let folder: String
    private let id: String
    private let files: any FileSystem
    private let known = Mutex(Known())
    private let presence = Mutex<ProcessPresence?>(nil)

    /// - Parameters:
    ///   - folder: made with the first line.
    ///   - id: of this process; no other ever had it.
    init(folder: String, id: String = UUID().uuidString.lowercased(), files: any FileSystem = LinuxFileSystem()) {
        self.folder = folder
        self.id = id
        self.files = files
    }

    /// Excludes all other threads and processes that reserve.
    func withLock<Value>(_ body: () throws -> Value) throws -> Value {
        try files.ensureDirectory(folder, mode: 0o700)
        return try SealedDirectory(path: folder, files: files).withLock(Self.lock, body)
    }

    // MARK: Reading

    /// What other living processes have open. With the lock held.
    func others() throws(FileError) -> Rows {
        let rows = try readOn()
        var sums: Rows = [:]
        for (process, rows) in rows where process != id {
            let open = rows.filter { $0.value != OpenUsage() }
            guard !open.isEmpty, isAlive(process) else { continue }
            sums.merge(open) { $0 + $1 }
        }
        return sums
    }

    private func isAlive(_ process: String) -> Bool {
        ProcessPresence.isAlive(process, in: "\(folder)/\(Self.processes)", files)
    }

    private func readOn() throws(FileError) -> [String: Rows] {
        do {
            return try known.withLock { known in
                try readOn(&known)
                return known.rows
            }
        } catch let error as FileError {
            guard error.code == .notFound else { throw error }
            known.withLock { $0 = Known() }
            return [:]
        } catch {
            // `withLock` throws what its body throws, which is a FileError.
            throw FileError(code: .invalid, operation: "read", path: "\(folder)/\(Self.name)")
        }
    }

    private func readOn(_ known: inout Known) throws(FileError) {
        let directory = try SealedDirectory(path: folder, files: files)
        let first = try directory.read(Self.name, from: 0, count: Self.header)
        let generation = first.firstIndex(of: Self.newline).map { String(decoding: first[..<$0], as: UTF8.self) } ?? ""
        if generation != known.generation || generation.isEmpty { known = Known(generation: generation) }
        while !generation.isEmpty {
            let bytes = try directory.read(Self.name, from: known.offset, count: Self.chunk)
            guard let end = bytes.lastIndex(of: Self.newline) else { return }
            for line in bytes[..<end].split(separator: Self.newline) { Self.add(line, to: &known) }
            known.offset += end + 1
        }
    }

    /// The first line names the file; a line that says nothing that can be read was torn.
    private static func add(_ line: ArraySlice<UInt8>, to known: inout Known) {
        guard let json = try? JSON.parse(Array(line)), let process = json["process"]?.string,
            let user = json["user"]?.string
        else { return }
        func total(_ name: String) -> UsageTotal {
            UsageTotal(
                tokens: max(0, json[name]?["tokens"]?.int ?? 0), cost: max(0, json[name]?["cost_usd"]?.double ?? 0))
        }
        known.rows[process, default: [:]][user] = OpenUsage(used: total("used"), reserved: total("reserved"))
    }

    // MARK: Writing, with the lock held

    /// From now on this process has so much open of the user.
    func write(_ user: String, _ usage: OpenUsage) throws(FileError) {
        let rows = try readOn()
        guard rows[id]?[user] ?? OpenUsage() != usage else { return }
        try appear()
        let directory = try SealedDirectory(path: folder, files: files)
        let (generation, size) = known.withLock { ($0.generation, $0.offset) }
        let line = Self.line(id, user, usage)
        guard generation.isEmpty || size > Self.smallest else {
            return try directory.append(Self.name, [Self.newline] + line + [Self.newline], durable: false)
        }
        try replace(directory, rows, adding: line)
    }

    /// Leaves out what is nothing and what dead processes had open.
    private func replace(_ directory: SealedDirectory, _ rows: [String: Rows], adding line: [UInt8]) throws(FileError) {
        var text = JSON.object(["file": .string(UUID().uuidString)]).bytes() + [Self.newline]
        for (process, rows) in rows where process == id || isAlive(process) {
            for (user, usage) in rows where usage != OpenUsage() {
                text += Self.line(process, user, usage) + [Self.newline]
            }
        }
        try directory.write(Self.name, text + line + [Self.newline])
    }

    private static func line(_ process: String, _ user: String, _ usage: OpenUsage) -> [UInt8] {
        func json(_ total: UsageTotal) -> JSON { ["tokens": JSON(total.tokens), "cost_usd": .double(total.cost)] }
        let line: JSON = [
            "process": .string(process), "user": .string(user), "used": json(usage.used), "reserved": json(usage.reserved),
        ]
        return line.bytes()
    }

    /// Others believe what this process writes as long as it holds its lock.
    private func appear() throws(FileError) {
        let isHere = presence.withLock { $0 != nil }
        guard !isHere else { return }
        // The file's own lock is held: no other thread comes here meanwhile.
        let made = try ProcessPresence(folder: "\(folder)/\(Self.processes)", id: id, files: files)
        presence.withLock { $0 = made }
    }
}
