// Work for a client that has gone ends, and what still waits for a thread is not begun.
import Foundation
import NIOCore
import NIOPosix
import Spool
import Synchronization
import Tenants
import TestSupport
import Testing
import TextFormats
import WireTypes

@testable import API

@Suite struct DepartureTests {
    @Test("Work that waits for a thread is not begun when its client has gone meanwhile, and running work hears of it")
    func bridge() async throws {
        let bridge = BlockingBridge(threads: 1, limit: 8)
        let owner = CallOwner.user(try UserID("alice"))
        let (first, second) = (ClientDeparture(), ClientDeparture())
        let (begun, started) = AsyncStream.makeStream(of: Void.self)
        let wasRun = Atomic(false)
        let running = Task {
            try await bridge.run(for: owner, of: first) { isGone in
                started.yield()
                let pause = DispatchSemaphore(value: 0)
                while !isGone() { _ = pause.wait(timeout: .now() + .milliseconds(5)) }
                throw ProblemDetails.clientGone
            }
        }
        var iterator = begun.makeAsyncIterator()
        _ = await iterator.next()
        let waiting = Task { try await bridge.run(for: owner, of: second) { _ in wasRun.store(true, ordering: .relaxed) } }
        second.announce()
        first.announce()
        await #expect(throws: ProblemDetails.clientGone) { try await running.value }
        await #expect(throws: ProblemDetails.clientGone) { try await waiting.value }
        let isLate = wasRun.load(ordering: .relaxed)
        #expect(!isLate)
        // The thread is free again.
        #expect(try await bridge.run(for: owner, of: ClientDeparture()) { _ in 7 } == 7)
    }

    @Test("A report's rendering ends when the client closes the connection", .timeLimit(.minutes(2)))
    func rendering() async throws {
        let fixture = try ServiceFixture()
        try fixture.makeUser("alice")
        try await fixture.serve({ $0.blockingThreads = 2 }) { http in
            let ordered = try await http.send("POST", "/reports", json: ["user_id": "alice"])
            let id = try #require(try ordered.json["report_id"]?.string)
            fixture.shelf.put(report: id, text: "ENDLESS")
            try fixture.work(try #require(JobID(id))) { _, _ in .complete(["report_id": .string(id)]) }
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: "127.0.0.1", port: http.port).get()
            let request =
                "GET /reports/\(id) HTTP/1.1\r\nHost: 127.0.0.1:\(http.port)\r\nAccept: text/html\r\n\r\n"
            try await channel.writeAndFlush(ByteBuffer(string: request))
            var renderings = fixture.shelf.renderings.stream.makeAsyncIterator()
            #expect(await renderings.next() == true)
            try await channel.close()
            #expect(await renderings.next() == false)
        }
    }
}
