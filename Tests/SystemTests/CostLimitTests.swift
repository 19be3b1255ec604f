// A limit in money under twenty chats at once, with the built binary: in one process, and with the workers in two others.

import DurableFiles
import Foundation
import ModelTestSupport
import Synchronization
import TestSupport
import Testing
import TextFormats

@Suite struct CostLimitTests {
    /// 1,000 and 200 tokens cost 0.14.
    private static func settings(_ url: String, limited: String) -> String {
        let limit = limited == "user" ? #""cost_per_month": 0.5, "# : ""
        let service = limited == "service" ? #", "service": {"cost_per_month": 0.5}"# : ""
        return """
            {"model": "house/m", "workers": 20, "memory": {"enabled": false},
             "providers": {"house": {"type": "openai", "base_url": "\(url)/v1"}},
             "prices": {"house/m": {"input": 100, "output": 200}},
             "limits": {"user": {\(limit)"running": 20}\(service)}}
            """
    }

    private static let answer = ScriptedAnswer.json(
        """
        {"choices":[{"message":{"role":"assistant","content":"Hello."},"finish_reason":"stop"}],\
        "usage":{"prompt_tokens":1000,"completion_tokens":200,"total_tokens":1200}}
        """)

    /// `nanobot worker` until it goes.
    private final class Worker {
        private let process = Process()

        init(home: String) throws {
            process.executableURL = URL(fileURLWithPath: NanobotBinary.path)
            process.arguments = ["worker"]
            process.environment = NanobotBinary.environment(["NANOBOT_HOME": home])
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            process.standardInput = FileHandle.nullDevice
            try process.run()
        }

        deinit {
            process.terminate()
            process.waitUntilExit()
        }
    }

    @Test(
        "twenty chats at once go beyond a limit in money by less than one call, in one process or three",
        arguments: [("user", 0), ("service", 2)])
    func sideBySide(limited: String, workers: Int) throws {
        let folder = try TemporaryDirectory()
        let now = Mutex(0)
        let most = Mutex(0)
        let model = try LoopbackHTTPServer { _ in
            let count = now.withLock { count in
                count += 1
                return count
            }
            most.withLock { $0 = max($0, count) }
            defer { now.withLock { $0 -= 1 } }
            return Self.answer
        }
        defer { model.stop() }
        try LinuxFileSystem().replaceFile(
            folder.path + "/config.json", Array(Self.settings(model.url, limited: limited).utf8))
        let server = try NanobotProcess(
            home: folder.path, arguments: ["serve", "--port", "0"] + (workers > 0 ? ["--no-workers"] : []))
        let others = try (0..<workers).map { _ in try Worker(home: folder.path) }
        let users = limited == "user" ? ["u0"] : ["u0", "u1", "u2", "u3"]
        for user in users { #expect(try server.post("/users", ["user_id": .string(user)]).status == 201) }
        let ids = try (0..<20).map { number -> String in
            let answer = try server.post(
                "/chat",
                [
                    "user_id": .string(users[number % users.count]), "message": "hello", "session_id": "s\(number)",
                ], headers: [("Prefer", "respond-async")])
            // Later ones may find the limit used up before they are taken in.
            guard answer.status == 202 else {
                #expect(answer.status == 429 && answer["code"] == "budget_cost", "\(answer.text)")
                return ""
            }
            return try #require(answer["job_id"]?.string)
        }
        var completed = 0
        for id in ids where !id.isEmpty {
            let job = try server.waitForJob(id)
            if job["status"] == "completed" { completed += 1 } else { #expect(job.body["error"]?["code"] == "budget_cost") }
        }
        // 4 calls of 0.14: the limit of 0.50, and less than one call more.
        #expect(completed == 4)
        #expect(model.requests.count == 4)
        #expect(most.withLock { $0 } == 1)
        let refused = try server.post("/chat", ["user_id": "u0", "message": "once more"])
        #expect(refused.status == 429 && refused["code"] == "budget_cost")
        #expect(server.stop() == 0)
        withExtendedLifetime(others) {}
    }

    @Test("a model without a price under a limit in money does not start, and doctor says which", arguments: ["serve", "worker"])
    func unpriced(command: String) throws {
        let folder = try TemporaryDirectory()
        let settings = #"{"model": "house/m", "limits": {"user": {"cost_per_month": 1}}, "providers": {"house": {"type": "openai", "base_url": "http://127.0.0.1:1/v1"}}}"#
        try LinuxFileSystem().replaceFile(folder.path + "/config.json", Array(settings.utf8))
        let result = try NanobotBinary.run([command], home: folder.path)
        #expect(result.status == 2)
        for part in ["model_unpriced", "house/m", "limits.user.cost_per_month"] { #expect(result.errors.contains(part)) }
        #expect(try NanobotBinary.run(["create-user", "eve"], home: folder.path).status == 0)
        let doctor = try NanobotBinary.run(["doctor"], home: folder.path)
        #expect(doctor.status == 1 && doctor.output.contains("model_unpriced"))
        let submitted = try NanobotBinary.run(["submit", "chat", "--user", "eve", "hello"], home: folder.path)
        #expect(submitted.status == 1 && submitted.errors.contains("house/m has no price"))
    }
}
