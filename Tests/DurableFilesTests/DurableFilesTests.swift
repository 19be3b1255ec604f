@testable import DurableFiles
import Foundation
import Synchronization
import TestSupport
import Testing

@Suite struct DurableFilesTests {
    private let files = LinuxFileSystem()

    @Test("a replaced file holds the old or the new content, whichever call fails")
    func replaceIsAtomic() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let path = folder.path + "/config"
        try files.createFile(path, Array("old".utf8))
        let faulty = FaultyFileSystem()
        try faulty.replaceFile(path, Array("old".utf8))
        let calls = faulty.calls
        for call in 1...calls {
            for fault in [
                FaultyFileSystem.Fault.stop(call: call), .fail(call: call, errno: 28), .shortWrite(call: call),
            ] {
                try files.replaceFile(path, Array("old".utf8))
                faulty.set(fault)
                let worked = (try? faulty.replaceFile(path, Array("new!".utf8))) != nil
                faulty.crash()
                let content = String(decoding: try files.readFile(path), as: UTF8.self)
                #expect(content == "new!" || (content == "old" && !worked), "call \(call): \(content)")
            }
        }
    }

    @Test("a write that goes on ends with the bytes in the file, or with an error")
    func syncedWrites() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let path = folder.path + "/log"
        try files.createFile(path, [UInt8](repeating: 0, count: 8_192))
        let bytes = [UInt8](repeating: 7, count: 4_096)
        let descriptor = try files.open(path, [.read, .write])
        defer { files.closeQuietly(descriptor) }
        // Two at once, ended the other way round.
        try bytes.withUnsafeBytes { buffer in
            let first = try files.beginSyncedWrite(descriptor, buffer, at: 0, path: path)
            let second = try files.beginSyncedWrite(descriptor, buffer, at: 4_096, path: path)
            try files.endSyncedWrite(second, path: path)
            try files.endSyncedWrite(first, path: path)
        }
        #expect(try files.readFile(path) == bytes + bytes)
        let readOnly = try files.open(path, [.read])
        defer { files.closeQuietly(readOnly) }
        #expect(throws: FileError.self) {
            try bytes.withUnsafeBytes { try files.endSyncedWrite(try files.beginSyncedWrite(readOnly, $0, at: 0, path: path), path: path) }
        }
        // The queue of a write that failed is one to be used again.
        try bytes.withUnsafeBytes { buffer in
            try files.endSyncedWrite(try files.beginSyncedWrite(descriptor, buffer, at: 0, path: path), path: path)
        }
    }

    @Test("creating refuses a name that is taken; reading refuses what is too large, a folder, a link")
    func refusals() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let path = folder.path + "/a"
        try files.createFile(path, [1, 2, 3])
        #expect(throws: FileError.self) { try files.createFile(path, []) }
        #expect(try files.readFile(path) == [1, 2, 3])
        #expect(throws: FileError.self) { try files.readFile(path, maxBytes: 2) }
        #expect(throws: FileError.self) { try files.readFile(folder.path) }
        #expect(try files.list(folder.path).map(\.name) == ["a"])
    }

    @Test("locks exclude two opens of one file, and go with the descriptor")
    func locks() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let path = folder.path + "/lock"
        let first = try files.open(path, [.readWrite, .create])
        let second = try files.open(path, .readWrite)
        #expect(try files.tryLock(first, path: path))
        #expect(try !files.tryLock(second, path: path))
        #expect(try files.tryLockRange(first, start: 0, length: 1, path: path))
        #expect(try files.tryLockRange(second, start: 1, length: 1, path: path))
        #expect(try !files.tryLockRange(second, start: 0, length: 1, path: path))
        try files.close(first, path: path)
        #expect(try files.tryLock(second, path: path))
        #expect(try files.tryLockRange(second, start: 0, length: 1, path: path))
        try files.close(second, path: path)
    }
}

@Suite struct SealedDirectoryTests {
    private let files = LinuxFileSystem()

    @Test(
        "paths that lead out, through links, or are no paths are refused, for every operation",
        arguments: [
            "../secret", "a/../../secret", "/etc/passwd", "..", "a/..", "link", "link/x", "inner/up/secret", "x\0y",
            "/proc/self/root", String(repeating: "a", count: 300),
        ])
    func escapes(_ path: String) throws {
        let folder = try TemporaryDirectory(inMemory: true)
        try files.makeDirectory(folder.path + "/inside", mode: 0o700)
        try files.createFile(folder.path + "/secret", Array("secret".utf8))
        try files.makeDirectory(folder.path + "/inside/inner", mode: 0o700)
        try link(to: "../secret", at: folder.path + "/inside/link")
        try link(to: "../..", at: folder.path + "/inside/inner/up")
        let sealed = try SealedDirectory(path: folder.path + "/inside")
        #expect(throws: FileError.self) { try sealed.read(path) }
        #expect(throws: FileError.self) { try sealed.write(path, [1]) }
        #expect(throws: FileError.self) { try sealed.append(path, [1]) }
        #expect(!sealed.exists(path))
        #expect(throws: FileError.self) { try sealed.rename("inner", path + "/moved") }
        #expect(String(decoding: try files.readFile(folder.path + "/secret"), as: UTF8.self) == "secret")
        #expect(Set(try files.list(folder.path).map(\.name)) == ["inside", "secret"])
    }

    private func link(to target: String, at path: String) throws {
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: target)
    }

    @Test("files are written with their folders, listed, walked, renamed and removed")
    func ordinaryUse() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let sealed = try SealedDirectory(path: folder.path)
        try sealed.write("a/b/c.txt", Array("hello".utf8))
        try sealed.append("a/log", Array("1\n".utf8))
        try sealed.append("a/log", Array("2\n".utf8), durable: false)
        #expect(String(decoding: try sealed.read("./a//log"), as: UTF8.self) == "1\n2\n")
        #expect(try sealed.read("a/b/c.txt", from: 1, count: 3) == Array("ell".utf8))
        #expect(try sealed.list("a").map(\.path) == ["a/b", "a/log"])
        #expect(try sealed.walk("", maxEntries: 10).entries.map(\.path) == ["a", "a/b", "a/log", "a/b/c.txt"])
        #expect(try sealed.walk("", maxEntries: 2).entries.count == 2)
        try sealed.rename("a/log", "x/log")
        #expect(sealed.exists("x/log"))
        #expect(throws: FileError.self) { try sealed.remove("a") }
        try sealed.remove("a/b/c.txt")
        try sealed.remove("a/b")
        #expect(try sealed.list("a").isEmpty)
        #expect(throws: FileError.self) { try sealed.write("x", [1]) }
    }

    @Test("a lock file excludes threads, so that no read-modify-write is lost")
    func lockExcludes() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let sealed = try SealedDirectory(path: folder.path)
        try sealed.write("n", Array("0".utf8))
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            for _ in 0..<20 {
                do {
                    try sealed.withLock(".lock") {
                        let n = Int(String(decoding: try sealed.read("n"), as: UTF8.self)) ?? -1
                        try sealed.write("n", Array(String(n + 1).utf8))
                    }
                } catch {
                    Issue.record("\(error)")
                }
            }
        }
        #expect(String(decoding: try sealed.read("n"), as: UTF8.self) == "160")
    }
}

@Suite struct FolderTests {
    @Test("a folder that cannot be made although its parent is there is an error, not an endless try")
    func impossibleFolder() {
        #expect(throws: FileError.self) { try LinuxFileSystem().ensureDirectory("/proc/no-such-folder") }
    }

    @Test("a path is resolved through links in front of it, and nothing is no path")
    func realPaths() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        try LinuxFileSystem().makeDirectory(folder.path + "/real", mode: 0o700)
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/link", withDestinationPath: folder.path + "/real")
        #expect(RealPath.of(folder.path + "/link") == RealPath.of(folder.path + "/real"))
        #expect(RealPath.of(folder.path + "/nothing") == nil)
    }
}

@Suite struct DirectoryWatchTests {
    @Test("a file moved in is heard, and a wake-up ends the wait")
    func hears() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let files = LinuxFileSystem()
        let watch = try DirectoryWatch()
        let number = try watch.add(folder.path, [.movedIn, .closedWrite])
        try files.replaceFile(folder.path + "/x", [1])
        var names: Set<String> = []
        while !names.contains("x") {
            for event in try watch.wait(timeout: nil) where event.watch == number { names.insert(event.name ?? "") }
        }
        watch.wake()
        #expect(try watch.wait(timeout: nil).isEmpty)
    }

    @Test("where the system has no inotify instance left a watch is blind: it can be woken, and nothing can be added")
    func blind() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let watch = try DirectoryWatch(instance: {
            errno = EMFILE
            return -1
        })
        #expect(watch.blindness?.code == .tooManyOpenFiles)
        #expect(throws: FileError.self) { try watch.add(folder.path, [.movedIn]) }
        watch.remove(1)
        watch.wake()
        #expect(try watch.wait(timeout: nil).isEmpty)
    }

    @Test("a tree deeper than any path, with names that are no text, is removed whole")
    func deepTrees() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let files = LinuxFileSystem()
        let root = folder.path + "/tree"
        try files.makeDirectory(root, mode: 0o700)
        var current = try files.open(root, [.read, .directory])
        let name = String(repeating: "n", count: 200)
        for number in 0..<60 {
            try files.makeDirectory(in: current, name, mode: 0o700)
            let file = try files.openBeneath(current, "file \(number)", [.write, .create], mode: 0o600)
            files.closeQuietly(file)
            let next = try files.openBeneath(current, name, [.read, .directory], mode: 0)
            files.closeQuietly(current)
            current = next
        }
        let raw: [UInt8] = Array("/proc/self/fd/\(current)/bad ".utf8) + [0xFF, 0]
        let made = raw.withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { mkdir($0.baseAddress!, 0o700) }
        }
        #expect(made == 0)
        files.closeQuietly(current)
        let sealed = try SealedDirectory(path: root)
        #expect(try !sealed.walk("", maxEntries: 1_000).isComplete)
        try files.removeTree(root)
        #expect(try !files.exists(root))
    }

    @Test("what is named so that nobody can list it is counted as missing, and found once it is mended")
    func mending() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let raw: [UInt8] = Array("\(folder.path)/x".utf8) + [0xFF, 0]
        let descriptor = raw.withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { creat($0.baseAddress!, 0o600) }
        }
        #expect(descriptor >= 0)
        close(descriptor)
        let sealed = try SealedDirectory(path: folder.path)
        #expect(try !sealed.walk("", maxEntries: 10).isComplete)
        let found = try sealed.walk("", maxEntries: 10, mending: true)
        #expect(found.isComplete)
        #expect(found.entries.count == 1)
    }

    @Test("a folder whose owner has taken rights from himself gets them back when it is mended", arguments: [0o400, 0o500, 0o600, 0])
    func takenRights(mode: UInt32) throws {
        let files = LinuxFileSystem()
        let folder = try TemporaryDirectory(inMemory: true)
        try files.makeDirectory(folder.path + "/d", mode: 0o700)
        try files.createFile(folder.path + "/d/x", [1])
        try files.setMode(folder.path + "/d", mode)
        let found = try SealedDirectory(path: folder.path).walk("", maxEntries: 10, mending: true)
        #expect(found.isComplete)
        #expect(found.entries.map(\.path) == ["d", "d/x"])
        #expect(try files.status(folder.path + "/d").mode & 0o777 == 0o700)
    }
}
