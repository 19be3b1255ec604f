// Which processes died young: what lets suspects wait.

import DurableFiles
import Foundation
@testable import Spool
import TestSupport
import Testing

@Suite struct ProcessStartTests {
    enum Life: String {
        case young, old, cleanYoung, cleanOld, living
    }

    /// Processes with their descriptors, so that one can die.
    private struct Process {
        let files = FaultyFileSystem()
        let start: ProcessStart

        init(_ fixture: SpoolFixture) throws {
            start = try JobSpool(root: fixture.spool.layout.root, files: files, now: fixture.clock.read).recordStart()
        }
    }

    private func live(_ life: Life, _ fixture: SpoolFixture) throws -> Process? {
        fixture.clock.advance(by: 1)
        let process = try Process(fixture)
        switch life {
        case .living: return process
        case .young: process.files.crash()
        case .old:
            try process.start.settle(now: fixture.clock.now)
            process.files.crash()
        case .cleanYoung, .cleanOld:
            if life == .cleanOld { try process.start.settle(now: fixture.clock.now) }
            process.start.end(isSettled: life == .cleanOld)
            process.files.crash()
        }
        return nil
    }

    @Test(
        "a process follows early deaths when the last two that died had died young",
        arguments: [
            ([], false), ([.young], false), ([.young, .young], true), ([.old, .young], false), ([.young, .old], false),
            ([.old, .young, .young], true), ([.young, .young, .old], false), ([.young, .young, .old, .young], false),
            ([.young, .cleanYoung], false), ([.young, .cleanYoung, .young], true), ([.young, .young, .cleanYoung], true),
            ([.young, .young, .cleanOld], false), ([.young, .living], false), ([.living, .living], false),
            ([.young, .living, .young], true), ([.living, .young, .young], true),
        ] as [([Life], Bool)])
    func follows(_ lives: [Life], _ expected: Bool) throws {
        let fixture = try SpoolFixture()
        let living = try lives.compactMap { try live($0, fixture) }
        fixture.clock.advance(by: 1)
        #expect(try Process(fixture).start.followsEarlyDeaths == expected)
        for process in living { process.files.crash() }
    }

    @Test("forty early deaths leave two files, and a process that cannot note its start says so")
    func bounded() throws {
        let fixture = try SpoolFixture()
        for _ in 0..<40 { _ = try live(.young, fixture) }
        let folder = fixture.spool.layout.startsFolder
        // Those of the last two before it, and its own.
        #expect(try LinuxFileSystem().list(folder).count == ProcessStart.remembered + 1)
        fixture.files.set(.failAlways("fdatasync \(folder)"))
        #expect(throws: SpoolError.self) { _ = try fixture.spool.recordStart() }
        fixture.files.set(.none)
        #expect(try LinuxFileSystem().list(folder).count <= ProcessStart.remembered + 1)
    }

    @Test("what is no file of a process is no death", arguments: WrongKind.allCases)
    func foreign(_ kind: WrongKind) throws {
        let fixture = try SpoolFixture()
        _ = try live(.old, fixture)
        fixture.clock.advance(by: 1)
        for _ in 0..<2 { try kind.make(at: "\(fixture.spool.layout.startsFolder)/\(JobID.make(now: fixture.clock.now))") }
        let follows = try Process(fixture).start.followsEarlyDeaths
        // An empty file is that of a process that died before its first line.
        #expect(follows == (kind == .empty))
    }
}
