// One code on every way in for a user whose config.json is damaged, whatever the damage; all others as ever.

import Accounts
import DurableFiles
import Foundation
import Glibc
import Identity
import Spool
import Tenants
import TestSupport
import Testing
import TextFormats

@Suite(.timeLimit(.minutes(2)))
struct DamagedUserTests {
    enum Damage: CaseIterable {
        case cut, empty, zeros, list, wrongType, large, missing, folder, link, pipe

        func apply(to path: String) throws {
            let files = LinuxFileSystem()
            let good = try files.readFile(path)
            try files.remove(path)
            switch self {
            case .cut: try files.replaceFile(path, Array(good.prefix(40)))
            case .empty: try files.replaceFile(path, [])
            case .zeros: try files.replaceFile(path, Array(repeating: 0, count: 512))
            case .list: try files.replaceFile(path, Array("[]".utf8))
            case .wrongType: try files.replaceFile(path, Array(#"{"user_id": "alice", "version": "1"}"#.utf8))
            case .large: try files.replaceFile(path, Array(repeating: 0x20, count: 10 << 20))
            case .missing: break
            case .folder: try files.makeDirectory(path, mode: 0o700)
            case .link: #expect(symlink("/etc/passwd", path) == 0)
            case .pipe: #expect(mkfifo(path, 0o600) == 0)
            }
        }
    }

    static let report: JSON = ["kind": "report", "user_id": "alice"]
    static let calls: [(method: String, path: String, body: JSON?)] = [
        ("GET", "/users/alice", nil), ("PUT", "/users/alice/watchlist", ["stocks": ["A"]]),
        ("PUT", "/users/alice/preferences", ["language": "en"]), ("PUT", "/users/alice/persona", ["focus_areas": []]),
        ("POST", "/chat", ["user_id": "alice", "message": "hi"]), ("POST", "/reports", ["user_id": "alice"]),
        ("POST", "/jobs", report), ("GET", "/schedule?user_id=alice", nil), ("GET", "/users/alice/schedules", nil),
        (
            "POST", "/users/alice/schedules",
            ["kind": "cron", "expression": "0 9 * * *", "job": ["kind": "report"]]
        ),
        ("POST", "/users/alice/tokens", ["scope": "user"]), ("GET", "/users/alice/limits", nil),
    ]

    @Test("every call that needs the settings is 503 config_corrupt; others, other users and deleting work",
        arguments: Damage.allCases)
    func oneCode(damage: Damage) async throws {
        let service = try ServiceFixture()
        for name in ["alice", "bob"] { try service.makeUser(name) }
        let token = try service.tokens.create(.user, user: try UserID("alice")).token
        let admin = try service.tokens.create(.admin, user: nil).token
        try damage.apply(to: service.home.path + "/workspaces/alice/config.json")
        try await service.serve { http in
            let asAdmin = [("Authorization", "Bearer \(admin)")]
            for (method, path, body) in Self.calls {
                let reply =
                    if let body { try await http.send(method, path, json: body, asAdmin) } else {
                        try await http.send(method, path, asAdmin)
                    }
                #expect((reply.status, reply.code) == (503, "config_corrupt"), "\(method) \(path)")
                #expect(reply.header("retry-after") != nil, "\(method) \(path)")
            }
            let batch = try await http.send("POST", "/jobs", json: .array([Self.report]), asAdmin)
            #expect(try batch.json[0]?["error"]?["code"] == "config_corrupt")
            // A token of the user may be for another life; only whoever holds one is told why it does not let in.
            let mine = try await http.get("/users/alice/jobs", [("Authorization", "Bearer \(token)")])
            #expect((mine.status, mine.code) == (503, "config_corrupt"))
            let forged = try await http.get("/users/alice/jobs", [("Authorization", "Bearer \(token.dropLast(2))AA")])
            #expect(forged.status == 401)
            #expect(try await http.get("/users", asAdmin).json.array?.compactMap { $0["user_id"] } == ["alice", "bob"])
            #expect(try await http.get("/users/bob", asAdmin).status == 200)
            for path in ["reports", "sessions", "jobs", "usage"] {
                #expect(try await http.get("/users/alice/\(path)", asAdmin).status == 200, "\(path)")
            }
            #expect(try await http.send("DELETE", "/users/alice", asAdmin).status == 204)
            #expect(try await http.get("/users/alice", asAdmin).status == 404)
        }
    }
}
