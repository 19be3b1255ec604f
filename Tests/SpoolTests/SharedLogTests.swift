import DurableFiles
import Foundation
import Synchronization
import TestSupport
import Testing
import TextFormats

@testable import Spool

@Suite struct SharedLogTests {
    /// Jobs in every state, their order keys among them, as one process leaves them without a checkpoint at its end.
    private func live(_ fixture: SpoolFixture, checkpointAt: Int?) throws -> [JobID: JobState] {
        let spool = fixture.spool
        var states: [JobID: JobState] = [:]
        for number in 0..<24 {
            fixture.clock.advance(by: 1)
            let key = number % 3 == 0 ? SpoolFixture.key : nil
            let id = try spool.submit(fixture.submission("payload \(number)", key: key)).record.id
            states[id] = .queued
            // Segments that are used again unscrubbed still hold what they held before.
            if number == checkpointAt { try spool.log?.checkpoint(scrubbing: number == 0) }
            guard number % 4 != 0, key == nil else { continue }
            let name = try #require(try spool.names(in: .queued).first { $0.id == id })
            guard case .claimed(let claim) = try spool.claim(name) else {
                Issue.record("not claimed")
                continue
            }
            try claim.record.progress(10)
            try claim.record.journal(.model, ["text": "answer \(number)"])
            switch number % 4 {
            case 1:
                try claim.complete(result: ["n": JSON(number)])
                states[id] = .completed
            case 2:
                try claim.bury(JobFailure(code: "x", detail: "", isRetryable: false))
                states[id] = .failed
            default: try claim.retry(JobFailure(code: "y", detail: "", isRetryable: true), due: fixture.clock.now)
            }
        }
        return states
    }

    @Test(
        "what the log made durable is there after a power cut, wherever its checkpoint was",
        arguments: [nil, 0, 7, 23] as [Int?], [0, 1, 2, 3, 4])
    func replays(checkpointAt: Int?, loss: Int) throws {
        let fixture = try SpoolFixture(powerCut: true, log: true)
        let states = try live(fixture, checkpointAt: checkpointAt)
        fixture.files.set(.stop(call: 1))
        fixture.files.crash()
        let losses: [PowerCutFileSystem.Loss] = [
            .strict, .namesOnly, .mixed(seed: 3), .mixed(seed: 4), .zeros,
        ]
        let spool = try fixture.afterPowerCut(losses[loss], "cut")
        defer { fixture.removeAfterPowerCut("cut") }
        #expect(spool.replayed.logs == 1)
        #expect(spool.replayed.corrupt.isEmpty)
        if loss == 0, checkpointAt == nil { #expect(spool.replayed.restored == states.count) }
        #expect(try spool.recoverOrphans().failures.isEmpty)
        for (id, state) in states {
            let record = try #require(try spool.record(id), "\(id) is lost")
            // A retried job may be found as it was while it ran: its `queued` line is not synced.
            #expect(record.state == state || state == .queued && !record.state.isFinal, "\(id)")
            let places = try fixture.places(id, in: spool)
            #expect(places == [state == .completed ? "done" : state == .failed ? "dead" : "queued"], "\(id)")
            let payload = try #require(try spool.payload(id))
            #expect(String(decoding: payload, as: UTF8.self).hasPrefix("payload "))
            let journal = try spool.lines(id, from: 0, epoch: nil)?.lines.count { $0.type == .model } ?? 0
            if state.isFinal { #expect(journal == 1) }
        }
        // The order of the session is that of admission.
        let ordered = states.filter { _, state in state == .queued }.keys.sorted()
        let live = try spool.liveJobs(orderKey: try #require(SpoolFixture.key)).map(\.id)
        #expect(live == ordered.filter { live.contains($0) })
        #expect(live.count == 8)
        #expect(try LinuxFileSystem().list(spool.layout.path(.log)).allSatisfy { $0.name.hasPrefix(".") })
    }

    @Test("a log whose process lives is left alone, and a clean end leaves nothing to replay")
    func livingAndClosed() throws {
        let fixture = try SpoolFixture(log: true)
        _ = try fixture.spool.submit(fixture.submission())
        #expect(try fixture.another().replayed == ReplayReport())
        try fixture.spool.close()
        #expect(try fixture.another().replayed == ReplayReport())
        #expect(try LinuxFileSystem().list(fixture.spool.layout.path(.log)).allSatisfy { $0.name.hasPrefix(".") })
    }

    @Test("jobs of a user erased since are not brought back")
    func erased() throws {
        let fixture = try SpoolFixture(powerCut: true, log: true)
        let gone = try fixture.spool.submit(fixture.submission("secret", user: "alice")).record.id
        fixture.clock.advance(by: 1)
        #expect(try fixture.spool.erase(user: "alice") == 0)
        fixture.clock.advance(by: 1)
        let kept = try fixture.spool.submit(fixture.submission("new", user: "alice")).record.id
        fixture.files.set(.stop(call: 1))
        fixture.files.crash()
        let spool = try fixture.afterPowerCut(.strict, "erased")
        defer { fixture.removeAfterPowerCut("erased") }
        #expect(try spool.record(gone) == nil)
        #expect(try spool.names(in: .queued).map(\.id) == [kept])
    }

    @Test("commits of many threads share their syncs, and each is on disk when it returns")
    func groups() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let files = FaultyFileSystem()
        try files.makeDirectory(folder.path + "/log", mode: 0o700)
        let log = try SharedLog(root: folder.path, writer: "w", files: files)
        files.set(.none)
        let failures = Atomic<Int>(0)
        let threads = 16
        let commits = 40
        DispatchQueue.concurrentPerform(iterations: threads) { number in
            for turn in 0..<commits {
                let id = JobID.make(now: Date())
                do throws(SharedLog.Failure) {
                    try log.commit([.lines(id, offset: turn, isFirst: true, Array("\(number)".utf8))])
                } catch {
                    failures.wrappingAdd(1, ordering: .relaxed)
                }
            }
        }
        #expect(failures.load(ordering: .relaxed) == 0)
        let syncs = files.log.count { $0.hasPrefix("fdatasync") }
        #expect(syncs <= threads * commits)
        let bytes = try files.readFile(folder.path + "/log/w/1.wal")
        let records = LogSegment.content(of: bytes).frames.compactMap { LogRecord.parse($0.body) }.flatMap { $0 }
        #expect(records.count == threads * commits)
        try log.close()
        #expect(try files.list(folder.path + "/log").isEmpty)
    }

    @Test("a segment that is full makes way for the next, and one that was checkpointed is used again without its past")
    func rotates() throws {
        let fixture = try SpoolFixture(log: true)
        let log = try #require(fixture.spool.log)
        let folder = fixture.spool.layout.path(.log)
        for round in 0..<4 {
            for number in 0..<20 { _ = try fixture.spool.submit(fixture.submission("\(round) \(number)")) }
            try log.checkpoint()
        }
        _ = try fixture.spool.submit(fixture.submission("last"))
        fixture.files.set(.stop(call: 1))
        fixture.files.crash()
        let segments = try LinuxFileSystem().list(folder).filter { $0.kind == .directory }.flatMap { writer in
            try LinuxFileSystem().list("\(folder)/\(writer.name)").filter { $0.name.hasSuffix(".wal") }
        }
        #expect((1...3).contains(segments.count))
        let after = try fixture.another()
        #expect(after.replayed.jobs == 1)
        #expect(try after.names(in: .queued).count == 81)
        // Its folder goes with it.
        withExtendedLifetime(fixture) {}
    }

    @Test("segments used again without scrubbing replay only what is new; a scrub leaves one, of zeros")
    func spares() throws {
        let fixture = try SpoolFixture(log: true)
        let log = try #require(fixture.spool.log)
        let folder = fixture.spool.layout.path(.log)
        func segments() throws -> [[UInt8]] {
            let files = LinuxFileSystem()
            return try files.list(folder).filter { $0.kind == .directory }.flatMap { writer in
                try files.list("\(folder)/\(writer.name)").filter { $0.name.hasSuffix(".wal") }.map {
                    try files.readFile("\(folder)/\(writer.name)/\($0.name)")
                }
            }
        }
        func holdsPast() throws -> Bool {
            try segments().contains { String(decoding: $0, as: UTF8.self).contains("of secret") }
        }
        for _ in 0..<20 { _ = try fixture.spool.submit(fixture.submission("secret")) }
        try log.checkpoint(scrubbing: false)
        #expect(try segments().count > 1)
        #expect(try holdsPast())
        let ids = try (0..<3).map { try fixture.spool.submit(fixture.submission("new \($0)")).record.id }
        #expect(try holdsPast())
        // What a replay would read of all segments, the used and the spare ones.
        let replayed = try segments().flatMap { LogSegment.content(of: $0).frames.map(\.body) }
            .flatMap { LogRecord.parse($0) ?? [] }.compactMap { record -> JobID? in
                if case .job(let name, _) = record { return name.id }
                return nil
            }
        #expect(Set(replayed) == Set(ids))
        #expect(try segments().allSatisfy { !LogSegment.content(of: $0).isCorrupt })
        try log.checkpoint()
        #expect(try segments().count == 1)
        #expect(try !holdsPast())
    }

    @Test("a cancelled job for later whose last move was lost does not wait for its time", arguments: [true, false])
    func lostMove(isInLog: Bool) throws {
        let fixture = try SpoolFixture(powerCut: true, log: true)
        let id = try fixture.spool.submit(fixture.submission("later", dueIn: 86_400)).record.id
        // Otherwise only its end is in the log.
        if !isInLog { try fixture.spool.log?.checkpoint() }
        #expect(try fixture.spool.cancel(id).state == .cancelled)
        fixture.files.set(.stop(call: 1))
        fixture.files.crash()
        let spool = try fixture.afterPowerCut(.strict, "moved")
        defer { fixture.removeAfterPowerCut("moved") }
        #expect(try fixture.places(id, in: spool) == ["done"])
        #expect(try spool.record(id)?.state == .cancelled)
    }

    @Test("a batch becomes durable by one sync, whatever became of some of it")
    func batches() throws {
        let fixture = try SpoolFixture(powerCut: true, log: true)
        let standing = fixture.submission("standing")
        _ = try fixture.spool.submit(standing)
        fixture.files.set(.none)
        let batch = fixture.spool.batch()
        let all = (0..<6).map { fixture.submission("\($0)", key: $0 % 2 == 0 ? SpoolFixture.key : nil) }
        for one in all {
            #expect(try batch.add(one) == nil)
            #expect(batch.isPending(one.id))
        }
        guard case .existing = try batch.add(standing) else {
            Issue.record("the job exists")
            return
        }
        var other = standing
        other.fingerprint = "other"
        #expect(throws: SpoolError.self) { try batch.add(other) }
        // Locked until they are durable: a worker comes again.
        guard case .busy = try fixture.another().claim(all[0].fileName) else {
            Issue.record("claimed before it was durable")
            return
        }
        let answers = batch.commit()
        #expect(Set(answers.keys) == Set(all.map(\.id)))
        #expect(answers.values.allSatisfy { (try? $0.get()) != nil })
        #expect(fixture.files.log.count { $0.hasPrefix("fdatasync") && $0.contains(".wal") } == 1)
        fixture.files.set(.stop(call: 1))
        fixture.files.crash()
        let spool = try fixture.afterPowerCut(.strict, "batch")
        defer { fixture.removeAfterPowerCut("batch") }
        #expect(Set(try spool.names(in: .queued).map(\.id)) == Set(all.map(\.id) + [standing.id]))
        #expect(try spool.liveJobs(orderKey: #require(SpoolFixture.key)).map(\.id) == [0, 2, 4].map { all[$0].id })
    }

    @Test("checksums are CRC-32C, at every length and alignment")
    func checksums() {
        // The check value of the CRC catalogue, and RFC 3720 appendix B.4.
        #expect(CRC32C.checksum(Array("123456789".utf8)[...]) == 0xE306_9283)
        #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)[...]) == 0x8A91_36AA)
        #expect(CRC32C.checksum([UInt8](repeating: 0xFF, count: 32)[...]) == 0x62A8_AB43)
        #expect(CRC32C.checksum((0..<32).map { UInt8($0) }[...]) == 0x46DD_794E)
        let bytes = (0..<40).map { UInt8($0 &* 37 & 0xFF) }
        for start in 0..<8 { #expect(CRC32C.checksum(bytes[start...]) == CRC32C.checksum(Array(bytes[start...])[...])) }
    }

    @Test("the torn end of a log is not corruption; a damaged frame before a good one is, and is set aside")
    func damage() throws {
        let body: [UInt8] = Array("body".utf8)
        let frames = (0..<3).map { LogSegment.frame(nonce: 7, number: $0, body: body) }
        let whole = LogSegment.head(nonce: 7) + frames.joined() + [UInt8](repeating: 0, count: LogSegment.page)
        #expect(LogSegment.content(of: whole).frames.count == 3)
        #expect(!LogSegment.content(of: whole).isCorrupt)
        for byte in [0, 5, 12, 20, 28, LogSegment.frameHead + 1] {
            var torn = whole
            torn[LogSegment.page * 3 + byte] ^= 0xFF
            #expect(LogSegment.content(of: torn).frames.count == 2)
            #expect(!LogSegment.content(of: torn).isCorrupt)
            var damaged = whole
            damaged[LogSegment.page * 2 + byte] ^= 0xFF
            #expect(LogSegment.content(of: damaged).frames.count == 2)
            #expect(LogSegment.content(of: damaged).isCorrupt)
        }
        // Frames of the segment's earlier use mean nothing.
        #expect(LogSegment.content(of: LogSegment.head(nonce: 8) + frames.joined()).frames.isEmpty)

        let fixture = try SpoolFixture(log: true)
        for number in 0..<3 { _ = try fixture.spool.submit(fixture.submission("\(number)")) }
        fixture.files.crash()
        let folder = fixture.spool.layout.path(.log)
        let writer = try #require(try LinuxFileSystem().list(folder).first { $0.kind == .directory })
        let handle = try #require(FileHandle(forUpdatingAtPath: "\(folder)/\(writer.name)/1.wal"))
        try handle.seek(toOffset: UInt64(LogSegment.page + 40))
        try handle.write(contentsOf: [0xFF])
        try handle.close()
        let after = try fixture.another()
        #expect(after.replayed.corrupt.count == 1)
        #expect(try LinuxFileSystem().exists(after.replayed.corrupt[0]))
        #expect(try after.names(in: .queued).count == 3)
    }

    @Test(
        "the result of a step that may be repeated costs no sync, and is there with the line that follows from it",
        arguments: [true, false], [true, false])
    func deferred(log: Bool, follows: Bool) throws {
        let fixture = try SpoolFixture(powerCut: true, log: log)
        let id = try fixture.spool.submit(fixture.submission("kept")).record.id
        let name = try #require(try fixture.spool.names(in: .queued).first)
        guard case .claimed(let claim) = try fixture.spool.claim(name) else {
            Issue.record("not claimed")
            return
        }
        try claim.record.journal(.model, ["step": 0])
        let before = fixture.files.log.filter { $0.contains("sync") }.count
        try claim.record.journal(.result, ["call": "0:0", "result": "read"], isRepeatable: true)
        try claim.record.event(["event": "tool"])
        #expect(fixture.files.log.filter { $0.contains("sync") }.count == before)
        if follows { try claim.record.journal(.model, ["step": 1]) }
        fixture.files.set(.stop(call: 1))
        fixture.files.crash()
        let spool = try fixture.afterPowerCut(.strict, "deferred")
        defer { fixture.removeAfterPowerCut("deferred") }
        _ = try spool.recoverOrphans()
        let again = try #require(try spool.names(in: .queued).first { $0.id == id })
        guard case .claimed(let second) = try spool.claim(again) else {
            Issue.record("not claimed again")
            return
        }
        let kinds = second.record.replay.map(\.kind)
        #expect(kinds == (follows ? [.model, .result, .model] : [.model]))
        try second.complete(result: [:])
    }

    @Test(
        "where the log cannot be synced the files are, and the answer is the same", arguments: ["fdatasync", "write"])
    func fallsBack(operation: String) throws {
        let fixture = try SpoolFixture(powerCut: true, log: true)
        let folder = fixture.spool.layout.path(.log)
        fixture.files.set(.failAlways("\(operation) \(folder)"))
        let id = try fixture.spool.submit(fixture.submission("kept", key: SpoolFixture.key)).record.id
        _ = try claimFirst(fixture.spool) { claim in
            try claim.record.journal(.model, ["text": "paid for"])
            try claim.complete(result: ["n": 1])
        }
        fixture.files.set(.stop(call: 1))
        fixture.files.crash()
        let spool = try fixture.afterPowerCut(.strict, "fallback")
        defer { fixture.removeAfterPowerCut("fallback") }
        _ = try spool.recoverOrphans()
        _ = try claimFirst(spool) { _ in Issue.record("ran again") }
        #expect(try spool.record(id)?.result == ["n": 1])
        #expect(try fixture.places(id, in: spool) == ["done"])
    }

    @Test("a folder in the place of a record is set aside at the start, and the log brings all jobs back")
    func obstructed() throws {
        let fixture = try SpoolFixture(powerCut: true, log: true)
        let bad = try fixture.spool.submit(fixture.submission("bad")).record.id
        fixture.clock.advance(by: 1)
        let good = try fixture.spool.submit(fixture.submission("good")).record.id
        fixture.files.set(.stop(call: 1))
        fixture.files.crash()
        let root = fixture.folder.path + ".after-obstructed"
        defer { fixture.removeAfterPowerCut("obstructed") }
        try fixture.disk?.restore(to: root, .strict)
        let path = SpoolLayout(root: root + "/spool").statusPath(bad)
        try LinuxFileSystem().ensureDirectory(path)
        let spool = try JobSpool(root: root + "/spool", now: fixture.clock.read)
        #expect(spool.replayed.skipped.isEmpty)
        #expect(try Set(spool.names(in: .queued).map(\.id)) == [bad, good])
        #expect(try LinuxFileSystem().list(SpoolLayout(root: root + "/spool").aside).count == 1)
        for id in [bad, good] { #expect(try spool.record(id)?.state == .queued) }
    }

    @Test("a full disk at the start means no log, not no service")
    func noRoom() throws {
        let fixture = try SpoolFixture()
        fixture.files.set(.failAlways("write \(fixture.spool.layout.path(.log))"))
        let spool = try JobSpool(
            root: fixture.spool.layout.root, files: fixture.files, durability: .sharedLog, now: fixture.clock.read)
        #expect(spool.replayed.withoutLog != nil)
        #expect(spool.log == nil)
        let id = try spool.submit(fixture.submission()).record.id
        #expect(try fixture.another().record(id)?.state == .queued)
        #expect(try LinuxFileSystem().list(spool.layout.path(.log)).allSatisfy { $0.name.hasPrefix(".") })
    }

    @Test("what an erased user has said is nowhere in the spool any more, nor in its log")
    func forgets() throws {
        let fixture = try SpoolFixture(log: true)
        for number in 0..<3 { _ = try fixture.spool.submit(fixture.submission("a secret \(number)", user: "alice")) }
        #expect(try fixture.spool.erase(user: "alice") == 0)
        func search(_ path: String) throws {
            for entry in try LinuxFileSystem().list(path) {
                let inner = "\(path)/\(entry.name)"
                if entry.kind == .directory {
                    try search(inner)
                } else {
                    let text = String(decoding: try LinuxFileSystem().readFile(inner), as: UTF8.self)
                    #expect(!text.contains("a secret"), "\(inner)")
                }
            }
        }
        try search(fixture.spool.layout.root)
    }

    @Test(
        "what a process without a log answered for a job that only another's log knows is there after a power cut",
        arguments: ["cancel", "complete", "journal"])
    func endedWithoutLog(how: String) throws {
        let fixture = try SpoolFixture(powerCut: true, log: true)
        let id = try fixture.spool.submit(fixture.submission()).record.id
        // As a command, or a worker that found no room for a log, on the same disk.
        let other = try JobSpool(
            root: fixture.spool.layout.root, files: try #require(fixture.disk), now: fixture.clock.read)
        switch how {
        case "cancel": _ = try other.cancel(id)
        case "complete": _ = try claimFirst(other) { try $0.complete(result: ["n": 1]) }
        default:
            _ = try claimFirst(other) { claim in
                try claim.record.journal(.model, ["text": "paid for"])
                try claim.release("drain")
            }
        }
        fixture.files.set(.stop(call: 1))
        fixture.files.crash()
        let spool = try fixture.afterPowerCut(.strict, how)
        defer { fixture.removeAfterPowerCut(how) }
        let record = try #require(try spool.record(id))
        switch how {
        case "cancel": #expect(record.state == .cancelled)
        case "complete": #expect(record.result == ["n": 1])
        default:
            _ = try spool.recoverOrphans()
            _ = try claimFirst(spool) { claim in
                #expect(claim.record.replay.count == 1)
                try claim.release("seen")
            }
        }
    }
}
