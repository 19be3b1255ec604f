// The shared log where something fails or waits: syncs, checkpoints, starts, file systems.

import DurableFiles
import Foundation
import Synchronization
import TestSupport
import Testing
import TextFormats

@testable import Spool

@Suite struct LogFaultTests {
    @Test("a segment whose sync failed is never written again")
    func faultySegment() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let files = FaultyFileSystem()
        try files.makeDirectory(folder.path + "/log", mode: 0o700)
        let log = try SharedLog(root: folder.path, writer: "w", files: files)
        let record = LogRecord.lines(JobID.make(now: Date()), offset: 0, isFirst: true, [1])
        files.set(.failAlways("fdatasync \(folder.path)/log/w/1.wal"))
        #expect(throws: SharedLog.Failure.self) { try log.commit([record]) }
        files.set(.none)
        try log.commit([record])
        #expect(files.log.allSatisfy { !$0.contains("/1.wal") })
        try log.checkpoint(scrubbing: false)
        #expect(try !files.exists(folder.path + "/log/w/1.wal"))
        #expect(try files.exists(folder.path + "/log/w/2.wal"))
        try log.close()
    }

    @Test("a commit that waits for a checkpoint is let go by it")
    func blockedWriter() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let files = LinuxFileSystem()
        try files.makeDirectory(folder.path + "/log", mode: 0o700)
        var bounds = SharedLog.Bounds()
        bounds.segment = 3 * LogSegment.page
        bounds.waiting = 1
        bounds.isAutomatic = false
        let log = try SharedLog(root: folder.path, writer: "w", files: files, bounds: bounds)
        let record = LogRecord.lines(JobID.make(now: Date()), offset: 0, isFirst: true, [1])
        for _ in 0..<2 { try log.commit([record]) }
        let failures = Atomic<Int>(0)
        // The third commit needs a second segment, and may have none before a checkpoint.
        DispatchQueue.concurrentPerform(iterations: 2) { number in
            do {
                if number == 0 { return try log.commit([record]) }
                while !log.isHeldUp { sched_yield() }
                try log.checkpoint()
            } catch {
                failures.wrappingAdd(1, ordering: .relaxed)
            }
        }
        #expect(failures.load(ordering: .relaxed) == 0)
        try log.close()
    }

    @Test("after a checkpoint that failed its segments stay, and the next start writes anew what they speak of")
    func distrusted() throws {
        let fixture = try SpoolFixture(log: true)
        let ids = try (0..<3).map { try fixture.spool.submit(fixture.submission("\($0)")).record.id }
        let log = try #require(fixture.spool.log)
        fixture.files.set(.failAlways("syncfs"))
        #expect(throws: FileError.self) { try log.checkpoint() }
        fixture.files.set(.none)
        // A later success proves nothing of what the first has failed to write.
        try log.checkpoint()
        let later = try fixture.spool.submit(fixture.submission("later")).record.id
        try fixture.spool.close()
        fixture.files.crash()
        let files = FaultyFileSystem()
        let again = try JobSpool(root: fixture.spool.layout.root, files: files, now: fixture.clock.read)
        #expect(again.replayed.logs == 1)
        #expect(again.replayed.jobs == 3)
        for id in ids {
            let record = again.layout.statusPath(id)
            #expect(files.log.contains("write \(record)"))
            #expect(files.log.contains { $0.hasPrefix("rename ") && $0.contains(id.description) })
            #expect(try fixture.places(id, in: again) == ["queued"])
        }
        #expect(!files.log.contains("write \(again.layout.statusPath(later))"))
        #expect(try again.names(in: .queued).count == 4)
        #expect(try fixture.another().replayed.logs == 0)
    }

    @Test("a start that fails behind a damaged segment finds it again")
    func damagedTwice() throws {
        let fixture = try SpoolFixture(powerCut: true, log: true)
        let ids = try (0..<3).map { try fixture.spool.submit(fixture.submission("\($0)")).record.id }
        fixture.files.set(.stop(call: 1))
        fixture.files.crash()
        let root = fixture.folder.path + ".after-twice"
        try fixture.disk?.restore(to: root, .strict)
        defer { fixture.removeAfterPowerCut("twice") }
        let folder = root + "/spool/log"
        let writer = try #require(try LinuxFileSystem().list(folder).first { $0.kind == .directory })
        let handle = try #require(FileHandle(forUpdatingAtPath: "\(folder)/\(writer.name)/1.wal"))
        try handle.seek(toOffset: UInt64(LogSegment.page + 40))
        try handle.write(contentsOf: [0xFF])
        try handle.close()
        let files = FaultyFileSystem()
        files.set(.failAlways("syncfs"))
        #expect(throws: SpoolError.self) { try JobSpool(root: root + "/spool", files: files, now: fixture.clock.read) }
        let after = try JobSpool(root: root + "/spool", now: fixture.clock.read)
        #expect(after.replayed.corrupt.count == 1)
        // The first frame is the damaged one.
        for id in ids.dropFirst() { #expect(try after.record(id) != nil) }
        #expect(try LinuxFileSystem().list(folder).contains { $0.name.hasPrefix("corrupt-") })
    }

    @Test("a user made anew keeps jobs whose ids are older than the erasure of the one before")
    func madeAnew() throws {
        let fixture = try SpoolFixture(powerCut: true, log: true)
        let old = fixture.submission("old id", user: "alice")
        fixture.clock.advance(by: 60)
        #expect(try fixture.spool.erase(user: "alice") == 0)
        fixture.clock.advance(by: 60)
        _ = try fixture.spool.submit(old)
        fixture.files.set(.stop(call: 1))
        fixture.files.crash()
        let spool = try fixture.afterPowerCut(.strict, "anew")
        defer { fixture.removeAfterPowerCut("anew") }
        #expect(try spool.record(old.id)?.state == .queued)
    }

    @Test("a file system that refuses writes past its cache gets a log all the same")
    func refusesDirect() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let files = FaultyFileSystem()
        try files.makeDirectory(folder.path + "/log", mode: 0o700)
        files.set(.none)
        try SharedLog(root: folder.path, writer: "a", files: files).close()
        let opens = files.log.indices.filter { files.log[$0].hasPrefix("open ") && files.log[$0].hasSuffix("1.wal") }
        let writes = files.log.indices.filter { files.log[$0].hasPrefix("write ") && files.log[$0].hasSuffix("1.wal") }
        // The second open is the direct one; the write of the first page is the last before anything else.
        for call in [opens[1], try #require(writes.first { $0 > opens[1] })] {
            files.set(.fail(call: call + 1, errno: EINVAL))
            let log = try SharedLog(root: folder.path, writer: "b", files: files)
            try log.commit([.lines(JobID.make(now: Date()), offset: 0, isFirst: true, [1])])
            try log.close()
        }
    }

    @Test("a checkpoint of a log that is never quiet is not kept waiting")
    func busyCheckpoints() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let files = LinuxFileSystem()
        try files.makeDirectory(folder.path + "/log", mode: 0o700)
        var bounds = SharedLog.Bounds()
        bounds.segment = 8 * LogSegment.page
        bounds.waiting = 2
        bounds.isAutomatic = false
        let log = try SharedLog(root: folder.path, writer: "w", files: files, bounds: bounds)
        let isOver = Atomic<Bool>(false)
        let failures = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: 5) { number in
            do {
                if number == 0 {
                    for _ in 0..<40 { try log.checkpoint() }
                    isOver.store(true, ordering: .releasing)
                }
                while !isOver.load(ordering: .acquiring) {
                    try log.commit([.lines(JobID.make(now: Date()), offset: 0, isFirst: true, [1])])
                }
            } catch {
                failures.wrappingAdd(1, ordering: .relaxed)
                isOver.store(true, ordering: .releasing)
            }
        }
        #expect(failures.load(ordering: .relaxed) == 0)
        try log.close()
    }

    @Test("two batches with the same jobs the other way round do not wait for each other for ever")
    func oppositeBatches() throws {
        for _ in 0..<30 {
            let fixture = try SpoolFixture(log: true)
            let spool = fixture.spool
            let jobs = (0..<4).map { fixture.submission("\($0)") }
            let created = Atomic<Int>(0)
            let failures = Atomic<Int>(0)
            DispatchQueue.concurrentPerform(iterations: 2) { number in
                let batch = spool.batch()
                var answers: [Result<Submitted, SpoolError>] = []
                do {
                    for job in number == 0 ? jobs : jobs.reversed() {
                        if let answer = try batch.add(job) { answers.append(.success(answer)) }
                    }
                    answers += batch.commit().values
                    for answer in answers {
                        if case .created = try answer.get() { created.wrappingAdd(1, ordering: .relaxed) }
                    }
                    if answers.count != jobs.count { failures.wrappingAdd(1, ordering: .relaxed) }
                } catch {
                    failures.wrappingAdd(1, ordering: .relaxed)
                }
            }
            #expect(failures.load(ordering: .relaxed) == 0)
            #expect(created.load(ordering: .relaxed) == jobs.count)
            #expect(try spool.names(in: .queued).count == jobs.count)
        }
    }

    @Test("a checkpoint waits for the files of a frame that is written beside them")
    func checkpointBesideWork() throws {
        let fixture = try SpoolFixture(.eagerLog)
        let log = try #require(fixture.spool.log)
        let checkpoint = Thread { try? log.checkpoint() }
        let file = fixture.folder.path + "/made-beside"
        fixture.files.set(.none)
        let id = JobID.make(now: Date())
        let lines = LogRecord.lines(id, offset: 0, isFirst: true, [1])
        let outcome = log.commit([lines]) { () throws(SpoolError) in
            checkpoint.start()
            while !log.isWaitedFor { sched_yield() }
            try stored { () throws(FileError) in try fixture.files.create(file, [1], mode: 0o600, sync: false) }
        }
        #expect(outcome.failure == nil && outcome.refusal == nil)
        while !checkpoint.isFinished { sched_yield() }
        let calls = fixture.files.log
        let made = try #require(calls.firstIndex { $0.hasSuffix(file) })
        let synced = try #require(calls.firstIndex { $0.hasPrefix("syncfs") })
        #expect(made < synced)
        // The frame was on its way before the file was.
        #expect(try #require(calls.firstIndex { $0.hasPrefix("write ") && $0.hasSuffix(".wal") }) < made)
    }

    @Test("where writes cannot go on by themselves the log does without")
    func refusesOverlap() throws {
        for errno in [ENOSYS, EPERM, EAGAIN] {
            let fixture = try SpoolFixture(.eagerLog)
            let wal = "write \(fixture.spool.layout.root)/log/"
            fixture.files.set(.failFirst(wal, errno: errno))
            let id = try fixture.spool.submit(fixture.submission("second")).record.id
            #expect(try fixture.places(id) == ["queued"])
            #expect(fixture.files.log.filter { $0.hasPrefix(wal) }.count == 2)
        }
    }

    @Test("a segment to follow is made before it is needed, by the thread that makes checkpoints")
    func prepared() throws {
        let fixture = try SpoolFixture(.log)
        let log = try #require(fixture.spool.log)
        let record = LogRecord.lines(JobID.make(now: Date()), offset: 0, isFirst: true, [1])
        // A frame is a page, as the first page is one: the fifth of eight is in the second half.
        for _ in 0..<4 { try log.commit([record]) }
        guard case .segment = log.waitForCheckpoint() else {
            Issue.record("nothing asks for a segment")
            return
        }
        try log.prepare()
        fixture.files.set(.none)
        for _ in 0..<8 { try log.commit([record]) }
        #expect(!fixture.files.log.contains { $0.hasPrefix("fsync ") })
        try log.prepare()
        #expect(fixture.files.log.filter { $0.hasPrefix("fsync ") }.count == 2)
        try log.prepare()
        #expect(fixture.files.log.filter { $0.hasPrefix("fsync ") }.count == 2)
        // On a full disk it is tried once for each segment, and by whoever needs it then.
        for _ in 0..<9 { try log.commit([record]) }
        fixture.files.set(.failAlways("fsync "))
        #expect(throws: FileError.self) { try log.prepare() }
        let tries = fixture.files.calls
        try log.prepare()
        #expect(fixture.files.calls == tries)
        fixture.files.set(.none)
        for _ in 0..<6 { try log.commit([record]) }
        try log.close()
        try log.prepare()
        #expect(try fixture.files.list(fixture.spool.layout.path(.log)).allSatisfy { $0.kind != .directory })
    }

    @Test("a job that was refused and then admitted stays, in whatever order segments are used again")
    func refusedThenAdmitted() throws {
        let fixture = try SpoolFixture(powerCut: true, .eagerLog)
        let spool = fixture.spool
        let log = try #require(spool.log)
        let number = { log.condition.withLock { log.state.current?.number ?? 0 } }
        while number() < 4 { _ = try spool.submit(fixture.submission("filler")) }
        try log.checkpoint(scrubbing: false)
        _ = try spool.submit(fixture.submission("filler"))
        let first = number()
        let again = fixture.submission("again")
        fixture.files.set(.failFirst("rename ", errno: 28))
        #expect(throws: SpoolError.self) { try spool.submit(again) }
        fixture.files.set(.none)
        while number() == first { _ = try spool.submit(fixture.submission("filler")) }
        // What makes this a test: the later segment has the lower number.
        #expect(number() < first)
        _ = try spool.submit(again)
        fixture.files.set(.stop(call: 1))
        fixture.files.crash()
        let after = try fixture.afterPowerCut(.strict, "again")
        defer { fixture.removeAfterPowerCut("again") }
        #expect(try fixture.places(again.id, in: after) == ["queued"])
    }

    @Test("an ending that failed is not brought back by the log, and the run goes on where it was")
    func refusedEnding() throws {
        for (operation, folder) in [("rename ", "running"), ("write ", "status")] {
            let fixture = try SpoolFixture(powerCut: true, .eagerLog)
            let job = fixture.submission("job")
            _ = try fixture.spool.submit(job)
            let isEnded = try claimFirst(fixture.spool) { claim in
                try claim.record.journal(.result, ["call": "1"])
                fixture.files.set(.failFirst("\(operation)\(fixture.spool.layout.root)/\(folder)", errno: 28))
                var isRefused = false
                do { try claim.complete(result: ["n": 1]) } catch { isRefused = true }
                #expect(isRefused)
            }
            #expect(isEnded == "claimed")
            fixture.files.set(.stop(call: 1))
            fixture.files.crash()
            let after = try fixture.afterPowerCut(.strict, "ending")
            defer { fixture.removeAfterPowerCut("ending") }
            #expect(try after.record(job.id)?.state != .completed)
            #expect(try after.recoverOrphans().failures.isEmpty)
            let again = try claimFirst(after) { claim in
                #expect(claim.record.replay.count == 1)
                try claim.complete(result: ["n": 2])
            }
            #expect(again == "claimed")
            #expect(try fixture.finalLines(job.id, in: after).compactMap(\.result) == [["n": 2]])
        }
    }

    @Test("an id that is not as fresh as was said is found out, and its job keeps its content")
    func staleFreshID() throws {
        let fixture = try SpoolFixture(powerCut: true, .eagerLog)
        let job = fixture.submission("job")
        _ = try fixture.spool.submit(job)
        var again = job
        again.isFresh = true
        guard case .existing = try fixture.spool.submit(again) else {
            Issue.record("admitted twice")
            return
        }
        var other = fixture.submission("other", id: job.id)
        other.isFresh = true
        #expect(throws: SpoolError.self) { try fixture.spool.submit(other) }
        fixture.files.set(.stop(call: 1))
        fixture.files.crash()
        let after = try fixture.afterPowerCut(.strict, "fresh")
        defer { fixture.removeAfterPowerCut("fresh") }
        #expect(try fixture.places(job.id, in: after) == ["queued"])
        let outcome = try claimFirst(after) { claim in
            #expect(claim.job.payload == job.payload)
            try claim.complete(result: .null)
        }
        #expect(outcome == "claimed")
    }

    @Test("a line of another process that is longer than the one in the log is not written over")
    func longerLine() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let files = LinuxFileSystem()
        let id = JobID.make(now: Date())
        let path = folder.path + "/\(id).jsonl"
        let first = StatusLine(.event, ["event": "admitting"]).encoded()
        let logged = first + StatusLine(.status, ["state": "queued"]).encoded()
        let standing = first + StatusLine(.status, ["state": "running", "note": "claimed by another process meanwhile"]).encoded()
        try files.createFile(path, standing)
        guard case .locked(let file) = try StatusFile.openLocked(id, path, files, flags: [.read, .write]) else {
            Issue.record("not locked")
            return
        }
        try file.putBack(logged, at: 0)
        #expect(try files.readFile(path) == standing)
        // A torn one is.
        try files.truncate(file.descriptor, to: standing.count - 5, path: path)
        try file.putBack(logged, at: 0)
        #expect(try files.readFile(path).starts(with: logged))
    }
}
