// Connections within what the open files allow: the order as a pure value, and a server that is full of idle connections.
import Foundation
import NIOCore
import NIOPosix
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import API

@Suite struct ConnectionRoomTests {
    @Test("at the bound the connection that has been idle longest goes; one that works never does")
    func order() {
        var order = IdleOrder<String>(limit: 4)
        let a = order.open("a").id
        let b = order.open("b").id
        let c = order.open("c").id
        order.work(a)
        // The fourth place is kept free.
        #expect(order.open("d").victim == "b")
        order.close(b)
        #expect(order.rest(a) == nil)
        #expect(order.open("e").victim == "c")
        order.close(c)
        #expect(order.open("f").victim == "d")
        #expect(order.open("g").victim == "a")
        #expect(order.evicted == 4)
    }

    @Test("where all work, the last comer has the last place, and the first that has nothing to do makes room")
    func allWork() {
        var order = IdleOrder<String>(limit: 3)
        let ids = ["a", "b", "c"].map { name -> Int in
            let opened = order.open(name)
            #expect(opened.victim == nil)
            order.work(opened.id)
            return opened.id
        }
        #expect(order.count == 3)
        #expect(order.rest(ids[1]) == "b")
        order.close(ids[1])
        #expect(order.rest(ids[0]) == nil)
        #expect(order.count == 2)
    }

    @Test("the order costs no more memory than there are connections, however often they come to rest")
    func compacts() {
        var order = IdleOrder<Int>(limit: 100)
        let ids = (0..<50).map { order.open($0).id }
        for round in 0..<10_000 {
            order.work(ids[round % 50])
            #expect(order.rest(ids[round % 50]) == nil)
        }
        #expect(order.queued < 1_000)
        for _ in 0..<49 { _ = order.open(0) }
        #expect(order.open(0).victim == 0)
    }

    @Test("a server whose connections are all idle answers new ones, and goes on with a stream that is open")
    func idleFlood() async throws {
        let fixture = try ServiceFixture()
        let user = try fixture.makeUser("alice")
        try await fixture.serve({ $0.maxConnections = 12 }) { http in
            let made = try await http.send("POST", "/reports", json: ["user_id": .string(user.rawValue)])
            let id = try #require(try made.json["report_id"]?.string)
            try await http.open("GET", "/jobs/\(id)/events") { stream in
                #expect(stream.status == 200)
                let first = try await stream.next()
                #expect(first != nil)
                var idle: [any Channel] = []
                for _ in 0..<60 {
                    idle.append(
                        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                            .connect(host: "127.0.0.1", port: http.port).get())
                }
                #expect(try await http.get("/health").status == 200)
                #expect(try await http.get("/users/alice").status == 200)
                let metrics = try await http.get("/metrics").body
                let open = try #require(metrics.firstMatch(of: /nanobot_http_connections (\d+)/).flatMap { Int($0.1) })
                #expect(open <= 12)
                #expect(!metrics.contains("nanobot_http_connections_evicted_total 0"))
                _ = try await http.send("POST", "/jobs/\(id)/cancel")
                var text = ""
                while let piece = try await stream.next() { text += piece }
                #expect(text.contains("event: done"))
                for channel in idle { try? await channel.close() }
            }
        }
    }
}
