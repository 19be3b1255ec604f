// Readers of what stands on disk, given damaged and invented bytes: nothing crashes, what is whole is kept, what is not is
// passed over. Seeded, so a failure names its seed and can be repeated; NANOBOT_FUZZ multiplies the rounds.

import DurableFiles
import Foundation
import TestSupport
import Testing
import TextFormats

@testable import Spool

@Suite struct FuzzTests {
    private static let rounds = (Int(ProcessInfo.processInfo.environment["NANOBOT_FUZZ"] ?? "") ?? 1) * 300

    /// Damages bytes in ways disks, editors and people do.
    struct Random {
        var generator: SeededGenerator

        init(state: UInt64) { generator = SeededGenerator(seed: state) }

        /// Bits flipped, bytes cut out, doubled, replaced or put in.
        mutating func damage(_ bytes: [UInt8]) -> [UInt8] {
            var bytes = bytes
            for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<6, using: &generator) {
                case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                case 1: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...40, using: &generator)))
                case 2: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 30)], at: place)
                case 3: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                case 4: bytes.insert([0x0A, 0x00, 0x22, 0x7B, 0xFF].randomElement(using: &generator) ?? 0, at: place)
                default: bytes.removeLast(bytes.count - place)
                }
            }
            return bytes
        }
    }

    private func statusLines() -> [StatusLine] {
        let name = JobFileName(
            id: JobID.make(now: Date(timeIntervalSince1970: 1_764_000_000)), due: Date(timeIntervalSince1970: 1_764_000_000),
            lane: .scheduled, priority: 5, user: "alice", orderKey: SpoolFixture.key, holdKey: "offline")
        var status = StatusRecord(state: .running, name: name, at: Date(timeIntervalSince1970: 1_764_000_001))
        status.epoch = 1
        status.tag = "beef"
        status.error = JobFailure(code: "x", detail: "\u{1F600} \"quoted\"\n", isRetryable: true)
        return [
            status.line, StatusLine(.event, ["event": "delta", "text": "a b c"]),
            StatusLine(.model, ["step": 1, "response": ["text": "answer", "list": [1, 2.5, .null]]]),
            StatusLine(.intent, ["call": "1", "name": "quotes", "arguments": "{}"]),
            StatusLine(.result, ["call": "1", "result": "42"]),
        ]
    }

    @Test("a damaged status file gives the lines that check, in order, and goes on taking lines")
    func statusFiles() throws {
        let fixture = try SpoolFixture()
        let lines = statusLines()
        let whole = lines.map { $0.encoded() }
        for seed in 0..<FuzzTests.rounds {
            var random = Random(state: UInt64(seed))
            let submission = fixture.submission("x")
            let path = fixture.spool.layout.statusPath(submission.id)
            try LinuxFileSystem().ensureDirectory(fixture.spool.layout.statusFolder(submission.id))
            let damaged = random.damage(Array(whole.joined()))
            try LinuxFileSystem().createSynced(path, damaged)
            guard case .locked(let file) = try StatusFile.openLocked(submission.id, path, LinuxFileSystem()) else {
                Issue.record("not locked")
                return
            }
            let found = try file.readAll(repairing: true)
            #expect(found.allSatisfy { line in lines.contains { $0.fields == line.fields } }, "seed \(seed)")
            try file.append(StatusLine(.result, ["call": "2"]), .none)
            let again = try file.readAll(repairing: false)
            #expect(again.count == found.count + 1, "seed \(seed)")
            _ = StatusHistory(again)
            file.close()
            // Readers without the lock meet the same file.
            _ = try fixture.spool.record(submission.id)
            _ = try fixture.spool.lines(submission.id, from: Int.random(in: 0...200, using: &random.generator), epoch: "1-beef")
        }
    }

    @Test("a damaged name is another name of ours, spelled in the one way there is, or none")
    func names() {
        let name = JobFileName(
            id: JobID.make(now: Date(timeIntervalSince1970: 1_764_000_000)), due: Date(timeIntervalSince1970: 1_764_000_000),
            lane: .interactive, priority: 0, user: "a-b_c", orderKey: SpoolFixture.key, holdKey: "openai", run: 2, attempt: 3,
            crashes: 1)
        for seed in 0..<FuzzTests.rounds * 20 {
            var random = Random(state: UInt64(seed))
            var start = name
            start.isDead = seed & 1 == 0
            start.isFinishing = seed & 2 == 0
            let text = String(decoding: random.damage(Array(start.description.utf8)), as: UTF8.self)
            if let read = JobFileName(text) { #expect(read.description == text, "seed \(seed): \(text)") }
            if let id = JobID(text) { #expect(id.description == text) }
            _ = CancelRequest(text)
        }
    }

    @Test("a damaged order file still names only ids, and takes new ones")
    func orderFiles() throws {
        let folder = try TemporaryDirectory(inMemory: true)
        let files = LinuxFileSystem()
        let ids = (0..<6).map { JobID.make(now: Date(timeIntervalSince1970: 1_764_000_000 + Double($0))) }
        for seed in 0..<FuzzTests.rounds {
            var random = Random(state: UInt64(seed))
            let path = "\(folder.path)/\(seed).jsonl"
            let order = try OrderFile.open(path, files)
            for id in ids { try order.admit(id, sync: false) }
            try order.end([ids[1]])
            let bytes = random.damage(try files.readFile(path))
            try files.replaceFile(path, bytes)
            let damaged = try OrderFile.open(path, files)
            _ = try damaged.live()
            let new = JobID.make(now: Date(timeIntervalSince1970: 1_764_000_100))
            try damaged.admit(new, sync: false)
            #expect(try damaged.live().last == new, "seed \(seed)")
        }
    }

    @Test("a damaged segment of the log gives frames that check, and their records or none")
    func segments() {
        let id = JobID.make(now: Date(timeIntervalSince1970: 1_764_000_000))
        var body: [UInt8] = []
        for record in [
            LogRecord.lines(id, offset: 7, isFirst: true, Array("line\n".utf8)), .order(anyKey, id, offset: 3),
        ] { record.append(to: &body) }
        let frames = (0..<4).flatMap { LogSegment.frame(nonce: 9, number: $0, body: body) }
        let whole = LogSegment.head(nonce: 9) + frames + [UInt8](repeating: 0, count: 2 * LogSegment.page)
        for seed in 0..<FuzzTests.rounds {
            var random = Random(state: UInt64(seed))
            let content = LogSegment.content(of: random.damage(whole))
            #expect(content.frames.count <= 4)
            for found in content.frames { #expect(Array(found.body) == body, "seed \(seed)") }
            // Records have a checksum around them; without it they must still not crash the reader.
            _ = LogRecord.parse(random.damage(body)[...])
        }
    }

    private var anyKey: OrderKey { OrderKey("00112233445566778899aabbccddeeff")! }

    @Test("a spool full of rubbish under plausible names is worked off without a crash, and nothing of it is deleted")
    func rubbish() throws {
        let fixture = try SpoolFixture()
        let spool = fixture.spool
        let files = LinuxFileSystem()
        var random = Random(state: 11)
        var contents: Set<[UInt8]> = []
        for number in 0..<40 {
            fixture.clock.advance(by: 1)
            let submission = fixture.submission("{\"n\":\(number)}", key: number % 3 == 0 ? SpoolFixture.key : nil)
            let content = random.damage(Array("{\"kind\":\"report\",\"user_id\":\"alice\",\"number\":\(number)}".utf8))
            // An empty file has nothing to keep: it is what a power cut leaves of a job nobody was told of.
            if !content.isEmpty { contents.insert(content) }
            var name = submission.fileName
            name.attempt = number % 4
            name.isDead = number % 7 == 0
            let folder: Folder = number % 5 == 0 ? .running : .queued
            try files.createSynced(spool.layout.path(folder, number % 11 == 0 ? name.finishing : name), content)
            guard number % 2 == 0 else { continue }
            try files.ensureDirectory(spool.layout.statusFolder(submission.id))
            try files.createSynced(
                spool.layout.statusPath(submission.id), random.damage(Array(statusLines().map { $0.encoded() }.joined())))
        }
        for _ in 0..<200 {
            fixture.clock.advance(by: 60)
            _ = try spool.recoverOrphans()
            if try claimFirst(spool, { try $0.complete(result: .null) }) == "nothing" { break }
        }
        #expect(try spool.names(in: .running).isEmpty)
        var kept: Set<[UInt8]> = []
        for folder in [Folder.queued, .running, .dead, .rejected] {
            for entry in try files.list(spool.layout.path(folder)) where entry.kind != .directory {
                kept.insert(try files.readFile(spool.layout.path(folder, entry.name)))
            }
        }
        for day in try spool.doneDays() {
            for name in try spool.doneNames(day: day) { kept.insert(try files.readFile(spool.layout.donePath(name))) }
        }
        #expect(kept.isSuperset(of: contents))
    }
}
