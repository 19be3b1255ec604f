// Errors of a model on the built binary, as users and as operators are told: every way to a user, in both languages.

import Foundation
import ModelTestSupport
import TestSupport
import Testing
import TextFormats

@Suite struct UserErrorTests {
    private static let stack = "Traceback (most recent call last): File /srv/vendor/router.py"

    /// A service whose model refuses every key, and headers of an administrator and of alice.
    private struct Service {
        let folder: TemporaryDirectory
        let model: LoopbackHTTPServer
        let server: NanobotProcess
        let admin: [(String, String)]
        let alice: [(String, String)]

        init() throws {
            folder = try TemporaryDirectory()
            model = try LoopbackHTTPServer { _ in .json(#"{"error":{"message":"\#(UserErrorTests.stack)"}}"#, status: 401) }
            #expect(try NanobotBinary.run(["create-user", "alice"], home: folder.path).status == 0)
            func token(_ arguments: [String], _ home: String) throws -> [(String, String)] {
                let made = try NanobotBinary.run(["token", "create", "--json"] + arguments, home: home)
                let secret = try #require(try JSON.parse(made.output)["token"]?.string)
                return [("Authorization", "Bearer \(secret)")]
            }
            admin = try token(["--admin"], folder.path)
            alice = try token(["alice"], folder.path)
            server = try NanobotProcess(
                home: folder.path,
                environment: [
                    "NANOBOT_MODEL": "openai/m", "OPENAI_BASE_URL": model.url + "/v1", "OPENAI_API_KEY": "sk-test",
                ])
        }
    }

    private func expectPlain(_ text: String, _ isChinese: Bool, _ place: String) {
        for word in ["OPENAI", "API_KEY", "Traceback", "router.py", "operator_detail", "config.json", "127.0.0.1"] {
            #expect(!text.contains(word), "\(place): \(text)")
        }
        #expect(text.contains(isChinese ? "语言模型配置有误" : "cannot use its language model"), "\(place): \(text)")
    }

    @Test("a user is told a plain sentence on every way, and an administrator the operator's words", arguments: [
        ("what is new?", false), ("有什么新闻？", true),
    ])
    func everyWay(words: String, isChinese: Bool) throws {
        let service = try Service()
        let server = service.server
        let failed = try server.post("/chat", ["message": .string(words), "user_id": "alice"], headers: service.alice)
        #expect(failed.status == 502)
        expectPlain(failed.text, isChinese, "POST /chat")
        let id = try #require(failed["job_id"]?.string)
        for _ in 0..<2 {
            // The second time from what is kept in memory.
            let own = try server.get("/jobs/\(id)", headers: service.alice)
            expectPlain(own.text, isChinese, "GET /jobs/{id}")
            let full = try server.get("/jobs/\(id)", headers: service.admin)
            #expect(full["error"]?["detail"] == own["error"]?["detail"])
            let told = full["error"]?["operator_detail"]?.string ?? ""
            #expect(told.contains("OPENAI_API_KEY") && told.contains("Traceback"))
        }
        expectPlain(try server.get("/users/alice/jobs", headers: service.alice).text, isChinese, "list")
        expectPlain(try server.get("/jobs/\(id)/events", headers: service.alice).text, isChinese, "events")
        let streamed = try server.post(
            "/chat", ["user_id": "alice", "message": .string(words), "stream": true], headers: service.alice)
        expectPlain(streamed.text, isChinese, "stream")
        for isStream in [false, true] {
            let answer = try server.post(
                "/v1/chat/completions",
                [
                    "model": "nanobot", "stream": .bool(isStream),
                    "messages": [["role": "user", "content": .string(words)]],
                ], headers: service.alice)
            expectPlain(answer.text, isChinese, "/v1, stream \(isStream)")
        }
        #expect(try String(contentsOfFile: service.folder.path + "/server.log", encoding: .utf8).contains("OPENAI_API_KEY"))
    }

    @Test("a report's error, the command line of a user, and a model that is not set up, are told as plainly")
    func others() throws {
        let service = try Service()
        let server = service.server
        let report = try server.post("/reports", ["user_id": "alice", "language": "en"], headers: service.alice)
        let id = try #require(report["report_id"]?.string)
        let ended = try server.get("/reports/\(id)?wait=30", headers: service.alice)
        #expect(ended["status"] == "failed")
        expectPlain(ended["error_message"]?.string ?? "", false, "GET /reports/{id}")

        let token = String(service.alice[0].1.dropFirst("Bearer ".count))
        let command = try NanobotBinary.run(
            ["submit", "chat", "--user", "alice", "--wait", "hello there", "--server", server.baseURL], home: service.folder.path,
            environment: ["NANOBOT_TOKEN": token])
        #expect(command.status == 1)
        expectPlain(command.output + command.errors.replacing(server.baseURL, with: ""), false, "command line")

        let refused = try server.post(
            "/v1/chat/completions", ["model": "anthropic/x", "messages": [["role": "user", "content": "hello"]]],
            headers: service.alice)
        #expect(refused.status == 404 && !refused.text.contains("API_KEY"), "\(refused.text)")
    }
}
