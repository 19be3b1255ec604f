// The known faults of the reference system, each kept away by a test on the running service.

import DurableFiles
import Foundation
import TestSupport
import Testing
import TextFormats

@Suite struct ReferenceFaultTests {
    @Test("initial_data is kept, reading creates nothing, deleting removes, ids cannot escape")
    func users() throws {
        let folder = try TemporaryDirectory()
        let server = try NanobotProcess(home: folder.path)
        let made = try server.post(
            "/users", ["user_id": "alice", "initial_data": ["watchlist": ["stocks": ["NVDA"]], "custom_data": ["a": 1]]])
        #expect(made.status == 201)
        let alice = try server.get("/users/alice")
        #expect(alice["watchlist"]?["stocks"] == ["NVDA"])
        #expect(alice["custom_data"] == ["a": 1])
        #expect(try server.post("/users", ["user_id": "alice"]).status == 409)

        #expect(try server.get("/users/ghost").status == 404)
        #expect(try server.get("/users/ghost/sessions").status == 404)
        #expect(try server.get("/schedule?user_id=ghost").status == 404)
        #expect(try server.post("/reports", ["user_id": "ghost"]).status == 404)
        #expect(try server.post("/chat", ["user_id": "ghost", "message": "hi"]).status == 404)
        #expect(try server.get("/users").body.array?.count == 1)
        let files = LinuxFileSystem()
        #expect(try !files.exists(folder.path + "/workspaces/ghost"))

        for id in ["x/../../escape", "../escape", "..", ".", "A", "", "a/b", "%2e%2e", String(repeating: "a", count: 65)] {
            let answer = try server.post("/users", ["user_id": .string(id)])
            #expect(answer.status == 422, "\(id): \(answer.text)")
        }
        for path in ["/users/..%2f..%2fescape", "/users/%2e%2e", "/users/a%00b"] {
            let status = try server.get(path).status
            #expect((400..<500).contains(status), "\(path): \(status)")
        }
        #expect(try server.call("DELETE", "/users/alice").status == 204)
        #expect(try server.get("/users").body.array?.isEmpty == true)
        #expect(try server.call("DELETE", "/users/alice").status == 404)
        #expect(try !files.exists(folder.path + "/workspaces/alice"))
    }

    @Test("users at work at the same time see nothing of each other; look-alike sessions stay apart")
    func isolation() throws {
        let folder = try TemporaryDirectory()
        let server = try NanobotProcess(home: folder.path)
        for user in ["ann", "ben"] {
            _ = try server.post(
                "/users",
                [
                    "user_id": .string(user),
                    "initial_data": [
                        "watchlist": ["stocks": [.string("ONLY-\(user.uppercased())")]],
                        "preferences": ["language": "en"],
                    ],
                ])
        }
        var jobs: [(user: String, id: String)] = []
        for _ in 0..<5 {
            for user in ["ann", "ben"] {
                let answer = try server.post(
                    "/chat", ["user_id": .string(user), "message": "What is on my watchlist?"],
                    headers: [("Prefer", "respond-async")])
                #expect(answer.status == 202)
                jobs.append((user, try #require(answer["job_id"]?.string)))
            }
        }
        for (user, id) in jobs {
            let response = try #require(try server.waitForJob(id)["response"]?.string)
            let other = user == "ann" ? "BEN" : "ANN"
            #expect(response.contains("ONLY-\(user.uppercased())"), "\(response)")
            #expect(!response.contains("ONLY-\(other)"))
        }
        for session in ["a:b", "a_b"] {
            let chat = try server.post(
                "/chat", ["user_id": "ann", "session_id": .string(session), "message": .string("hello from \(session)")])
            #expect(chat.status == 200, "\(chat.text)")
        }
        let messages = try server.get("/users/ann/sessions/a_b/messages")
        #expect(messages.text.contains("hello from a_b"))
        #expect(!messages.text.contains("hello from a:b"))
    }

    @Test("what is remembered in a chat is known in the next, in English and Chinese")
    func memory() throws {
        let folder = try TemporaryDirectory()
        let server = try NanobotProcess(home: folder.path)
        _ = try server.post("/users", ["user_id": "carl"])
        func say(_ text: String, _ session: String) throws -> String {
            let answer = try server.post(
                "/chat", ["user_id": "carl", "session_id": .string(session), "message": .string(text)])
            #expect(answer.status == 200, "\(answer.text)")
            return answer["response"]?.string ?? ""
        }
        _ = try say("Remember that I prefer dividend stocks", "one")
        #expect(try say("What do you know about me?", "two").contains("dividend stocks"))
        _ = try say("记住我不买烟草股", "one")
        #expect(try say("你知道我什么？", "two").contains("烟草股"))
        _ = try say("Add TSLA to my watchlist", "one")
        #expect(try server.get("/users/carl")["watchlist"]?["stocks"] == ["TSLA"])
        #expect(try say("我的自选股有哪些？", "two").contains("TSLA"))
    }

    @Test("the launch commands of the reference work")
    func launchCommands() throws {
        let folder = try TemporaryDirectory()
        let home = folder.path
        let created = try NanobotBinary.run(["create-user", "dora", "--language", "zh"], home: home)
        #expect(created.status == 0, "\(created.errors)")
        let listed = try NanobotBinary.run(["list-users"], home: home)
        #expect(listed.output.contains("dora"))
        let again = try NanobotBinary.run(["create-user", "dora"], home: home)
        #expect(again.status == 1)
        let wrong = try NanobotBinary.run(["create-user"], home: home)
        #expect(wrong.status == 2)
        let submitted = try NanobotBinary.run(["submit", "report", "--user", "dora", "--json"], home: home)
        #expect(submitted.status == 0, "\(submitted.errors)")
        #expect(submitted.output.contains("id"))
        let example = try NanobotBinary.run(["example"], home: home)
        #expect(example.status == 0, "\(example.errors)")
        let refused = try NanobotBinary.run(["serve", "--host", "0.0.0.0", "--port", "0"], home: home)
        #expect(refused.status != 0)
        #expect(refused.errors.contains("token"))
    }
}
