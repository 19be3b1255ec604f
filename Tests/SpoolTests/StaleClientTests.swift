// Two hosts on one spool, one of them seeing what was there a second ago: whatever the other has done meanwhile, no job
// ends twice, none is in two places, and none is lost.

import DurableFiles
import Foundation
@testable import Spool
import TestSupport
import TextFormats
import Testing

@Suite struct StaleClientTests {
    /// What the other host does with the job while we believe in the past.
    enum Meanwhile: String, CaseIterable {
        case completes, buries, retries, releases, holds, cancels, dies, diesAfterAStep, diesTwice, goesOnWithAnOrphan
        case endsAnOrphan, countsAnOrphanAndDies, endsAnOrphanAndRetries
    }

    @Test("a host that sees an old spool neither ends a job twice nor loses it", arguments: Meanwhile.allCases)
    func anOldView(_ meanwhile: Meanwhile) throws {
        for act in ["claims", "recovers", "cancels", "everything"] {
            let fixture = try SpoolFixture()
            let record = try fixture.spool.submit(fixture.submission(key: SpoolFixture.key)).record
            let isOrphan = meanwhile.rawValue.contains("Orphan")
            if isOrphan { try fixture.claimAndDie() }
            let old = StaleFileSystem()
            let here = try JobSpool(root: fixture.spool.layout.root, files: old, now: fixture.clock.read)
            try old.remember(fixture.spool.layout.root)

            try does(meanwhile, fixture)
            let states = try fixture.finalLines(record.id).map(\.state)
            let lines = try fixture.spool.lines(record.id, from: 0, epoch: nil)?.lines.count
            try acts(act, here, record.id)

            let found = try fixture.finalLines(record.id)
            #expect(found.count <= 1, "\(meanwhile), then \(act)")
            #expect(try fixture.places(record.id).count == 1, "\(meanwhile), then \(act)")
            if !states.isEmpty {
                #expect(found.map(\.state) == states)
                #expect(try fixture.spool.lines(record.id, from: 0, epoch: nil)?.lines.count == lines, "\(act)")
            }
            // A fresh look, and the job goes on to its one end.
            let later = try fixture.another()
            _ = try later.recoverOrphans()
            _ = try claimFirst(later) { try $0.complete(result: [:]) }
            #expect(try fixture.finalLines(record.id).count == 1, "\(meanwhile), then \(act)")
            #expect(try fixture.places(record.id).count == 1)
        }
    }

    private func acts(_ act: String, _ spool: JobSpool, _ id: JobID) throws {
        if act == "claims" || act == "everything" {
            _ = try claimFirst(spool) { try $0.complete(result: ["by": "the one behind"]) }
        }
        if act == "recovers" || act == "everything" { #expect(try spool.recoverOrphans().failures.isEmpty) }
        if act == "cancels" || act == "everything" {
            do throws(SpoolError) {
                _ = try spool.cancel(id)
            } catch {
                #expect(error.code == .state || error.code == .takenOver, "\(error)")
            }
        }
    }

    private func does(_ meanwhile: Meanwhile, _ fixture: SpoolFixture) throws {
        let spool = fixture.spool
        let failure = JobFailure(code: "model", detail: "no", isRetryable: true)
        let now = fixture.clock.now
        func claim(_ body: (consuming Claim) throws -> Void) throws {
            #expect(try claimFirst(spool, body) == "claimed")
        }
        switch meanwhile {
        case .completes: try claim { try $0.complete(result: ["by": "the other"]) }
        case .buries: try claim { try $0.bury(failure) }
        case .retries: try claim { try $0.retry(failure, due: now) }
        case .releases: try claim { try $0.release("drain") }
        case .holds: try claim { try $0.hold(until: now, failure) }
        case .cancels: _ = try spool.cancel(try #require(try spool.names(in: .queued).first).id)
        case .dies: try fixture.claimAndDie()
        case .diesAfterAStep: try fixture.claimAndDie { try $0.journal(.model, ["step": 0]) }
        case .diesTwice:
            try fixture.claimAndDie()
            _ = try spool.recoverOrphans()
            try fixture.claimAndDie()
        case .goesOnWithAnOrphan: _ = try spool.recoverOrphans()
        case .endsAnOrphan:
            _ = try spool.recoverOrphans()
            try claim { try $0.complete(result: ["by": "the other"]) }
        case .countsAnOrphanAndDies:
            _ = try spool.recoverOrphans()
            try fixture.claimAndDie()
        case .endsAnOrphanAndRetries:
            _ = try spool.recoverOrphans()
            try claim { try $0.retry(failure, due: now) }
            try claim { try $0.complete(result: ["by": "the other"]) }
        }
    }

    @Test("a host whose lock was lost while it was cut off learns it from the record, and ends nothing")
    func aLostLock() throws {
        let fixture = try SpoolFixture()
        let record = try fixture.spool.submit(fixture.submission()).record
        let here = try JobSpool(
            root: fixture.spool.layout.root, files: LinuxFileSystem(isShared: true), now: fixture.clock.read)
        let ended = #expect(throws: SpoolError.self) { try end(record.id, here) }
        #expect(ended?.code == .takenOver)
        #expect(try fixture.finalLines(record.id).isEmpty)
    }

    private func end(_ id: JobID, _ here: JobSpool) throws {
        _ = try claimFirst(here) { claim in
            // The server gave our lock to nobody and the job to another: a line stands behind ours.
            let path = here.layout.statusPath(id)
            let line = StatusLine(.event, ["event": "x"]).encoded()
            let files = LinuxFileSystem()
            let other = try files.open(path, [.write, .append], mode: 0)
            try files.writeAll(other, line, path: path)
            files.closeQuietly(other)
            let record = claim.record
            #expect(throws: SpoolError.self) { try record.journal(.model, ["step": 0]) }
            try claim.complete(result: [:])
        }
    }
}
