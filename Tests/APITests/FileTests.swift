// Files of a workspace over HTTP, and the export of a user.
import DurableFiles
import Foundation
import Identity
import Jobs
import Tenants
import Testing
import TextFormats

@testable import API

@Suite(.serialized) struct FileTests {
    private func served(
        _ body: @escaping @Sendable (ServiceFixture, ProbeClient, Workspace) async throws -> Void
    ) async throws {
        let fixture = try ServiceFixture()
        let alice = try fixture.makeUser("alice")
        let workspace = try fixture.workspaces.open(alice)
        try await fixture.serve { http in try await body(fixture, http, workspace) }
    }

    private static func file(_ path: String) -> String {
        "/users/alice/file?path=" + (path.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "")
    }

    @Test("a file is written, listed, read, replaced only as it is known, and removed")
    func life() async throws {
        try await served { _, http, _ in
            let made = try await http.send(
                "PUT", Self.file("data/行情.csv"), [("Content-Type", "text/csv")], body: "symbol,price\nA,1\n")
            #expect(made.status == 201)
            let tag = try #require(made.header("etag"))
            let rows = try await http.get("/users/alice/files?path=data").json
            #expect(rows.array?.contains { $0["path"] == "data/行情.csv" && $0["size"] == 17 } == true)
            let read = try await http.get(Self.file("data/行情.csv"))
            #expect(read.body == "symbol,price\nA,1\n" && read.header("etag") == tag)
            #expect(read.header("content-disposition")?.hasPrefix("attachment") == true)
            #expect(read.header("content-security-policy")?.contains("sandbox") == true)
            #expect(try await http.get(Self.file("data/行情.csv"), [("If-None-Match", tag)]).status == 304)
            #expect(
                try await http.send("PUT", Self.file("data/行情.csv"), [("If-None-Match", "*")], body: "x").status == 412)
            #expect(
                try await http.send("PUT", Self.file("data/行情.csv"), [("If-Match", "\"other\"")], body: "x").status
                    == 412)
            #expect(try await http.send("PUT", Self.file("data/行情.csv"), [("If-Match", tag)], body: "x").status == 200)
            #expect(try await http.send("DELETE", Self.file("data/行情.csv"), [("If-Match", tag)]).status == 412)
            #expect(try await http.send("DELETE", Self.file("data/行情.csv")).status == 204)
            #expect(try await http.send("DELETE", Self.file("data/行情.csv")).code == "file_not_found")
        }
    }

    @Test("pages of a folder")
    func pages() async throws {
        try await served { _, http, workspace in
            for number in 0..<5 { try workspace.writeText("data/p\(number).txt", "x") }
            let first = try await http.get("/users/alice/files?path=data&limit=3")
            #expect(try first.json.array?.count == 3)
            #expect(first.header("link")?.contains("after=p2.txt") == true)
            #expect(try await http.get("/users/alice/files?path=data&limit=3&after=p2.txt").json.array?.count == 2)
        }
    }

    @Test(
        "what is kept by nanobot is not written as a file, what is the operator's not even seen",
        arguments: [
            "config.json", "CONFIG.json", "./config.json", "usage.jsonl", "schedules.json", "account.json",
            "sessions/default.jsonl",
            "Sessions/x", "data/.hidden", ".files.lock", "sessions/../sessions/x",
        ])
    func kept(path: String) async throws {
        try await served { _, http, workspace in
            _ = try workspace.changeStanding { $0.suspension = "secret reason" }
            let put = try await http.send("PUT", Self.file(path), [], body: "{}")
            #expect(put.code == "protected_file" || put.code == "path_not_allowed")
            #expect(try await http.send("DELETE", Self.file(path)).status >= 400)
            #expect(try await !http.get(Self.file("account.json")).body.contains("secret"))
            #expect(try await !http.get("/users/alice/files").body.contains("account.json"))
        }
    }

    @Test(
        "nothing outside is read, written or removed",
        arguments: [
            "../bob/AGENTS.md", "/etc/passwd", "data/../../bob/AGENTS.md", "link", "link/AGENTS.md",
            "folder-link/AGENTS.md", "hard.md",
            "data/\u{0}x", "fifo", "..", "a/../../..", "data//../../bob/AGENTS.md", "/proc/self/environ",
            "data/./../../bob/AGENTS.md",
            "%2e%2e/bob/AGENTS.md", "..%2fbob%2fAGENTS.md", "..\\bob\\AGENTS.md", String(repeating: "x", count: 300),
            String(repeating: "d/", count: 600) + "x",
        ])
    func outside(path: String) async throws {
        try await served { fixture, http, workspace in
            let bob = try fixture.workspaces.open(try fixture.makeUser("bob"))
            try bob.writeText("AGENTS.md", "bob's words")
            let root = workspace.path
            symlink(bob.path, root + "/link")
            symlink(bob.path, root + "/folder-link")
            link(bob.path + "/AGENTS.md", root + "/hard.md")
            mkfifo(root + "/fifo", 0o600)
            for method in ["GET", "PUT", "DELETE"] {
                let reply = try await http.send(method, Self.file(path), [], body: method == "PUT" ? "gone" : nil)
                #expect(!reply.body.contains("bob's words"))
                #expect(reply.status < 500)
            }
            #expect(try bob.readText("AGENTS.md", maxBytes: 100) == "bob's words")
            #expect(try bob.directory.list("").count { $0.name == "AGENTS.md" } == 1)
        }
    }

    @Test(
        "a table that cannot be read is refused when it is brought",
        arguments: [
            ("data/a.json", "{", "not_json"), ("data/a.csv", "\u{0}\u{fffd}", nil), ("data/a.bin", "{", nil),
        ] as [(String, String, String?)])
    func text(path: String, body: String, code: String?) async throws {
        try await served { _, http, _ in
            let reply = try await http.send("PUT", Self.file(path), [], body: body)
            #expect(reply.code == code)
        }
    }

    @Test("the export holds what is kept of the user, and nothing that opens anything")
    func export() async throws {
        try await served { fixture, http, workspace in
            try workspace.writeText("data/notes.md", "my words")
            let made = try fixture.tokens.create(.user, user: try UserID("alice"))
            let request = try JobRequest.parse(["kind": "report", "user_id": "alice"], now: Date())
            let job = try fixture.jobs.submit(request, source: .api, route: "t").id
            let bearer = [("Authorization", "Bearer \(made.token)")]
            let reply = try await http.get("/users/alice/export", bearer)
            #expect(reply.status == 200 && reply.header("content-type") == "application/x-tar")
            for part in [
                "alice/manifest.json", "alice/workspace/data/notes.md", "my words", "alice/jobs/1.jsonl", "\(job)",
                made.record.id,
            ] {
                #expect(reply.body.contains(part), "\(part)")
            }
            #expect(!reply.body.contains(made.token))
            #expect(reply.body.utf8.count % 512 == 0)
        }
    }

    /// A file "leaf" below folders that no path can name.
    private static func nest(_ depth: Int, in workspace: Workspace) throws {
        let cursor = try workspace.directory.cursor("data")
        for name in ["nest"] + Array(repeating: "d", count: depth) { try cursor.enter(name, creating: true) }
        let files = LinuxFileSystem()
        try files.close(try cursor.open("leaf", [.write, .create]), path: "leaf")
    }

    @Test("folders deeper than any path lock nobody out: they are listed, exported, written beside, and removed at once")
    func deep() async throws {
        try await served { _, http, workspace in
            try Self.nest(3_000, in: workspace)
            let way = "data/nest" + String(repeating: "/d", count: 1_000)
            #expect(try await http.get("/users/alice/files?path=\(way)").json.array?.count == 1)
            let export = try await http.get("/users/alice/export")
            #expect(export.status == 200 && export.body.contains(String(repeating: "d/", count: 3_000) + "leaf"))
            #expect(try await http.send("PUT", Self.file("data/beside.txt"), [], body: "x").status == 201)
            #expect(try await http.send("DELETE", Self.file("data/nest")).code == "not_a_file")
            for _ in 0..<2 {
                #expect(try await http.send("DELETE", Self.file("data/nest") + "&recursive=true").status == 204)
            }
            #expect(try workspace.directory.list("data").map(\.name) == ["beside.txt"])
            #expect(try workspace.diskUsage().isComplete)
        }
    }

    @Test(
        "a removal with all that is in it takes neither what nanobot keeps nor the workspace, and nothing through a link",
        arguments: [
            ("config.json", 403), ("sessions", 403), ("sessions/x", 403), ("data/.hidden", 403), ("account.json", 403),
            (".", 409), ("../bob", 422), ("link/AGENTS.md", 422),
        ])
    func recursiveRefusals(path: String, status: Int) async throws {
        try await served { fixture, http, workspace in
            let bob = try fixture.workspaces.open(try fixture.makeUser("bob"))
            symlink(bob.path, workspace.path + "/link")
            let before = try workspace.directory.list("").map(\.name)
            #expect(try await http.send("DELETE", Self.file(path) + "&recursive=true").status == status)
            #expect(try workspace.directory.list("").map(\.name) == before)
            #expect(bob.directory.exists("AGENTS.md"))
        }
    }

    @Test("a removal that is not certain removes nothing", arguments: ["&recursive=maybe", "&recursive=1"])
    func recursiveFlag(query: String) async throws {
        try await served { _, http, workspace in
            try workspace.writeText("data/a/b", "x")
            #expect(try await http.send("DELETE", Self.file("data/a") + query).status == 422)
            let conditional = [("If-Match", "\"x\"")]
            #expect(try await http.send("DELETE", Self.file("data/a") + "&recursive=true", conditional).status == 422)
            #expect(workspace.directory.exists("data/a/b"))
        }
    }
}
