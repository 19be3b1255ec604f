// What goes with a job that is removed, and what is never removed by mistake.

import DurableFiles
import Foundation
@testable import Spool
import TestSupport
import Testing
import TextFormats

@Suite struct RetentionTests {
    private func finish(_ fixture: SpoolFixture, _ payload: String, key: OrderKey? = SpoolFixture.key) throws -> JobID {
        let id = try fixture.spool.submit(fixture.submission(payload, key: key)).record.id
        _ = try claimFirst(fixture.spool) { try $0.complete(result: .null) }
        return id
    }

    private func hasOrder(_ fixture: SpoolFixture) throws -> Bool {
        try LinuxFileSystem().exists(fixture.spool.layout.orderPath(try #require(SpoolFixture.key)))
    }

    @Test("the order file of a session goes with its last job, and not before", arguments: Way.allCases)
    func orderFiles(_ way: Way) throws {
        let fixture = try SpoolFixture(way)
        _ = try finish(fixture, "old")
        fixture.clock.advance(by: 12 * 86_400)
        let recent = try finish(fixture, "recent")
        #expect(try fixture.spool.prune(olderThanDays: 10).jobs == 1)
        #expect(try hasOrder(fixture))
        fixture.clock.advance(by: 12 * 86_400)
        try LinuxFileSystem().remove(fixture.spool.layout.pruneMark)
        let pruned = try fixture.spool.prune(olderThanDays: 10)
        #expect(pruned.jobs == 1 && pruned.orderFiles == 1 && pruned.users == ["alice"])
        #expect(try !hasOrder(fixture))
        #expect(try fixture.spool.record(recent) == nil)
        // The session goes on as a new one.
        let next = try finish(fixture, "next")
        #expect(try fixture.spool.record(next)?.state == .completed)
    }

    @Test("an order file that an earlier version left is removed, one with a waiting job is not", arguments: [true, false])
    func leftOver(isWaiting: Bool) throws {
        let fixture = try SpoolFixture()
        let id = try finish(fixture, "old")
        try LinuxFileSystem().remove(fixture.spool.layout.statusPath(id))
        fixture.clock.advance(by: 20 * 86_400)
        if isWaiting { _ = try fixture.spool.submit(fixture.submission("waiting", key: SpoolFixture.key)) }
        #expect(try fixture.spool.pruneOrderFiles(olderThanDays: 10) == (isWaiting ? 0 : 1))
        #expect(try hasOrder(fixture) == isWaiting)
    }

    @Test("an id that is appended while its order file is being removed is in the new file")
    func race() throws {
        let fixture = try SpoolFixture()
        let files = LinuxFileSystem()
        let path = fixture.spool.layout.orderPath(try #require(SpoolFixture.key))
        _ = try finish(fixture, "old")
        let appender = try OrderFile.open(path, files)
        let runner = try OrderFile.open(path, files)
        let remover = try OrderFile.open(path, files)
        #expect(try remover.remove { _ in true })
        remover.close()
        let id = JobID.make(now: fixture.clock.now)
        try appender.admit(id)
        #expect(try OrderFile.open(path, files).live() == [id])
        // The run lock is taken on the new file too: nobody else gets it.
        #expect(try runner.takeRunLock())
        #expect(try !OrderFile.open(path, files).takeRunLock())
        #expect(try runner.live() == [id])
        // And the file of a job that runs is not removed.
        let other = try OrderFile.open(path, files)
        #expect(try !other.remove { _ in true })
    }

    @Test("cancel marks and finished job files go when the record of their job is gone")
    func marks() throws {
        let fixture = try SpoolFixture()
        let id = try finish(fixture, "old")
        let layout = fixture.spool.layout
        let mark = layout.cancelMark(id, run: 1)
        try LinuxFileSystem().create(mark, [], mode: 0o640, sync: false)
        fixture.clock.advance(by: 9 * 86_400)
        _ = try fixture.spool.prune(olderThanDays: 10)
        #expect(try LinuxFileSystem().exists(mark))
        try LinuxFileSystem().remove(layout.statusPath(id))
        try LinuxFileSystem().remove(layout.pruneMark)
        fixture.clock.advance(by: 9 * 86_400)
        _ = try fixture.spool.prune(olderThanDays: 10)
        #expect(try !LinuxFileSystem().exists(mark))
        #expect(try LinuxFileSystem().list(layout.path(.done)).isEmpty)
    }

    @Test("temporary files a crash left are swept wherever they are written, younger ones stay")
    func temporaries() throws {
        let fixture = try SpoolFixture()
        let layout = fixture.spool.layout
        _ = try fixture.spool.submit(fixture.submission(key: SpoolFixture.key))
        try LinuxFileSystem().makeDirectory(layout.path(.keys, "ab"), mode: 0o750)
        let order = layout.orderPath(try #require(SpoolFixture.key))
        let folders = [Folder.queued, .receipts, .rejected, .control, .keys, .tmp].map { layout.path($0) } + [
            layout.path(.keys, "ab"), layout.cancelFolder, PathParts.split(order).folder,
        ]
        let left = folders.map { "\($0)/\(TemporaryNames.next(for: "left"))" }
        for path in left { try LinuxFileSystem().create(path, [1], mode: 0o640, sync: false) }
        fixture.clock.set(Date())
        try fixture.spool.sweepTemporaries()
        for path in left { #expect(try LinuxFileSystem().exists(path)) }
        fixture.clock.set(Date(timeIntervalSinceNow: 2 * 86_400))
        try fixture.spool.sweepTemporaries()
        for path in left { #expect(try !LinuxFileSystem().exists(path), "\(path)") }
    }
}
