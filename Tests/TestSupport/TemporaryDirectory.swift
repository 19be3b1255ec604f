// A fresh folder for one test, removed with the value.

import DurableFiles
import Foundation

public final class TemporaryDirectory: Sendable {
    public let path: String
    private let files = LinuxFileSystem()

    public init() throws {
        path = "/tmp/nanobot-test-\(UInt64.random(in: 0 ... .max))"
        try files.makeDirectory(path, mode: 0o700)
    }

    deinit {
        // What cannot be removed is left in /tmp for a person to look at.
        try? files.removeTree(path)
    }
}
