// A root for workspaces in a folder of its own, with a clock and random numbers that a test can foresee.
import DurableFiles
import Foundation
import Synchronization
import TestSupport

@testable import Tenants

final class TenantHouse: Sendable {
    let root: String
    private let folder: TemporaryDirectory
    private let clock = ManualClock()
    private let number = Atomic<UInt64>(0xA000_0000_0000_0000)

    init() throws {
        folder = try TemporaryDirectory(inMemory: true)
        root = "\(folder.path)/workspaces"
    }

    func advance(_ seconds: TimeInterval) { clock.advance(by: seconds) }

    /// As a separate process would have: nothing is shared but the folder.
    func manager(files: any FileSystem = LinuxFileSystem()) -> WorkspaceManager {
        WorkspaceManager(
            root: root, files: files, defaultTimeZone: "Asia/Shanghai", now: clock.read,
            random: { [self] in number.wrappingAdd(1, ordering: .relaxed).newValue },
            isKnownTimeZone: { ["UTC", "Asia/Shanghai", "America/New_York"].contains($0) })
    }

    /// Names in the root, hidden ones too.
    func names() throws -> [String] {
        try LinuxFileSystem().exists(root) ? LinuxFileSystem().list(root).map(\.name).sorted() : []
    }

    func text(_ path: String) throws -> String {
        String(decoding: try LinuxFileSystem().readFile("\(root)/\(path)"), as: UTF8.self)
    }

    func overwrite(_ path: String, _ text: String) throws {
        try LinuxFileSystem().replaceFile("\(root)/\(path)", Array(text.utf8))
    }
}

/// Runs `body` on `count` real threads at once and waits for all of them.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws {
    let failure = Mutex<(any Error)?>(nil)
    let group = DispatchGroup()
    for index in 0..<count {
        group.enter()
        Thread.detachNewThread {
            do { try body(index) } catch { failure.withLock { $0 = error } }
            group.leave()
        }
    }
    group.wait()
    if let error = failure.withLock({ $0 }) { throw error }
}

func user(_ name: String) throws -> UserID { try UserID(name) }
