import DurableFiles
import Foundation
@testable import Spool
import TestSupport
import Testing
import TextFormats

@Suite struct NamesAndLinesTests {
    @Test("an id reads back from its text, sorts by time, and knows its day")
    func ids() throws {
        let early = JobID.make(now: Date(timeIntervalSince1970: 1_764_000_000))
        let late = JobID.make(now: Date(timeIntervalSince1970: 1_764_000_001))
        #expect(early < late)
        #expect(JobID(early.description) == early)
        #expect(early.day == "2025-11-24")
        #expect(early.shard.count == 2)
        let digest = Array("a digest of sixteen bytes".utf8)
        #expect(JobID.derived(from: digest, time: early.time) == JobID.derived(from: digest, time: early.time))
    }

    @Test(
        "a text that is no lower-case UUIDv7 is no id",
        arguments: [
            "", "0193", "01936f2e-0000-7000-8000-00000000000", "01936F2E-0000-7000-8000-000000000000",
            "01936f2e-0000-4000-8000-000000000000", "01936f2e-0000-7000-c000-000000000000",
            "01936f2e00007000800000000000000000000", "01936f2e-0000-7000-8000-0000000000001", "../../../etc/passwd",
        ])
    func badIDs(_ text: String) { #expect(JobID(text) == nil) }

    @Test("a file name reads back as what it was made of")
    func fileNames() throws {
        var name = JobFileName(
            id: JobID.make(now: Date()), due: Date(timeIntervalSince1970: 1_764_000_000.123), lane: .interactive,
            priority: 3, user: "user_1-a", orderKey: OrderKey("00112233445566778899aabbccddeeff"), holdKey: "openai",
            run: 2, attempt: 3, crashes: 1)
        name.isDead = true
        name.isFinishing = true
        let text = name.description
        #expect(text.hasSuffix(".dead.json.fin"))
        #expect(JobFileName(text) == name)
        #expect(text.utf8.count < 255)
    }

    @Test("a name that is none of ours is recognised as foreign, and a mutated one never crashes the reader")
    func foreignNames() {
        for text in ["report.json", "", ".", "..json", "a.b.c.d.e.f.g.json", "1.i5.a.-.o.1-0-0.x.json"] {
            #expect(JobFileName(text) == nil)
        }
        var random = SeededGenerator(seed: 7)
        let good = JobFileName(
            id: JobID.make(now: Date()), due: Date(), lane: .background, priority: 0, user: "a", orderKey: nil,
            holdKey: "o"
        ).description
        for _ in 0..<20_000 {
            var bytes = Array(good.utf8)
            bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0x20...0x7E, using: &random)
            let text = String(decoding: bytes, as: UTF8.self)
            if let name = JobFileName(text) { #expect(JobFileName(name.description) == name) }
        }
    }

    @Test("a status file with any byte changed is still read: damaged lines are as if they were not there")
    func damagedLines() throws {
        let fixture = try SpoolFixture()
        let id = try fixture.spool.submit(fixture.submission()).record.id
        _ = try claimFirst(fixture.spool) { claim in
            try claim.record.event(["event": "tool", "name": "x"])
            try claim.complete(result: ["n": 1], usage: nil)
        }
        let path = fixture.spool.statusPath(id)
        let good = try fixture.files.readFile(path)
        var random = SeededGenerator(seed: 11)
        for _ in 0..<300 {
            var bytes = good
            bytes[Int.random(in: bytes.indices, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
            try fixture.files.replaceFile(path, bytes)
            let record = try fixture.spool.record(id)
            #expect(record == nil || record?.id == id)
            _ = try fixture.spool.lines(id, from: 0, epoch: nil)
        }
        for cut in stride(from: 0, to: good.count, by: 7) {
            try fixture.files.replaceFile(path, Array(good.prefix(cut)))
            let record = try fixture.spool.record(id)
            #expect(record?.state != .completed)
        }
    }

    @Test("who claims a job reads its admission and its journal, and none of the events its streams have left")
    func eventsAreSkipped() throws {
        let fixture = try SpoolFixture()
        let id = try fixture.spool.submit(fixture.submission()).record.id
        _ = try claimFirst(fixture.spool) { claim in
            for number in 0..<20 { try claim.record.event(["event": "tool", "name": "tool \(number)"]) }
            try claim.record.journal(.result, ["call": "1"])
            try claim.release("drain")
        }
        let path = fixture.spool.statusPath(id)
        guard case .locked(let file) = try StatusFile.openLocked(id, path, fixture.files) else {
            Issue.record("not locked")
            return
        }
        let lines = try file.readAll(repairing: true)
        #expect(lines.map(\.type) == [.event, .status, .status, .result, .status])
        #expect(lines.first?.fields["event"] == "admitting")
        #expect(try file.size == fixture.files.readFile(path).count)
        #expect(StatusHistory(lines).journal.count == 1)
    }
}
