import DurableFiles
import Foundation
@testable import Spool
import TestSupport
import Testing
import TextFormats

@Suite struct JobLifeTests {
    @Test("a submitted job is claimed, completed and stands in done with one final line")
    func completes() throws {
        let fixture = try SpoolFixture()
        let spool = fixture.spool
        let id = try spool.submit(fixture.submission()).record.id
        #expect(try spool.record(id)?.state == .queued)
        let outcome = try claimFirst(spool) { claim in
            #expect(claim.job.payload == Array("{}".utf8))
            #expect(try spool.record(id)?.state == .running)
            try claim.record.progress(40, note: "half way")
            #expect(try spool.record(id)?.progress == 40)
            try claim.complete(result: ["answer": 42], usage: nil)
        }
        #expect(outcome == "claimed")
        let record = try #require(try spool.record(id))
        #expect(record.state == .completed)
        #expect(record.progress == 100)
        #expect(record.result?["answer"] == 42)
        #expect(record.facts["kind"] == "report")
        #expect(try fixture.places(id) == ["done"])
        #expect(try fixture.finalLines(id).count == 1)
    }

    @Test("the same id with the same content is the same job, with other content a conflict")
    func admitsOnce() throws {
        let fixture = try SpoolFixture()
        let first = fixture.submission("a")
        _ = try fixture.spool.submit(first)
        guard case .existing(let record) = try fixture.another().submit(first) else {
            Issue.record("submitted twice")
            return
        }
        #expect(record.id == first.id)
        #expect(try fixture.places(first.id) == ["queued"])
        #expect(throws: SpoolError.self) { try fixture.spool.submit(fixture.submission("b", id: first.id)) }
    }

    @Test("one suspect runs at a time, whatever process claims it; other jobs run beside it")
    func suspectsAlone() throws {
        let fixture = try SpoolFixture()
        for user in ["alice", "bob"] {
            _ = try fixture.spool.submit(fixture.submission(user: user))
            try fixture.claimAndDie()
            _ = try fixture.spool.recoverOrphans()
        }
        // Dying again, one after the other, made the first a suspect twice over.
        let suspects = try fixture.spool.names(in: .queued).filter { $0.crashes > 0 }
        try #require(suspects.count >= 1)
        _ = try fixture.spool.submit(fixture.submission(user: "carol"))
        let other = try fixture.another()
        let twin = try fixture.spool.submit(fixture.submission(user: "dave")).record.id
        let plain = try #require(try fixture.spool.names(in: .queued).first { $0.id == twin })
        var marked = plain
        marked.crashes = 1
        let layout = fixture.spool.layout
        try LinuxFileSystem().rename(layout.path(.queued, plain), layout.path(.queued, marked))
        switch try fixture.spool.claim(suspects[0]) {
        case .claimed(let claim):
            switch try other.claim(marked) {
            case .isolated: break
            default: Issue.record("two suspects at once")
            }
            let carol = try #require(try other.names(in: .queued).first { $0.user == "carol" })
            switch try other.claim(carol) {
            case .claimed(let beside): try beside.complete(result: [:])
            default: Issue.record("a plain job had to wait for a suspect")
            }
            try claim.complete(result: [:])
        default: Issue.record("the first suspect was not claimed")
        }
        switch try other.claim(marked) {
        case .claimed(let claim): try claim.complete(result: [:])
        default: Issue.record("the second suspect was not claimed after the first")
        }
    }

    @Test("a claim excludes other claims, also of another process, until it ends")
    func claimExcludes() throws {
        let fixture = try SpoolFixture()
        let id = try fixture.spool.submit(fixture.submission()).record.id
        let name = try #require(try fixture.spool.names(in: .queued).first)
        let other = try fixture.another()
        _ = try claimFirst(fixture.spool) { claim in
            switch try other.claim(name) {
            case .busy: break
            default: Issue.record("claimed twice")
            }
            #expect(try other.recoverOrphans().requeued.isEmpty)
            try claim.complete(result: .null, usage: nil)
        }
        switch try other.claim(name) {
        case .gone: break
        default: Issue.record("claimed after its end")
        }
        #expect(try fixture.places(id) == ["done"])
    }

    @Test("a failed attempt goes back to queued with its count and due time; a dropped claim counts nothing")
    func retries() throws {
        let fixture = try SpoolFixture()
        let id = try fixture.spool.submit(fixture.submission()).record.id
        let due = fixture.clock.now.addingTimeInterval(60)
        _ = try claimFirst(fixture.spool) { claim in
            try claim.retry(JobFailure(code: "timeout", detail: "slow", isRetryable: true), due: due)
        }
        var name = try #require(try fixture.spool.names(in: .queued).first)
        #expect(name.attempt == 1)
        #expect(name.due == due)
        #expect(try fixture.spool.record(id)?.error?.code == "timeout")
        _ = try claimFirst(fixture.spool) { claim in _ = claim.job }
        name = try #require(try fixture.spool.names(in: .queued).first)
        #expect(name.attempt == 1)
        #expect(name.crashes == 0)
    }

    @Test("a dead letter is retried as the next run, by the command and by hand", arguments: [true, false])
    func deadLetter(byHand: Bool) throws {
        let fixture = try SpoolFixture()
        let spool = fixture.spool
        let id = try spool.submit(fixture.submission()).record.id
        _ = try claimFirst(spool) { claim in
            try claim.record.journal(.model, ["text": "paid for"])
            try claim.bury(JobFailure(code: "bad_request", detail: "no", isRetryable: false))
        }
        #expect(try fixture.places(id) == ["dead"])
        #expect(try spool.record(id)?.error?.code == "bad_request")
        if byHand {
            let name = try #require(try spool.names(in: .dead).first)
            try LinuxFileSystem().rename(spool.layout.path(.dead, name), spool.layout.path(.queued, name))
        } else {
            #expect(try spool.retry(id).state == .queued)
        }
        _ = try claimFirst(spool) { claim in
            #expect(claim.job.run == 2)
            #expect(claim.job.attempt == 0)
            #expect(claim.record.replay.count == 1)
            try claim.complete(result: .null, usage: nil)
        }
        #expect(try fixture.finalLines(id).map(\.state) == [.failed, .completed])
        #expect(try fixture.places(id) == ["done"])
    }

    @Test("a busy day gets all its folders at once, and no job pays for them any more")
    func shards() throws {
        let fixture = try SpoolFixture(log: true)
        let files = fixture.files
        let status = fixture.spool.layout.path(.status)
        var made = 0
        while made <= ShardFolders.busyAfter {
            _ = try fixture.spool.submit(fixture.submission())
            let day = try #require(try files.list(status).first)
            let standing = try files.list("\(status)/\(day.name)").count
            #expect(standing < ShardFolders.busyAfter || standing == 256)
            made = standing
        }
        #expect(made == 256)
        files.set(.none)
        for _ in 0..<100 { _ = try fixture.spool.submit(fixture.submission()) }
        // The log itself still makes and syncs its segments.
        #expect(files.log.allSatisfy { !$0.hasPrefix("mkdir") && !($0.hasPrefix("fsync") && $0.contains(status)) })
        // Removed by somebody: made again.
        let day = try #require(try files.list(status).first)
        try files.removeTree("\(status)/\(day.name)")
        for _ in 0..<10 { _ = try fixture.spool.submit(fixture.submission()) }
    }

    @Test("cancelling a waiting job ends it at once; a running one by its mark")
    func cancels() throws {
        let fixture = try SpoolFixture()
        let spool = fixture.spool
        let waiting = try spool.submit(fixture.submission("a")).record.id
        #expect(try spool.cancel(waiting).state == .cancelled)
        #expect(try fixture.places(waiting) == ["done"])
        #expect(throws: SpoolError.self) { try spool.cancel(waiting) }

        let running = try spool.submit(fixture.submission("b")).record.id
        _ = try claimFirst(spool) { claim in
            let run = claim.job.run
            #expect(try spool.cancel(running).state == .running)
            #expect(spool.isCancelRequested(running, run: run))
            try claim.cancel()
        }
        #expect(try spool.record(running)?.state == .cancelled)
        #expect(!spool.isCancelRequested(running, run: 1))
    }

    @Test("jobs of one key run one at a time in the order they were admitted, others are not held up")
    func ordered() throws {
        let fixture = try SpoolFixture()
        let spool = fixture.spool
        let key = SpoolFixture.key
        let first = try spool.submit(fixture.submission("1", key: key)).record.id
        fixture.clock.advance(by: 1)
        let second = try spool.submit(fixture.submission("2", key: key)).record.id
        let names = try spool.names(in: .queued)
        let secondName = try #require(names.first { $0.id == second })
        let other = try fixture.another()
        guard case .blocked(let head) = try other.claim(secondName) else {
            Issue.record("the second overtook the first")
            return
        }
        #expect(head == first)
        _ = try claimFirst(spool) { claim in
            #expect(claim.job.id == first)
            guard case .blocked = try other.claim(secondName) else {
                Issue.record("two of one key at once")
                return
            }
            try claim.complete(result: .null, usage: nil)
        }
        _ = try claimFirst(other) { claim in
            #expect(claim.job.id == second)
            try claim.complete(result: .null, usage: nil)
        }
    }

    @Test("a head that was cancelled, removed by hand or never admitted does not block its key", arguments: 0..<3)
    func nothingBlocksForGood(how: Int) throws {
        let fixture = try SpoolFixture()
        let spool = fixture.spool
        let head = fixture.submission("1", key: SpoolFixture.key)
        if how == 2 {
            // Stops after the order file has the id and before the job file stands.
            fixture.files.set(.none)
            _ = try fixture.another().submit(fixture.submission("0", key: SpoolFixture.key))
            _ = try claimFirst(spool) { try $0.complete(result: .null, usage: nil) }
            let files = FaultyFileSystem()
            let dying = try JobSpool(root: spool.layout.root, files: files, now: fixture.clock.read)
            _ = try dying.submit(fixture.submission("x"))
            let before = try spool.names(in: .queued).count
            files.set(.stopBefore("rename \(spool.layout.root)/tmp/\(head.id)"))
            #expect(throws: SpoolError.self) { try dying.submit(head) }
            files.crash()
            #expect(try spool.names(in: .queued).count == before)
        } else {
            _ = try spool.submit(head)
            if how == 0 { _ = try spool.cancel(head.id) }
            if how == 1 {
                let name = try #require(try spool.names(in: .queued).first)
                try LinuxFileSystem().remove(spool.layout.path(.queued, name))
            }
        }
        fixture.clock.advance(by: 1)
        let follower = try spool.submit(fixture.submission("2", key: SpoolFixture.key)).record.id
        let name = try #require(try spool.names(in: .queued).first { $0.id == follower })
        guard case .claimed(let claim) = try fixture.another().claim(name) else {
            Issue.record("blocked by a job that will never run")
            return
        }
        try claim.complete(result: .null, usage: nil)
    }

    @Test("an event stream resumes at an offset, and starts over when the offset no longer fits")
    func streams() throws {
        let fixture = try SpoolFixture()
        let spool = fixture.spool
        let id = try spool.submit(fixture.submission()).record.id
        _ = try claimFirst(spool) { claim in
            try claim.record.event(["event": "delta", "text": "Hel"])
            let part = try #require(try spool.lines(id, from: 0, epoch: nil))
            try claim.record.event(["event": "delta", "text": "lo"])
            try claim.record.event(["event": "tool", "name": "quotes"])
            let rest = try #require(try spool.lines(id, from: part.next, epoch: part.epoch))
            #expect(!rest.isReset)
            #expect(rest.lines.map { $0.fields["event"] } == ["delta", "tool"])
            #expect(rest.lines.first?.fields["text"] == "lo")
            let odd = try #require(try spool.lines(id, from: part.next - 1, epoch: part.epoch))
            #expect(odd.isReset)
            #expect(try spool.lines(id, from: part.next, epoch: "7-ffff")?.isReset == true)
            try claim.complete(result: .null, usage: nil)
        }
    }

    @Test("pruning removes what is final and old, keeps the rest, and refuses a clock that jumped")
    func prunes() throws {
        let fixture = try SpoolFixture()
        let spool = fixture.spool
        let done = try spool.submit(fixture.submission("a")).record.id
        _ = try claimFirst(spool) { try $0.complete(result: .null, usage: nil) }
        let dead = try spool.submit(fixture.submission("b")).record.id
        _ = try claimFirst(spool) { try $0.bury(JobFailure(code: "x", detail: "", isRetryable: false)) }
        let waiting = try spool.submit(fixture.submission("c", dueIn: 1e7)).record.id
        #expect(try spool.prune(olderThanDays: 30).jobs == 0)
        fixture.clock.advance(by: 40 * 86_400)
        #expect(throws: SpoolError.self) { try spool.prune(olderThanDays: 30) }
        try LinuxFileSystem().remove(spool.layout.path(.control, "pruned"))
        #expect(try spool.prune(olderThanDays: 30).jobs == 1)
        #expect(try spool.record(done) == nil)
        #expect(try fixture.places(done).isEmpty)
        #expect(try fixture.places(dead) == ["dead"])
        #expect(try spool.record(waiting)?.state == .queued)
    }

    @Test("a retry or hold whose worker dies before it moves the file keeps its count and its due time", arguments: [true, false])
    func announcedReturn(isRetry: Bool) throws {
        let fixture = try SpoolFixture()
        let id = try fixture.spool.submit(fixture.submission()).record.id
        let files = FaultyFileSystem()
        let dying = try JobSpool(root: fixture.spool.layout.root, files: files, now: fixture.clock.read)
        let due = fixture.clock.now.addingTimeInterval(60)
        let failure = JobFailure(code: "timeout", detail: "slow", isRetryable: true)
        let name = try #require(try dying.names(in: .queued).first)
        guard case .claimed(let claim) = try dying.claim(name) else {
            Issue.record("not claimed")
            return
        }
        files.set(.stopBefore("rename \(dying.layout.root)/running/"))
        do throws(SpoolError) {
            if isRetry { try claim.retry(failure, due: due) } else { try claim.hold(until: due, failure) }
            Issue.record("the move was not stopped")
        } catch {
            #expect(error.code == .storage)
        }
        files.crash()
        #expect(try fixture.spool.recoverOrphans().requeued == [id])
        let back = try #require(try fixture.spool.names(in: .queued).first)
        #expect(back.attempt == (isRetry ? 1 : 0))
        #expect(back.crashes == 0)
        #expect(back.due == due)
        #expect(try fixture.spool.record(id)?.error?.code == "timeout")
    }

    @Test("a run whose record is removed under its hands does not end into nowhere: the job begins anew")
    func lostRecord() throws {
        let fixture = try SpoolFixture()
        let spool = fixture.spool
        let id = try spool.submit(fixture.submission()).record.id
        _ = try claimFirst(spool) { claim in
            try LinuxFileSystem().remove(spool.statusPath(id))
            do throws(SpoolError) {
                try claim.complete(result: ["lost": true])
                Issue.record("ended without a record")
            } catch {
                #expect(error.code == .takenOver)
            }
        }
        #expect(try spool.recoverOrphans().requeued == [id])
        _ = try claimFirst(spool) { try $0.complete(result: ["kept": true]) }
        #expect(try spool.record(id)?.result == ["kept": true])
        #expect(try fixture.places(id) == ["done"])
    }

    @Test("a record too large to be read fails its own job and holds up nobody, waiting or running", arguments: [true, false])
    func overgrownRecord(isRunning: Bool) throws {
        let fixture = try SpoolFixture()
        let spool = fixture.spool
        let head = try spool.submit(fixture.submission("1", key: SpoolFixture.key)).record.id
        fixture.clock.advance(by: 1)
        let follower = try spool.submit(fixture.submission("2", key: SpoolFixture.key)).record.id
        if isRunning { try fixture.claimAndDie() }
        // A hole of zeros, as a crashed file system may leave it.
        let handle = try #require(FileHandle(forUpdatingAtPath: spool.statusPath(head)))
        try handle.truncate(atOffset: 300 << 20)
        try handle.close()
        if isRunning { #expect(try spool.recoverOrphans().buried == [head]) }
        var outcomes: [String] = []
        for _ in 0..<2 { outcomes.append(try claimFirst(spool) { try $0.complete(result: .null) }) }
        #expect(outcomes.contains("claimed"))
        #expect(try spool.record(head)?.error?.code == "record_too_large")
        #expect(try fixture.places(head) == ["dead"])
        #expect(try spool.record(follower)?.state == .completed)
    }

    @Test("a cancel that finds its job going back to queued/ ends it, and means only the run it names")
    func cancelBetween() throws {
        let fixture = try SpoolFixture()
        let spool = fixture.spool
        let id = try spool.submit(fixture.submission()).record.id
        _ = try claimFirst(spool) { claim in
            _ = try spool.cancel(id)
            try claim.retry(JobFailure(code: "x", detail: "", isRetryable: true), due: fixture.clock.now + 60)
        }
        #expect(try spool.record(id)?.state == .queued)
        try spool.endCancelled(CancelRequest(id: id, run: 2))
        #expect(try spool.record(id)?.state == .queued)
        try spool.endCancelled(CancelRequest(id: id, run: 1))
        #expect(try spool.record(id)?.state == .cancelled)
        #expect(try fixture.places(id) == ["done"])
    }

    @Test(
        "a name that outlived a power cut without its content is cleared away; its id can be submitted again",
        arguments: [0, 700], [false, true])
    func emptyFile(zeros: Int, isSubmittedFirst: Bool) throws {
        let fixture = try SpoolFixture()
        let spool = fixture.spool
        let submission = fixture.submission()
        let name = JobFileName(
            id: submission.id, due: submission.due, lane: submission.lane, priority: submission.priority,
            user: submission.user, orderKey: nil, holdKey: submission.holdKey)
        try LinuxFileSystem().createSynced(spool.layout.path(.queued, name), [UInt8](repeating: 0, count: zeros))
        if isSubmittedFirst {
            // The client repeats its call before a worker looks.
            _ = try spool.submit(submission)
            #expect(try spool.payload(submission.id) == submission.payload)
            return
        }
        #expect(try claimFirst(spool) { _ in Issue.record("an empty job was run") } == "nothing")
        #expect(try fixture.places(submission.id).isEmpty)
        #expect(try spool.record(submission.id) == nil)
        _ = try spool.submit(submission)
        #expect(try claimFirst(spool) { try $0.complete(result: .null) } == "claimed")
    }
}
