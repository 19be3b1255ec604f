// Readiness: whether an admission would succeed, found out without leaving anything behind.

import DurableFiles
import Foundation
@testable import Spool
import TestSupport
import Testing

@Suite struct SpoolProbeTests {
    @Test(
        "a disk that refuses what an admission does is not ready, the step is named, and it is ready again afterwards",
        arguments: [
            ("open", "make a file in tmp/"), ("flock", "lock a file"), ("lock range", "lock a file"),
            ("write", "write a file"), ("fdatasync", "sync a file"), ("fsync", "sync a file"),
            ("rename", "move a file into queued/"), ("statvfs", "be asked for its room"), ("ftruncate", "write a file"),
        ], [Way.files, .log])
    func refuses(_ call: (operation: String, step: String), _ way: Way) throws {
        let fixture = try SpoolFixture(way)
        let probe = SpoolProbe(fixture.spool)
        try probe.run()
        fixture.files.set(.failAlways("\(call.operation) \(fixture.spool.layout.root)"))
        let error = #expect(throws: SpoolError.self) { try probe.run() }
        #expect(error?.detail.contains(call.step) == true, "\(error?.detail ?? "")")
        fixture.files.set(.none)
        try probe.run()
        probe.end()
        #expect(try litter(fixture) == [])
    }

    @Test("each folder an admission writes to is tried", arguments: ["queued", "status", "order", "keys"])
    func folders(_ folder: String) throws {
        let fixture = try SpoolFixture()
        let probe = SpoolProbe(fixture.spool)
        fixture.files.set(.failAlways("fsync \(fixture.spool.layout.root)/\(folder)"))
        let error = #expect(throws: SpoolError.self) { try probe.run() }
        #expect(error?.detail.contains("\(folder)/") == true)
        fixture.files.set(.none)
        try probe.run()
    }

    @Test("a probe makes no file but its first, frees none, and leaves queued/ and the log as they were", arguments: [Way.files, .log])
    func cheap(_ way: Way) throws {
        let fixture = try SpoolFixture(way)
        let probe = SpoolProbe(fixture.spool)
        try probe.run()
        let before = try litter(fixture)
        #expect(before.count == 1)
        let inode = try LinuxFileSystem().status(before[0]).inode
        fixture.files.set(.none)
        for _ in 0..<3 { try probe.run() }
        #expect(!fixture.files.log.contains { $0.hasPrefix("unlink") || $0.hasPrefix("mkdir \(before[0])") })
        #expect(try litter(fixture) == before)
        #expect(try LinuxFileSystem().status(before[0]).inode == inode)
        #expect(try fixture.spool.names(in: .queued).isEmpty && fixture.spool.foreignFiles().isEmpty)
        // Nothing of it has to be checkpointed or replayed.
        #expect(fixture.spool.log?.condition.withLock { fixture.spool.log?.state.firstCommit == nil } ?? true)
        fixture.files.crash()
        #expect(try fixture.another().replayed.jobs == 0)
    }

    @Test("a job that is committed after probes is found by a replay, and the log is not taken for damaged")
    func logStaysWhole() throws {
        let fixture = try SpoolFixture(.log)
        let probe = SpoolProbe(fixture.spool)
        var jobs: [JobID] = []
        for number in 0..<12 {
            try probe.run()
            jobs.append(try fixture.spool.submit(fixture.submission("\(number)")).record.id)
        }
        try probe.run()
        fixture.files.crash()
        let replayed = try fixture.another().replayed
        #expect(replayed.jobs == jobs.count && replayed.corrupt.isEmpty)
    }

    @Test("a log that refuses is no reason to say no, since files are synced one by one then; both refusing is")
    func logRefuses() throws {
        let fixture = try SpoolFixture(.log)
        let probe = SpoolProbe(fixture.spool)
        try probe.run()
        fixture.files.set(.failAlways("fdatasync \(fixture.spool.layout.path(.log))"))
        try probe.run()
        _ = try fixture.spool.submit(fixture.submission())
        fixture.files.set(.failAlways("fdatasync"))
        #expect(throws: SpoolError.self) { try probe.run() }
        #expect(throws: SpoolError.self) { _ = try fixture.spool.submit(fixture.submission("no")) }
    }

    /// Probe files anywhere in the spool.
    private func litter(_ fixture: SpoolFixture) throws -> [String] {
        var found: [String] = []
        for folder in Folder.allCases {
            let path = fixture.spool.layout.path(folder)
            found += try LinuxFileSystem().list(path).filter { $0.name.contains("ready") }.map { "\(path)/\($0.name)" }
        }
        return found
    }
}
