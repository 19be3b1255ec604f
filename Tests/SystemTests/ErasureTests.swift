import DurableFiles
import Foundation
import HTTPTransport
import TestSupport
import Testing
import TextFormats

@Suite struct ErasureTests {
    private static let word = "XYZZYWORD"

    /// Files below `folder` whose name or content holds the word, without the live log's own name.
    private func traces(in folder: String) throws -> [String] {
        var found: [String] = []
        let names = try #require(FileManager.default.enumerator(atPath: folder))
        for case let name as String in names {
            let path = "\(folder)/\(name)"
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue else { continue }
            let content = try Data(contentsOf: URL(fileURLWithPath: path))
            if name.contains(Self.word) || content.range(of: Data(Self.word.utf8)) != nil { found.append(name) }
        }
        return found
    }

    @Test("a deleted user's words are nowhere on the disk: chats, reports, memory, files, schedules, waiting and dead jobs, keys, tokens")
    func erased() throws {
        let folder = try TemporaryDirectory()
        let server = try NanobotProcess(home: folder.path)
        #expect(try server.post("/users", ["user_id": "zoe"]).status == 201)
        #expect(try server.post("/users", ["user_id": "bob"]).status == 201)
        let word = Self.word
        let chat = try server.post(
            "/chat", ["user_id": "zoe", "message": .string("Remember that \(word) is my broker"), "idempotency_key": .string(word)])
        #expect(chat.status == 200)
        #expect(try server.post("/chat", ["user_id": "zoe", "message": "/new"]).status == 200)
        let report = try server.post("/reports", ["user_id": "zoe", "custom_prompt": .string(word)])
        let id = try #require(report["report_id"]?.string)
        #expect(try server.get("/reports/\(id)?wait=30")["status"] == "completed")
        let later: JSON = ["kind": "chat", "user_id": "zoe", "message": .string(word), "run_at": "2099-01-01T00:00:00Z"]
        #expect([202, 422].contains(try server.post("/jobs", later).status))
        let soon = RFC3339.string(Date(timeIntervalSinceNow: 3_600))
        let waiting: JSON = ["kind": "chat", "user_id": "zoe", "message": .string(word), "run_at": .string(soon)]
        #expect(try server.post("/jobs", waiting).status == 202)
        let failing = try server.post(
            "/jobs", ["kind": "chat", "user_id": "zoe", "message": .string(word), "model": "nowhere/x"])
        let failed = try #require(failing["job_id"]?.string)
        #expect(try server.get("/jobs/\(failed)?wait=30")["status"] == "failed")
        let schedule: JSON = [
            "kind": "every", "expression": "PT1H", "job": ["kind": "chat", "message": .string(word)],
        ]
        #expect(try server.post("/users/zoe/schedules", schedule).status == 201)
        let completion: JSON = [
            "model": "nanobot", "user": "zoe", "messages": [["role": "user", "content": .string("hi \(word)")]],
        ]
        #expect(try server.post("/v1/chat/completions", completion).status == 200)
        #expect(try traces(in: folder.path).count > 8)
        #expect(try server.call("DELETE", "/users/zoe").status == 204)
        // Another user's work makes sure that the log of the spool goes on.
        #expect(try server.post("/chat", ["user_id": "bob", "message": "hello"]).status == 200)
        #expect(server.stop() == 0)
        #expect(try traces(in: folder.path) == [])
    }
}
