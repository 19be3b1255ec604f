// Bounds of the HTTP side: requests of a token, connections of an address, bodies that never end, what the audit keeps, whose
// word about an address is believed, and the service's own TLS.
import Foundation
import HTTPTypes
import Identity
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import Tenants
import TestSupport
import Testing
import TextFormats
import WireTypes

@testable import API

@Suite struct LimitTests {
    @Test("streams are bounded in all and for each user; a place is free again when its stream is gone")
    func streams() throws {
        let slots = StreamSlots(limit: 3, userLimit: 1)
        let (alice, bob) = (try UserID("alice"), try UserID("bob"))
        var open = [try slots.take(for: alice)]
        #expect(throws: ProblemDetails.self) { try slots.take(for: alice) }
        open.append(try slots.take(for: bob))
        open.append(try slots.take())
        #expect(slots.count == 3)
        do throws(ProblemDetails) {
            _ = try slots.take()
            Issue.record("a fourth stream")
        } catch {
            #expect(error.status == 503)
        }
        open.removeFirst()
        open.append(try slots.take(for: alice))
        open = []
        #expect(slots.count == 0)
    }

    @Test(
        "A token's requests a minute are bounded, with headers that say where it stands; others and admins are not touched"
    )
    func rates() async throws {
        let fixture = try ServiceFixture()
        let clock = ManualClock(Date())
        let alice = try fixture.makeUser("alice")
        let one = try fixture.tokens.create(.user, user: alice).token
        let two = try fixture.tokens.create(.user, user: alice).token
        let admin = try fixture.tokens.create(.admin, user: nil).token
        try await fixture.serve({
            $0.requestsPerMinute = 3
            $0.now = clock.read
        }) { http in
            let get = { (token: String) in try await http.get("/users/alice", [("Authorization", "Bearer \(token)")]) }
            for left in [2, 1, 0] {
                let reply = try await get(one)
                #expect(reply.status == 200)
                #expect(reply.header("ratelimit-limit") == "3" && reply.header("ratelimit-remaining") == "\(left)")
            }
            let over = try await get(one)
            #expect(over.status == 429 && over.code == "too_many_requests")
            #expect(over.header("retry-after") == "20" && over.header("ratelimit-remaining") == "0")
            let (other, free) = (try await get(two), try await get(admin))
            #expect(other.status == 200 && free.status == 200 && free.header("ratelimit-limit") == nil)
            clock.advance(by: 20)
            let (again, notYet) = (try await get(one), try await get(one))
            #expect(again.status == 200 && notYet.status == 429)
        }
    }

    @Test("A body that never ends closes its connection, and others are answered meanwhile")
    func endlessBody() async throws {
        let fixture = try ServiceFixture()
        try await fixture.serve({ $0.bodyTimeout = 1 }) { http in
            let head =
                "POST /users HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{"
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: "127.0.0.1", port: http.port).get()
            try await channel.writeAndFlush(ByteBuffer(string: head))
            let other = try await http.get("/health")
            #expect(other.status == 200)
            // The test would hang here if the server did not close it.
            try await channel.closeFuture.get()
        }
    }

    @Test("A path longer than any of ours is refused")
    func longPath() async throws {
        try await ServiceFixture().serve { http in
            let reply = try await http.get("/users?after=" + String(repeating: "a", count: 9_000))
            #expect(reply.status == 414 && reply.code == "uri_too_long")
        }
    }

    @Test(
        "One address has its share of connections; what it closes it has again; this machine and proxies are not counted"
    )
    func shares() throws {
        let counts = ConnectionCounts(limit: 2, exempt: [try #require(AddressBlock("10.0.0.0/8"))])
        #expect(counts.enter("203.0.113.7") && counts.enter("203.0.113.7") && !counts.enter("203.0.113.7"))
        #expect(counts.enter("203.0.113.8"))
        counts.leave("203.0.113.7")
        #expect(counts.enter("203.0.113.7") && !counts.enter("203.0.113.7"))
        for _ in 0..<50 { #expect(counts.enter("127.0.0.1") && counts.enter("::1") && counts.enter("10.1.2.3")) }
    }

    @Test(
        "Only trusted proxies are believed about an address, and only about the last one they did not write for themselves",
        arguments: [
            ("203.0.113.7", "198.51.100.1", "203.0.113.7"), ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
            ("10.0.0.1", "nonsense", "10.0.0.1"), ("10.0.0.1", "", "10.0.0.1"), ("10.0.0.1", "10.0.0.3", "10.0.0.1"),
            ("::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"), (nil, "198.51.100.1", "unknown"),
        ] as [(String?, String, String)])
    func addresses(peer: String?, header: String, expected: String) throws {
        let trusted = [try #require(AddressBlock("10.0.0.0/8"))]
        let headers: HTTPFields = [.forwardedFor: header]
        #expect(ClientAddress.of(peer: peer, headers, trusted: trusted) == expected)
    }

    @Test("Blocks of addresses hold what they say")
    func blocks() throws {
        #expect(try #require(AddressBlock("192.168.4.0/22")).contains("192.168.7.255"))
        #expect(try !#require(AddressBlock("192.168.4.0/22")).contains("192.168.8.0"))
        #expect(try #require(AddressBlock("fd00::/8")).contains("fd12::1"))
        #expect(try !#require(AddressBlock("fd00::/8")).contains("10.0.0.1"))
        for bad in ["", "10.0.0.0/33", "10.0.0", "x", "10.0.0.1/", "fe80::/129", "010.0.0.1"] {
            #expect(AddressBlock(bad) == nil, "\(bad)")
        }
    }

    @Test("The audit keeps who changed what and who was refused, and no query, body or token")
    func audit() async throws {
        let fixture = try ServiceFixture()
        let kept = Mutex<[AuditEntry]>([])
        let alice = try fixture.makeUser("alice")
        let made = try fixture.tokens.create(.user, user: alice)
        try await fixture.serve({ $0.audit = { entry in kept.withLock { $0.append(entry) } } }) { http in
            let mine = [("Authorization", "Bearer \(made.token)")]
            _ = try await http.get("/users/alice", mine)
            _ = try await http.send("PUT", "/users/alice/watchlist?secret=1", json: ["stocks": ["SECRET1"]], mine)
            _ = try await http.get("/queue", mine)
            _ = try await http.get("/users/alice", [("Authorization", "Bearer secret-token")])
        }
        let entries = kept.withLock { $0 }
        #expect(entries.map(\.status) == [200, 403, 401])
        #expect(entries.map(\.caller) == ["token \(made.record.id)", "token \(made.record.id)", nil])
        #expect(entries.map(\.code) == [nil, "forbidden", "invalid_token"])
        #expect(entries.allSatisfy { $0.address == "127.0.0.1" })
        let text = entries.map { $0.json.text() }.joined().lowercased()
        #expect(!text.contains("secret") && !text.contains(made.token.lowercased().suffix(30)))
    }
}
