// Every file call of a creation, a change and a deletion fails once, or is where the process dies: what is found
// afterwards is always a whole user or none.
import DurableFiles
import TestSupport
import TextFormats
import Testing

@testable import Tenants

@Suite struct CrashTests {
    static let initial = InitialUserData(watchlist: WatchlistChange(stocks: ["AAPL"]))
    static let ioError: Int32 = 5
    static let diskFull: Int32 = 28

    /// Runs `act` with a fault at each of its calls in turn, in a fresh house prepared by `prepare`, then lets a fresh
    /// "process" sweep and hands over what it finds. Ends after the first run the fault did not reach.
    func matrix(
        _ fault: (Int) -> FaultyFileSystem.Fault, prepare: (WorkspaceManager) throws -> Void = { _ in },
        act: (WorkspaceManager) throws -> Void, check: (TenantHouse, _ succeeded: Bool, _ call: Int) throws -> Void
    ) throws {
        for call in 1...1_000 {
            let house = try TenantHouse()
            let faulty = FaultyFileSystem()
            try prepare(house.manager())
            let manager = house.manager(files: faulty)
            faulty.set(fault(call))
            let succeeded: Bool
            do {
                try act(manager)
                succeeded = true
            } catch is TenantError {
                succeeded = false
            }
            let isReached = faulty.calls >= call
            faulty.set(.none)
            faulty.crash()
            try house.manager().sweep()
            try check(house, succeeded, call)
            guard isReached else { return #expect(succeeded) }
        }
        Issue.record("the action makes more calls than expected")
    }

    func isWhole(_ house: TenantHouse) throws -> Bool {
        let info = try house.manager().info(try user("alice"))
        return info.config?.watchlist.stocks.first == "AAPL" && info.files.count == 6 && info.directories.count == 5
    }

    @Test("a creation cut short anywhere leaves a whole user or none")
    func creation() throws {
        try matrix({ .stop(call: $0) }, act: { try $0.create(try user("alice"), initial: Self.initial) }) {
            house, succeeded, call in
            let names = try house.names()
            #expect(try names.isEmpty ? !succeeded : names == ["alice"] && self.isWhole(house), "call \(call)")
        }
    }

    @Test("a report's removal cut short anywhere leaves the whole report, or none that a list shows; repeated, it leaves nothing")
    func reportRemoval() throws {
        let alice = try user("alice")
        try matrix(
            { .stop(call: $0) },
            prepare: { manager in
                try manager.create(alice, initial: Self.initial)
                try manager.open(alice).writeReport(id: "r1", text: "the text", fileExtension: "html", sidecar: ["title": "T"])
            }, act: { try $0.open(alice).removeReport("r1") }
        ) { house, succeeded, call in
            let workspace = try house.manager().open(alice)
            let isListed = try workspace.reportIDs() == ["r1"]
            if isListed { #expect(try !succeeded && workspace.readReport("r1").text == "the text", "call \(call)") }
            try workspace.removeReport("r1")
            #expect(try workspace.directory.list(Workspace.reports).isEmpty, "call \(call)")
        }
    }

    @Test("a creation that fails leaves no user, one that does not leaves a whole one", arguments: [ioError, diskFull])
    func failedCreation(_ errno: Int32) throws {
        try matrix(
            { .fail(call: $0, errno: errno) }, act: { try $0.create(try user("alice"), initial: Self.initial) }
        ) { house, succeeded, call in
            let names = try house.names()
            #expect(try succeeded ? names == ["alice"] && self.isWhole(house) : names.isEmpty, "call \(call)")
        }
    }

    @Test("a deletion cut short anywhere leaves the whole user or nothing")
    func deletion() throws {
        try matrix(
            { .stop(call: $0) }, prepare: { try $0.create(try user("alice"), initial: Self.initial) },
            act: { try $0.delete(try user("alice")) }
        ) { house, succeeded, call in
            let names = try house.names()
            #expect(try names.isEmpty || !succeeded && names == ["alice"] && self.isWhole(house), "call \(call)")
        }
    }

    @Test("a change cut short or failing anywhere leaves the old settings or the new", arguments: [true, false])
    func change(_ stops: Bool) throws {
        try matrix(
            { stops ? .stop(call: $0) : .fail(call: $0, errno: Self.diskFull) },
            prepare: { try $0.create(try user("alice"), initial: Self.initial) },
            act: {
                let change = WatchlistChange(stocks: ["AAPL", "TSLA"])
                try UserConfigManager(workspaces: $0).updateWatchlist(try user("alice"), change)
            }
        ) { house, succeeded, call in
            let config = try UserConfigManager(workspaces: house.manager()).get(try user("alice"))
            #expect(try self.isWhole(house), "call \(call)")
            #expect(config.watchlist.stocks == (config.version == 2 ? ["AAPL", "TSLA"] : ["AAPL"]), "call \(call)")
            if succeeded { #expect(config.version == 2, "call \(call)") }
        }
    }

    @Test("a half-written report is no report", arguments: [true, false])
    func report(_ stops: Bool) throws {
        try matrix(
            { stops ? .stop(call: $0) : .shortWrite(call: $0) }, prepare: { try $0.create(try user("alice")) },
            act: {
                let workspace = try $0.open(try user("alice"))
                try workspace.writeReport(id: "r1", text: "whole", fileExtension: nil, sidecar: ["a": 1])
            }
        ) { house, succeeded, call in
            let workspace = try house.manager().open(try user("alice"))
            let listed = try workspace.listReports(limit: 5).map(\.id)
            #expect(listed == ["r1"] || listed.isEmpty && !succeeded, "call \(call)")
            if listed == ["r1"] { #expect(try workspace.readReport("r1").text == "whole", "call \(call)") }
        }
    }
}
