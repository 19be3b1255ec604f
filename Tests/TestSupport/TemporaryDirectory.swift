// A fresh folder for one test, removed with the value.

import DurableFiles
import Foundation

public final class TemporaryDirectory: Sendable {
    public let path: String
    private let files = LinuxFileSystem()

    /// - Parameter inMemory: on tmpfs where the machine has it. For tests that stop a program at each of its file calls: what a
    ///   disk would lose is modelled by the file system they are given, and thousands of real syncs would only cost minutes.
    public init(inMemory: Bool = false) throws {
        path = "\(inMemory ? Self.memory : "/tmp")/nanobot-test-\(UInt64.random(in: 0 ... .max))"
        try files.makeDirectory(path, mode: 0o700)
    }

    private static let memory: String = {
        let folder = "/dev/shm"
        var space = statvfs()
        guard access(folder, W_OK) == 0, statvfs(folder, &space) == 0, space.f_bavail * space.f_frsize > 1 << 30 else { return "/tmp" }
        return folder
    }()

    deinit {
        // What cannot be removed is left for a person to look at.
        try? files.removeTree(path)
    }
}
