import DurableFiles
import Foundation
import Glibc
import Spool
import Synchronization
import TestSupport
import Testing
import TextFormats

@testable import Jobs

private let report = #"{"kind":"report","user_id":"demo"}"#

struct DropBoxTests {
    @Test(
        "a valid file becomes a job and gets a receipt under its own name",
        arguments: [
            "report.json", "with space.json", "新 报告.json", "line\nbreak.json", "e\u{301}.json", "-rf.json", "a~b.json",
            String(repeating: "x", count: 250) + ".json", String(repeating: "长", count: 83) + ".json",
        ])
    func accepted(name: String) throws {
        let house = try JobHouse()
        let box = house.dropBox()
        try house.drop(name, report)
        box.scan()
        let receipt = try house.json(.receipts, name)
        let id = try #require(try house.queuedIDs.first)
        #expect(receipt == ["id": .string(id.description), "status_file": .string(house.spool.relativeStatusPath(id))])
        #expect(try house.names(.incoming).isEmpty && house.names(.admitting).isEmpty)
        #expect(try house.client.view(id)?.kind == .report)
    }

    @Test("a receipt says that nothing is sent to a callback_url")
    func callbackNotice() throws {
        let house = try JobHouse()
        let box = house.dropBox()
        try house.drop("a.json", #"{"kind":"report","user_id":"demo","callback_url":"https://x.example/"}"#)
        box.scan()
        let receipt = try house.json(.receipts, "a.json")
        #expect(receipt["id"] != nil && receipt["notices"]?.array?.count == 1)
    }

    @Test("a job of a user whose settings are damaged waits, without keeping others waiting, until they are repaired")
    func damagedUser() throws {
        let house = try JobHouse()
        let box = house.dropBox()
        try house.addUser("other")
        let config = "\(house.directory.path)/workspaces/demo/config.json"
        let good = try LinuxFileSystem().readFile(config)
        try LinuxFileSystem().replaceFile(config, Array("{".utf8))
        try house.drop("a.json", report)
        try house.drop("b.json", #"{"kind":"report","user_id":"other"}"#)
        for _ in 0..<3 { house.scanSettled(box) }
        #expect(try house.names(.receipts) == ["b.json"] && house.names(.rejected).isEmpty)
        try LinuxFileSystem().replaceFile(config, good)
        house.clock.advance(by: 60)
        box.scan()
        #expect(try house.names(.receipts) == ["a.json", "b.json"] && house.names(.admitting).isEmpty)
    }

    @Test("an id in the file is kept, and dropping it again answers with the same job under another receipt")
    func sameFileTwice() throws {
        let house = try JobHouse()
        let box = house.dropBox()
        let id = JobID.make(now: house.clock.now)
        for _ in 0..<2 {
            try house.drop("a.json", #"{"kind":"report","user_id":"demo","id":"\#(id)"}"#)
            box.scan()
        }
        #expect(try house.queuedIDs == [id])
        let receipts = try house.names(.receipts)
        #expect(receipts.count == 2 && receipts.contains("a.json"))
        for name in receipts { #expect(try house.json(.receipts, name)["id"]?.string == id.description) }
    }

    @Test("an idempotency key in dropped files makes them one job, and other content under it is refused")
    func sameKeyTwice() throws {
        let house = try JobHouse()
        let box = house.dropBox()
        let job = #"{"kind":"report","user_id":"demo","idempotency_key":"monday","#
        for name in ["a.json", "b.json", "a.json"] {
            try house.drop(name, job + #""report_type":"daily"}"#)
            box.scan()
        }
        let id = try #require(try house.queuedIDs.first)
        #expect(try house.queuedIDs == [id])
        let receipts = try house.names(.receipts)
        #expect(receipts.count == 3)
        for name in receipts { #expect(try house.json(.receipts, name)["id"]?.string == id.description) }
        try house.drop("c.json", job + #""report_type":"weekly"}"#)
        house.scanSettled(box)
        #expect(try house.json(.receipts, "c.json")["error"]?["code"] == "idempotency_conflict")
    }

    static let bad: [(name: String, bytes: [UInt8], code: String, field: String?)] = [
        ("malformed.json", Array(#"{"kind": "report","#.utf8), "invalid_json", nil),
        ("kind.json", Array(#"{"kind":"dance","user_id":"demo"}"#.utf8), "invalid_job", "kind"),
        ("large.json", Array(repeating: 0x20, count: 2 << 20), "too_large", nil),
        (
            "utf8.json", Array(#"{"kind":"chat","user_id":"demo","message":""#.utf8) + [0xFF, 0x22, 0x7D],
            "invalid_json", nil
        ),
        ("nul.json", [0, 0, 0], "invalid_json", nil),
        ("nobody.json", Array(#"{"kind":"report","user_id":"nobody"}"#.utf8), "user_not_found", "user_id"),
        ("list.json", Array("[]".utf8), "invalid_job", nil),
        (String(repeating: "n", count: 245) + ".json", Array("{}".utf8), "invalid_job", "kind"),
    ]

    @Test("a bad file is kept in rejected/ beside its error, with a receipt that says the same", arguments: bad.indices)
    func rejected(index: Int) throws {
        let (name, bytes, code, field) = Self.bad[index]
        let house = try JobHouse()
        let box = house.dropBox()
        try house.drop(name, bytes)
        house.scanSettled(box)
        let error = try house.json(.receipts, name)
        #expect(error["error"]?["code"]?.string == code && error["error"]?["field"]?.string == field)
        #expect(error["error"]?["detail"]?.string?.isEmpty == false && error["id"] == nil)
        let kept = try house.names(.rejected)
        let file = try #require(kept.first { !$0.hasSuffix(".error.json") })
        #expect(kept.count == 2 && (name.utf8.count > 244 || file == name))
        #expect(try LinuxFileSystem().readFile(house.path(.rejected, file)) == bytes)
        #expect(try house.json(.rejected, "\(file).error.json") == error)
        #expect(try house.names(.incoming).isEmpty && house.names(.admitting).isEmpty && house.queuedIDs.isEmpty)
    }

    @Test("two bad files of one name are both kept")
    func rejectedTwice() throws {
        let house = try JobHouse()
        let box = house.dropBox()
        for text in ["{", "[", "{"] {
            try house.drop("a.json", text)
            house.scanSettled(box)
        }
        #expect(try house.names(.rejected).count == 6 && house.names(.receipts).count == 3)
    }

    @Test("links, pipes, folders and other names stay where they lie and are reported once; hidden ones are not")
    func left() throws {
        let house = try JobHouse()
        let box = house.dropBox()
        try LinuxFileSystem().createSynced("\(house.directory.path)/real.json", Array(report.utf8))
        #expect(symlink("\(house.directory.path)/real.json", house.path(.incoming, "link.json")) == 0)
        #expect(link("\(house.directory.path)/real.json", house.path(.incoming, "hard.json")) == 0)
        #expect(mkfifo(house.path(.incoming, "pipe.json"), 0o600) == 0)
        try LinuxFileSystem().makeDirectory(house.path(.incoming, "folder.json"), mode: 0o700)
        for name in ["notes.txt", ".hidden.json", "half.json.part", "half.json.tmp"] { try house.drop(name, report) }
        try house.drop("good.json", report)
        for _ in 0..<3 {
            house.clock.advance(by: 3)
            box.scan()
        }
        let stay = [
            "folder.json", "half.json.part", "half.json.tmp", "hard.json", "link.json", "notes.txt", "pipe.json",
        ]
        #expect(try house.names(.incoming) == stay)
        #expect(try house.queuedIDs.count == 1)
        let reported = house.notices.withLock { $0.left }.sorted()
        let names = ["folder.json", "hard.json", "link.json", "notes.txt", "pipe.json"]
        #expect(reported == names.map { "incoming/\($0)" })
    }

    @Test("a file whose name is not UTF-8 stays and is reported once")
    func unreadableName() throws {
        let house = try JobHouse()
        let box = house.dropBox()
        let path = Array(house.path(.incoming, "").utf8).map { CChar(bitPattern: $0) }
        let descriptor = Glibc.open(
            path + [CChar(bitPattern: 0xFF)] + Array(".json".utf8CString), O_CREAT | O_WRONLY, 0o600)
        #expect(descriptor >= 0)
        Glibc.close(descriptor)
        for _ in 0..<2 { box.scan() }
        #expect(house.notices.withLock { $0.left } == ["incoming/"])
    }

    @Test("a file renamed from a temporary name is taken in at the rename")
    func renamed() throws {
        let house = try JobHouse()
        let box = house.dropBox()
        try house.drop("a.json.tmp", report)
        box.scan()
        #expect(try house.queuedIDs.isEmpty)
        try LinuxFileSystem().rename(house.path(.incoming, "a.json.tmp"), house.path(.incoming, "a.json"))
        box.scan()
        #expect(try house.queuedIDs.count == 1)
    }

    @Test("a file written slowly is taken in whole")
    func slowly() throws {
        let house = try JobHouse()
        let box = house.dropBox()
        let files = LinuxFileSystem()
        let descriptor = try files.open(house.path(.incoming, "slow.json"), [.write, .create])
        for piece in [#"{"kind":"chat","user_id":"#, #""demo","message":"#, #""slow"}"#] {
            try files.writeAll(descriptor, Array(piece.utf8), path: "slow.json")
            for _ in 0..<3 {
                house.clock.advance(by: 3)
                box.scan()
            }
            #expect(try house.queuedIDs.isEmpty)
        }
        try files.close(descriptor, path: "slow.json")
        box.scan()
        let id = try #require(try house.queuedIDs.first)
        #expect(try AdmittedJob(payload: house.spool.payload(id) ?? [], now: house.clock.now).request.message == "slow")
    }

    @Test("a file that lay there before the service is taken in once it has been still for 2 s")
    func before() throws {
        let house = try JobHouse()
        try house.drop("early.json", report)
        let box = house.dropBox()
        box.scan()
        house.clock.advance(by: 1.9)
        box.scan()
        #expect(try house.queuedIDs.isEmpty)
        house.clock.advance(by: 0.2)
        box.scan()
        #expect(try house.queuedIDs.count == 1)
    }

    @Test("a file with a name of its own in queued/ is taken as dropped")
    func inQueued() throws {
        let house = try JobHouse()
        let box = house.dropBox()
        try house.drop("mine.json", report, into: .queued)
        for _ in 0..<3 {
            box.scan()
            house.clock.advance(by: 3)
        }
        #expect(try house.queuedIDs.count == 1 && house.names(.receipts) == ["mine.json"])
        #expect(try house.names(.queued).allSatisfy { JobFileName($0) != nil })
    }

    @Test(
        "wherever the process dies, the next one finishes the file: one job, one answer, nothing left over",
        arguments: [(report, true), ("{", false), (report, true)].indices)
    func crashMatrix(index: Int) throws {
        let isGood = index != 1
        // The third name does not fit beside an id, so it is kept in a file of its own.
        let name = index == 2 ? String(repeating: "x", count: 250) + ".json" : "a.json"
        var stop = 1
        while true {
            let directory = try TemporaryDirectory(inMemory: true)
            let faulty = FaultyFileSystem()
            let house = try JobHouse(files: faulty, in: directory)
            let box = house.dropBox()
            try house.drop(name, isGood ? report : "{")
            faulty.set(.stop(call: stop))
            house.scanSettled(box)
            let isWhole = faulty.calls < stop
            faulty.crash()
            let again = try JobHouse(in: directory)
            let next = again.dropBox()
            for _ in 0..<3 {
                next.scan()
                again.clock.advance(by: 70)
            }
            let place = Comment(rawValue: "stopped at call \(stop)")
            #expect(try again.queuedIDs.count == (isGood ? 1 : 0), place)
            #expect(try again.names(.receipts) == [name], place)
            #expect(try again.names(.rejected).count == (isGood ? 0 : 2), place)
            #expect(
                try again.names(.incoming).isEmpty && again.names(.admitting).filter { !$0.hasSuffix(".name") }.isEmpty,
                place)
            if isGood {
                #expect(try again.json(.receipts, name)["id"]?.string == again.queuedIDs.first?.description, place)
            }
            if isWhole { break }
            stop += 1
        }
        #expect(stop > 10)
    }

    @Test("a full queue and a full disk delay a file, and it is taken in when they have passed")
    func passing() throws {
        let house = try JobHouse(userLimit: 1)
        let box = house.dropBox()
        let first = try house.submit()
        try house.drop("a.json", report)
        box.scan()
        house.clock.advance(by: 2)
        box.scan()
        #expect(
            try house.names(.rejected).isEmpty && house.names(.receipts).isEmpty && house.names(.admitting).count == 1)
        try house.client.cancel(first.id)
        house.clock.advance(by: 120)
        box.scan()
        #expect(try house.names(.receipts) == ["a.json"] && house.queuedIDs.count == 1)
        let delays = house.notices.withLock { $0 }.filter { if case .delayed = $0 { true } else { false } }
        #expect(delays.count == 1)
    }

    @Test("the thread takes in what is dropped while it runs, and ends when told")
    func thread() throws {
        let house = try JobHouse()
        let done = DispatchSemaphore(value: 0)
        let box = DropBox(
            client: house.client, spool: house.spool,
            options: DropBoxOptions(now: house.clock.read) { notice in
                if case .accepted = notice { done.signal() }
            })
        box.start()
        try house.drop("a.json", report)
        #expect(done.wait(timeout: .now() + 20) == .success)
        box.stop()
        #expect(try house.queuedIDs.count == 1)
    }

    @Test("a job's own file that is moved into incoming/ is the only copy, and goes back to where the job stands")
    func ownFileDropped() throws {
        let house = try JobHouse()
        let box = house.dropBox()
        let dead = try house.submit().id
        try house.claim(dead).bury(JobFailure(code: "x", detail: "", isRetryable: false))
        let running = try house.submit(["message": "runs"]).id
        let claim = try house.claim(running)
        for (folder, id) in [(Folder.dead, dead), (.running, running)] {
            let name = try #require(try house.spool.names(in: folder).first).description
            try house.files.rename(house.path(folder, name), house.path(.incoming, "moved \(folder.rawValue).json"))
            box.scan()
            #expect(try house.spool.names(in: folder).map(\.id) == [id])
        }
        #expect(try house.names(.incoming).isEmpty && house.names(.admitting).isEmpty)
        #expect(try house.names(.receipts).count == 2)
        try claim.complete(result: ["n": 1])
        #expect(try house.client.view(running)?.state == .completed)
        #expect(try house.client.retry(dead).state == .queued)
    }
}
