// Reports and the ends of their jobs: facts of the turn, no report of a job that did not complete, at any moment of a crash.

import Accounts
import DurableFiles
import Foundation
import Jobs
import Logging
import ModelTestSupport
import Spool
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Runtime
@testable import Workers

@Suite struct ReportEndTests {
    private struct Bench {
        let bench: RuntimeBench
        let user: UserID
        let workspace: Workspace

        init(settings: String? = nil) throws {
            bench = try RuntimeBench(settings: settings)
            user = try UserID("demo")
            try bench.services.accounts.create(
                user, initial: InitialUserData(watchlist: WatchlistChange(stocks: ["AAPL"])))
            workspace = try bench.services.workspaces.open(user)
        }

        var services: NanobotServices { bench.services }

        func submit(_ format: String = "json") throws -> JobID {
            let request = try JobRequest.parse(
                ["kind": "report", "user_id": "demo", "format": .string(format), "language": "en"], now: Date())
            return try services.client.submit(request, source: .cli).id
        }

        /// Claims the job and runs it up to the point before its final line, which `body` then writes or does not.
        func upToTheEnd(_ id: JobID, _ body: (consuming Claim, JobRouter) throws -> Void) throws {
            let name = try #require(try services.spool.names(in: .queued).first { $0.id == id })
            guard case .claimed(let claim) = try services.spool.claim(name) else {
                throw SpoolError(.state, "not claimed")
            }
            let router = services.makeRouter()
            guard case .completed = router.run(claim.job, record: claim.record, cancellation: CancellationFlag()) else {
                throw SpoolError(.state, "did not complete")
            }
            try body(claim, router)
        }

        func shelf() -> ReportShelf { ReportShelf(workspaces: services.workspaces, renderer: services.renderer) }

        var files: [String] { get throws { try workspace.directory.list(Workspace.reports).map(\.name).sorted() } }

        func removeLeftovers(after seconds: TimeInterval = 61) -> Int {
            LeftoverReports(
                workspaces: services.workspaces, client: services.client, now: { Date() + seconds },
                logger: services.logger
            ).remove()
        }
    }

    @Test("a report's quotes are those its turn has read, and no source is asked again after the turn")
    func facts() throws {
        let server = try LoopbackHTTPServer { request in
            .json(#"{"symbol": "AAPL", "price": 189.5, "currency": "USD", "time": "2026-11-25T15:00:00Z"}"#)
        }
        let bench = try Bench(
            settings: """
                {"data_sources": {"market": {"kind": "quotes", "url": "\(server.url)/q/{symbol}", "max_age_s": 1,
                  "allow_private": true}}}
                """)
        let id = try bench.submit()
        var asked = 0
        try bench.upToTheEnd(id) { claim, _ in
            asked = server.requests.count
            // The source says something else now; the journal has what the turn was told.
            try claim.release("as after a crash")
        }
        #expect(asked == 1)
        server.stop()
        let record = try bench.bench.run(id)
        #expect(record.state == .completed && server.requests.count == 1)
        let report = try JSON.parse(Array(try bench.workspace.readReport(id.description).text.utf8))
        let quotes = report["quotes"]?.array ?? []
        #expect(quotes.compactMap { $0["price"]?.double } == [189.5])
        #expect(quotes.first?["source"]?.string?.hasPrefix("market") == true)
    }

    @Test("the quotes of a long watchlist, spilled to a file, are in the report")
    func manyQuotes() throws {
        let bench = try Bench()
        let symbols = (0..<90).map { "STOCK\($0)" }
        let name = String(repeating: "A long name of a company ", count: 6)
        let rows = symbols.map { "\($0),\(name),1.5,2026-11-25T10:00:00Z" }
        try bench.workspace.writeText("data/quotes.csv", (["symbol,name,price,time"] + rows).joined(separator: "\n"))
        _ = try bench.services.configs.updateWatchlist(bench.user, WatchlistChange(stocks: symbols))
        let record = try bench.bench.run(try bench.submit())
        let report = try JSON.parse(Array(try bench.workspace.readReport(record.id.description).text.utf8))
        #expect(report["quotes"]?.array?.count == symbols.count)
    }

    @Test("a job that ends otherwise than completed has no report left before its final line", arguments: [
        "markdown", "html", "json", "text",
    ])
    func discarded(format: String) throws {
        let bench = try Bench()
        let id = try bench.submit(format)
        try bench.upToTheEnd(id) { claim, router in
            #expect(try bench.files.count == 2)
            #expect(router.discardResult(of: claim.job, because: nil))
            #expect(try bench.files.isEmpty)
            // Again, as after a crash between the removal and the final line.
            #expect(router.discardResult(of: claim.job, because: nil))
            try claim.cancel(usage: nil)
        }
        #expect(try bench.services.client.view(id)?.state == .cancelled)
    }

    @Test("a report that its user deletes leaves no file; a deletion cut short is finished by the next", arguments: [
        "markdown", "html", "json", "text",
    ])
    func deleted(format: String) throws {
        let bench = try Bench()
        let shelf = bench.shelf()
        let id = try bench.bench.run(try bench.submit(format)).id.description
        #expect(try bench.files.count == 2 && shelf.reports(of: bench.user, limit: 9, after: nil).map(\.id) == [id])
        // As a crash after the first of the removals leaves it.
        let text = try bench.workspace.readReport(id).text
        try bench.workspace.directory.remove("\(Workspace.reports)/\(id).json")
        #expect(try shelf.reports(of: bench.user, limit: 9, after: nil).isEmpty && shelf.text(of: id, user: bench.user, format: nil) == nil)
        #expect(try shelf.remove(id, user: bench.user) == false && bench.files.isEmpty)
        try bench.workspace.writeReport(id: id, text: text, fileExtension: format == "markdown" ? "md" : format == "text" ? "txt" : format, sidecar: [:])
        #expect(try shelf.remove(id, user: bench.user) && bench.files.isEmpty)
        #expect(try shelf.remove(id, user: bench.user) == false)
        #expect(bench.removeLeftovers() == 0)
    }

    @Test("a crash between the report and the final line: the next run completes it")
    func resumed() throws {
        let bench = try Bench()
        let id = try bench.submit()
        try bench.upToTheEnd(id) { claim, _ in try claim.release("as after a crash") }
        let before = try bench.workspace.readReport(id.description).text
        #expect(bench.removeLeftovers() == 0)
        #expect(try bench.bench.run(id).state == .completed)
        let after = try bench.workspace.readReport(id.description).text
        #expect(try JSON.parse(Array(after.utf8))["text"] == JSON.parse(Array(before.utf8))["text"])
        #expect(bench.removeLeftovers() == 0)
        #expect(try bench.files.count == 2)
    }

    @Test("a crash between the report and the final line, and the job cancelled while it waits: the leftover goes")
    func cancelledAfterCrash() throws {
        let bench = try Bench()
        let id = try bench.submit()
        let kept = try bench.bench.run(try bench.submit()).id
        try bench.upToTheEnd(id) { claim, _ in try claim.release("as after a crash") }
        try bench.services.client.cancel(id)
        #expect(try bench.services.client.view(id)?.state == .cancelled)
        #expect(try bench.files.count == 4)
        // An operator's retry may be writing it.
        #expect(bench.removeLeftovers(after: 0) == 0)
        #expect(bench.removeLeftovers() == 1 && bench.removeLeftovers() == 0)
        #expect(try bench.workspace.reportIDs() == [kept.description])
    }
}
