// Trees that are deeper than any path is long: walked through, listed, opened, removed.

import Foundation
import TestSupport
import Testing

@testable import DurableFiles

@Suite struct FolderWalkTests {
    private let folder: TemporaryDirectory
    private let files = FaultyFileSystem()
    private let sealed: SealedDirectory

    init() throws {
        folder = try TemporaryDirectory(inMemory: true)
        sealed = try SealedDirectory(path: folder.path, files: files)
    }

    /// A file "leaf" below `depth` folders "d".
    private func nest(_ depth: Int, in start: String = "") throws {
        let cursor = try sealed.cursor(start)
        for _ in 0..<depth { try cursor.enter("d", creating: true) }
        files.closeQuietly(try cursor.open("leaf", [.write, .create]))
        #expect(cursor.depth == depth)
        for _ in 0..<depth { try cursor.leave() }
        #expect(cursor.path.isEmpty)
    }

    private func count(_ walk: FolderWalk) throws -> (entries: Int, depth: Int) {
        var (entries, depth) = (0, 0)
        while let step = try walk.next() {
            guard case .entry = step else { continue }
            entries += 1
            depth = max(depth, walk.cursor.depth)
        }
        return (entries, depth)
    }

    @Test("a walk sees every folder of a tree that no path can name, with ten descriptors")
    func deep() throws {
        try nest(3_000)
        let before = files.openCount
        let walk = try FolderWalk(try sealed.cursor())
        var most = 0
        var entries = 0
        while let step = try walk.next() {
            if case .entry = step { entries += 1 }
            most = max(most, files.openCount - before)
        }
        #expect(entries == 3_001)
        #expect(walk.isComplete)
        #expect(most <= 11)
        #expect(try sealed.list("").map(\.name) == ["d"])
        let findings = try sealed.walk("", maxEntries: 100_000)
        #expect(!findings.isComplete)
        #expect(findings.entries.allSatisfy { $0.path.utf8.count <= 4_095 })
    }

    @Test("a path longer than the kernel takes opens what it names")
    func longPath() throws {
        try nest(3_000)
        let way = Array(repeating: "d", count: 3_000).joined(separator: "/")
        #expect(try sealed.status(way + "/leaf").kind == .regular)
        #expect(try sealed.list(way).map(\.name) == ["leaf"])
        try sealed.write(way + "/leaf", Array("text".utf8))
        #expect(try sealed.read(way + "/leaf") == Array("text".utf8))
        #expect(throws: FileError.self) { try sealed.read(way + "/../leaf") }
    }

    @Test("a removal takes a tree of any depth, stops where it is cancelled, and is finished by the next", arguments: [0, 1, 300])
    func removal(_ steps: Int) throws {
        try nest(3_000)
        try nest(3, in: "d/d")
        var left = steps
        let isDone = try sealed.removeTree("d") {
            left -= 1
            return left < 0
        }
        #expect(!isDone)
        #expect(sealed.exists("d"))
        #expect(try sealed.removeTree("d"))
        #expect(try sealed.list("").isEmpty)
        #expect(try sealed.removeTree("d"), "nothing there is no error")
        #expect(try sealed.removeTree("no/such/folder"))
    }

    @Test("a removal does not follow links, and takes nothing beside the folder")
    func removalOfLinks() throws {
        try nest(1, in: "")
        for name in ["kept", "doomed"] { try sealed.makeDirectory(name) }
        try sealed.write("kept/file", [1])
        try #require(symlink("\(folder.path)/kept", "\(folder.path)/doomed/link") == 0)
        try #require(symlink("kept", "\(folder.path)/link") == 0)
        #expect(try sealed.removeTree("doomed"))
        #expect(try sealed.removeTree("link"))
        #expect(try sealed.list("").map(\.name) == ["d", "kept"])
        #expect(try sealed.read("kept/file") == [1])
        #expect(throws: FileError.self) { try sealed.removeTree("../x") }
        #expect(throws: FileError.self) { try sealed.removeTree("") }
    }

    @Test("what was made unreadable is left out of a walk that says so, and made readable by one that mends")
    func mending() throws {
        try nest(2)
        try sealed.makeDirectory("x")
        let raw = Array("\(folder.path)/x/".utf8).map { CChar(bitPattern: $0) } + [CChar(bitPattern: 0xFF), 0]
        try #require(mkdir(raw, 0o700) == 0)
        let plain = try FolderWalk(try sealed.cursor())
        _ = try count(plain)
        #expect(!plain.isComplete)
        let mending = try FolderWalk(try sealed.cursor(), mending: true)
        #expect(try count(mending).entries == 5)
        #expect(mending.isComplete)
        try #require(chmod("\(folder.path)/d", 0) == 0)
        #expect(try count(FolderWalk(try sealed.cursor(), mending: true)).entries == 5)
        #expect(try sealed.status("d").mode & 0o700 == 0o700)
    }

    @Test("a cursor enters nothing but a folder of the current one")
    func entering() throws {
        try nest(1)
        try #require(symlink("d", "\(folder.path)/link") == 0)
        let cursor = try sealed.cursor()
        for name in ["", ".", "..", "d/..", "/", "link", "leaf", "none"] {
            #expect(throws: FileError.self, "\(name)") { try cursor.enter(name) }
        }
        #expect(cursor.depth == 0)
    }

    @Test("a cursor whose folder was moved away does not come out elsewhere")
    func moved() throws {
        try nest(30)
        try sealed.makeDirectory("elsewhere")
        let cursor = try sealed.cursor()
        for _ in 0..<30 { try cursor.enter("d") }
        // The folder at depth 5 goes; those above depth 22 are closed.
        let way = Array(repeating: "d", count: 5).joined(separator: "/")
        try sealed.rename(way, "elsewhere/d")
        for _ in 0..<25 { try cursor.leave() }
        #expect(throws: FileError.self) { try cursor.leave() }
    }
}
