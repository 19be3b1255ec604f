// kill -9 on the built binary: every acknowledged job completes, once.
// NANOBOT_STORM sets the number of kills of the storm; the default is short enough for every run.

import DurableFiles
import Foundation
import ModelTestSupport
import TestSupport
import Testing
import TextFormats

@Suite struct CrashTests {
    private static func answer(_ text: String) -> ScriptedAnswer {
        .json(
            """
            {"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"stop",\
            "message":{"role":"assistant","content":"\(text)"}}],\
            "usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}
            """)
    }

    @Test("a job whose process is killed in the middle of its model call completes after the restart, once")
    func killedInMidJob() throws {
        let folder = try TemporaryDirectory()
        let model = try LoopbackHTTPServer(answers: [
            ScriptedAnswer(status: 200, headers: [], pieces: [.stall]), CrashTests.answer("second try"),
        ])
        defer { model.stop() }
        let environment = [
            "NANOBOT_MODEL": "openai/m", "OPENAI_BASE_URL": model.url + "/v1", "OPENAI_API_KEY": "sk-test",
        ]
        var server = try NanobotProcess(home: folder.path, environment: environment)
        _ = try server.post("/users", ["user_id": "eve"])
        let accepted = try server.post(
            "/chat", ["user_id": "eve", "message": "hello"], headers: [("Prefer", "respond-async")])
        let id = try #require(accepted["job_id"]?.string)
        #expect(model.waitForRequests(1))
        #expect(try server.get("/jobs/\(id)")["status"] == "running")
        server.kill()
        server = try NanobotProcess(home: folder.path, environment: environment)
        let job = try server.waitForJob(id)
        #expect(job["status"] == "completed", "\(job.text)")
        #expect(job["response"] == "second try")
        #expect(model.requests.count == 2)
        #expect(try server.finalLines(id).count == 1)
        let messages = try server.get("/users/eve/sessions/default/messages")
        #expect(messages.body.array?.count == 2, "\(messages.text)")
        #expect(server.stop() == 0)
    }

    @Test("SIGTERM lets a running job be resumed by the next start, without counting an attempt")
    func drained() throws {
        let folder = try TemporaryDirectory()
        let model = try LoopbackHTTPServer(answers: [
            ScriptedAnswer(status: 200, headers: [], pieces: [.stall]), CrashTests.answer("resumed"),
        ])
        defer { model.stop() }
        let environment = [
            "NANOBOT_MODEL": "openai/m", "OPENAI_BASE_URL": model.url + "/v1", "OPENAI_API_KEY": "sk-test",
        ]
        var server = try NanobotProcess(home: folder.path, environment: environment)
        _ = try server.post("/users", ["user_id": "fay"])
        let accepted = try server.post(
            "/chat", ["user_id": "fay", "message": "hello"], headers: [("Prefer", "respond-async")])
        let id = try #require(accepted["job_id"]?.string)
        #expect(model.waitForRequests(1))
        #expect(server.stop() == 0)
        server = try NanobotProcess(home: folder.path, environment: environment)
        let job = try server.waitForJob(id)
        #expect(job["status"] == "completed", "\(job.text)")
        #expect(job["attempt"] == 0)
    }

    @Test("kills at random under load lose no acknowledged report and finish none twice")
    func storm() throws {
        let kills = Int(ProcessInfo.processInfo.environment["NANOBOT_STORM"] ?? "") ?? 4
        let folder = try TemporaryDirectory()
        var server = try NanobotProcess(home: folder.path)
        for number in 0..<4 { _ = try server.post("/users", ["user_id": .string("u\(number)")]) }
        var acknowledged: [String] = []
        for kill in 0..<kills {
            // A different number of submissions before each kill: it hits different moments of the jobs.
            for number in 0..<(3 + kill % 5) {
                let answer = try server.post(
                    "/reports", ["user_id": .string("u\(number % 4)"), "custom_prompt": .string("kill \(kill) job \(number)")])
                if answer.status == 202, let id = answer["report_id"]?.string { acknowledged.append(id) }
            }
            server.kill()
            server = try NanobotProcess(home: folder.path)
        }
        #expect(acknowledged.count >= kills * 3)
        for id in acknowledged {
            let job = try server.waitForJob(id)
            #expect(job["status"] == "completed", "\(job.text)")
            #expect(try server.finalLines(id).count == 1)
            #expect(try server.get("/reports/\(id)")["content"]?.string?.isEmpty == false)
        }
        let files = LinuxFileSystem()
        for folderName in ["queued", "running", "dead"] {
            #expect(try files.list(folder.path + "/spool/\(folderName)").isEmpty, "\(folderName) is not empty")
        }
        let check = try NanobotBinary.run(["check"], home: folder.path)
        #expect(check.status == 0, "\(check.output)\(check.errors)")
    }
}
