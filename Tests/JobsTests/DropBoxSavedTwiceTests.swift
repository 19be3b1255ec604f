// Programs that save a dropped file a second time, at any moment of its way through the drop box.

import DurableFiles
import Foundation
import Glibc
import Spool
import TestSupport
import Testing
import TextFormats

@testable import Jobs

private let first = #"{"kind":"chat","user_id":"demo","message":"first"}"#
private let second = #"{"kind":"chat","user_id":"demo","message":"second"}"#

struct DropBoxSavedTwiceTests {
    /// How a program writes a file for the second time.
    enum Save: CaseIterable {
        case overwritten, appended, renamedOver, removedAndMade

        func apply(_ house: JobHouse, _ name: String, whole: String, rest: String) throws {
            let path = house.path(.incoming, name)
            let files = LinuxFileSystem()
            switch self {
            case .overwritten: try write(path, whole, O_WRONLY | O_CREAT | O_TRUNC)
            case .appended: try write(path, rest, O_WRONLY | O_CREAT | O_APPEND)
            case .renamedOver:
                try house.drop(".\(name).swp", whole)
                try files.rename(house.path(.incoming, ".\(name).swp"), path, replace: true)
            case .removedAndMade:
                try files.remove(path)
                try house.drop(name, whole)
            }
        }
    }

    @Test(
        "half a file that was closed is not rejected while its writer may come again; the second save is one job",
        arguments: Save.allCases)
    func halfThenWhole(save: Save) throws {
        let house = try JobHouse()
        let box = house.dropBox()
        let half = String(second.prefix(20))
        try house.drop("a.json", half)
        try house.drop("other.json", first)
        box.scan()
        // Others do not wait for it.
        #expect(try house.names(.receipts) == ["other.json"] && house.names(.incoming) == ["a.json"])
        house.clock.advance(by: 1.9)
        try save.apply(house, "a.json", whole: second, rest: String(second.dropFirst(20)))
        box.scan()
        #expect(try house.names(.receipts) == ["a.json", "other.json"] && house.names(.rejected).isEmpty)
        #expect(try house.messages() == ["first", "second"])
    }

    @Test("a file cut off by its writer after it was taken is read again when it has been unchanged for 2 s")
    func cutOffWhileTaken() throws {
        let faulty = FaultyFileSystem()
        let house = try JobHouse(files: faulty)
        let box = house.dropBox()
        try house.drop("a.json", first)
        let writer = Glibc.open(house.path(.incoming, "a.json"), O_WRONLY)
        defer { Glibc.close(writer) }
        let half = String(second.prefix(20))
        faulty.set(
            .interruptFirst("open \(house.path(.admitting, ""))") {
                ftruncate(writer, 0)
                _ = half.withCString { pwrite(writer, $0, 20, 0) }
            })
        box.scan()
        try house.drop("other.json", first)
        house.clock.advance(by: 1)
        box.scan()
        #expect(try house.names(.receipts) == ["other.json"] && house.names(.rejected).isEmpty)
        _ = second.withCString { pwrite(writer, $0, second.utf8.count, 0) }
        house.clock.advance(by: 1)
        box.scan()
        #expect(try house.names(.receipts) == ["other.json"])
        house.clock.advance(by: 2)
        box.scan()
        #expect(try house.names(.receipts) == ["a.json", "other.json"] && house.names(.rejected).isEmpty)
        #expect(try house.messages() == ["first", "second"] && house.names(.admitting).isEmpty)
    }

    @Test("a file that never becomes a job is rejected once it has been unchanged for 2 s, with one receipt")
    func staysHalf() throws {
        let house = try JobHouse()
        let box = house.dropBox()
        for (name, text) in [("a.json", "{"), ("b.json", #"{"kind":"report","user_id":"nobody"}"#)] {
            try house.drop(name, text)
            box.scan()
            house.clock.advance(by: 1.9)
            box.scan()
            #expect(try !house.names(.receipts).contains(name) && house.names(.rejected).allSatisfy { !$0.hasPrefix(name) })
            house.clock.advance(by: 0.1)
            box.scan()
            #expect(try house.names(.rejected).filter { $0.hasPrefix(name) } == [name, "\(name).error.json"])
        }
        #expect(try house.names(.receipts) == ["a.json", "b.json"] && house.queuedIDs.isEmpty)
    }

    @Test(
        "a file written to after it was admitted: the same content is the same job, other content a second one",
        arguments: [(first, ["first"]), (second, ["first", "second"])])
    func writtenAfterAdmission(content: String, messages: [String]) throws {
        let faulty = FaultyFileSystem()
        let house = try JobHouse(files: faulty)
        let box = house.dropBox()
        try house.drop("a.json", first)
        let writer = Glibc.open(house.path(.incoming, "a.json"), O_WRONLY)
        defer { Glibc.close(writer) }
        faulty.set(
            .interruptFirst("lstat \(house.path(.admitting, ""))") {
                ftruncate(writer, 0)
                _ = content.withCString { pwrite(writer, $0, content.utf8.count, 0) }
                var later = [timespec(tv_sec: 2_000_000_000, tv_nsec: 0), timespec(tv_sec: 2_000_000_000, tv_nsec: 0)]
                // Both writes may lie in one tick of the file system's clock.
                futimens(writer, &later)
            })
        box.scan()
        #expect(try house.messages() == ["first"] && house.names(.admitting).count == 1)
        house.clock.advance(by: 2)
        box.scan()
        #expect(try house.messages() == messages)
        #expect(try house.names(.receipts).count == messages.count && house.names(.rejected).isEmpty)
        #expect(try house.names(.admitting).isEmpty && house.names(.incoming).isEmpty)
    }

    @Test("a receipt that a crash prevented is written before the file's new content becomes a job of its own")
    func separatedAfterCrash() throws {
        let house = try JobHouse()
        let id = JobID.make(now: house.clock.now)
        try house.submit(["id": .string(id.description), "message": "first"])
        try house.drop("\(id)~a.json", second, into: .admitting)
        let box = house.dropBox()
        box.scan()
        #expect(try house.json(.receipts, "a.json")["id"]?.string == id.description)
        #expect(try house.messages() == ["first", "second"] && house.names(.receipts).count == 2)
        #expect(try house.names(.admitting).isEmpty)
    }
}

private func write(_ path: String, _ text: String, _ flags: Int32) throws {
    let descriptor = Glibc.open(path, flags, 0o600)
    try #require(descriptor >= 0)
    #expect(text.withCString { Glibc.write(descriptor, $0, text.utf8.count) } == text.utf8.count)
    Glibc.close(descriptor)
}

extension JobHouse {
    /// What the waiting chats say, in alphabetical order.
    fileprivate func messages() throws -> [String] {
        try queuedIDs.compactMap {
            try AdmittedJob(payload: spool.payload($0) ?? [], now: clock.now).request.message
        }.sorted()
    }
}
