// Something that is none of ours in any place of a spool: the start, scans and other jobs go on, and nothing is lost.

import DurableFiles
import Foundation
@testable import Spool
import TestSupport
import Testing
import TextFormats

@Suite struct WrongKindTests {
    /// A place of the spool, and what is done there first.
    enum Place: String, CaseIterable {
        case topFolder, statusDay, statusShard, statusFile, queuedFile, runningFile, doneDay, orderShard, orderFile
        case suspect, paused, hold, pruned, cancelFolder, erasedFolder, erasedNote, cancelMark, startsFolder, tmpFile
        case logEntry, logLock, logSegment, replayLock
    }

    private static let table: [(Place, WrongKind)] = Place.allCases.flatMap { place in
        WrongKind.allCases.map { (place, $0) }
    }

    @Test("whatever stands in a place of the spool, it opens, other jobs run, and pruning goes on", arguments: table)
    func place(_ place: Place, _ kind: WrongKind) throws {
        let fixture = try SpoolFixture()
        let files = LinuxFileSystem()
        let layout = fixture.spool.layout
        let victim = fixture.submission("victim", key: SpoolFixture.key)
        _ = try fixture.spool.submit(victim)
        if place == .runningFile { try fixture.claimAndDie() }
        for path in paths(place, layout, victim, try #require(SpoolFixture.key)) {
            try? files.removeTree(path)
            try files.ensureDirectory(PathParts.split(path).folder, mode: 0o750)
            try kind.make(at: path)
        }
        try afterwards(fixture, victim, .files, "\(place) \(kind)")
        try afterwards(fixture, victim, .sharedLog, "\(place) \(kind), with a log")
    }

    private func paths(_ place: Place, _ layout: SpoolLayout, _ victim: Submission, _ key: OrderKey) -> [String] {
        let id = victim.id
        var claimed = victim.fileName
        claimed.isFinishing = false
        switch place {
        case .topFolder: return [Folder.receipts, .done, .order, .keys, .tmp, .rejected, .admitting].map { layout.path($0) }
        case .statusDay: return [PathParts.split(layout.statusFolder(id)).folder]
        case .statusShard: return [layout.statusFolder(id)]
        case .statusFile: return [layout.statusPath(id)]
        case .queuedFile: return [layout.path(.queued, victim.fileName)]
        case .runningFile: return [layout.path(.running, claimed)]
        case .doneDay: return [PathParts.split(layout.doneFolder(id)).folder]
        case .orderShard: return [PathParts.split(layout.orderPath(key)).folder]
        case .orderFile: return [layout.orderPath(key)]
        case .suspect: return [layout.suspectLock]
        case .paused: return [layout.pauseMark]
        case .hold: return [layout.path(.control, "hold-offline")]
        case .pruned: return [layout.pruneMark]
        case .cancelFolder: return [layout.cancelFolder]
        case .erasedFolder: return [layout.erasedFolder]
        case .erasedNote: return [layout.erasedFolder + "/alice"]
        case .cancelMark: return [layout.cancelMark(JobID.make(now: Date()), run: 1)]
        case .startsFolder: return [layout.startsFolder]
        case .tmpFile: return [layout.path(.tmp, "\(id).json")]
        case .logEntry: return [layout.path(.log, "01a00000-0000-7000-8000-000000000000")]
        case .logLock: return [layout.path(.log, "01a00000-0000-7000-8000-000000000000/lock")]
        case .logSegment: return [layout.path(.log, "01a00000-0000-7000-8000-000000000000/1.wal")]
        case .replayLock: return [layout.replayLock]
        }
    }

    private func afterwards(
        _ fixture: SpoolFixture, _ victim: Submission, _ durability: JobSpool.Durability, _ context: String
    ) throws {
        let context = Comment(rawValue: context)
        let spool = try JobSpool(root: fixture.spool.layout.root, durability: durability, now: fixture.clock.read)
        try spool.resume()
        _ = try spool.recordStart()
        try spool.hold("offline", until: fixture.clock.now.addingTimeInterval(1))
        fixture.clock.advance(by: 2)
        #expect(try spool.recoverOrphans().failures.isEmpty, context)
        // Another of the same session, one of another, and one that is cancelled.
        let follower = fixture.submission("follower", key: SpoolFixture.key)
        let other = fixture.submission("other", user: "bob")
        let cancelled = fixture.submission("cancelled", user: "carol")
        for one in [follower, other, cancelled] { _ = try spool.submit(one) }
        #expect(try spool.cancel(cancelled.id).state == .cancelled, context)
        var rounds = 0
        while rounds < 20, try claimFirst(spool, { try $0.complete(result: .null) }) != "nothing" { rounds += 1 }
        for one in [follower, other] { #expect(try spool.record(one.id)?.state == .completed, context) }
        #expect(try fixture.places(victim.id, in: spool).allSatisfy { $0 == "done" || $0 == "dead" }, context)
        #expect(try spool.names(in: .queued).isEmpty && spool.names(in: .running).isEmpty, context)
        #expect(try spool.cancelRequests().count <= 1 && spool.holds().isEmpty, context)
        fixture.clock.advance(by: 0.5)
        _ = try spool.prune(olderThanDays: 10)
        _ = try spool.pruneOrderFiles(olderThanDays: 10)
        try spool.sweepTemporaries()
        #expect(try spool.erase(user: "carol") == 0, context)
        try SpoolProbe(spool).run()
        try spool.close()
    }

    @Test("a folder in the place of a queued job goes to dead/ and no longer holds up its session")
    func blocksNobody() throws {
        let fixture = try SpoolFixture()
        let head = fixture.submission("head", key: SpoolFixture.key)
        _ = try fixture.spool.submit(head)
        let follower = fixture.submission("follower", key: SpoolFixture.key)
        _ = try fixture.spool.submit(follower)
        let path = fixture.spool.layout.path(.queued, head.fileName)
        try LinuxFileSystem().remove(path)
        try WrongKind.folder.make(at: path)
        #expect(try claimFirst(fixture.spool) { try $0.complete(result: .null) } == "finished")
        #expect(try claimFirst(fixture.spool) { try $0.complete(result: .null) } == "claimed")
        #expect(try fixture.spool.record(follower.id)?.state == .completed)
        let record = try #require(try fixture.spool.record(head.id))
        #expect(record.error?.code == "invalid_job")
        #expect(try LinuxFileSystem().list(fixture.spool.layout.path(.dead)).map(\.kind) == [.directory])
    }

    @Test("a link to a folder in the place of one of the spool's stops the start, and says where: its data must not vanish")
    func linkToFolder() throws {
        let fixture = try SpoolFixture()
        let done = fixture.spool.layout.path(.done)
        try LinuxFileSystem().rename(done, fixture.folder.path + "/elsewhere")
        #expect(symlink(fixture.folder.path + "/elsewhere", done) == 0)
        let error = #expect(throws: SpoolError.self) { _ = try fixture.another() }
        #expect(error?.detail.contains(done) == true)
    }

    @Test("what was set aside is told once, and lies in aside/ with all that was in it")
    func setAside() throws {
        let fixture = try SpoolFixture()
        let layout = fixture.spool.layout
        let told = Told()
        fixture.spool.onSetAside { told.add($0) }
        let submission = fixture.submission()
        _ = try fixture.spool.submit(submission)
        try LinuxFileSystem().remove(layout.statusPath(submission.id))
        try WrongKind.fullFolder.make(at: layout.statusPath(submission.id))
        #expect(try fixture.spool.record(submission.id) == nil)
        #expect(try claimFirst(fixture.spool) { try $0.complete(result: .null) } == "claimed")
        let found = try #require(told.all.first)
        #expect(told.all.count == 1)
        #expect(found.place == layout.relativeStatusPath(submission.id) && found.kind == .directory)
        #expect(try LinuxFileSystem().list(found.path).map(\.name) == ["inside"])
        #expect(try fixture.another().setAsideAtStart.isEmpty)
    }
}

private final class Told: @unchecked Sendable {
    private let lock = NSLock()
    /// Guarded by `lock`.
    private var found: [SetAside] = []
    func add(_ one: SetAside) { lock.withLock { found.append(one) } }
    var all: [SetAside] { lock.withLock { found } }
}
