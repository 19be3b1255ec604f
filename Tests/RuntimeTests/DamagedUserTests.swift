// Jobs of users whose settings are damaged wait, and go on when they are repaired.

import Accounts
import DurableFiles
import Foundation
import Jobs
import Logging
import Spool
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Runtime
@testable import Workers

@Suite struct DamagedUserTests {
    private let bench: RuntimeBench
    private let clock = ManualClock()
    private let damaged: DamagedUsers

    init() throws {
        bench = try RuntimeBench()
        for name in ["demo", "other"] { try bench.services.accounts.create(try UserID(name)) }
        damaged = DamagedUsers(
            workspaces: bench.services.workspaces, configs: bench.services.configs, now: clock.read,
            logger: bench.services.logger)
    }

    private func path(_ name: String) -> String { "\(bench.services.home.workspaces)/demo/\(name)" }

    private func submit(_ user: String) throws -> JobFileName {
        let request = try JobRequest.parse(["kind": "report", "user_id": .string(user)], now: Date())
        let id = try bench.services.client.submit(request, source: .cli).id
        return try #require(try bench.services.spool.names(in: .queued).first { $0.id == id })
    }

    @Test("the jobs of a damaged user wait, others start, and a repair is noticed", arguments: [
        ("config.json", "{"), ("config.json", ""), ("config.json", #"{"user_id": 5}"#), ("account.json", "no"),
    ])
    func waits(_ file: String, _ text: String) throws {
        let (mine, others) = (try submit("demo"), try submit("other"))
        #expect(damaged.mayStart(mine) == .start && damaged.mayStart(others) == .start)
        let good = try? LinuxFileSystem().readFile(path(file))
        try LinuxFileSystem().replaceFile(path(file), Array(text.utf8))
        for _ in 0..<8 {
            #expect(damaged.mayStart(mine) == .notBefore(clock.now + DamagedUsers.wait))
            #expect(damaged.mayStart(others) == .start)
            clock.advance(by: DamagedUsers.wait)
        }
        if let good {
            try LinuxFileSystem().replaceFile(path(file), good)
        } else {
            try LinuxFileSystem().remove(path(file))
        }
        #expect(damaged.mayStart(mine) == .start)
        #expect(try bench.run(mine.id).state == .completed)
    }

    @Test("a job whose user is damaged after its claim is given back without using an attempt")
    func givenBack() throws {
        let name = try submit("demo")
        let good = try LinuxFileSystem().readFile(path("config.json"))
        try LinuxFileSystem().replaceFile(path("config.json"), [0, 0])
        let record = try bench.run(name.id)
        #expect(record.state == .queued && record.attempt == 0 && record.error == nil)
        try LinuxFileSystem().replaceFile(path("config.json"), good)
        #expect(try bench.run(name.id).state == .completed)
    }

    @Test("a damaged user takes no jobs in; deleting the user works")
    func submissions() throws {
        try LinuxFileSystem().replaceFile(path("config.json"), [0x7B])
        #expect(throws: JobError.self) { try submit("demo") }
        do {
            _ = try submit("demo")
        } catch let error as JobError {
            #expect(error.kind == .configCorrupt && error.isPassing)
        }
        try bench.services.accounts.delete(try UserID("demo"))
        #expect(try bench.services.workspaces.list().map(\.rawValue) == ["other"])
    }

    @Test("doctor names the damaged file and changes nothing")
    func doctor() throws {
        #expect(bench.services.diagnose().first { $0.name == "users" }?.verdict == .ok)
        try LinuxFileSystem().replaceFile(path("config.json"), [0x7B])
        let found = bench.services.diagnose().filter { $0.name.hasPrefix("user") }
        #expect(found.map(\.name) == ["user demo"] && found.map(\.verdict) == [.failure])
        #expect(found.first?.detail.contains("config.json") == true)
        #expect(try LinuxFileSystem().readFile(path("config.json")) == [0x7B])
    }
}
