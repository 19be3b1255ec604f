// A command of a user may lock every file that it can open, for as long as it runs. Nothing of nanobot waits for it.
import DurableFiles
import Foundation
import Providers
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Agent

@Suite struct LockedWorkspaceTests {
    private let house: AgentHouse
    private let workspace: Workspace
    private let files = LinuxFileSystem()
    private let time = Date(timeIntervalSince1970: 1)

    init() throws {
        house = try AgentHouse()
        workspace = try house.workspaces.open(try house.addUser("alice"))
    }

    private func say(_ job: String) throws {
        let entry = SessionEntry(id: "\(job):0", jobID: job, message: .user("hello"), time: time)
        try SessionStore(workspace: workspace).append(.standard, [entry])
    }

    /// Every kind of change there is to a workspace.
    private func changeEverything(_ mark: String) throws {
        try say("j\(mark)")
        let sessions = SessionStore(workspace: workspace)
        _ = try sessions.setTitle(.standard, mark, at: time)
        try sessions.reset(.standard, by: "r\(mark)", at: time)
        #expect(try MemoryStore(workspace: workspace).remember("fact \(mark)", on: time))
        try HistoryLog(workspace: workspace).append(
            HistoryEntry(id: mark, session: .standard, from: time, to: time, content: mark, isRaw: true))
        try workspace.appendUsage(["id": .string(mark)])
        try workspace.changeStanding { $0.plan = mark }
        let list = WatchlistChange(stocks: ["A\(mark)"])
        _ = try house.configs.updateWatchlist(workspace.user, list)
        _ = try WorkspaceFiles(workspace, allowedBytes: 0).write("data/\(mark).txt", [1]) { _ in }
    }

    /// All files a box shows, with those of hidden names below its folders.
    private func shownFiles() throws -> [String] {
        let shown = Set(try workspace.shownToCommands())
        return try workspace.directory.walk("", maxEntries: 10_000).entries
            .filter { $0.kind == .regular && shown.contains(String($0.path.prefix { $0 != "/" })) }.map(\.path)
    }

    @Test("a command that locks every file it can open stops nothing")
    func everythingLocked() throws {
        try changeEverything("1")
        // As other programs would, and an earlier version did.
        try workspace.directory.write("data/.hidden.lock", [])
        var held: [Int32] = []
        defer { for descriptor in held { files.closeQuietly(descriptor) } }
        for path in try shownFiles() {
            let descriptor = try files.open("\(workspace.path)/\(path)", [.read], mode: 0)
            #expect(try files.tryLock(descriptor, path: path), "\(path) is locked while nothing happens")
            held.append(descriptor)
        }
        #expect(held.count > 10)
        try LockWait(seconds: 0).bounding { try changeEverything("2") }
    }

    @Test("no lock is shown to a command: all are hidden files of the workspace's own folder")
    func locksAreHidden() throws {
        try changeEverything("1")
        let all = try workspace.directory.walk("", maxEntries: 10_000).entries.map(\.path)
        let locks = all.filter { $0.hasSuffix(".lock") }
        #expect(locks.count >= 6)
        #expect(Set(locks).isSubset(of: Workspace.Lock.allCases.map(\.rawValue)))
        #expect(Workspace.Lock.allCases.allSatisfy { $0.rawValue.hasPrefix(".") && !$0.rawValue.contains("/") })
        #expect(try workspace.shownToCommands().allSatisfy { !$0.hasPrefix(".") })
    }

    @Test("lock files that an earlier version left inside of folders are gone before a command runs; the rest stays")
    func formerLocks() throws {
        try changeEverything("1")
        let former = ["sessions/.lock", "sessions/.tasks.lock", "memory/.lock"]
        for path in former { try workspace.directory.append(path, []) }
        let before = try workspace.directory.walk("", maxEntries: 10_000).entries.count
        _ = try workspace.shownToCommands()
        #expect(former.allSatisfy { !workspace.directory.exists($0) })
        #expect(try workspace.directory.walk("", maxEntries: 10_000).entries.count == before - former.count)
        _ = try workspace.shownToCommands()
    }

    @Test("a lock that stays held is an error that can pass, with a code of its own", arguments: Workspace.Lock.allCases)
    func lockTimeout(_ lock: Workspace.Lock) throws {
        let descriptor = try files.open("\(workspace.path)/\(lock.rawValue)", [.read, .write, .create], mode: 0o600)
        defer { files.closeQuietly(descriptor) }
        #expect(try files.tryLock(descriptor, path: lock.rawValue))
        LockWait(seconds: 0).bounding {
            switch lock {
            case .sessions:
                let error = #expect(throws: AgentError.self) { try say("x") }
                #expect(error?.code == "lock_timeout" && error?.isRetryable == true)
            case .memory:
                let error = #expect(throws: AgentError.self) {
                    try MemoryStore(workspace: workspace).remember("x y", on: time)
                }
                #expect(error?.code == "lock_timeout" && error?.isRetryable == true)
            case .files:
                let error = #expect(throws: WorkspaceFileError.self) {
                    try WorkspaceFiles(workspace, allowedBytes: 0).write("data/x", [1]) { _ in }
                }
                #expect(error?.code == .lockTimeout)
            case .config:
                let error = #expect(throws: TenantError.self) {
                    try house.configs.updateWatchlist(workspace.user, WatchlistChange(stocks: ["A"]))
                }
                #expect(error?.code == .lockTimeout && error?.isPassing == true)
            case .account:
                let error = #expect(throws: TenantError.self) { try workspace.changeStanding { $0.plan = "x" } }
                #expect(error?.code == .lockTimeout)
            case .usage:
                let error = #expect(throws: TenantError.self) { try workspace.appendUsage(["id": "x"]) }
                #expect(error?.code == .lockTimeout)
            case .schedules, .tasks:
                let error = #expect(throws: FileError.self) { try workspace.withLock(lock) {} }
                #expect(error?.code == .busy)
            }
        }
    }
}
