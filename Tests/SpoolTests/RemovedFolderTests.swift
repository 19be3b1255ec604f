// Folders of the spool that somebody removes while it is in use are made again by the next use.

import DurableFiles
import Foundation
@testable import Spool
import TestSupport
import Testing
import TextFormats

@Suite struct RemovedFolderTests {
    private static let places = [
        "tmp", "done", "dead", "order", "keys", "control", "control/cancel", "status", "running", "receipts", "log", "queued",
    ]

    @Test("a folder that was removed is made again, whatever is done next", arguments: places, Way.allCases)
    func removed(_ place: String, _ way: Way) throws {
        for use in Use.allCases {
            let fixture = try SpoolFixture(way)
            let spool = fixture.spool
            let first = fixture.submission("first", key: SpoolFixture.key)
            _ = try spool.submit(first)
            _ = try claimFirst(spool) { try $0.complete(result: .null) }
            let waiting = fixture.submission("waiting", user: "bob")
            if place != "queued" { _ = try spool.submit(waiting) }
            if use == .buryAndRetry, place != "queued" {
                _ = try claimFirst(spool) { try $0.bury(JobFailure(code: "x", detail: "", isRetryable: false)) }
            }
            try LinuxFileSystem().removeTree("\(spool.layout.root)/\(place)")
            try use.perform(fixture, waiting: place == "queued" ? nil : waiting)
            let late = fixture.submission("late", key: SpoolFixture.key)
            _ = try spool.submit(late)
            var rounds = 0
            while rounds < 10, try claimFirst(spool, { try $0.complete(result: .null) }) != "nothing" { rounds += 1 }
            #expect(try spool.record(late.id)?.state == .completed, "\(place), \(use)")
            #expect(try fixture.places(late.id) == ["done"], "\(place), \(use)")
            try SpoolProbe(spool).run()
            try spool.close()
        }
    }

    enum Use: String, CaseIterable {
        case submit, claim, cancel, pause, hold, prune, sweep, checkpoint, buryAndRetry, begin

        func perform(_ fixture: SpoolFixture, waiting: Submission?) throws {
            let spool = fixture.spool
            switch self {
            case .submit: _ = try spool.submit(fixture.submission("next"))
            case .claim: _ = try claimFirst(spool) { try $0.complete(result: .null) }
            case .cancel:
                // With its record gone nothing is known of the job.
                if let waiting, try spool.record(waiting.id) != nil {
                    #expect(try spool.cancel(waiting.id).state == .cancelled)
                }
            case .pause:
                try spool.pause()
                #expect(spool.isPaused)
                try spool.resume()
            case .hold: try spool.hold("offline", until: fixture.clock.now)
            case .prune:
                _ = try spool.prune(olderThanDays: 10)
                _ = try spool.pruneOrderFiles(olderThanDays: 10)
            case .sweep: try spool.sweepTemporaries()
            case .checkpoint: try spool.log?.checkpoint()
            case .buryAndRetry:
                if let waiting, let record = try spool.record(waiting.id), try !fixture.places(waiting.id).isEmpty {
                    #expect(try spool.retry(record.id).state == .queued)
                }
            case .begin: _ = try spool.recordStart()
            }
        }
    }

    @Test("jobs of a session keep their order and run one at a time although the order files were removed under them")
    func order() throws {
        let fixture = try SpoolFixture()
        let spool = fixture.spool
        var jobs: [JobID] = []
        for number in 0..<3 {
            fixture.clock.advance(by: 0.01)
            jobs.append(try spool.submit(fixture.submission("\(number)", key: SpoolFixture.key)).record.id)
        }
        let name = try #require(try spool.names(in: .queued).first { $0.id == jobs[0] })
        guard case .claimed(let running) = try spool.claim(name) else {
            Issue.record("not claimed")
            return
        }
        try LinuxFileSystem().removeTree(spool.layout.path(.order))
        fixture.clock.advance(by: 0.01)
        jobs.append(try fixture.another().submit(fixture.submission("late", key: SpoolFixture.key)).record.id)
        #expect(try claimFirst(spool) { try $0.complete(result: .null) } == "nothing")
        try running.complete(result: .null)
        var order: [JobID] = []
        while try claimFirst(spool, { claim in
            order.append(claim.job.id)
            try claim.complete(result: .null)
        }) == "claimed" {}
        #expect(order == Array(jobs.dropFirst()))
    }

    @Test("a log whose folder was removed goes on in a new one, which no other process takes for an orphan's")
    func log() throws {
        let fixture = try SpoolFixture(.log)
        _ = try fixture.spool.submit(fixture.submission("before"))
        try LinuxFileSystem().removeTree(fixture.spool.layout.path(.log))
        _ = try fixture.spool.submit(fixture.submission("between"))
        try fixture.spool.log?.checkpoint()
        let after = try fixture.spool.submit(fixture.submission("after")).record.id
        #expect(try fixture.another().replayed.logs == 0)
        fixture.files.crash()
        // The process has died: what it wrote last is found in its log.
        let replayed = try fixture.another().replayed
        #expect(replayed.logs == 1 && replayed.jobs == 1)
        #expect(try fixture.places(after, in: try fixture.another()) == ["queued"])
    }
}
