// Uploads and downloads that do not go on: what they hold, who waits for them, and that nothing cut short looks whole.
import DurableFiles
import Foundation
import Identity
import NIOCore
import Tenants
import Testing
import TextFormats
import WireTypes

@testable import API

@Suite(.serialized, .timeLimit(.minutes(3))) struct TransferTests {
    /// Larger than what kernels hold for a connection.
    private static let large = 16 << 20
    private static let path = "/users/alice/file?path=data/big.txt"

    /// A service with tokens, where alice has a file of 16 MiB and bob one byte.
    private struct World: Sendable {
        let fixture: ServiceFixture
        let workspace: Workspace
        let admin, alice, bob: [(String, String)]

        init() throws {
            fixture = try ServiceFixture()
            let (alice, bob) = (try fixture.makeUser("alice"), try fixture.makeUser("bob"))
            workspace = try fixture.workspaces.open(alice)
            try workspace.writeText("data/big.txt", String(repeating: "0123456789abcdef", count: TransferTests.large / 16))
            try fixture.workspaces.open(bob).writeText("data/big.txt", "b")
            admin = try Self.bearer(fixture, .admin, nil)
            self.alice = try Self.bearer(fixture, .read, alice)
            self.bob = try Self.bearer(fixture, .user, bob)
        }

        private static func bearer(
            _ fixture: ServiceFixture, _ scope: AccessScope, _ user: UserID?
        ) throws -> [(String, String)] {
            [("Authorization", "Bearer \(try fixture.tokens.create(scope, user: user).token)")]
        }

        /// Bytes that unfinished transfers hold, as the service's metrics say.
        func leased(_ http: ProbeClient) async throws -> Int {
            let text = try await http.get("/metrics", admin).body
            let line = text.split(separator: "\n").first { $0.hasPrefix("nanobot_http_transfer_bytes ") }
            return try #require(line.flatMap { Int($0.split(separator: " ")[1]) })
        }

        func waitUntil(_ http: ProbeClient, leased bytes: Int) async throws {
            while try await leased(http) != bytes { await Task.yield() }
        }
    }

    @Test("leases are bounded in all and for each user, and a larger one than a bound has the bound to itself")
    func bounds() throws {
        let budget = TransferBudget(limit: 10, userLimit: 6, patience: .zero)
        let (alice, bob) = (try UserID("alice"), try UserID("bob"))
        var held = [try budget.takeNow(99, for: alice)]
        #expect(budget.bytesInUse == 6)
        func refused(_ user: UserID?) -> Int? {
            do throws(ProblemDetails) {
                _ = try budget.takeNow(5, for: user)
                return nil
            } catch {
                #expect(error.code == "too_many_transfers" && error.retryAfter == 5)
                return error.status
            }
        }
        #expect(refused(alice) == 429)
        #expect(refused(bob) == 503)
        held.append(try budget.takeNow(4, for: bob))
        #expect(refused(nil) == 503)
        held.append(budget.takeAnyway(5, for: nil))
        #expect(budget.bytesInUse == 15)
        held = []
        #expect(budget.bytesInUse == 0)
        _ = try budget.takeNow(10, for: nil)
    }

    @Test(
        "a download that nobody reads holds one piece; who waits for it is told when to come again, others are served",
        arguments: ["/users/alice/file?path=data/big.txt", "/users/alice/export"])
    func unreadDownload(path: String) async throws {
        let world = try World()
        try await world.fixture.serve({
            $0.transferBytes = 4 * PacedWriter.piece
            $0.transferBytesOfUser = PacedWriter.piece + (64 << 10)
            $0.transferWait = 1
        }) { http in
            try await http.open("GET", path, world.alice) { stream in
                #expect(stream.status == 200)
                let held = try await world.leased(http)
                #expect((PacedWriter.piece..<PacedWriter.piece + (64 << 10)).contains(held))
                let late = try await http.get(path, world.alice)
                #expect((late.status, late.code, late.header("retry-after")) == (429, "too_many_transfers", "5"))
                #expect(try await http.get("/users/bob/file?path=data/big.txt", world.bob).body == "b")
                let other = try await http.open("GET", path, world.admin) { $0.status }
                #expect(other == 200)
            }
            try await world.waitUntil(http, leased: 0)
            #expect(try await http.get(path, world.alice).status == 200)
        }
    }

    @Test("a download waits for the one before it, and goes on when that has gone")
    func waiting() async throws {
        let world = try World()
        try await world.fixture.serve({
            $0.transferBytesOfUser = PacedWriter.piece
            $0.transferWait = 60
        }) { http in
            let later = try await http.open("GET", Self.path, world.alice) { stream in
                #expect(stream.status == 200)
                return Task { try await http.get(Self.path, world.alice) }
            }
            let reply = try await later.value
            #expect((reply.status, reply.body.utf8.count) == (200, Self.large))
        }
    }

    @Test("a client that takes nothing is let go")
    func deafReader() async throws {
        let world = try World()
        try await world.fixture.serve({ $0.writeTimeout = 1 }) { http in
            try await http.open("GET", Self.path, world.alice) { stream in
                #expect(stream.status == 200)
                try await world.waitUntil(http, leased: 0)
                var count = 0
                // What the kernels held still comes; the end does not.
                do { while let piece = try await stream.next() { count += piece.utf8.count } } catch {}
                #expect(count < Self.large)
            }
        }
    }

    @Test("a file that changes while it is sent does not arrive as a whole one", arguments: ["same size", "shorter", "replaced"])
    func changing(how: String) async throws {
        let world = try World()
        try await world.fixture.serve { http in
            try await http.open("GET", Self.path, world.alice) { stream in
                let file = world.workspace.path + "/data/big.txt"
                switch how {
                case "same size":
                    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
                    try handle.seek(toOffset: UInt64(Self.large - 1))
                    try handle.write(contentsOf: [UInt8(ascii: "X")])
                    try handle.close()
                case "shorter": truncate(file, off_t(Self.large - 1))
                default: try world.workspace.writeText("data/big.txt", "new")
                }
                var count = 0
                do { while let piece = try await stream.next() { count += piece.utf8.count } } catch {}
                // One that was replaced under its name is still there for who has begun to read it.
                #expect((count == Self.large) == (how == "replaced"))
            }
            #expect(try await http.get(Self.path, world.alice).status == 200)
        }
    }

    @Test("a file's tag is that of its content, whole or by HEAD, and a known one is not sent")
    func tags() async throws {
        let world = try World()
        try await world.fixture.serve { http in
            let head = try await http.send("HEAD", Self.path, world.alice)
            let tag = try #require(head.header("etag"))
            let content = try world.workspace.directory.read("data/big.txt")
            #expect(tag == "\"\(Fingerprint.sha256Hex(content).prefix(32))\"")
            #expect((head.status, head.header("content-length"), head.body) == (200, "\(Self.large)", ""))
            let known = try await http.get(Self.path, world.alice + [("If-None-Match", tag)])
            #expect((known.status, known.body) == (304, ""))
            let whole = try await http.get(Self.path, world.alice)
            #expect(whole.header("etag") == tag && Array(whole.body.utf8) == content)
            #expect(try await world.leased(http) == 0)
        }
    }

    @Test(
        "a body that does not end holds what it may become, and another waits outside",
        // One whose size was not said is leased by doubling from what is not counted.
        arguments: [("Content-Length: 1000000\r\n", 1_000_000), ("Transfer-Encoding: chunked\r\n", 63 * 16_384)])
    func unfinishedUpload(framing: String, leased: Int) async throws {
        let world = try World()
        try await world.fixture.serve({
            $0.transferBytesOfUser = leased
            $0.transferWait = 1
        }) { http in
            let authorization = "Authorization: \(world.bob[0].1)\r\n"
            let head = "PUT /users/bob/file?path=data/x.bin HTTP/1.1\r\nHost: localhost\r\n\(authorization)"
            try await http.converse { talk in
                let part = String(repeating: "x", count: 900_000)
                try await talk.say(head + framing + "\r\n" + (framing.contains("chunked") ? "dbba0\r\n" : "") + part)
                try await world.waitUntil(http, leased: leased)
                let other = try await http.converse { talk in
                    try await talk.say(head + "Content-Length: 100000\r\nExpect: 100-continue\r\n\r\n")
                    #expect(try await talk.hear("\r\n\r\n"))
                    return talk.heard
                }
                #expect(other.hasPrefix("HTTP/1.1 429 ") && other.lowercased().contains("retry-after: 5"))
                #expect(try await http.get("/users/bob/file?path=data/big.txt", world.admin).body == "b")
            }
            try await world.waitUntil(http, leased: 0)
            let whole = try await http.send(
                "PUT", "/users/bob/file?path=data/x.bin", world.bob, body: String(repeating: "x", count: 1_000_000))
            #expect(whole.status == 201)
        }
    }

    @Test("a long page of messages is sent in pieces, each message once and in order, with the way to the next page")
    func messages() async throws {
        let world = try World()
        let texts = (0..<60).map { String(repeating: "\($0 % 10)", count: 50_000) + "\"\n" }
        world.fixture.shelf.put(messages: texts)
        try await world.fixture.serve { http in
            let all = try await http.get("/users/alice/sessions/default/messages?limit=200", world.alice)
            #expect(try all.json.array?.map { $0["content"]?.string } == texts)
            #expect(all.header("link") == nil && all.header("content-length") == nil)
            let page = try await http.get("/users/alice/sessions/default/messages?limit=59", world.alice)
            #expect(try page.json.array?.count == 59)
            #expect(page.header("link")?.contains("after=59") == true)
            let few = try await http.get("/users/alice/sessions/default/messages?limit=2", world.alice)
            #expect(try few.json.array?.count == 2)
            #expect(few.header("content-length") == "\(few.body.utf8.count)")
            #expect(try await world.leased(http) == 0)
        }
    }

    @Test("an export carries large files whole, and the archive ends where it should")
    func export() async throws {
        let world = try World()
        try world.workspace.directory.write("data/odd.bin", [UInt8](repeating: UInt8(ascii: "o"), count: PacedWriter.piece + 1))
        try await world.fixture.serve { http in
            let bytes = Array(try await http.get("/users/alice/export", world.alice).body.utf8)
            var found: [String: Int] = [:]
            var offset = 0
            while offset + 512 <= bytes.count, bytes[offset] != 0 {
                let name = String(decoding: bytes[offset..<offset + 100].prefix { $0 != 0 }, as: UTF8.self)
                let digits = String(decoding: bytes[offset + 124..<offset + 135], as: UTF8.self)
                let size = try #require(Int(digits, radix: 8))
                found[name] = size
                if name.hasSuffix("odd.bin") { #expect(bytes[(offset + 512)..<(offset + 512 + size)].allSatisfy { $0 == 111 }) }
                offset += 512 + (size + 511) / 512 * 512
            }
            #expect(found["alice/workspace/data/big.txt"] == Self.large)
            #expect(found["alice/workspace/data/odd.bin"] == PacedWriter.piece + 1)
            #expect(found["alice/tokens.json"] != nil)
            #expect(bytes.count - offset == 1_024 && bytes[offset...].allSatisfy { $0 == 0 })
        }
    }

    @Test("a large report is leased before it is read, and a list that no memory is left for is refused")
    func reports() async throws {
        let world = try World()
        world.fixture.shelf.put(messages: [String(repeating: "x", count: 100_000)])
        try await world.fixture.serve({
            $0.transferBytesOfUser = PacedWriter.piece
            $0.transferWait = 1
        }) { http in
            try await http.open("GET", Self.path, world.alice) { stream in
                #expect(stream.status == 200)
                let list = try await http.get("/users/alice/sessions/default/messages", world.alice)
                #expect((list.status, list.code) == (429, "too_many_transfers"))
                // Small ones are not counted.
                #expect(try await http.get("/users/alice", world.alice).status == 200)
            }
        }
    }
}
